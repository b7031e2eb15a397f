#!/usr/bin/env python3
"""Writes the initramfs: a cpio archive in "newc" format, the same bytes for the same contents.

mkcpio.py -o OUT [--bin FILE]... [--test FILE]... [--root DIR]
    --bin FILE    a program for /bin; one named init also becomes /init
    --test FILE   a test program for /tests
    --root DIR    a folder whose contents are laid over everything else; if it brings /bin/busybox, the usual commands that
                  are not there otherwise become links to it
Owners are root, times are zero, names are sorted. OUT is only replaced when it would change.
"""
import argparse
import os
import stat
import sys

APPLETS = """[ ash awk basename cat chmod chown clear cmp cp cut date dd df diff dirname du echo env expr false find free grep
gunzip gzip head hexdump hostname id kill killall less ln ls md5sum mkdir mkfifo mknod more mount mv nice nohup od pgrep pidof
ps pwd readlink realpath rm rmdir sed seq sh sha256sum sleep sort stat stty sync tail tar tee test time timeout top touch tr
true tty umount uname uniq uptime usleep vi watch wc which xargs yes""".split()

BASE = {
    "etc/passwd": "root:x:0:0:root:/:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/hostname": "exeunt\n",
}


class Tree:
    """Paths without a leading slash -> (mode, contents)."""

    def __init__(self):
        self.nodes = {}

    def folder(self, path, mode=0o755):
        parent = os.path.dirname(path)
        if parent:
            self.folder(parent, 0o755) if parent not in self.nodes else None
        self.nodes.setdefault(path, (stat.S_IFDIR | mode, b""))

    def put(self, path, mode, data):
        if os.path.dirname(path):
            self.folder(os.path.dirname(path))
        self.nodes[path] = (mode, data)

    def file(self, path, source, mode=None):
        with open(source, "rb") as stream:
            data = stream.read()
        self.put(path, stat.S_IFREG | (os.stat(source).st_mode & 0o777 if mode is None else mode), data)

    def link(self, path, target):
        self.put(path, stat.S_IFLNK | 0o777, target.encode())

    def overlay(self, root):
        for where, folders, files in os.walk(root):
            inside = os.path.relpath(where, root)
            for name in sorted(folders + files):
                source = os.path.join(where, name)
                path = name if inside == "." else os.path.join(inside, name)
                mode = os.lstat(source).st_mode
                if stat.S_ISLNK(mode):
                    self.link(path, os.readlink(source))
                elif stat.S_ISDIR(mode):
                    self.folder(path, mode & 0o7777)
                elif stat.S_ISREG(mode):
                    self.file(path, source)
                else:
                    print(f"mkcpio: {source}: neither file, folder nor link; left out", file=sys.stderr)


def entry(number, path, mode, data, links):
    name = path.encode() + b"\0"
    head = [number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name), 0]
    record = b"070701" + b"".join(b"%08x" % value for value in head) + name
    record += b"\0" * (-len(record) % 4)
    return record + data + b"\0" * (-len(data) % 4)


def archive(nodes):
    parts = []
    for number, path in enumerate(sorted(nodes), 1):
        mode, data = nodes[path]
        parts.append(entry(number, path, mode, data, 2 if stat.S_ISDIR(mode) else 1))
    parts.append(entry(0, "TRAILER!!!", 0, b"", 1))
    whole = b"".join(parts)
    return whole + b"\0" * (-len(whole) % 512)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", required=True)
    parser.add_argument("--bin", action="append", default=[])
    parser.add_argument("--test", action="append", default=[])
    parser.add_argument("--root")
    args = parser.parse_args()

    tree = Tree()
    for path in ("bin", "dev", "etc", "proc", "sys", "tests"):
        tree.folder(path)
    tree.folder("tmp", 0o1777)
    for path, text in BASE.items():
        tree.put(path, stat.S_IFREG | 0o644, text.encode())
    for source in args.bin:
        tree.file("bin/" + os.path.basename(source), source, 0o755)
    for source in args.test:
        tree.file("tests/" + os.path.basename(source), source, 0o755)
    if "bin/init" in tree.nodes:
        tree.link("init", "bin/init")
    if args.root:
        if not os.path.isdir(args.root):
            sys.exit(f"mkcpio: ROOT={args.root} is not a folder")
        tree.overlay(args.root)
        if "bin/busybox" in tree.nodes:
            for name in APPLETS:
                if "bin/" + name not in tree.nodes:
                    tree.link("bin/" + name, "busybox")

    whole = archive(tree.nodes)
    try:
        with open(args.o, "rb") as stream:
            if stream.read() == whole:
                os.utime(args.o)
                return
    except FileNotFoundError:
        pass
    with open(args.o + ".new", "wb") as stream:
        stream.write(whole)
    os.replace(args.o + ".new", args.o)


if __name__ == "__main__":
    main()
