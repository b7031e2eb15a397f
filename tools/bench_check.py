#!/usr/bin/env python3
"""Guest instructions of fixed operations against the committed baseline: `make bench-check [ARCH=] [UPDATE=1]`.

opcost runs on one CPU under -icount shift=0, where a guest nanosecond is an instruction and runs repeat exactly, with
mem.zeroed=0 so that pages are cleared as on a machine. A figure more than LIMIT above tests/bench/baseline.json fails, as does
one that is there on one side only. UPDATE=1 writes the figures found into the baseline.
"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import qemu
from runtests import make

LIMIT = 0.03
# Below this many instructions a few more are noise of alignment and not 3 %.
SLACK = 2
BASELINE = os.path.join(qemu.ROOT, "tests/bench/baseline.json")


def measure(arch):
    """{operation: instructions}; raises qemu.Problem."""
    status, output = make(f"ARCH={arch}", "DEBUG=", "kernel", "initramfs")
    if status:
        raise qemu.Problem("does not build\n" + output)
    qemu.check_qemu({"ARCH": arch})
    settings = {"ARCH": arch, "SMP": "1", "MEM": "2G", "ICOUNT": "1", "APPEND": "mem.zeroed=0", "CMD": "opcost --json"}
    guest = qemu.Guest(settings | {"OUT": os.environ.get("OUT") or "out"}, 240)
    found, lines = {}, list(guest.lines())
    for line in lines:
        if line.startswith('{"op"'):
            record = json.loads(line)
            found[record["op"]] = record["value"]
    if guest.complaint or guest.status or not found:
        raise qemu.Problem("\n".join(lines[-30:] + [guest.complaint or f"opcost ended with status {guest.status} and {len(found)} figures"]))
    return found


def compare(arch, base, now):
    """Prints the table; the number of operations that fail."""
    failed = 0
    print(f"{arch + ':':24} {'base':>12} {'now':>12} {'diff':>8}")
    for op in sorted(base.keys() | now.keys()):
        old, new = base.get(op), now.get(op)
        if old is None or new is None:
            failed += 1
            note = "not in the baseline" if old is None else "not measured any more"
            print(f"  {op:22} {'-' if old is None else f'{old:.1f}':>12} {'-' if new is None else f'{new:.1f}':>12}          {note}")
            continue
        share = (new - old) / old if old else 0.0
        worse = new - old > max(LIMIT * old, SLACK)
        failed += worse
        note = "WORSE" if worse else "better" if old - new > max(LIMIT * old, SLACK) else ""
        print(f"  {op:22} {old:12.1f} {new:12.1f} {share:+8.1%} {note}")
    return failed


def main():
    archs = (os.environ.get("TEST_ARCH") or os.environ.get("ARCHS", "")).split()
    try:
        with open(BASELINE, encoding="utf-8") as stream:
            baseline = json.load(stream)
    except FileNotFoundError:
        baseline = {}
    print("one CPU, 2 GiB, -icount shift=0, mem.zeroed=0; guest instructions")
    update, failed, passed = qemu.switch(os.environ, "UPDATE"), 0, 0
    for arch in archs:
        try:
            now = measure(arch)
        except qemu.Problem as problem:
            print(f"{arch}: {problem}")
            failed += 1
            continue
        if arch not in baseline and not update:
            print(f"{arch}: no baseline yet; make bench-check ARCH={arch} UPDATE=1 writes it")
            failed += 1
        bad = compare(arch, baseline.get(arch, now), now)
        passed += len(now) - bad
        if update:
            baseline[arch] = now
        else:
            failed += bad
    if update:
        os.makedirs(os.path.dirname(BASELINE), exist_ok=True)
        with open(BASELINE, "w", encoding="utf-8") as stream:
            json.dump(baseline, stream, indent="\t", sort_keys=True)
            stream.write("\n")
        print("baseline written: tests/bench/baseline.json")
    elif failed:
        print(f"bench-check: FAILED; what is meant to cost more is accepted by make bench-check UPDATE=1")
    print(f"{passed} passed, {failed} failed, 0 skipped", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
