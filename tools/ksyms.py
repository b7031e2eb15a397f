#!/usr/bin/env python3
"""Turns the output of `nm -n` into the symbol table that the kernel carries for its backtraces.

ksyms.py NM-OUTPUT >ksyms.S      writes an assembler file for the section .ksyms:
    const u32 ksyms_count;       number of functions
    const u32 ksyms_addr[];      their addresses as offsets from _text (or _text_start), ascending
    const u32 ksyms_name[];      where their names begin in ksyms_names
    const char ksyms_names[];    the names, each ended by a zero byte
An empty NM-OUTPUT (/dev/null) gives an empty table, for the first link.

ksyms.py --check OLD NEW         fails unless both hold the same functions at the same addresses: the table made from OLD,
                                 which was linked into NEW, is right.
"""
import sys


def functions(path):
    """The functions in an nm listing: (offset from _text, name), sorted, one name for each address."""
    base, found = None, {}
    with open(path, encoding="ascii") as listing:
        for line in listing:
            words = line.split()
            if len(words) != 3:
                continue
            address, kind, name = int(words[0], 16), words[1], words[2]
            if name == "_text" or name == "_text_start" and base is None:
                base = address
            # Local labels, mapping symbols ($x of riscv and arm) and the section marks of the linker script name no function.
            elif kind in "tTwW" and not name.startswith((".", "$", "__start_", "__stop_")):
                # A global name is better than a local alias.
                if address not in found or kind in "TW" and found[address][0] in "tw":
                    found[address] = (kind, name)
    if found and base is None:
        sys.exit("ksyms: the linker script does not define _text_start")
    return [(address - base, name) for address, (_, name) in sorted(found.items()) if 0 <= address - base < 1 << 32]


def table(symbols):
    out = ['\t.section .ksyms, "a"', "\t.balign 8"]
    begin, at = [], 0
    for _, name in symbols:
        begin.append(at)
        at += len(name) + 1
    for label, lines in (
        ("ksyms_count", [f"\t.long {len(symbols)}"]),
        ("ksyms_addr", [f"\t.long {offset:#x}" for offset, _ in symbols] or ["\t.long 0"]),
        ("ksyms_name", [f"\t.long {start}" for start in begin] or ["\t.long 0"]),
        ("ksyms_names", [f'\t.asciz "{name}"' for _, name in symbols] or ["\t.byte 0"]),
    ):
        out += [f"\t.globl {label}", f"{label}:"] + lines
    return "\n".join(out) + "\n"


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--check":
        if functions(sys.argv[2]) != functions(sys.argv[3]):
            sys.exit("ksyms: addresses moved in the last link; put .ksyms after .text in the linker script")
    elif len(sys.argv) == 2:
        sys.stdout.write(table(functions(sys.argv[1])))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
