# Exeunt: one makefile for the kernel, the user programs and every command. `make help` lists the commands.
#
# Sources are found by wildcard, so a new file in a known folder is built without a change here. What belongs to
# one folder is said in a fragment: arch/$(ARCH)/port.mk (a port exists if it is there), user/rules.mk (lists of
# programs), tests/host/rules.mk (the host tests). Output goes to $(OUT)/$(ARCH)[-debug][-break-NAME]/.

.DEFAULT_GOAL := build
.SUFFIXES:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

ARCH_GIVEN  := $(ARCH)
ARCH        := $(if $(ARCH),$(ARCH),x86_64)
ARCHS       := $(sort $(patsubst arch/%/port.mk,%,$(wildcard arch/*/port.mk)))
OUT         ?= out
SMP         ?=
PYTHON      ?= $(if $(wildcard /usr/bin/python3),/usr/bin/python3,python3)
override DEBUG := $(filter-out 0 n no,$(DEBUG))
Q           := $(if $(filter-out 0,$(V)),,@)
say          = $(if $(Q),@printf '  %-7s %s\n' $(1) $(2))

ifeq ($(filter $(ARCH),$(ARCHS)),)
$(error ARCH=$(ARCH): no such port; there are: $(ARCHS))
endif

# A deliberate bug, `make break=gather:no-flush test`: compiled in as -DBREAK_GATHER_NO_FLUSH, in a folder of its own.
BREAKS := $(shell sed -n 's/^\([a-z][^ \t]*\).*/\1/p' tests/breaks 2>/dev/null)
ifneq ($(break),)
ifeq ($(filter $(break),$(BREAKS)),)
$(error break=$(break): no such deliberate bug; tests/breaks knows: $(BREAKS))
endif
BREAK_SLUG  := -break-$(shell printf %s '$(break)' | tr -c 'a-z0-9' '-')
BREAK_MACRO := BREAK_$(shell printf %s '$(break)' | tr a-z A-Z | tr -c 'A-Z0-9' '_')
BREAK_FLAGS := -D$(BREAK_MACRO)
endif

PLAIN  := $(OUT)/$(ARCH)$(if $(DEBUG),-debug)
BUILD  := $(PLAIN)$(BREAK_SLUG)
UBUILD := $(OUT)/$(ARCH)/user
KERNEL := $(BUILD)/exeunt.elf
INITRD := $(UBUILD)/initramfs.cpio

export ARCH OUT DEBUG PYTHON break
export PYTHONDONTWRITEBYTECODE := 1

# ---- the port says how to compile for it
KERNEL_IMAGE := $(KERNEL)
ARCH_DIRS    := arch/$(ARCH) arch/$(ARCH)/board
include arch/$(ARCH)/port.mk

CC      := $(CROSS_COMPILE)gcc
LD      := $(CROSS_COMPILE)ld
AR      := $(CROSS_COMPILE)ar
NM      := $(CROSS_COMPILE)nm
OBJCOPY := $(CROSS_COMPILE)objcopy
STRIP   := $(CROSS_COMPILE)strip

# ---- kernel
# Strict aliasing is off and overflow wraps, because a kernel reads memory through several types and relies on wrapping
# counters. Loops stay loops (no-tree-loop-distribute-patterns), or memset() would be compiled into a call of itself.
KCFLAGS  = -std=gnu11 -ffreestanding -nostdinc -isystem $(CC_INCLUDE) -O2 -g3 -fno-omit-frame-pointer \
	   -fno-strict-aliasing -fno-common -fwrapv -fno-delete-null-pointer-checks -fno-tree-loop-distribute-patterns \
	   -fno-pic -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none \
	   -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wwrite-strings \
	   -Wundef -Wvla -Wno-unused-parameter -Wno-sign-compare -Werror \
	   -I. -Iarch/include -Iarch/$(ARCH)/include $(if $(DEBUG),-DCONFIG_DEBUG -DCONFIG_TESTS) $(KCFLAGS_ARCH)
KLDFLAGS = -nostdlib -static -z noexecstack -z max-page-size=4096 --build-id=none --fatal-warnings $(KLDFLAGS_ARCH)
CC_INCLUDE = $(eval CC_INCLUDE := $$(shell $(CC) -print-file-name=include 2>/dev/null))$(CC_INCLUDE)

KDIRS := lib kernel kernel/dev kernel/fs mm $(ARCH_DIRS) $(if $(DEBUG),tests/kernel)
KSRCS := $(filter-out %.ld.S,$(sort $(wildcard $(addsuffix /*.c,$(KDIRS)) $(addsuffix /*.S,$(ARCH_DIRS)))))
# With a deliberate bug only the files that name its macro are compiled anew (all of them if a header does).
BROKEN := $(if $(break),$(shell grep -rslw --include=*.[chS] '$(BREAK_MACRO)' $(KDIRS) arch/include))
KOBJS := $(foreach src,$(KSRCS),$(if $(filter $(src) %.h,$(BROKEN)),$(BUILD),$(PLAIN))/obj/$(src).o)
LDS   := $(firstword $(wildcard arch/$(ARCH)/kernel.ld.S arch/$(ARCH)/kernel.ld))

.PHONY: build kernel objects user initramfs FORCE
build: kernel initramfs
kernel: $(KERNEL_IMAGE)
objects: $(KOBJS)
FORCE:

# One line if the compiler is missing or too old.
check-cc = @version=$$($(CC) -dumpversion 2>/dev/null) || { echo '$(CC) is missing: run tools/setup' >&2; exit 1; }; \
	[ $${version%%.*} -ge 10 ] || { echo "$(CC) is too old ($$version): install GCC 10 or newer" >&2; exit 1; }
# A stamp holds the flags (and the list of files); it is touched only when they change, which rebuilds what depends on it.
stamp = @mkdir -p $(@D); printf '%s\n' $(1) | cmp -s - $@ || printf '%s\n' $(1) >$@
define objects-in
$(1)/flags: FORCE
	$$(call check-cc)
	$$(call stamp,'$$(CC) $$(KCFLAGS) $(2)')
$(1)/obj/%.c.o: %.c $(1)/flags
	$$(call say,CC,$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(KCFLAGS) $(2) -MMD -MP -c -o $$@ $$<
$(1)/obj/%.S.o: %.S $(1)/flags
	$$(call say,AS,$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(KCFLAGS) $(2) -MMD -MP -c -o $$@ $$<
endef
$(eval $(call objects-in,$(PLAIN)))
$(if $(break),$(eval $(call objects-in,$(BUILD),$(BREAK_FLAGS))))

$(BUILD)/objects: FORCE
	$(call stamp,'$(LD) $(KLDFLAGS) $(KOBJS)')
$(BUILD)/kernel.ld: $(LDS) $(BUILD)/flags
	$(Q)$(CC) $(KCFLAGS) -E -P -x assembler-with-cpp -MMD -MP -MT $@ -MF $@.d -o $@ $<

# Symbols for backtraces. The table needs the addresses that it may itself move, so the kernel is linked three times: with an
# empty table, with a table of the right size, with the right table; ksyms.py --check proves that the last one is right.
$(KERNEL): $(KOBJS) $(BUILD)/kernel.ld $(BUILD)/objects tools/ksyms.py
	$(call say,LD,$@)
	$(Q)set -e; link() { \
		$(PYTHON) tools/ksyms.py $$1 >$(BUILD)/ksyms.$$3.S; \
		$(CC) $(KCFLAGS) -c -o $(BUILD)/ksyms.$$3.o $(BUILD)/ksyms.$$3.S; \
		$(LD) $(KLDFLAGS) -T $(BUILD)/kernel.ld -o $$2 $(KOBJS) $(BUILD)/ksyms.$$3.o; \
		$(NM) -n $$2 >$(BUILD)/ksyms.$$3; }; \
	link /dev/null $(BUILD)/stage1.elf 1; \
	link $(BUILD)/ksyms.1 $(BUILD)/stage2.elf 2; \
	link $(BUILD)/ksyms.2 $@ 3; \
	$(PYTHON) tools/ksyms.py --check $(BUILD)/ksyms.2 $(BUILD)/ksyms.3; rm -f $(BUILD)/stage?.elf

-include $(KOBJS:.o=.d) $(BUILD)/kernel.ld.d

# ---- user programs: user/NAME.c -> /bin/NAME, tests/user/NAME.c -> /tests/NAME; static, each with user/common/*.c
-include user/rules.mk
MUSL_CC     := $(if $(USER_MUSL_PROGS),$(shell command -v $(MUSL_GCC) 2>/dev/null))
UCFLAGS      = -std=gnu11 -O2 -g -fno-omit-frame-pointer -pthread -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Werror -I. $(UCFLAGS_ARCH)
USER_LIB    := $(patsubst %.c,$(UBUILD)/obj/%.o,$(wildcard user/common/*.c))
USER_BIN    := $(addprefix $(UBUILD)/bin/,$(USER_PROGS)) $(addprefix $(UBUILD)/tests/,$(USER_TESTS)) \
	       $(if $(MUSL_CC),$(addprefix $(UBUILD)/tests/,$(addsuffix -musl,$(USER_MUSL_PROGS))))
user: $(USER_BIN)

$(UBUILD)/flags: FORCE
	$(call check-cc)
	$(call stamp,'$(CC) $(UCFLAGS) $(MUSL_CC)')
$(UBUILD)/obj/%.o: %.c $(UBUILD)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(UCFLAGS) -MMD -MP -c -o $@ $<
$(UBUILD)/obj/libuser.a: $(USER_LIB)
	@mkdir -p $(@D); rm -f $@
	$(Q)$(AR) rcsD $@ $^
# The program with its symbols stays in debug/ for gdb; what goes into the initramfs is stripped.
link-user = mkdir -p $(@D) $(UBUILD)/debug; $(1) -static -pthread -o $(UBUILD)/debug/$(@F) $(2) && $(STRIP) -o $@ $(UBUILD)/debug/$(@F)
$(UBUILD)/bin/%: $(UBUILD)/obj/user/%.o $(UBUILD)/obj/libuser.a
	$(call say,USER,$@)
	$(Q)$(call link-user,$(CC) $(UCFLAGS_ARCH),$^)
$(UBUILD)/tests/%: $(UBUILD)/obj/tests/user/%.o $(UBUILD)/obj/libuser.a
	$(call say,USER,$@)
	$(Q)$(call link-user,$(CC) $(UCFLAGS_ARCH),$^)
$(UBUILD)/obj-musl/%.o: %.c $(UBUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(MUSL_CC) $(UCFLAGS) -MMD -MP -c -o $@ $<
$(UBUILD)/tests/%-musl: $(UBUILD)/obj-musl/tests/user/%.o $(USER_LIB:$(UBUILD)/obj/%=$(UBUILD)/obj-musl/%)
	$(call say,MUSL,$@)
	$(Q)$(call link-user,$(MUSL_CC),$^)
.SECONDARY:
-include $(wildcard $(addprefix $(UBUILD)/,obj*/user/*.d obj*/user/common/*.d obj*/tests/user/*.d))

initramfs: $(INITRD)
$(UBUILD)/contents: FORCE
	$(call stamp,'$(USER_BIN) $(ROOT)')
$(INITRD): $(USER_BIN) $(UBUILD)/contents tools/mkcpio.py $(if $(ROOT),FORCE)
	$(call say,CPIO,$@)
	@mkdir -p $(@D)
	$(Q)$(PYTHON) tools/mkcpio.py -o $@ $(addprefix --bin ,$(filter $(UBUILD)/bin/%,$(USER_BIN))) \
		$(addprefix --test ,$(filter $(UBUILD)/tests/%,$(USER_BIN))) $(if $(ROOT),--root '$(ROOT)')

# ---- commands
include tools/commands.mk
