# The commands of the project (included by the Makefile). Each first installs what it needs; tools/setup is quick if all is there.
# A build is then started as a make of its own, because the compiler may just have arrived.
setup  = tools/setup $(1) $(2)
build  = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc)) kernel initramfs
# Words for the guest are taken as they are: a $ in them is not make's.
$(foreach name,CMD APPEND QEMU_EXTRA FILTER,$(eval override $(name) := $$(value $(name))))
export SMP MEM NODES CMD APPEND ICOUNT QEMU_EXTRA THREAD TIMEOUT MACHINE CPU ROOT FILTER UPDATE FIX ROUNDS V ARCHS

.PHONY: help demo run test gdb iso host bench-check boot-time breaks lint flags clean

help:  # what each command does (this list)
	@echo 'make COMMAND [ARCH=$(subst $() ,|,$(ARCHS))] [NAME=VALUE]...'
	@sed -n 's/^\([a-z-]*\):.*  # \(.*\)/  make \1\t\2/p' tools/commands.mk | expand -t 21
	@echo '  make break=NAME test   with a deliberate bug compiled in, one of:' $(BREAKS)
	@echo 'ARCH=  SMP=4  MEM=2G  NODES=1  CMD=  APPEND=  ROOT=dir  DEBUG=1  ICOUNT=1  THREAD=single|multi  TIMEOUT=s  QEMU_EXTRA=  V=1  OUT=out'

demo:  # what an exit costs: boot 4 CPUs with 2 GiB, run exitcost by every policy, print its table
	@$(call setup,run,$(ARCH))
	+@$(build)
	@SMP=$${SMP:-4} MEM=$${MEM:-2G} CMD="$${CMD:-exitcost --size 64M,256M --policies all}" tools/run

run:  # one boot; CMD='program arguments' is run by init and its status is make's; without CMD, a shell
	@$(call setup,run,$(ARCH))
	+@$(build)
	@tools/run

test:  # every suite on every port; slices: ARCH=, SMP=, FILTER='suite*'
	@$(call setup,test,$(or $(ARCH_GIVEN),$(ARCHS)))
	@TEST_ARCH='$(ARCH_GIVEN)' $(PYTHON) tools/runtests.py

gdb:  # a stopped guest and gdb on it, with the commands of tools/gdb/exeunt.py
	@$(call setup,gdb,$(ARCH))
	+@$(build)
	@tools/gdb/start

ISO ?= $(BUILD)/exeunt.iso
iso:  # a bootable CD image (GRUB, BIOS) with APPEND= and CMD= on its command line
	@$(if $(filter x86_64,$(ARCH)),,echo 'make iso: only x86_64 boots from a GRUB CD'; exit 1)
	@$(call setup,iso,$(ARCH))
	+@$(build)
	@tools/mkiso $(KERNEL) $(INITRD) '$(ISO)'

ifneq ($(wildcard tests/host/rules.mk),)
include tests/host/rules.mk
else
host:
	@echo 'there are no host tests'; exit 1
endif
host:  # lib/ and mm/ on this machine, with sanitizers

.PHONY: models
models:  # the protocols of tests/models: hold in every interleaving, and fail with a fence or a recheck removed; FILTER=lazy_*
	@$(call setup,models,$(ARCH))
	@$(PYTHON) tools/models.py

bench-check:  # guest instructions of fixed operations against tests/bench/baseline.json; UPDATE=1 rewrites it
	@$(call setup,run,$(or $(ARCH_GIVEN),$(ARCHS)))
	@TEST_ARCH='$(ARCH_GIVEN)' $(PYTHON) tools/bench_check.py

.PHONY: bench bench-report bench-test report-test
bench:  # the experiments of tests/bench/experiments.py: tables, $(OUT)/bench/*.json, a report; ARCH=, FILTER='exit.*', ROUNDS=
	@$(call setup,bench,$(ARCH))
	@TEST_ARCH='$(ARCH)' $(PYTHON) tools/bench.py

bench-report:  # $(OUT)/bench/report.html, one page with plots, of all results of make bench that are there
	@$(call setup,report,$(ARCH))
	@$(PYTHON) tools/bench_report.py

bench-test:  # is the measuring plugin of make bench right? Instructions it must know, and programs whose cost is known
	@$(call setup,run,$(or $(ARCH_GIVEN),$(ARCHS)))
	@TEST_ARCH='$(ARCH_GIVEN)' $(PYTHON) tools/bench_test.py

report-test:  # does the report show what was measured? On canned results
	@$(call setup,report,$(ARCH))
	@$(PYTHON) tools/bench_report_test.py

boot-time:  # how long a boot takes, firmware apart; ROUNDS=5
	@$(call setup,run,$(ARCH))
	+@$(build)
	@$(PYTHON) tools/boot_time.py

breaks:  # proves for each deliberate bug of tests/breaks that the test named there catches it
	@$(call setup,breaks,$(or $(ARCH_GIVEN),$(ARCHS)))
	@TEST_ARCH='$(ARCH_GIVEN)' $(PYTHON) tools/breaks.py

flags:
	@echo '$(CC) $(KCFLAGS)'
	@echo '$(CC) $(UCFLAGS)'

lint:  # formatting, static analysis, headers alone, include cycles, architectures named outside arch/; FIX=1 formats
	@$(call setup,lint,$(ARCHS))
	@$(PYTHON) tools/lint.py

clean:  # removes $(OUT)
	rm -rf $(OUT)
