# How to compile for arm64. General registers only: FP and SIMD registers are user space's. No outline atomics: the kernel has no libgcc that
# would choose between LSE and exclusive loads and stores, and boards without LSE must run. Neither kind of atomic is a fence (lib/atomic.h).
CROSS_COMPILE ?= $(if $(filter aarch64,$(shell uname -m)),,aarch64-linux-gnu-)
KCFLAGS_ARCH  := -march=armv8-a -mgeneral-regs-only -mno-outline-atomics -mcmodel=small -mbranch-protection=none
KLDFLAGS_ARCH := -m aarch64elf

# What boot loaders, QEMU's included, take: a flat image that begins with the header of head.S.
KERNEL_IMAGE  := $(BUILD)/Image
$(BUILD)/Image: $(BUILD)/exeunt.elf
	$(call say,IMAGE,$@)
	$(Q)$(OBJCOPY) -O binary $< $@
