#!/usr/bin/env python3
"""Runs the experiments of tests/bench/experiments.py: `make bench [ARCH=] [FILTER=] [ROUNDS=]`.

Each experiment is a table on the console, under a header that says on what it was measured, and a file
$(OUT)/bench/NAME-ARCH.json with all figures. Consoles and the plugin's results are kept in $(OUT)/bench/raw/. At the end
bench_report.py makes a page of all results that are there.
A boot that fails is a row that says so, and makes the status nonzero. What the columns mean: tools/README.md.

FILTER   patterns of experiments' names, separated by commas; all of them otherwise
ROUNDS   samples of each figure, instead of what the experiment says
"""
import fnmatch
import itertools
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench_plugin
import bench_report
import bench_table
import qemu
from runtests import make

sys.path.insert(0, os.path.join(qemu.ROOT, "tests/bench"))
from experiments import EXPERIMENTS, WITHOUT

QUANTUM = 1000
WARM_UPS = 3  # exits that exitcost makes before each size
PAGE = 4096
NO_OPTION = "no such option"
# An exit that costs less or more than this a page is not the exit that was meant; below, a thread of others has ended.
PLAUSIBLE = (2, 5000)
THREAD_END = 5000


class Failed(Exception):
    """A boot that did not do what it should; its text is one line."""


def log(text):
    print(text, flush=True)


def git(*words):
    """What a command that only looks prints; nothing if this is no repository."""
    argv = ["git", "-C", qemu.ROOT, "--no-optional-locks", *words]
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def read_line(path):
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.readline().strip()
    except OSError:
        return "?"


def load():
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def header(arch, experiment):
    """What every result says about where it comes from."""
    here = qemu.machine({"ARCH": arch})
    version = subprocess.run([here["qemu"], "--version"], capture_output=True, text=True, check=False).stdout
    modes = {
        "lockstep": f"tcg, thread=multi, vCPUs in lockstep by {QUANTUM} instructions",
        "icount": "tcg, icount shift=0, thread=single",
        "wall": "tcg, thread=multi",
    }
    model = "?"
    with open("/proc/cpuinfo", encoding="utf-8") as stream:
        for line in stream:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    thp = read_line("/sys/kernel/mm/transparent_hugepage/enabled")
    dirty = "-dirty" if git("status", "--porcelain", "--untracked-files=no") else ""
    return {
        "experiment": experiment["name"],
        "title": experiment["title"],
        "arch": arch,
        "machine": os.environ.get("MACHINE") or here["machine"],
        "guest_cpu": os.environ.get("CPU") or here["cpu"],
        "memory": experiment["mem"],
        "append": experiment.get("append", ""),
        "command": experiment["command"],
        "qemu": version.split("\n")[0],
        "accelerator": modes[experiment["mode"]],
        "host_cpu": f"{len(os.sched_getaffinity(0))} x {model}",
        "host_thp": (re.search(r"\[(\w+)\]", thp) or [thp, thp])[1],
        "host_load": load(),
        "commit": (git("rev-parse", "--short", "HEAD") or "?") + dirty,
        "date": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


class Bench:
    """A port that has been built, and what its kernel knows."""

    def __init__(self, arch):
        self.arch = arch
        self.out = os.environ.get("OUT") or "out"
        self.folder = os.path.join(qemu.ROOT, self.out, "bench")
        self.raw = os.path.join(self.folder, "raw")
        os.makedirs(self.raw, exist_ok=True)
        status, output = make(f"ARCH={arch}", "DEBUG=", "kernel", "initramfs")
        if status:
            raise qemu.Problem(f"{arch} does not build\n{output}")
        qemu.check_qemu({"ARCH": arch})
        self.plugin = os.path.abspath(bench_plugin.build(os.path.join(qemu.ROOT, self.out, "plugin")))
        elf = os.path.join(qemu.ROOT, qemu.build_dir({"ARCH": arch, "OUT": self.out}), "exeunt.elf")
        self.kernel = bench_plugin.Kernel(arch, elf)
        self.refused = {}

    def settings(self, experiment, row, command):
        words = [f"{name}={value}" for name, value in row.items() if "." in name] + experiment.get("append", "").split()
        words = [word for word in words if word not in self.refused]
        found = {"OUT": self.out, "ARCH": self.arch, "SMP": str(row["cpus"]), "MEM": experiment["mem"]}
        found |= {"NODES": str(row["nodes"])} if row.get("nodes", 1) > 1 else {}
        found |= {key: os.environ[key] for key in ("MACHINE", "CPU", "ROOT") if os.environ.get(key)}
        found |= {"APPEND": " ".join(words), "CMD": command}
        return found | ({"ICOUNT": "1"} if experiment["mode"] == "icount" else {"THREAD": "multi"})

    def probe(self, experiments):
        """Asks the kernel which options and values it does not know, in one boot: {"name=value": why}."""
        words = set()
        for experiment in experiments:
            lists = list(experiment["vary"].items()) + ([experiment["within"]] if "within" in experiment else [])
            words |= {f"{name}={value}" for name, values in lists for value in values if "." in name}
            words |= set(experiment.get("append", "").split())
        settings = {"OUT": self.out, "ARCH": self.arch, "SMP": "1", "MEM": "256M", "CMD": "true"}
        guest = qemu.Guest(settings | {"APPEND": " ".join(sorted(words))}, 120)
        lines = list(guest.lines())
        if guest.complaint or guest.status:
            complaint = f"{self.arch} does not boot: {guest.complaint or guest.status}"
            raise qemu.Problem("\n".join(lines[-20:] + [complaint]))
        for line in lines:
            match = re.search(r'command line: (?:(unknown) )?option "([^"]+)"', line)
            if match:
                self.refused[match[2]] = NO_OPTION if match[1] else "no such value"
        for word in sorted(self.refused):
            log(f"{self.arch}: this kernel has no {word}")

    def why_not(self, name, value):
        why = self.refused.get(f"{name}={value}")
        return None if why == NO_OPTION and WITHOUT.get(name) == value else why

    def missing(self, experiment, row):
        """Why a row can not be measured with this kernel, or None."""
        for name, value in row.items():
            why = self.why_not(name, value)
            if why:
                return f"{name}={value}: {why}"
        program = experiment["command"].split()[0]
        if not os.path.exists(os.path.join(qemu.ROOT, self.out, self.arch, "user/bin", program)):
            return f"there is no program {program}"
        return None

    def boot(self, experiment, row, number, command, phases):
        """One boot: (JSON records of the console, phases); raises Failed."""
        name = f"{experiment['name']}-{self.arch}-{number}"
        conf, results, console = (os.path.join(self.raw, f"{name}.{end}") for end in ("conf", "phases", "console"))
        settings = self.settings(experiment, row, command)
        if phases:
            places = {"unit": experiment["per"]["place"]} if "place" in experiment.get("per", {}) else {}
            places["ipis"] = bench_plugin.IPI_TAKEN
            lockstep = QUANTUM if experiment["mode"] == "lockstep" else 0
            text = bench_plugin.settings(self.kernel, results, phases, experiment.get("scopes"), places, lockstep)
            with open(conf, "w", encoding="ascii") as stream:
                stream.write(text)
            settings["QEMU_EXTRA"] = f"-plugin {self.plugin},conf={conf}"
        guest = qemu.Guest(settings, experiment["limit"])
        with open(console, "w", encoding="utf-8") as stream:
            lines = []
            for line in guest.lines():
                lines.append(line)
                stream.write(line + "\n")
        if guest.complaint or guest.status:
            last = next((line for line in reversed(lines) if line.strip() and not line.startswith("exeunt:")), "")
            raise Failed(f"{guest.complaint or f'status {guest.status}'}: {last}"[:200])
        records = []
        for line in lines:
            if line.startswith("{"):
                try:
                    records.append(json.loads(line))
                except ValueError:
                    raise Failed(f"malformed JSON: {line[:80]}") from None
        return records, bench_plugin.read(results) if phases else []

    # ---- what one boot's rows are

    def split_within(self, experiment):
        """The option that changes within a boot: its name, the values that can be measured, [(value, why not)]."""
        name, values = experiment.get("within", (None, []))
        missing = [(value, self.why_not(name, value)) for value in values if self.why_not(name, value)]
        return name, [value for value in values if not self.why_not(name, value)], missing

    def exits(self, experiment, row, number):
        name, values, missing = self.split_within(experiment)
        # exitcost goes through the sizes, and for each of them through the values.
        ageing = [experiment["age"]] if "age" in experiment else []
        turns = [(size, value) for size in ageing + experiment["sizes"] for value in values or [None]]
        wanted = int(os.environ.get("ROUNDS") or experiment["samples"])
        boots, rounds = (wanted, 1) if experiment.get("fresh") else (1, wanted)
        sizes = ",".join(ageing + experiment["sizes"])
        command = experiment["command"].format(sizes=sizes, rounds=rounds, within=",".join(values))
        samples, skipped = {}, {}
        for again in range(boots):
            label = f"{number}.{again}" if boots > 1 else number
            records, phases = self.boot(experiment, row, label, command, {"exit": ("exit_mm", "exit_mm:return")})
            skipped |= {record["size"]: record["reason"] for record in records if record.get("status") == "skipped"}
            phases = [phase for phase in phases if phase.sums["busy"] > THREAD_END]
            measured = [turn for turn in turns if qemu.size(turn[0]) not in skipped]
            # In each turn the exits that warm up, then those that count; the last one of all is exitcost's own.
            if len(phases) != len(measured) * (WARM_UPS + rounds) + 1:
                raise Failed(f"{len(phases)} exits, not {len(measured)} x ({WARM_UPS} + {rounds}) + 1")
            for at, turn in enumerate(measured):
                begin = at * (WARM_UPS + rounds) + WARM_UPS
                samples.setdefault(turn, []).extend(phases[begin:begin + rounds])
        for turn in turns:
            size, value = turn
            if size in ageing:
                continue
            found = row | {"size": size} | ({name: value} if name else {})
            if turn not in samples:
                yield found | {"status": "failed", "reason": skipped[qemu.size(size)]}
                continue
            figures = summary(samples[turn], experiment["mode"]) | {"pages": qemu.size(size) // PAGE}
            if not PLAUSIBLE[0] <= figures["total"] / figures["pages"] <= PLAUSIBLE[1]:
                raise Failed(f"an exit of {size} has {figures['total']} instructions: that is not it")
            yield found | {"status": "ok"} | figures
        for value, why in missing:
            yield row | {name: value, "status": "not available", "reason": why}

    def window(self, experiment, row, number):
        records, phases = self.boot(experiment, row, number, experiment["command"], {"window": experiment["phase"]})
        record = next((record for record in reversed(records) if record.get("status") == "ok"), None)
        if not phases or not record:
            raise Failed(f"{len(phases)} phases, {len(records)} records: nothing was measured")
        phase, per = phases[-1], experiment["per"]
        units = phase.probe("unit") / per["passes"] if "place" in per else record[per["json"]]
        figures = {"units": units} | {key: value / units for key, value in phase.sums.items()}
        figures["instructions"] = (phase.sums["busy"] + phase.sums["idle"]) / units
        figures["ipis_taken"] = phase.probe("ipis") / units
        for name in experiment.get("scopes", {}):
            for column in bench_plugin.COLUMNS:
                found = phase.scope(name, column)
                figures[f"{name}_{column}"] = None if found is None else found / units
        group, names = experiment["counters"]
        figures |= {name: median_of(record.get(group, {}).get(name)) for name in names}
        yield row | {"status": "ok"} | figures

    def waits(self, experiment, row, number):
        name, values, missing = self.split_within(experiment)
        rounds = int(os.environ.get("ROUNDS") or experiment["samples"])
        one = experiment["command"].format(rounds=rounds, within=",".join(values))
        command = f'sh -c "{"; ".join([one] * experiment["turns"])}"'
        records, _ = self.boot(experiment, row, number, command, None)
        found = {}
        for record in records:
            if record.get("status") == "ok":
                value = record.get("policies", {}).get(name.partition(".")[2]) or WITHOUT[name]
                found.setdefault(value, []).extend(record["wait_ns"]["rounds"])
        for value in values:
            times = found.get(value)
            if not times:
                raise Failed(f"no time for {name}={value}")
            figures = {"wait_ns": statistics.median(times), "wait_min_ns": min(times), "wait_max_ns": max(times)}
            yield row | {name: value, "status": "ok", "times": len(times)} | figures
        for value, why in missing:
            yield row | {name: value, "status": "not available", "reason": why}

    def run(self, experiment):
        """The rows of an experiment."""
        names = list(experiment["vary"])
        combinations = [dict(zip(names, values)) for values in itertools.product(*experiment["vary"].values())]
        rows, done = [], 0
        for number, row in enumerate(combinations, 1):
            reason = self.missing(experiment, row)
            if reason:
                rows.append(row | {"status": "not available", "reason": reason})
                continue
            begin, text = time.monotonic(), " ".join(f"{key.split('.')[-1]}={value}" for key, value in row.items())
            try:
                rows += list(getattr(self, experiment["rows"])(experiment, row, number))
                text += f": {time.monotonic() - begin:.0f} s"
            except Failed as failure:
                rows.append(row | {"status": "failed", "reason": str(failure)})
                text += f": FAILED, {failure}"
            done += 1
            log(f"  {number}/{len(combinations)} {text}")
        compare(experiment, rows)
        return rows


def median_of(value):
    return value.get("median") if isinstance(value, dict) else value


def middle(values):
    """The median as a figure that was measured, so that the columns of a row belong together."""
    return sorted(values)[(len(values) - 1) // 2]


def summary(phases, mode):
    """What the samples of one size say: the one in the middle, by the critical path or else by the sum; the spread."""
    key = (lambda phase: phase.path) if mode == "lockstep" else (lambda phase: phase.sums["busy"])
    at = middle([key(phase) for phase in phases])
    phase = next(phase for phase in phases if key(phase) == at)
    found = {name: phase.sums[name] for name in bench_plugin.SUMMED if name != "busy"}
    found |= {"path": phase.path, "total": phase.sums["busy"], "busiest": phase.busiest, "free": phase.scope("free")}
    found |= {"ipis": phase.probe("ipis"), "longest": max(one.longest for one in phases)}
    found |= {"slips": sum(one.slips for one in phases), "late": sum(one.late for one in phases)}
    found["spread"] = (max(map(key, phases)) - min(map(key, phases))) / at if at else 0.0
    found["samples"] = [{"path": one.path, "total": one.sums["busy"], "busiest": one.busiest} for one in phases]
    return found


def compare(experiment, rows):
    """Adds to each row how it stands to the base row of its combination."""
    base_key, base_value = next(iter(experiment["base"].items()))
    same = [key for key in list(experiment["vary"]) + ["size"] if key != base_key]

    def identity(row):
        return tuple(row.get(key) for key in same)

    bases = {identity(row): row for row in rows if row.get(base_key) == base_value and row["status"] == "ok"}
    for row in rows:
        base = bases.get(identity(row))
        if row["status"] != "ok" or not base:
            continue
        for key, name in (("path", "speed_up"), ("wait_ns", "speed_up")):
            if row.get(key) and base.get(key):
                row[name] = base[key] / row[key]
        for key in ("total", "instructions"):
            if row.get(key) and base.get(key):
                row["to_base"] = row[key] / base[key]
        kind = experiment.get("parallel", {}).get(row.get(base_key))
        if kind and row.get("path") and base.get("free"):
            parallel = base["path"] if kind == "all" else base["free"]
            serial = base["path"] - parallel
            row["bound"] = base["path"] / (serial + parallel / row["cpus"])
            row["ceiling"] = base["path"] / max(serial, base["path"] / row["cpus"])
            row["of_bound"] = row["speed_up"] / row["bound"]


def report(bench, experiment):
    """Runs, prints and writes one experiment; the number of rows that failed."""
    head = header(bench.arch, experiment)
    log(f"\n{experiment['name']}: {experiment['title']}")
    begin = time.monotonic()
    rows = bench.run(experiment)
    head |= {"host_load_after": load(), "seconds": round(time.monotonic() - begin)}
    log(bench_table.render(head, experiment, rows))
    with open(os.path.join(bench.folder, f"{experiment['name']}-{bench.arch}.json"), "w", encoding="utf-8") as stream:
        json.dump({"header": head, "rows": rows}, stream, indent="\t")
        stream.write("\n")
    return sum(row["status"] == "failed" for row in rows)


def main():
    archs = (os.environ.get("TEST_ARCH") or os.environ.get("ARCHS", "")).split()
    patterns = (os.environ.get("FILTER") or "*").split(",")
    chosen = [one for one in EXPERIMENTS if any(fnmatch.fnmatch(one["name"], pattern) for pattern in patterns)]
    if not chosen:
        raise qemu.Problem(f"FILTER={os.environ['FILTER']}: there are {', '.join(one['name'] for one in EXPERIMENTS)}")
    failed = 0
    for arch in archs:
        bench = Bench(arch)
        bench.probe(chosen)
        for experiment in chosen:
            failed += report(bench, experiment)
    log("")
    bench_report.write(os.path.join(qemu.ROOT, os.environ.get("OUT") or "out", "bench"), log)
    log(f"bench: {failed} rows FAILED" if failed else "bench: done")
    return 1 if failed else 0


if __name__ == "__main__":
    # So that a guest that runs is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        sys.exit(main())
    except qemu.Problem as problem:
        sys.exit(f"bench: {problem}")
