#!/usr/bin/env python3
"""How long a boot takes on this machine, firmware apart: `make boot-time`.

Boots `true` several times (ROUNDS=5) and reports, as median (min..max) in milliseconds: QEMU and firmware until the
kernel's entry; from there to the first instruction of user space; and the end of QEMU. The kernel stamps its messages
with the time since its entry, so the second figure needs no guess about the firmware. Wall time: a busy machine shows.
"""
import os
import re
import statistics
import sys
import time

import qemu

STAMP = rb"\[ *(\d+\.\d+)\] %s"


def stamp(guest, text):
    match = re.search(STAMP % text, guest.output)
    return float(match[1]) if match else None


def one(settings):
    guest = qemu.Guest(settings, 60)
    begin = time.monotonic()
    entry = None
    for _ in guest.lines():
        if entry is None and (first := stamp(guest, b"Exeunt on")) is not None:
            entry = time.monotonic() - begin - first
    user = stamp(guest, b"init: ")
    if guest.status or entry is None or user is None:
        raise qemu.Problem(f"the boot failed: {guest.complaint or 'init did not start'}")
    return entry, user, time.monotonic() - begin


def main():
    settings = dict(os.environ, CMD="true", SMP=os.environ.get("SMP") or "4", MEM=os.environ.get("MEM") or "2G")
    rounds = int(os.environ.get("ROUNDS") or "5")
    columns = list(zip(*(one(settings) for _ in range(rounds))))
    names = ("QEMU and firmware until the kernel's entry", "kernel entry to first user instruction", "end of QEMU")
    for name, column in zip(names, columns):
        low, middle, high = (1000 * x for x in (min(column), statistics.median(column), max(column)))
        print(f"{name:44} {middle:8.0f} ms ({low:.0f}..{high:.0f})")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except qemu.Problem as error:
        sys.exit(f"boot-time: {error}")
