# Tests that run on the machine that builds: lib/ by itself, and portable mm/ on the host port (tests/host/arch). Each part adds to `host`.
-include tests/host/lib/rules.mk
-include tests/host/mm/rules.mk
