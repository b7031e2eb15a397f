# How to compile for riscv64. No floating point in the kernel; medany, because it is linked high but is small, and everything must be reached
# relative to pc before the MMU is on. The linker makes each call one instruction; gp is the user's (no __global_pointer$, so nothing is
# reached through it). An atomic fetch-and-op is one instruction and orders everything; compare-and-exchange is a loop and
# does not (lib/atomic.h).
CROSS_COMPILE ?= riscv64-linux-gnu-
KCFLAGS_ARCH  := -march=rv64imac_zicsr_zifencei -mabi=lp64 -mcmodel=medany -msmall-data-limit=0 \
		 -DATOMIC_AMO_IS_FENCE
KLDFLAGS_ARCH := -m elf64lriscv

# OpenSBI (-bios default) jumps to the start of a flat image.
KERNEL_IMAGE  := $(BUILD)/Image
$(BUILD)/Image: $(BUILD)/exeunt.elf
	$(call say,IMAGE,$@)
	$(Q)$(OBJCOPY) -O binary $< $@
