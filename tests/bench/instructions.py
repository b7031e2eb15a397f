"""What tools/plugin/decode.c has to make of instructions, as data for `make bench-test`.

Lines for the assembler, separated by |. The last ones of each port, with 0, are neighbours that must not be taken for
something else.
"""

# As in tools/plugin/decode.h.
ATOMIC, FENCE, RELAX = 1, 2, 4

# QEMU's name of the port, and what its assembler needs to know all of these.
GUESTS = {"x86_64": "x86_64", "arm64": "aarch64", "riscv64": "riscv64", "ppc64": "ppc64"}
ASSEMBLER_FLAGS = {
    "x86_64": [],
    "arm64": ["-march=armv8.7-a+ls64"],
    "riscv64": ["-march=rv64gc"],
    "ppc64": ["-mcpu=power10", "-Wa,-mpower10"],
}

INSTRUCTIONS = {
    "x86_64": {
        ATOMIC | FENCE: """
            lock addl $1,(%rax) | lock xaddq %rax,8(%rsp) | lock cmpxchgl %ecx,(%rdx) | lock orl $0,(%rax) |
            lock cmpxchg16b (%rdi) | lock incb %gs:4 | lock btsq %rax,(%r8) | lock andl $0,(%rsp) |
            lock orl $1,(%rsp) | lock orl $0,(%r12) | xchgl %eax,(%rdx) | xchgb %al,(%r12) | xchgq %r9,4(%r15) |
            lock xchgl %eax,(%rdx) | lock orl $0x10000,(%rsp)
        """,
        FENCE: """
            mfence | lock orl $0,(%rsp) | lock addl $0,-4(%rsp) | lock orq $0,(%rsp) | lock addq $0,128(%rsp)
        """,
        RELAX: "pause",
        0: """
            nop | xchgl %eax,%ebx | xchg %bx,%bx | lfence | sfence | addl $1,(%rax) | cmpxchgl %ecx,(%rdx) |
            clflush (%rax) | orl $0,(%rsp) | movq %rax,%cr3 | rep stosb | xchg %ax,%ax | fxsave (%rax) | tpause %eax
            | umonitor %rax
        """,
    },
    "arm64": {
        ATOMIC: """
            ldadd w0,w1,[x2] | ldaddal x0,x1,[x2] | stadd x0,[x1] | ldsetlb w0,w1,[x2] | ldclr x0,x1,[x2] |
            ldumaxa x0,x1,[x2] | swp w0,w1,[x2] | swpalb w0,w1,[x2] | cas w0,w1,[x2] | casal x0,x1,[x2] |
            casab w0,w1,[x2] | casp x0,x1,x2,x3,[x4] | stxr w0,x1,[x2] | stlxr w0,w1,[x2] | stlxrb w0,w1,[x2] |
            stxp w0,x1,x2,[x3] | stlxp w0,w1,w2,[x3]
        """,
        FENCE: "dmb ish | dmb sy | dmb osh | dmb nsh | dsb sy | dsb ish | dsb nsh | dsb synxs",
        RELAX: "yield | wfe",
        0: """
            nop | dmb ishld | dmb ishst | dsb ishst | dsb ld | isb | ssbb | pssbb | wfi | sev | ldxr x0,[x1] |
            ldaxr w0,[x1] | ldxp x0,x1,[x2] | stlr x0,[x1] | ldar x0,[x1] | ldapr x0,[x1] | str x0,[x1] |
            stp x0,x1,[x2] | ldr x0,[x1,x2] | st64b x0,[x8] | ld64b x0,[x8] | clrex | csdb
        """,
    },
    "riscv64": {
        ATOMIC: """
            amoadd.w a0,a1,(a2) | amoswap.d.aq a0,a1,(a2) | amoor.d.rl a0,a1,(a2) | sc.w a0,a1,(a2) |
            sc.d.rl a0,a1,(a2) | amomaxu.w a0,a1,(a2)
        """,
        ATOMIC | FENCE: "amoadd.w.aqrl a0,a1,(a2) | amoswap.d.aqrl a0,a1,(a2) | sc.d.aqrl a0,a1,(a2)",
        FENCE: "fence rw,rw | fence | fence iorw,iorw | lr.d.aqrl a0,(a1)",
        RELAX: ".word 0x0100000f",
        0: """
            nop | fence r,r | fence w,w | fence r,rw | fence rw,w | fence.i | fence.tso | lr.w a0,(a1) |
            lr.d.aq a0,(a1) | sd a0,(a1) | ld a0,(a1) | wfi | c.addi a0,1 | sfence.vma | slti x0,x1,0x5e1
        """,
    },
    "ppc64": {
        ATOMIC: """
            stwcx. 3,0,4 | stdcx. 3,4,5 | stbcx. 3,0,4 | sthcx. 3,0,4 | stqcx. 4,0,6 | lwat 3,4,0 | ldat 3,4,8 |
            stwat 3,4,0 | stdat 3,4,0
        """,
        FENCE: "hwsync | sync | ptesync | phwsync",
        RELAX: "or 27,27,27 | or 31,31,31 | or 1,1,1",
        0: """
            nop | lwsync | plwsync | eieio | isync | lwarx 3,0,4 | ldarx 3,4,5 | stw 3,0(4) | std 3,8(4) | or 2,2,2
            | or 26,26,26 | mr 3,4 | stdx 3,4,5 | tlbsync | slbia
        """,
    },
}
