#!/usr/bin/env python3
"""Sum the guest instructions that tools/plugin/profile.c counted, by function.

usage: tools/profile.py PROFILE KERNEL.elf [PROGRAM.elf] [--top N] [--per N]

--per N divides every count by N (operations done), --top N lists that many functions.
"""
import argparse
import bisect
import collections
import subprocess


def symbols(elf):
    text = subprocess.run(["nm", "-n", elf], capture_output=True, text=True, check=True).stdout
    table = []
    for line in text.splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[1] in "tTwW":
            table.append((int(parts[0], 16), parts[2]))
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profile")
    parser.add_argument("elf", nargs="+")
    parser.add_argument("--top", type=int, default=50)
    parser.add_argument("--per", type=float, default=1)
    args = parser.parse_args()
    table = sorted(entry for elf in args.elf for entry in symbols(elf))
    starts = [entry[0] for entry in table]
    insns, calls = collections.Counter(), collections.Counter()
    with open(args.profile, encoding="ascii") as lines:
        for line in lines:
            addr, length, runs = line.split()
            addr = int(addr, 16)
            at = bisect.bisect_right(starts, addr) - 1
            name = table[at][1] if at >= 0 else "?"
            insns[name] += int(length) * int(runs)
            if at >= 0 and starts[at] == addr:
                calls[name] += int(runs)
    total = sum(insns.values())
    print(f"{'instructions':>14} {'share':>6} {'calls':>10}  function")
    for name, count in insns.most_common(args.top):
        print(f"{count / args.per:14.1f} {100 * count / total:5.1f}% {calls[name] / args.per:10.2f}  {name}")


if __name__ == "__main__":
    main()
