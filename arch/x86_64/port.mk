# How to compile for x86_64. No SSE in the kernel, no red zone (an interrupt uses the same stack), linked in the top 2 GiB. A locked
# instruction is a full fence, which lib/atomic.h may rely on. QEMU's default CPU model lacks SMEP and SMAP: tools/qemu.py asks for `max`.
CROSS_COMPILE ?= $(if $(filter x86_64,$(shell uname -m)),,x86_64-linux-gnu-)
MUSL_GCC      ?= musl-gcc
KCFLAGS_ARCH  := -m64 -march=x86-64 -mno-red-zone -mcmodel=kernel -mgeneral-regs-only -mno-omit-leaf-frame-pointer \
		 -DATOMIC_AMO_IS_FENCE=1 -DATOMIC_CMPXCHG_IS_FENCE=1
KLDFLAGS_ARCH := -m elf_x86_64
