#!/usr/bin/env python3
"""Proves that tests can fail: `make breaks [ARCH=] [FILTER=name]`.

tests/breaks lists deliberate bugs and for each the test that must catch it. The test first has to pass without the bug; then
the kernel is built with it, and the test must fail: not ok, or the kernel panics, or the boot hangs, while that very
suite runs. Last line: `N passed, N failed, N skipped`.
"""
import fnmatch
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ktap
import qemu
from runtests import PANIC, make

# A lost wake-up shows as a test that never ends; a suite that a bug is aimed at takes a few seconds.
HANG_AFTER = 40


class Break:
    def __init__(self, name, arch, test, what):
        self.name, self.arch, self.what = name, arch, what
        self.kind, _, self.test = test.partition(":")
        self.suite = self.test.partition(".")[0]


def read_breaks(path):
    with open(path, encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip() or line.startswith("#"):
                continue
            fields = line.split(None, 3)
            if len(fields) != 4 or not fields[2].startswith(("kernel:", "user:", "host:")):
                sys.exit(f"{path}:{number}: name arch kind:suite[.case] what-it-breaks")
            yield Break(*(field.strip() for field in fields))


def boot(bug, arch, broken):
    """Runs the bug's test: (state, what was seen); state is "passed", "failed" or "missing"."""
    settings = {"ARCH": arch, "DEBUG": "1", "OUT": os.environ.get("OUT") or "out", "SMP": os.environ.get("SMP") or "4"}
    if broken:
        settings["break"] = bug.name
    if bug.kind == "kernel":
        settings |= {"APPEND": f"test={bug.test}", "CMD": "testall --none"}
    else:
        settings |= {"CMD": f"testall '{bug.test}'"}
    guest, reader, panic = qemu.Guest(settings, HANG_AFTER), ktap.Reader(), None
    for line in guest.lines():
        panic = panic or (line if PANIC.search(line) else None)
        if not panic:
            reader.feed(line)
    if reader.current == bug.suite:
        return "failed", panic or guest.complaint or "ended in its middle"
    return judge(bug, reader)


def judge(bug, reader):
    leaves = [leaf for suite in reader.suites for leaf in suite.leaves]
    mine = [leaf for leaf in leaves if leaf[0] == bug.test or leaf[0].startswith(bug.test + ".")]
    bad = [path for path, state, _ in mine if state == "failed"]
    if bad:
        return "failed", f"not ok: {bad[0]}"
    if not any(state == "passed" for _, state, _ in mine):
        return "missing", f"{bug.test} did not run"
    return "passed", "ok"


def host(bug, broken):
    status, output = make("host", f"FILTER={bug.test}", "DEBUG=", *([f"break={bug.name}"] if broken else []))
    reader = ktap.Reader()
    for line in output.splitlines():
        reader.feed(line)
    if not reader.suites:
        return ("failed", f"status {status}") if status else ("passed", "ok")
    return judge(bug, reader)


def prove(bug, arch):
    """None if the bug is caught, else why not."""
    if bug.kind == "host":
        sound, seen = host(bug, False)
        state, caught = host(bug, True)
    else:
        for words in ([], [f"break={bug.name}"]):
            status, output = make(f"ARCH={arch}", "DEBUG=1", *words, "kernel", "initramfs")
            if status:
                return "does not build\n" + output, None
        sound, seen = boot(bug, arch, False)
        state, caught = boot(bug, arch, True)
    if sound != "passed":
        return f"{bug.test} should pass without the bug: {seen}", None
    if state != "failed":
        return f"{bug.test} did not catch it: {caught}", None
    return None, caught


def main():
    archs = (os.environ.get("TEST_ARCH") or os.environ.get("ARCHS", "")).split()
    default = "x86_64" if "x86_64" in archs else archs[0]
    pattern = os.environ.get("FILTER") or "*"
    passed = failed = 0
    for bug in read_breaks(os.path.join(qemu.ROOT, "tests/breaks")):
        if not fnmatch.fnmatch(bug.name, pattern) or bug.arch not in ("any", "host", *archs):
            continue
        arch = default if bug.arch in ("any", "host") else bug.arch
        try:
            wrong, caught = prove(bug, arch)
        except qemu.Problem as problem:
            wrong, caught = str(problem), None
        where = "host" if bug.kind == "host" else arch
        if wrong:
            failed += 1
            print(f"NOT CAUGHT {bug.name:24} {where:8} {wrong}", flush=True)
            print(f"    replay: make breaks ARCH={arch} FILTER='{bug.name}'", flush=True)
        else:
            passed += 1
            print(f"caught     {bug.name:24} {where:8} by {bug.kind}:{bug.test} ({caught})", flush=True)
    print(f"{passed} passed, {failed} failed, 0 skipped", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
