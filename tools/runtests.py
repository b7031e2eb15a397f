#!/usr/bin/env python3
"""Runs the tests of tests/matrix: `make test [ARCH=] [SMP=] [FILTER=]`.

It builds what the boots need, runs boots side by side as far as the host has cores, reads their KTAP, prints a line for each
suite as it ends, and for a failure what was printed and the command that replays it. Each boot's console is kept in
$(OUT)/test/. The last line is `N passed, N failed, N skipped`; the status is nonzero if anything failed or nothing ran.

ARCH     one port (TEST_ARCH from the makefile); all of them otherwise
SMP      this number of CPUs instead of the matrix's
NODES    these NUMA nodes instead of the matrix's
MEM      this much memory, if a FILTER is given
FILTER   patterns of suites, or SUITE.CASE for in-kernel ones; boots by their names; without SMP, only on 4 CPUs
"""
import fnmatch
import os
import re
import subprocess
import sys
import threading
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ktap
import qemu

PANIC = re.compile(r"\b(kernel )?panic\b", re.IGNORECASE)
SHOWN_LINES = 60


class Row:
    """A line of tests/matrix, for one architecture and one number of CPUs."""

    def __init__(self, kind, arch, smp, mem, thread, budget, what):
        self.kind, self.smp, self.thread = kind, smp, thread
        self.arch, *extra = arch.split(";")
        self.extra = dict(word.split("=", 1) for word in extra)
        self.mem, _, self.nodes = mem.partition("/")
        self.budget = int(budget)
        # A guest that hangs is rare, a host that has much else to do is not.
        self.limit = 60 + 5 * self.budget
        self.name, colon, rest = what.partition(":")
        self.what = rest.strip() if colon else what
        self.name = self.name.strip() if colon else kind

    def label(self):
        if self.arch == "-":
            return self.name
        nodes = f"/{self.nodes}" if self.nodes else ""
        which = "".join(f" {value.split(',')[-1]}" for value in self.extra.values())
        return f"{self.arch}{which} {self.smp} CPU{'s' if self.smp != '1' else ''}{nodes} {self.name}"

    def replay(self, what):
        if self.kind == "host":
            return f"make {self.what}"
        words = ["make test"] + ([f"ARCH={self.arch}", f"SMP={self.smp}"] if self.arch != "-" else [])
        words += [f"NODES={self.nodes}"] if self.nodes else []
        words += [f"MEM={self.mem}"] if self.mem != "-" and qemu.size(self.mem) < qemu.GIB else []
        words += [f"{key}={value}" for key, value in self.extra.items()]
        return " ".join(words + [f"FILTER='{what}'"])

    def weight(self, cores):
        if self.arch == "-":
            return cores
        return min(cores, int(self.smp)) if qemu.thread_mode(self.settings()) == "multi" else 1

    def settings(self):
        found = {key: os.environ[key] for key in ("OUT", "QEMU_EXTRA", "break") if os.environ.get(key)}
        return found | {"ARCH": self.arch, "SMP": self.smp, "MEM": self.mem, "NODES": self.nodes, "THREAD": self.thread} | self.extra


def read_matrix(path, archs):
    with open(path, encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip() or line.startswith("#"):
                continue
            fields = line.split(None, 6)
            if len(fields) != 7 or fields[0] not in KINDS or not fields[5].isdigit():
                sys.exit(f"{path}:{number}: kind arch smp mem thread budget what")
            kind, arch, cpus, mem, thread, budget, what = fields
            for one in archs if arch == "any" else [arch] if ";" in arch else arch.split(","):
                for count in cpus.split(","):
                    yield Row(kind, one, count, mem, thread, budget, what.strip())


def choose(rows, archs, smp, nodes, pattern):
    """The slice that was asked for."""
    whole = not smp and not nodes and not os.environ.get("TEST_ARCH")
    rows = [row for row in rows if row.arch in archs or (row.arch == "-" and whole)]
    if not smp and not nodes and not pattern:
        return rows
    chosen, seen = [], set()
    machine = {key: os.environ[key] for key in ("MACHINE", "CPU") if os.environ.get(key)}
    for row in rows:
        # A boot that is named may be of a machine that is not.
        if row.extra != machine and (machine or row.kind in ("kernel", "user")):
            continue
        if row.kind in ("kernel", "user"):
            if (row.arch, row.kind) in seen:
                continue
            seen.add((row.arch, row.kind))
            row.smp, row.nodes, row.what = smp or row.smp, nodes or row.nodes, pattern or row.what
            row.mem = os.environ.get("MEM") or row.mem
        elif pattern and not matches(pattern, row.name) or smp and row.smp != smp or nodes and row.nodes != nodes:
            continue
        chosen.append(row)
    return chosen


def matches(pattern, name):
    return any(fnmatch.fnmatch(name, one) for one in pattern.split(","))


def make(*words, quiet=True):
    """A make of our own: (status, output)."""
    plain = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    for word in words:
        plain.pop(word.partition("=")[0], None)
    argv = ["make", "--no-print-directory", f"-j{len(os.sched_getaffinity(0))}", *words]
    done = subprocess.run(argv, cwd=qemu.ROOT, env=plain, stdout=subprocess.PIPE if quiet else None, stderr=subprocess.STDOUT, check=False)
    return done.returncode, (done.stdout or b"").decode("utf-8", "replace")


class Report:
    """Everything that is printed and counted; used by all threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.passed = self.failed = self.skipped = 0
        self.slow, self.reasons = [], []
        self.failures = []

    def line(self, row, name, counts, seconds, details=(), replay=None):
        """One suite's line. COUNTS is (passed, failed, skipped)."""
        with self.lock:
            self.passed += counts[0]
            self.failed += counts[1]
            self.skipped += counts[2]
            words = [f"{count} {word}" for count, word in zip(counts, ("passed", "FAILED", "skipped")) if count]
            print(f"{row.label():28} {name:28} {', '.join(words) or 'empty':24} {seconds:6.1f} s", flush=True)
            if counts[1]:
                said = [text.strip() for text in details if re.match(r"\s*(#|failed:)", text)]
                self.failures.append("\n    ".join([f"{row.label()}: {name}"] + said[-SHOWN_LINES:]))
                if len(details) > SHOWN_LINES:
                    print(f"    ... {len(details) - SHOWN_LINES} lines more before")
                for text in list(details)[-SHOWN_LINES:]:
                    print("    " + text)
                if replay:
                    print(f"    replay: {replay}", flush=True)

    def suite(self, row, suite):
        for path, state, reason in suite.leaves:
            if state == "skipped":
                self.reasons.append(f"{row.label()}: {path}: {reason or 'no reason given'}")
        counts = tuple(suite.count(state) for state in ("passed", "failed", "skipped"))
        bad = [f"{path}: {reason}".rstrip(": ") for path, state, reason in suite.leaves if state == "failed"]
        replayed = bad[0].split(":")[0] if row.arch != "-" and len(bad) == 1 else suite.name
        self.line(row, suite.name, counts, suite.seconds, suite.lines + [f"failed: {one}" for one in bad], row.replay(replayed))


def keep(row, output):
    folder = os.path.join(qemu.ROOT, os.environ.get("OUT") or "out", "test")
    os.makedirs(folder, exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9]+", "-", f"{row.arch}-{row.smp}-{row.nodes}-{row.kind}-{row.name}")
    with open(os.path.join(folder, name + ".log"), "wb") as stream:
        stream.write(output)


def run_suites(row, report):
    """A boot that prints KTAP: the debug kernel's own suites, or the test programs."""
    if row.kind == "kernel":
        extra = {"APPEND": f"test={row.what}", "CMD": "testall --none"}
    else:
        extra = {"CMD": f"testall '{row.what}'"}
    guest = qemu.Guest(row.settings() | extra | {"DEBUG": "1"}, row.limit)
    reader, last, panic = ktap.Reader(), [], None
    for line in guest.lines():
        last.append(line)
        panic = panic or (line if PANIC.search(line) else None)
        suite = None if panic else reader.feed(line)
        if suite:
            report.suite(row, suite)
    keep(row, guest.output)
    failed = any(suite.count("failed") for suite in reader.suites)
    wrong = guest.complaint or reader.complaint()
    if not wrong and reader.planned is None and not os.environ.get("FILTER"):
        wrong = "no test plan was printed"
    if not wrong and guest.status and not failed:
        wrong = f"the boot ended with status {guest.status}"
    if panic or wrong:
        where = reader.current or row.name
        replay = row.replay(reader.current or row.what)
        report.line(row, where, (0, 1, 0), guest.seconds(), last + [f"failed: {panic or wrong}"], replay)
    if guest.seconds() > row.budget:
        report.slow.append(f"{row.label()}: {guest.seconds():.0f} s, budget {row.budget} s")


def run_boot(row, report):
    """A boot of the release kernel with one command; the exit status tells, and what KIND asks for besides."""
    settings, expected, status = row.settings(), None, 0
    if row.kind == "refuses":
        settings["CMD"], expected, status = "hello", row.what, 1
    elif row.kind == "says":
        settings["APPEND"], _, expected = (part.strip() for part in row.what.partition("=>"))
        settings["CMD"] = "testall --none"
    else:
        settings["CMD"] = row.what
    if row.kind == "iso":
        settings["ISO"] = os.path.join(os.environ.get("OUT") or "out", "test", "exeunt.iso")
        status, output = make(f"ARCH={row.arch}", "iso", f"CMD={settings['CMD']}", f"ISO={settings['ISO']}", "DEBUG=")
        if status:
            report.line(row, "make iso", (0, 1, 0), 0, output.splitlines(), row.replay(row.name))
            return
    guest = qemu.Guest(settings, row.limit)
    last = list(guest.lines())
    keep(row, guest.output)
    wrong = guest.complaint
    if not wrong and guest.status != status:
        wrong = f"status {guest.status}"
    if not wrong and expected and not any(expected in line for line in last):
        wrong = f"did not say: {expected}"
    if not wrong and row.kind == "sparse" and guest.peak > qemu.GIB:
        wrong = f"QEMU used {guest.peak >> 20} MiB of the host's memory, more than 1024"
    counts = (0, 1, 0) if wrong else (1, 0, 0)
    note = f"{row.kind}, {guest.peak >> 20} MiB" if row.kind == "sparse" else row.kind
    report.line(row, note, counts, guest.seconds(), last + [f"failed: {wrong}"], row.replay(row.name))
    if guest.seconds() > row.budget:
        report.slow.append(f"{row.label()}: {guest.seconds():.0f} s, budget {row.budget} s")


def run_host(row, report):
    """What runs on this machine; if it prints KTAP that is read, else the status counts as one test."""
    reader = ktap.Reader()
    status, output = make("-Otarget", row.what, "DEBUG=")
    lines = output.splitlines()
    for suite in filter(None, map(reader.feed, lines)):
        report.suite(row, suite)
    failed = any(suite.count("failed") for suite in reader.suites)
    if not reader.suites or (status and not failed):
        report.line(row, f"make {row.what}", (0, 1, 0) if status else (1, 0, 0), 0, lines, row.replay(row.what))


def run_skip(row, report):
    report.reasons.append(f"{row.label()}: {row.what}")
    report.line(row, row.name, (0, 0, 1), 0)


KINDS = {"kernel": run_suites, "user": run_suites, "boot": run_boot, "sparse": run_boot, "iso": run_boot, "says": run_boot,
         "refuses": run_boot, "host": run_host, "skip": run_skip}


def run_all(rows, report):
    """Boots side by side: each takes as many cores as it has running threads, heavy ones when the rest lets them."""
    cores = len(os.sched_getaffinity(0))
    free, ready = [cores], threading.Condition()

    def job(row):
        try:
            KINDS[row.kind](row, report)
        except qemu.Problem as problem:
            report.line(row, row.kind, (0, 1, 0), 0, [str(problem)])
        except Exception:  # pylint: disable=broad-except
            report.line(row, "runtests.py itself", (0, 1, 0), 0, traceback.format_exc().splitlines())
        finally:
            with ready:
                free[0] += row.weight(cores)
                ready.notify_all()

    threads = []
    for row in sorted(rows, key=lambda row: -row.weight(cores)):
        with ready:
            ready.wait_for(lambda row=row: free[0] >= row.weight(cores))
            free[0] -= row.weight(cores)
        threads.append(threading.Thread(target=job, args=(row,), daemon=True))
        threads[-1].start()
    for thread in threads:
        thread.join()


def build(rows, report):
    """Builds what the rows need; a port that does not build is one failure, and its rows are dropped."""
    for arch in sorted({row.arch for row in rows} - {"-"}):
        kinds = {row.kind for row in rows if row.arch == arch}
        wanted = [["DEBUG=1"]] if kinds & {"kernel", "user"} else []
        wanted += [["DEBUG="]] if kinds - {"kernel", "user"} else []
        for words in wanted:
            try:
                qemu.check_qemu({"ARCH": arch})
                status, output = make(f"ARCH={arch}", *words, "kernel", "initramfs")
            except qemu.Problem as problem:
                status, output = 1, str(problem)
            if status:
                here = Row("boot", arch, "-", "-", "auto", "0", "build: build")
                report.line(here, "build", (0, 1, 0), 0, output.splitlines(), f"make ARCH={arch} {words[0]}")
                rows = [row for row in rows if row.arch != arch]
                break
    return rows


def main():
    archs = (os.environ.get("TEST_ARCH") or os.environ.get("ARCHS", "")).split()
    smp, nodes, pattern = (os.environ.get(name, "") for name in ("SMP", "NODES", "FILTER"))
    report = Report()
    rows = choose(list(read_matrix(os.path.join(qemu.ROOT, "tests/matrix"), archs)), archs, smp, nodes, pattern)
    try:
        run_all(build(rows, report), report)
    except KeyboardInterrupt:
        print("interrupted")
        report.failed += 1
    for title, texts in (("skipped", report.reasons), ("over budget", report.slow), ("FAILED", report.failures)):
        for text in texts:
            print(f"{title}: {text}")
    print(f"{report.passed} passed, {report.failed} failed, {report.skipped} skipped", flush=True)
    os._exit(1 if report.failed or not report.passed else 0)


if __name__ == "__main__":
    main()
