#!/usr/bin/env python3
"""Is the measuring plugin right? `make bench-test [ARCH=]`.

decode  every kind of instruction that tools/plugin/decode.c tells apart, and its neighbours that it must not take for one, through
        the assemblers; the markers of user/common/mark.h through the compilers
known   tests/bench/known.c, whose costs are known, in a guest: the longest way through parallel work, waiting, sharing
"""
import ctypes
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench_plugin
import qemu
from runtests import make

ATOMIC, FENCE, RELAX = 1, 2, 4
GUESTS = {"x86_64": "x86_64", "arm64": "aarch64", "riscv64": "riscv64", "ppc64": "ppc64"}
ASSEMBLER_FLAGS = {"x86_64": [], "arm64": ["-march=armv8.7-a+ls64"], "riscv64": ["-march=rv64gc"], "ppc64": ["-mcpu=power10", "-Wa,-mpower10"]}

INSTRUCTIONS = {
    "x86_64": {
        ATOMIC | FENCE: """lock addl $1,(%rax) | lock xaddq %rax,8(%rsp) | lock cmpxchgl %ecx,(%rdx) | lock orl $0,(%rax)
            lock cmpxchg16b (%rdi) | lock incb %gs:4 | lock btsq %rax,(%r8) | lock andl $0,(%rsp) | lock orl $1,(%rsp) | lock orl $0,(%r12)
            xchgl %eax,(%rdx) | xchgb %al,(%r12) | xchgq %r9,4(%r15) | lock xchgl %eax,(%rdx) | lock orl $0x10000,(%rsp)""",
        FENCE: "mfence | lock orl $0,(%rsp) | lock addl $0,-4(%rsp) | lock orq $0,(%rsp) | lock addq $0,128(%rsp)",
        RELAX: "pause",
        0: """nop | xchgl %eax,%ebx | xchg %bx,%bx | lfence | sfence | addl $1,(%rax) | cmpxchgl %ecx,(%rdx) | clflush (%rax)
            orl $0,(%rsp) | movq %rax,%cr3 | rep stosb | xchg %ax,%ax | fxsave (%rax) | tpause %eax | umonitor %rax""",
    },
    "arm64": {
        ATOMIC: """ldadd w0,w1,[x2] | ldaddal x0,x1,[x2] | stadd x0,[x1] | ldsetlb w0,w1,[x2] | ldclr x0,x1,[x2] | ldumaxa x0,x1,[x2]
            swp w0,w1,[x2] | swpalb w0,w1,[x2] | cas w0,w1,[x2] | casal x0,x1,[x2] | casab w0,w1,[x2] | casp x0,x1,x2,x3,[x4]
            stxr w0,x1,[x2] | stlxr w0,w1,[x2] | stlxrb w0,w1,[x2] | stxp w0,x1,x2,[x3] | stlxp w0,w1,w2,[x3]""",
        FENCE: "dmb ish | dmb sy | dmb osh | dmb nsh | dsb sy | dsb ish | dsb nsh | dsb synxs",
        RELAX: "yield | wfe",
        0: """nop | dmb ishld | dmb ishst | dsb ishst | dsb ld | isb | ssbb | pssbb | wfi | sev | ldxr x0,[x1] | ldaxr w0,[x1] | ldxp x0,x1,[x2]
            stlr x0,[x1] | ldar x0,[x1] | ldapr x0,[x1] | str x0,[x1] | stp x0,x1,[x2] | ldr x0,[x1,x2] | st64b x0,[x8] | ld64b x0,[x8]
            clrex | csdb""",
    },
    "riscv64": {
        ATOMIC: "amoadd.w a0,a1,(a2) | amoswap.d.aq a0,a1,(a2) | amoor.d.rl a0,a1,(a2) | sc.w a0,a1,(a2) | sc.d.rl a0,a1,(a2) | amomaxu.w a0,a1,(a2)",
        ATOMIC | FENCE: "amoadd.w.aqrl a0,a1,(a2) | amoswap.d.aqrl a0,a1,(a2) | sc.d.aqrl a0,a1,(a2)",
        FENCE: "fence rw,rw | fence | fence iorw,iorw | lr.d.aqrl a0,(a1)",
        RELAX: ".word 0x0100000f",
        0: """nop | fence r,r | fence w,w | fence r,rw | fence rw,w | fence.i | fence.tso | lr.w a0,(a1) | lr.d.aq a0,(a1) | sd a0,(a1) | ld a0,(a1)
            wfi | c.addi a0,1 | sfence.vma | slti x0,x1,0x5e1""",
    },
    "ppc64": {
        ATOMIC: "stwcx. 3,0,4 | stdcx. 3,4,5 | stbcx. 3,0,4 | sthcx. 3,0,4 | stqcx. 4,0,6 | lwat 3,4,0 | ldat 3,4,8 | stwat 3,4,0 | stdat 3,4,0",
        FENCE: "hwsync | sync | ptesync | phwsync",
        RELAX: "or 27,27,27 | or 31,31,31 | or 1,1,1",
        0: """nop | lwsync | plwsync | eieio | isync | lwarx 3,0,4 | ldarx 3,4,5 | stw 3,0(4) | std 3,8(4) | or 2,2,2 | or 26,26,26 | mr 3,4
            stdx 3,4,5 | tlbsync | slbia""",
    },
}


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, good, what, detail=""):
        self.passed += good
        self.failed += not good
        print(f"  {'ok  ' if good else 'FAIL'} {what}{': ' + detail if detail else ''}", flush=True)
        return good


def library(folder):
    made = os.path.join(folder, "decode.so")
    bench_plugin.compile_c(["gcc", "-O2", "-shared", "-fPIC", "-o", made, os.path.join(qemu.ROOT, "tools/plugin/decode.c")])
    return ctypes.CDLL(made)


def assemble(arch, folder, lines):
    """The bytes of each line."""
    source, made, image = (os.path.join(folder, f"{arch}.{end}") for end in ("s", "o", "bin"))
    with open(source, "w", encoding="ascii") as stream:
        stream.write("".join(f"L{number}: {line}\n" for number, line in enumerate(lines)) + f"L{len(lines)}:\n")
    bench_plugin.compile_c([bench_plugin.tool(arch, "gcc"), *ASSEMBLER_FLAGS[arch], "-c", "-o", made, source])
    bench_plugin.compile_c([bench_plugin.tool(arch, "objcopy"), "-O", "binary", "-j", ".text", made, image])
    text = subprocess.run([bench_plugin.tool(arch, "nm"), made], stdout=subprocess.PIPE, text=True, check=True).stdout
    at = {int(name): int(address, 16) for address, name in re.findall(r"^(\w+) t L(\d+)$", text, re.M)}
    with open(image, "rb") as stream:
        code = stream.read()
    return [code[at[number]:at[number + 1]] for number in range(len(lines))]


def markers(arch, folder):
    """The assembly lines that the macro of user/common/mark.h makes, and their numbers."""
    source = os.path.join(folder, "mark.c")
    with open(source, "w", encoding="ascii") as stream:
        stream.write('#include "user/common/mark.h"\nvoid f(void) { MARK(0); MARK(1); MARK(2); MARK(7); }\n')
    argv = [bench_plugin.tool(arch, "gcc"), "-O2", "-S", "-o", "-", "-I", qemu.ROOT, source]
    text = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout
    found = re.findall(r"^\s*(\.byte 0x0f.*|hint.*|slti.*|or 1[6-9].*|or 2\d.*)$", text, re.M)
    return list(zip(found, (0, 1, 2, 7)))


def test_decode(arch, tally, folder, lib):
    def ask(function, code):
        return function(guest, code, len(code))

    guest = lib.decode_guest(GUESTS[arch].encode())
    wrong, cases = [], []
    for kind, text in INSTRUCTIONS[arch].items():
        cases += [(line.strip(), kind) for line in re.split(r"[|\n]", text)]
    for (line, kind), code in zip(cases, assemble(arch, folder, [line for line, _ in cases])):
        found = ask(lib.decode, code)
        if found != kind or ask(lib.decode_mark, code) != -1:
            wrong.append(f"{line} ({code.hex()}) is {found}, not {kind}")
    tally.check(not wrong, f"{arch}: {len(cases)} instructions", "; ".join(wrong))
    marks = markers(arch, folder)
    codes = assemble(arch, folder, [line for line, _ in marks])
    good = len(marks) == 4 and all(ask(lib.decode_mark, code) == n and ask(lib.decode, code) == 0 for (_, n), code in zip(marks, codes))
    tally.check(good, f"{arch}: markers", "" if good else repr([(line, code.hex()) for (line, _), code in zip(marks, codes)]))


def make_known(arch, folder, out):
    """An initramfs with init and the program."""
    status, text = make(f"ARCH={arch}", "DEBUG=", "-s", "flags")
    if status:
        raise qemu.Problem(text)
    flags = text.strip().split("\n")[-1].split()
    program = os.path.join(folder, "known")
    bench_plugin.compile_c([*flags, f"-I{qemu.ROOT}", "-static", "-o", program, os.path.join(qemu.ROOT, "tests/bench/known.c")])
    made = os.path.join(folder, "known.cpio")
    init = os.path.join(qemu.ROOT, out, arch, "user/bin/init")
    argv = [sys.executable, os.path.join(qemu.ROOT, "tools/mkcpio.py"), "-o", made, "--bin", init, "--bin", program]
    bench_plugin.compile_c(argv)
    return made


class Known:
    """Boots of one port."""

    def __init__(self, arch, tally, folder):
        out = os.environ.get("OUT") or "out"
        self.arch, self.tally, self.folder = arch, tally, folder
        self.initrd = make_known(arch, folder, out)
        self.plugin = bench_plugin.build(os.path.join(out, "plugin"))
        self.kernel = bench_plugin.Kernel(arch, os.path.join(qemu.ROOT, qemu.build_dir({"ARCH": arch, "OUT": out}), "exeunt.elf"))
        self.settings = {"OUT": out, "ARCH": arch, "SMP": "4", "MEM": "512M", "INITRD": self.initrd}

    def run(self, command, lockstep):
        """The phase between the markers, or None after a message."""
        conf, results = (os.path.join(self.folder, f"{self.arch}.{end}") for end in ("conf", "json"))
        with open(conf, "w", encoding="ascii") as stream:
            phases = {"known": ("mark:1", "mark:2")}
            stream.write(bench_plugin.settings(self.kernel, results, phases, lockstep=lockstep))
        settings = self.settings | {"CMD": f"known {command}", "QEMU_EXTRA": f"-plugin {self.plugin},conf={conf}"}
        guest = qemu.Guest(settings | ({"THREAD": "multi"} if lockstep else {"ICOUNT": "1"}), 240)
        lines = list(guest.lines())
        phases = bench_plugin.read(results)
        if guest.status or len(phases) != 1:
            complaint = guest.complaint or f"status {guest.status}, {len(phases)} phases"
            self.tally.check(False, f"{self.arch}: known {command}", complaint + "\n" + "\n".join(lines[-20:]))
            return None
        return phases[0]

    def near(self, what, found, expected, share, slack=0):
        good = abs(found - expected) <= share * expected + slack
        self.tally.check(good, f"{self.arch}: {what}", f"{found} where {expected} are known")

    def path(self, a, b, c, d):
        phase = self.run(f"path {a} {b} {c} {d}", 1000)
        if not phase:
            return
        self.near(f"way through {a}, {b} beside {c}, {d}", phase.path, a + max(b, c) + d, 0.02, 30000)
        self.near("its sum over all CPUs", phase.sums["busy"], a + 3 * b + c + d, 0.02, 60000)
        self.near("its busiest CPU", phase.busiest, max(a + c + d, b), 0.02, 30000)

    def spin(self, a):
        phase = self.run(f"spin {a}", 1000)
        if phase:
            self.near("way through while another CPU waits", phase.path, a, 0.02, 5000)
            self.near("instructions of waiting", phase.sums["spin"], a, 0.02, 5000)
            self.near("busy instructions", phase.sums["busy"], a, 0.03, 10000)

    def share(self, turns, lockstep):
        phase = self.run(f"share {turns}", lockstep)
        if not phase:
            return
        mode = "lockstep" if lockstep else "icount"
        fences = (6 if self.arch == "x86_64" else 2) * turns
        for key, expected in (("atomics", 4 * turns), ("shared", 2 * turns), ("fences", fences), ("transfers", 4 * turns)):
            self.near(f"{key} of {2 * turns} turns, {mode}", phase.sums[key], expected, 0.01, 60)


def main():
    archs = (os.environ.get("TEST_ARCH") or os.environ.get("ARCHS", "")).split()
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="exeunt-bench-") as folder:
        print("decode: what instructions are, by their bytes")
        lib = library(folder)
        for arch in archs if os.environ.get("TEST_ARCH") else INSTRUCTIONS:
            test_decode(arch, tally, folder, lib)
        print("known: programs whose cost is known")
        for arch in archs:
            status, output = make(f"ARCH={arch}", "DEBUG=", "kernel", "initramfs")
            if not tally.check(not status, f"{arch}: builds", output if status else ""):
                continue
            known = Known(arch, tally, folder)
            known.path(1000000, 8000000, 2000000, 1000000)
            known.path(0, 2000000, 6000000, 0)
            known.spin(5000000)
            known.share(2000, 1000)
            # One vCPU at a time: where no instruction of a program passes that on, each turn would last until the next tick.
            if arch != "riscv64":
                known.share(2000, 0)
    print(f"{tally.passed} passed, {tally.failed} failed, 0 skipped", flush=True)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except qemu.Problem as problem:
        sys.exit(f"bench-test: {problem}")
