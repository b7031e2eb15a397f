# How to compile for ppc64, little-endian. Nothing newer than POWER9; no floating point and no vectors in the kernel. TOC-relative
# addresses (medium): the first C code runs where the image was loaded, before the MMU is on. The ABI chains stack frames without
# a frame pointer. GCC builds atomics from lwarx and stwcx. with lwsync and isync around, which does not make them full fences
# (lib/atomic.h adds what is missing). Constants hoisted out of loops and early scheduling take many of the 18 registers that a
# function must save: 3 % more instructions in page faults and forks.
CROSS_COMPILE ?= powerpc64le-linux-gnu-
KCFLAGS_ARCH  := -m64 -mlittle-endian -mabi=elfv2 -mcpu=power9 -mcmodel=medium -msoft-float -mno-altivec -mno-vsx \
		 -fomit-frame-pointer -fno-move-loop-invariants -fno-schedule-insns
# File offsets must be in step with addresses although .bss wants 64 KiB: skiboot runs the file in place.
KLDFLAGS_ARCH := -m elf64lppc -z max-page-size=65536
