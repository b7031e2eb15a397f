# Programs of user/ (installed in /bin) and test programs of tests/user/ (installed in /tests): one NAME.c each.
USER_PROGS      := init sh box exitcost lazyswitch opcost hello spin crash $(patsubst user/%.c,%,$(wildcard user/testall.c))
USER_TESTS      := $(sort $(patsubst tests/user/%.c,%,$(wildcard tests/user/t_*.c)))
# Test programs that are also built with musl, where the distribution has it: /tests/NAME-musl.
USER_MUSL_PROGS := $(filter t_basic,$(USER_TESTS))
