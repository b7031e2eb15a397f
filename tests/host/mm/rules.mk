# Portable mm/ on the host port, under AddressSanitizer and UndefinedBehaviorSanitizer, and again under ThreadSanitizer.
# MM_TEST='--seed 7 --ops 1000 turns' passes words to the program, FILTER=mm.turns (mm-tsan.turns) runs that test
# only, in the first (second) build;
# BREAK_FLAGS (make break=) builds a deliberate bug in.

HOST_CC      ?= cc
HOST_MM      := $(OUT)/host/mm$(if $(break),-break-$(BREAK_SLUG))
# All of mm/ but the kernel's own address space, which the host does not have.
HOST_MM_SRCS := $(filter-out mm/kmap.c mm/kstack.c,$(wildcard mm/*.c)) \
		$(addprefix kernel/,lazy_tlb.c bootinfo.c numa.c ipi.c spinlock.c lockcheck.c rwsem.c mutex.c wait.c) \
		$(addprefix lib/,rbtree.c bitmap.c bits.c printf.c random.c string.c) \
		$(wildcard tests/host/arch/*.c tests/host/mm/*.c)
HOST_MM_FLAGS = -std=gnu11 -O1 -g -fno-omit-frame-pointer -fno-strict-aliasing -fwrapv -fno-common -pthread -Wall -Wextra \
		-Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Werror -DCONFIG_DEBUG $(BREAK_FLAGS) \
		-I. -Itests/host/arch/include -Iarch/include
HOST_MM_ASAN  = $(HOST_MM_FLAGS) -fsanitize=address,undefined -fno-sanitize=alignment -fno-sanitize-recover=all
HOST_MM_TSAN  = $(HOST_MM_FLAGS) -fsanitize=thread -include tests/host/arch/tsan.h
HOST_MM_WRAP := -Wl,--wrap=alloc_pages,--wrap=alloc_pages_node,--wrap=alloc_kpages

.PHONY: host-mm
host: host-mm
HOST_MM_ONLY  = $(patsubst mm.%,%,$(filter mm.%,$(FILTER)))
HOST_TSAN_ONLY = $(patsubst mm-tsan.%,%,$(filter mm-tsan.%,$(FILTER)))
host-mm: $(if $(HOST_TSAN_ONLY),,$(HOST_MM)-test) $(if $(HOST_MM_ONLY),,$(HOST_MM)-test-tsan)
	$(if $(HOST_TSAN_ONLY),,@$(HOST_MM)-test $(or $(MM_TEST),$(HOST_MM_ONLY)))
	$(if $(HOST_MM_ONLY),,@$$(setarch -R true 2>/dev/null && echo setarch -R) $(HOST_MM)-test-tsan $(or $(MM_TEST),--quick $(HOST_TSAN_ONLY)))

$(HOST_MM)/asan/%.o: %.c tests/host/mm/rules.mk
	@mkdir -p $(@D)
	$(Q)$(HOST_CC) $(HOST_MM_ASAN) -MMD -MP -c -o $@ $<
$(HOST_MM)/tsan/%.o: %.c tests/host/mm/rules.mk
	@mkdir -p $(@D)
	$(Q)$(HOST_CC) $(HOST_MM_TSAN) -MMD -MP -c -o $@ $<
$(HOST_MM)-test: $(HOST_MM_SRCS:%.c=$(HOST_MM)/asan/%.o)
	$(call say,HOST,$@)
	$(Q)$(HOST_CC) $(HOST_MM_ASAN) $(HOST_MM_WRAP) -o $@ $^
$(HOST_MM)-test-tsan: $(HOST_MM_SRCS:%.c=$(HOST_MM)/tsan/%.o)
	$(call say,HOST,$@)
	$(Q)$(HOST_CC) $(HOST_MM_TSAN) $(HOST_MM_WRAP) -o $@ $^

-include $(wildcard $(HOST_MM)/*/*/*.d $(HOST_MM)/*/tests/host/*/*.d)
