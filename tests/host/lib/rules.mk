# Host tests of lib/: built with the host's compiler and its sanitizers, and run. A second build under ThreadSanitizer
# runs the cases in which threads meet (where the kernel allows it without address randomisation, which GCC's
# ThreadSanitizer does not always survive). LIB_TEST='--seed 1 --rounds 10 fdt' passes words to the first.

HOST_CC       ?= cc
HOST_LIB      := $(OUT)/host/lib
HOST_LIB_SRCS := $(wildcard lib/*.c tests/host/lib/test-*.c) tests/host/lib/main.c
HOST_LIB_FLAGS = -std=gnu11 -O1 -g -fno-omit-frame-pointer -Wall -Wextra -Werror -I. -pthread
HOST_LIB_ASAN  = $(HOST_LIB_FLAGS) -fsanitize=address,undefined -fno-sanitize-recover=all
HOST_LIB_TSAN  = $(HOST_LIB_FLAGS) -fsanitize=thread

.PHONY: host-lib
host: host-lib
host-lib: $(OUT)/host/lib-test $(OUT)/host/lib-test-tsan
	@$(OUT)/host/lib-test $(LIB_TEST)
	@$$(setarch -R true 2>/dev/null && echo setarch -R) $(OUT)/host/lib-test-tsan atomic_threads llist_threads

$(HOST_LIB)/asan/%.o: %.c tests/host/lib/rules.mk
	@mkdir -p $(@D)
	$(Q)$(HOST_CC) $(HOST_LIB_ASAN) -MMD -MP -c -o $@ $<
$(HOST_LIB)/tsan/%.o: %.c tests/host/lib/rules.mk
	@mkdir -p $(@D)
	$(Q)$(HOST_CC) $(HOST_LIB_TSAN) -MMD -MP -c -o $@ $<

# As the kernel has them, by other names. -O2 and no sanitizer for one: what the kernel runs is what is compared.
$(HOST_LIB)/own-string.o: lib/string.c
	@mkdir -p $(@D)
	$(Q)$(HOST_CC) -std=gnu11 -O2 -g -ffreestanding -Wall -Wextra -Werror -I. -MMD -MP -c -o $@.tmp $<
	$(Q)nm --defined-only $@.tmp | sed -n 's/.* [TW] \(.*\)/\1 own_\1/p' >$@.names
	$(Q)objcopy --redefine-syms=$@.names $@.tmp $@
$(HOST_LIB)/own-ctype.o: tests/host/lib/own-ctype.c
	@mkdir -p $(@D)
	$(Q)$(HOST_CC) -std=gnu11 -O2 -g -ffreestanding -Wall -Wextra -Werror -I. -MMD -MP -c -o $@ $<

HOST_LIB_OWN := $(HOST_LIB)/own-string.o $(HOST_LIB)/own-ctype.o
$(OUT)/host/lib-test: $(HOST_LIB_SRCS:%.c=$(HOST_LIB)/asan/%.o) $(HOST_LIB_OWN)
	$(call say,HOST,$@)
	$(Q)$(HOST_CC) $(HOST_LIB_ASAN) -o $@ $^
$(OUT)/host/lib-test-tsan: $(HOST_LIB_SRCS:%.c=$(HOST_LIB)/tsan/%.o) $(HOST_LIB_OWN)
	$(call say,HOST,$@)
	$(Q)$(HOST_CC) $(HOST_LIB_TSAN) -o $@ $^

-include $(wildcard $(HOST_LIB)/*/lib/*.d $(HOST_LIB)/*/tests/host/lib/*.d $(HOST_LIB)/*.d)
