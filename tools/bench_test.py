#!/usr/bin/env python3
"""Is the measuring plugin right? `make bench-test [ARCH=]`.

decode  the instructions that tools/plugin/decode.c tells apart and their neighbours (tests/bench/instructions.py),
        through the assemblers; the markers of user/common/mark.h, through the compilers
known   tests/bench/known.c, whose costs are known, in a guest: the longest way through parallel work, waiting, sharing
"""
import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench_plugin
import qemu
from runtests import make

sys.path.insert(0, os.path.join(qemu.ROOT, "tests/bench"))
from instructions import ASSEMBLER_FLAGS, GUESTS, INSTRUCTIONS

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
    source = os.path.join(qemu.ROOT, "tools/plugin/decode.c")
    bench_plugin.compile_c(["gcc", "-O2", "-shared", "-fPIC", "-o", made, source])
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
        cases += [(line.strip(), kind) for line in text.replace("\n", " ").split("|") if line.strip()]
    for (line, kind), code in zip(cases, assemble(arch, folder, [line for line, _ in cases])):
        found = ask(lib.decode, code)
        if found != kind or ask(lib.decode_mark, code) != -1:
            wrong.append(f"{line} ({code.hex()}) is {found}, not {kind}")
    tally.check(not wrong, f"{arch}: {len(cases)} instructions", "; ".join(wrong))
    marks = markers(arch, folder)
    codes = assemble(arch, folder, [line for line, _ in marks])
    found = [ask(lib.decode_mark, code) if ask(lib.decode, code) == 0 else None for code in codes]
    good = len(marks) == 4 and found == [number for _, number in marks]
    tally.check(good, f"{arch}: markers", "" if good else f"{[line for line, _ in marks]} are {found}")


def make_known(arch, folder, out):
    """An initramfs with init and the program."""
    status, text = make(f"ARCH={arch}", "DEBUG=", "-s", "flags")
    if status:
        raise qemu.Problem(text)
    flags = text.strip().split("\n")[-1].split()
    program = os.path.join(folder, "known")
    source = os.path.join(qemu.ROOT, "tests/bench/known.c")
    bench_plugin.compile_c([*flags, f"-I{qemu.ROOT}", "-static", "-o", program, source])
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
        elf = os.path.join(qemu.ROOT, qemu.build_dir({"ARCH": arch, "OUT": out}), "exeunt.elf")
        self.kernel = bench_plugin.Kernel(arch, elf)
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
        known = {"atomics": 4 * turns, "shared": 2 * turns, "fences": fences, "transfers": 4 * turns}
        for key, expected in known.items():
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
            # One vCPU at a time: where no instruction of a program lets the next one run, a turn lasts until a tick.
            if arch != "riscv64":
                known.share(2000, 0)
    print(f"{tally.passed} passed, {tally.failed} failed, 0 skipped", flush=True)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    # So that a guest that runs is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        sys.exit(main())
    except qemu.Problem as problem:
        sys.exit(f"bench-test: {problem}")
