"""The cost plugin (tools/plugin/cost.c) from Python: building it, telling it where functions are, reading its results.

A place of the kernel is written as
    NAME            where the function begins
    NAME:return     where calls of it return to, tail calls followed to where they return to
    mark:N          marker N of user/common/mark.h
NAME may be a list of names separated by |: those that this kernel has are taken (the compiler may have inlined one, or
made NAME.part.0 or NAME.isra.0 of it: these count as NAME).
"""
import json
import os
import re
import subprocess

import qemu

SOURCES = ("cost.c", "settings.c", "lockstep.c", "lines.c", "decode.c")
TOOL_PREFIX = {
    "x86_64": "x86_64-linux-gnu-",
    "arm64": "aarch64-linux-gnu-",
    "riscv64": "riscv64-linux-gnu-",
    "ppc64": "powerpc64le-linux-gnu-",
}
# What the compiler adds to the name of a part or a copy of a function.
CLONE = re.compile(r"\.(part|isra|constprop|cold)\b.*")
LINE = {"ppc64": 128}
CALLS = re.compile(r"callq?|jal|jalr|bl|blr|bctrl")
INSTRUCTION = re.compile(r"\s*([0-9a-f]+):\s+(\S+)(.*)")
TARGET = re.compile(r"([0-9a-f]+) <([^>+]+)(?:\+0x8)?>\s*$")
# What every experiment needs: who waits, what comes by the host's clock, how CPUs call each other.
IDLE = "cpu_idle_loop"
SPIN = "spin_lock_slow|cpu_relax|cpu_yield"
TICK = "timer_interrupt"
IPI = "arch_send_ipi|arch_send_ipi_one"
IPI_TAKEN = "ipi_handler"
YIELD = "cond_resched|schedule"


def build(folder):
    """The plugin's file, compiled if it is not there or older than its sources."""
    here = os.path.join(qemu.ROOT, "tools/plugin")
    made = os.path.join(folder, "cost.so")
    sources = [os.path.join(here, name) for name in SOURCES]
    newest = max(os.path.getmtime(os.path.join(here, name)) for name in os.listdir(here) if name.endswith((".c", ".h")))
    if not os.path.exists(made) or os.path.getmtime(made) < newest:
        os.makedirs(folder, exist_ok=True)
        flags = ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden", "-pthread"]
        compile_c(["gcc", *flags, "-o", made, *sources])
    return made


def compile_c(argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise qemu.Problem(f"{argv[0]} failed:\n{done.stdout}")


def tool(arch, name):
    prefix = TOOL_PREFIX[arch]
    return name if arch == os.uname().machine else prefix + name


class Kernel:
    """Where the functions of a kernel begin and end, and where calls of them return to."""

    def __init__(self, arch, elf):
        self.arch, self.found, self.entry_of, self.calls = arch, {}, {}, {}
        for line in self.run(tool(arch, "nm"), "-S", elf):
            parts = line.split()
            if len(parts) == 4 and parts[2] in "tTwW":
                name = CLONE.sub("", parts[3])
                self.found.setdefault(name, []).append((int(parts[0], 16), int(parts[1], 16)))
        self.read_calls(self.run(tool(arch, "objdump"), "-d", "--no-show-raw-insn", elf))

    @staticmethod
    def run(*argv):
        try:
            done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
            return done.stdout.splitlines()
        except (OSError, subprocess.CalledProcessError) as error:
            raise qemu.Problem(f"{argv[0]}: {error}") from None

    def read_calls(self, lines):
        """calls: name of a function -> [(is a call, caller's name, address behind the call)]"""
        function, address, pending = None, None, None
        for line in lines:
            header = re.match(r"([0-9a-f]+) <(.+)>:$", line)
            if header:
                function, address = CLONE.sub("", header[2]), int(header[1], 16)
                continue
            match = INSTRUCTION.match(line)
            if not match or function is None:
                continue
            at = int(match[1], 16)
            if pending:
                self.calls.setdefault(pending[0], []).append((pending[1], pending[2], at))
                pending = None
            # A ppc64 function that sets up its table of contents is called behind that.
            if self.arch == "ppc64" and at == address + 8 and toc_set_up:
                self.entry_of[address] = at
            if at == address:
                toc_set_up = match[2] in ("lis", "addis") and match[3].split(",")[0].split()[-1] == "r2"
            target = TARGET.search(match[3])
            if target:
                name = CLONE.sub("", target[2])
                if name != function or CALLS.fullmatch(match[2]):
                    pending = (name, bool(CALLS.fullmatch(match[2])), function)

    def names(self, words):
        return [name for name in words.split("|") if name in self.found]

    def entries(self, words):
        return [self.entry_of.get(at, at) for name in self.names(words) for at, _ in self.found[name]]

    def ranges(self, words):
        return [(at, at + size) for name in self.names(words) for at, size in self.found[name]]

    def returns(self, words):
        found, seen, todo = set(), set(), self.names(words)
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            for is_call, caller, behind in self.calls.get(name, []):
                if is_call:
                    found.add(behind)
                else:
                    todo.append(caller)
        return sorted(found)

    def places(self, text):
        """The plugin's list for a place; raises qemu.Problem if this kernel has none of it."""
        name, _, what = text.partition(":")
        if name == "mark":
            return "m" + what
        found = self.returns(name) if what == "return" else self.entries(name)
        if not found:
            raise qemu.Problem(f"this kernel has no {text}")
        return "+".join(f"{at:x}" for at in found)

    def scope(self, words):
        return f"{self.places(words)}:{self.places(words + ':return')}"


def settings(kernel, out, phases, scopes=None, probes=None, lockstep=0):
    """The plugin's settings as text. PHASES: {name: (from, to)}; SCOPES, PROBES: {name: place}, left out if missing."""
    lines = [f"out={out}", f"line={LINE.get(kernel.arch, 64)}"]
    lines += [f"lockstep={lockstep}"] if lockstep else []
    for key, ranges in (("idle", kernel.ranges(IDLE)), ("spin", kernel.ranges(SPIN))):
        if ranges:
            lines.append(f"{key}=" + "+".join(f"{begin:x}-{end:x}" for begin, end in ranges))
    lines.append(f"tick={kernel.scope(TICK)}")
    if kernel.names(IPI):
        lines += [f"ipi={kernel.scope(IPI)}", f"taken={kernel.places(IPI_TAKEN)}"]
    lines.append(f"yield={kernel.places(YIELD)}")
    lines += [f"phase={name}:{kernel.places(begin)}:{kernel.places(end)}" for name, (begin, end) in phases.items()]
    lines += [f"scope={name}:{kernel.scope(words)}" for name, words in (scopes or {}).items() if kernel.entries(words)]
    lines += [f"probe={name}:{kernel.places(words)}" for name, words in (probes or {}).items() if kernel.entries(words)]
    return "\n".join(lines) + "\n"


COLUMNS = ("busy", "atomics", "shared", "fences", "transfers")
SUMMED = (*COLUMNS, "spin", "idle")


class Phase:
    """One time that a phase ended."""

    def __init__(self, record):
        self.name, self.path = record["phase"], record["path"]
        self.slips, self.late = record.get("slips", 0), record.get("late", 0)
        self.overlaps, self.cpus = record["overlaps"], record["cpus"]
        self.sums = {key: sum(cpu[key] for cpu in self.cpus) for key in SUMMED}
        self.busiest = max(cpu["busy"] for cpu in self.cpus)
        self.longest = max(cpu["longest"] for cpu in self.cpus)

    def scope(self, name, column="busy"):
        """What was done inside of a scope; None if this kernel has none of its functions."""
        found = [cpu["scopes"][name][column] for cpu in self.cpus if name in cpu["scopes"]]
        return sum(found) if found else None

    def probe(self, name):
        found = [cpu["probes"][name] for cpu in self.cpus if name in cpu["probes"]]
        return sum(found) if found else None


def read(path):
    """The phases in the order in which they ended."""
    try:
        with open(path, encoding="ascii") as lines:
            return [Phase(json.loads(line)) for line in lines]
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise qemu.Problem(f"{path}: {error}") from None
