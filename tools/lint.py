#!/usr/bin/env python3
"""`make lint`: what a reviewer should not have to look for. Prints `file:line: what is wrong`, one line for each problem.

    format    clang-format (.clang-format) decides on indentation and line breaks; how comments, macro bodies and the columns of a
              table are aligned is the author's business. `make lint FIX=1` reformats the lines that were found,
              and wraps comments that are too wide
    text      120 columns, tabs, no trailing spaces, a comment that opens the file, #pragma once, 700 lines, no TODO
    names     no architecture is named outside arch/ (comments apart)
    includes  by path from the root; lib/ includes only lib/; no cycles
    headers   each compiles alone, for each port, in both builds
    analysis  cppcheck
    ports     one is 3,500 lines of C and assembly at the most, what says how entries look and makes the first tables
              350; comments and empty lines do not count
    tools     Python compiles, shell scripts parse, the makefile stays below 250 lines
"""
import concurrent.futures
import difflib
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import qemu

COLUMNS, LINES = 120, 700
PORT_LINES, TABLE_LINES = 3500, 350
KERNEL = ("lib", "kernel", "mm", "arch", "tests/kernel")
FOLDERS = KERNEL + ("user", "tests/user", "tests/host", "tools")
ARCHITECTURES = re.compile(
    r"(?<![A-Za-z0-9])_*(x86|x86_64|amd64|i386|riscv|riscv32|riscv64|aarch64|arm64|armv8|ppc|ppc64|ppc64le|powerpc|powerpc64)(?![A-Za-z0-9])",
    re.IGNORECASE,
)

problems = []


def problem(path, line, text):
    problems.append((path, line, text))


def run(argv, text=None):
    done = subprocess.run(argv, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def read(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def sources(folders, endings):
    found = []
    for folder in folders:
        for where, inner, names in os.walk(folder):
            inner.sort()
            found += [os.path.join(where, name) for name in sorted(names) if name.endswith(endings)]
    return found


def is_fragment(path):
    """A header that is meant to be included several times, or by the linker script; its comment says so."""
    return path.endswith(".lds.h") or path.endswith(".h") and bool(re.search(r"\bno[\s*]+#pragma[\s*]+once", read(path)))


def parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(function, items))


# ---- format


def for_format(text):
    """Without what is the author's business: macro bodies and the comments behind code."""
    lines, in_macro = [], False
    for line in text.split("\n"):
        if in_macro or re.match(r"\s*#\s*(define|pragma)\b", line):
            in_macro = line.endswith("\\")
            lines.append("#pragma macro")
        else:
            comment = re.match(r"^(.*\S)\s*/\*(?:(?!\*/).)*\*/\s*$", line)
            lines.append(comment[1] if comment else line)
    return "\n".join(lines)


def normal(text):
    """Lines whose inner spacing does not count."""
    lines = []
    for line in text.split("\n"):
        body = line.lstrip()
        body = re.sub(r"\s+", " ", body)
        lines.append(line[: len(line) - len(line.lstrip())] + re.sub(r" ?([*<>&]) ?", r"\1", body))
    return lines


def is_list(lines):
    """Arguments, strings or initialisers, whose wrapping may follow their meaning."""
    return all(line.endswith((",", '"', "=", "{")) for line in lines[:-1]) and lines[-1].endswith((",", ";", "{", "}", ")", '"'))


def check_format(path):
    text = read(path)
    if is_fragment(path) or re.search(r"^\s*\.macro\b", text, re.M):
        return
    plain = for_format(text)
    _, formatted = run(["clang-format", f"--assume-filename={path}"], plain)
    have, want = normal(plain), normal(formatted)
    ranges = [(number, number) for number, line in enumerate(text.split("\n"), 1) if len(line.expandtabs(8)) > COLUMNS]
    for kind, begin, end, first, last in difflib.SequenceMatcher(None, have, want, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        mine, theirs = have[begin:end], want[first:last]
        squeezed = ["".join("".join(lines).split()) for lines in (mine, theirs)]
        empty_body = mine[-2:] == ["{", "}"] or mine and mine[-1].endswith("{}")
        if mine and squeezed[0] == squeezed[1] and (empty_body or len(mine) != len(theirs) and is_list(mine)):
            continue
        ranges.append((begin + 1, max(end, begin + 1)))
        problem(path, begin + 1, f"format: should be: {theirs[0].strip() if theirs else '(nothing)'}")
    if ranges and qemu.switch(os.environ, "FIX"):
        run(["clang-format", "-i", *(f"--lines={begin}:{end}" for begin, end in ranges), path])


def wrap_comments(path):
    """Words beyond the last column go to the next line of the comment, or to a new one where a paragraph ends."""
    lines = read(path).split("\n")
    at = 0
    while at < len(lines):
        # A comment behind code goes above it.
        behind = re.match(r"^(\s*)([^/*\s].*?)\s*(/\*(?:(?!\*/).)*\*/)$", lines[at])
        if behind and len(lines[at].expandtabs(8)) > COLUMNS:
            lines[at:at + 1] = [behind[1] + behind[3], behind[1] + behind[2]]
            continue
        match = re.match(r"^(\s*)(/\*\*?| ?\*|//)([ \t]+)(\S.*)$", lines[at])
        if match and len(lines[at].expandtabs(8)) > COLUMNS:
            # A comment that begins and ends on one line becomes a block.
            if match[2].startswith("/*"):
                body = re.sub(r"\s*\*/$", "", match[4])
                block = [match[1] + match[2], f"{match[1]} * {body}"]
                lines[at:at + 1] = block + ([match[1] + " */"] if body != match[4] else [])
                continue
            end = " */" if match[4].endswith("*/") and not match[2].startswith("//") else ""
            text = match[4].removesuffix("*/").rstrip() if end else match[4]
            lead = match[1] + match[2] + match[3]
            room = COLUMNS - len(lead.expandtabs(8))
            cut = text.rfind(" ", 0, room + 1)
            if cut <= 0:
                at += 1
                continue
            rest = text[cut + 1:]
            lines[at] = lead + text[:cut]
            below = lines[at + 1] if at + 1 < len(lines) else ""
            table = re.search(r"\t|  ", text)
            goes_on = re.match(r"^" + re.escape(lead) + r"[A-Za-z(`_]", below) and not end and not table
            if goes_on:
                lines[at + 1] = lead + rest + " " + below[len(lead):]
            else:
                lines.insert(at + 1, lead + rest + end)
        at += 1
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("\n".join(lines))


def check_loops():
    """clang-format has to know the macros that are loops."""
    found = set()
    for path in sources(KERNEL, (".h",)):
        found |= set(re.findall(r"^\s*#\s*define (\w*for_each\w*)\(", read(path), re.M))
    text = read(".clang-format")
    head, _, _ = text.partition("ForEachMacros:\n")
    wanted = head + "ForEachMacros:\n" + "".join(f"  - {name}\n" for name in sorted(found))
    if text != wanted:
        if qemu.switch(os.environ, "FIX"):
            with open(".clang-format", "w", encoding="utf-8") as stream:
                stream.write(wanted)
        else:
            problem(".clang-format", 1, "ForEachMacros is not the list of for_each macros; make lint FIX=1 writes it")


# ---- text, names


def without_comments(text):
    """Comments become spaces, line numbers stay."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda match: re.sub(r"[^\n]", " ", match[0]), text, flags=re.S)


def check_text(path):
    text = read(path)
    lines = text.split("\n")
    is_c = path.endswith((".c", ".h"))
    if text and not text.endswith("\n"):
        problem(path, len(lines), "no newline at the end")
    if len(lines) - 1 > LINES:
        problem(path, LINES, f"{len(lines) - 1} lines; {LINES} are the limit")
    for number, line in enumerate(lines, 1):
        if len(line.expandtabs(8)) > COLUMNS:
            problem(path, number, f"{len(line.expandtabs(8))} columns; {COLUMNS} are the limit")
        if line.rstrip() != line:
            problem(path, number, "spaces at the end")
        if is_c and line.startswith("        "):
            problem(path, number, "indented with spaces")
        if re.search(r"\b(TODO|FIXME|XXX)\b", re.sub(r'"[^"]*"', "", line)):
            problem(path, number, "an unfinished thing (TODO, FIXME, XXX)")
    if is_c or path.endswith(".S"):
        opening = text.removeprefix("#pragma once\n").lstrip()
        if not opening.startswith(("/*", "//", "# ")):
            problem(path, 1, "does not open with a comment that says what it is for")
    if path.endswith(".h") and not is_fragment(path) and not re.search(r"^#pragma once$", text, re.M):
        problem(path, 1, "no #pragma once")
    if is_c and path.startswith(("lib/", "kernel/", "mm/", "tests/kernel/")):
        for number, line in enumerate(without_comments(text).split("\n"), 1):
            found = ARCHITECTURES.search(line)
            if found:
                problem(path, number, f"names an architecture: {found[0]}")


# ---- includes, headers


def includes(path, arch):
    """The files of ours that a file includes: (line, path as found or None, as written)."""
    found = []
    for number, line in enumerate(without_comments(read(path)).split("\n"), 1):
        match = re.match(r'\s*#\s*include\s+(?:"([^"]+)"|<(arch/[^>]+|asm/[^>]+)>)', line)
        if not match:
            continue
        name = match[1] or match[2]
        places = [name] if match[1] else [f"arch/include/{name}", f"arch/{arch}/include/{name}"]
        found.append((number, next((place for place in places if os.path.isfile(place)), None), name))
    return found


def check_includes(archs):
    for path in sources(("lib",), (".c", ".h")):
        for number, _, name in includes(path, archs[0]):
            if not name.startswith("lib/"):
                problem(path, number, f"lib/ knows nobody, but this includes {name}")
    for path in sources(("kernel", "mm", "tests/kernel", "user"), (".c", ".h")):
        for number, _, name in includes(path, archs[0]):
            if name.startswith("asm/") or re.match(r"arch/\w+/", name):
                problem(path, number, f"generic code includes a port's own {name}")
            if path.startswith("user/") and not name.startswith("user/"):
                problem(path, number, f"user/ knows only the Linux ABI, but this includes {name}")
    for arch in archs:
        state = {}
        for path in sources(KERNEL + ("user",), (".h",)):
            if not path.startswith("arch/") or path.startswith(("arch/include/", f"arch/{arch}/")):
                walk(path, arch, state, [])


def walk(path, arch, state, above):
    if state.get(path) == "done":
        return
    if path in above:
        cycle = above[above.index(path):] + [path]
        text = "include cycle: " + " -> ".join(cycle)
        if (path, 1, text) not in problems:
            problem(path, 1, text)
        return
    for _, target, _ in includes(path, arch):
        if target:
            walk(target, arch, state, above + [path])
    state[path] = "done"


def make_flags(arch, debug):
    """The compiler and its flags for kernel files, and for user files, from the makefile itself."""
    status, text = run(["make", "-s", "--no-print-directory", f"ARCH={arch}", f"DEBUG={debug}", "flags"])
    if status:
        sys.exit(text)
    kernel, user = text.strip().split("\n")
    return kernel.split(), user.split()


def check_headers(archs):
    jobs = []
    for arch in archs:
        for debug in ("", "1"):
            kernel, user = make_flags(arch, debug)
            for path in sources(KERNEL + ("user", "tests/user"), (".h",)):
                # What a port adds to a header of the contract, <asm/...>, is only included by that.
                if is_fragment(path) or "/include/asm/" in path:
                    continue
                if path.startswith("arch/") and not path.startswith(("arch/include/", f"arch/{arch}/")):
                    continue
                is_user = path.startswith(("user/", "tests/user/"))
                if path.startswith("tests/kernel/") and not debug or is_user and debug:
                    continue
                name = re.sub(r"^arch/(include|[^/]+/include)/", "", path)
                text = f"#include <{name}>\n" if name != path else f'#include "{path}"\n'
                jobs.append((path, arch, [*(user if is_user else kernel), "-fsyntax-only", "-x", "c", "-"], text))

    def compile_alone(job):
        path, arch, argv, text = job
        status, output = run(argv, text)
        if status:
            error = next((line for line in output.split("\n") if "error:" in line), output.split("\n")[0])
            problem(path, 1, f"does not compile alone ({arch}): {error}")

    parallel(compile_alone, jobs)


# ---- analysis, tools


def check_cppcheck(archs):
    folders = [folder for folder in ("lib", "kernel", "mm", "user", "tests/user", *(f"arch/{arch}" for arch in archs)) if os.path.isdir(folder)]
    _, output = run([
        "cppcheck", "--quiet", "--std=c11", f"-j{len(os.sched_getaffinity(0))}", "--enable=warning,portability,performance",
        "--inline-suppr", "--suppressions-list=tools/cppcheck.txt", "--template={file}:{line}: {id}: {message}", "-I.",
        "-Iarch/include", *folders,
    ])
    for line in output.split("\n"):
        match = re.match(r"([^:\s]+):(\d+): (.*)", line)
        if match:
            problem(match[1], int(match[2]), "cppcheck: " + match[3])


def code_lines(path):
    return sum(bool(line.strip()) for line in without_comments(read(path)).split("\n"))


def check_ports(archs):
    for arch in archs:
        port = f"arch/{arch}"
        found = {path: code_lines(path) for path in sources([port], (".c", ".h", ".S"))}
        tables = sum(found.get(f"{port}/{name}", 0) for name in ("include/asm/pte.h", "early.c"))
        for what, lines, limit in (("port", sum(found.values()), PORT_LINES), ("page tables", tables, TABLE_LINES)):
            if lines > limit:
                problem(port, 1, f"{what}: {lines} lines of code; {limit} are the limit")
        print(f"{port}: {sum(found.values())} lines of code, {tables} of them for entries and first tables")


def check_tools():
    for path in sources(("tools", ".ci"), ("",)) + ["Makefile", "tests/matrix", "tests/breaks"]:
        if not os.path.isfile(path) or path.endswith((".c", ".pyc")):
            continue
        text = read(path)
        first = text.partition("\n")[0]
        if path.endswith(".py") or first.endswith("python3"):
            try:
                compile(text, path, "exec")
            except SyntaxError as error:
                problem(path, error.lineno or 1, f"Python: {error.msg}")
        elif first.startswith("#!") and first.endswith("sh"):
            status, output = run([first[2:].split("/")[-1].split()[-1], "-n", path])
            if status:
                problem(path, 1, output.strip())
        for number, line in enumerate(text.split("\n"), 1):
            if line.rstrip() != line:
                problem(path, number, "spaces at the end")
    if len(read("Makefile").split("\n")) > 250:
        problem("Makefile", 250, "longer than 250 lines; put a part into a fragment")


def main():
    os.chdir(qemu.ROOT)
    archs = sorted(os.environ.get("ARCHS", "").split() or next(os.walk("arch"))[1])
    archs = [arch for arch in archs if os.path.isfile(f"arch/{arch}/port.mk")]
    if qemu.switch(os.environ, "FIX"):
        parallel(wrap_comments, sources(FOLDERS, (".c", ".h", ".S")))
    check_loops()
    parallel(check_format, sources(FOLDERS, (".c", ".h")))
    for path in sources(FOLDERS, (".c", ".h", ".S")):
        check_text(path)
    check_includes(archs)
    check_headers(archs)
    check_cppcheck(archs)
    check_ports(archs)
    check_tools()
    for path, line, text in sorted(set(problems)):
        print(f"{path}:{line}: {text}")
    print(f"lint: {len(set(problems))} problems" if problems else "lint: clean")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
