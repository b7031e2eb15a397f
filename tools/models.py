#!/usr/bin/env python3
"""Checks the models of tests/models: `make models [FILTER='lazy_*']`.

A model is NAME.pml (Promela: spin looks at every state) or NAME.cpp (Relacy: C++ with the kernel's memory orders). The
comment that opens it lists its runs, with what they are compiled with (Promela) or told (Relacy):

    run: holds [WORD...]                as the kernel has it: no violation, and the search was complete
    run: fails WORD... -> COMPLAINT     with a fence or a recheck removed: this violation is found (or one of A or B)

Prints KTAP; the last line is `N passed, N failed, N skipped`. A run that is not as it should be shows its steps, and
how to replay it. Files are left in $(OUT)/models/NAME.
"""
import concurrent.futures
import fnmatch
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MODELS = os.path.join(ROOT, "tests/models")
RUN = re.compile(r"^ \* run: (holds|fails)((?: [A-Z]\w*(?:=\w+)?)*)(?: -> (\w.*))?$", re.M)
PAN = ["-O0", "-w", "-DSAFETY", "-DMEMLIM=2048", "-DVECTORSZ=1024"]
RELACY = ["-std=gnu++11", "-O1", "-w", "-D_FORTIFY_SOURCE=0"]
LIMIT = 300  # seconds for one run


class Run:
    def __init__(self, path, expected, words, complaint):
        self.path, self.expected, self.words, self.complaint = path, expected, words, complaint
        self.name = " ".join([expected, *words])
        slug = "-".join(words).replace("=", "-") or "plain"
        self.folder = os.path.join(os.path.abspath(os.environ.get("OUT") or "out"), "models", model_of(path), slug)


def model_of(path):
    return os.path.splitext(os.path.basename(path))[0]


def read_runs(path):
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    runs = [Run(path, expected, words.split(), complaint) for expected, words, complaint in RUN.findall(text)]
    if text.count("* run:") != len(runs) or any((run.expected == "fails") != bool(run.complaint) for run in runs):
        sys.exit(f"{path}: run: holds [WORD...]   or   run: fails WORD... -> COMPLAINT")
    if {run.expected for run in runs} != {"holds", "fails"}:
        sys.exit(f"{path}: needs a run that holds and one that fails")
    return runs


def command(argv, folder):
    """(status, output); a command that takes too long has status None."""
    try:
        done = subprocess.run(argv, cwd=folder, timeout=LIMIT, check=False, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired:
        return None, f"stopped after {LIMIT} seconds"
    return done.returncode, done.stdout


def promela(run):
    """(complaint or None, what was seen, lines that explain)"""
    defines = ["-D" + word for word in run.words]
    status, text = command(["spin", "-a", *defines, run.path], run.folder)
    if status or not os.path.exists(os.path.join(run.folder, "pan.c")):
        return "spin", "is not Promela", text.splitlines()
    # Partial order reduction can not be used with `provided`.
    with open(run.path, encoding="utf-8") as stream:
        reduction = ["-DNOREDUCE"] if '#include "lazy_tlb.h"' in stream.read() else []
    status, text = command(["gcc", *PAN, *reduction, "-o", "pan", "pan.c"], run.folder)
    if status:
        return "gcc", "does not compile", text.splitlines()
    status, text = command(["./pan", "-m1000000", "-w22"], run.folder)
    states = re.search(r"(\d+) states, stored", text)
    errors = re.search(r"errors: (\d+)", text)
    if status is None or not errors or not states:
        return "pan", "did not end", text.splitlines()
    if int(errors[1]):
        found = re.search(r"pan:\d+: (.*?) \(at depth (\d+)\)", text)
        _, steps = command(["spin", "-t", "-p", *defines, run.path], run.folder)
        if not found:
            return "pan", "what failed is not clear", text.splitlines()
        return found[1], f"{found[1]}, step {found[2]}", steps.splitlines()
    if re.search(r"not completed|max search depth|out of memory|memory limit", text):
        return "pan", "the search was not complete", text.splitlines()
    return None, f"{states[1]} states", []


def relacy(run):
    program = os.path.join(os.path.dirname(run.folder), "model")
    if not os.path.exists(program):
        status, text = command(["g++", *RELACY, "-o", program, run.path], run.folder)
        if status:
            return "g++", "does not compile", text.splitlines()
    status, text = command([program, *run.words], run.folder)
    lines = text.splitlines()
    result = next((line[len("result: "):] for line in lines if line.startswith("result: ")), None)
    if status not in (0, 1) or not result:
        return "relacy", "did not end", lines
    return (result if status else None), result, lines


def check(run):
    """(good, what was seen, lines that explain)"""
    os.makedirs(run.folder, exist_ok=True)
    complaint, seen, lines = (promela if run.path.endswith(".pml") else relacy)(run)
    if run.expected == "holds":
        return complaint is None, seen, lines
    if complaint is None:
        return False, f"{run.complaint} was not found: {seen}", lines
    good = any(word in complaint for word in run.complaint.split(" or "))
    return good, seen if good else f"{run.complaint} was expected: {seen}", lines


def check_model(path):
    runs = read_runs(path)
    shutil.rmtree(os.path.dirname(runs[0].folder), ignore_errors=True)
    return [(run, *check(run)) for run in runs]


def main():
    pattern = os.environ.get("FILTER") or "*"
    paths = sorted(os.path.join(MODELS, name) for name in os.listdir(MODELS) if name.endswith((".pml", ".cpp")))
    paths = [path for path in paths if fnmatch.fnmatch(model_of(path), pattern)]
    passed = failed = 0
    print(f"KTAP version 1\n1..{len(paths)}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for number, (path, results) in enumerate(zip(paths, pool.map(check_model, paths)), 1):
            print(f"    # Subtest: {model_of(path)}\n    1..{len(results)}")
            for at, (run, good, seen, lines) in enumerate(results, 1):
                print(f"    {'ok' if good else 'not ok'} {at} {run.name} # {seen}")
                if not good:
                    print("".join(f"    # {line}\n" for line in lines[-150:]), end="")
                    print(f"    # replay: make models FILTER={model_of(path)}; files are in {run.folder}")
            bad = sum(not good for _, good, _, _ in results)
            passed, failed = passed + len(results) - bad, failed + bad
            print(f"{'not ok' if bad else 'ok'} {number} {model_of(path)}", flush=True)
    print(f"{passed} passed, {failed} failed, 0 skipped", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
