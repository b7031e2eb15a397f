#!/usr/bin/env python3
"""Does the report of `make bench` show what was measured? `make report-test`, a row of tests/matrix; prints KTAP.

Every experiment is gone through by bench.py itself, only its boots are canned: on one port all is there; another one,
in some experiments, has no zap, and boots that fail. What bench.py has then written is made a page, which is taken apart
again.
"""
import contextlib
import glob
import html.parser
import io
import json
import os
import re
import shutil
import sys
import tempfile
import xml.etree.ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench
import bench_plots
import bench_plugin
import bench_report
import bench_table
import qemu

HOSTILE = "<b>&\"status' 3"
UNREADABLE = {"broken": "{", "strange": '{"rows": 3}', "old": '{"header": {"experiment": "x"}, "rows": []}'}
WHOLE, PARTIAL = "x86_64", "riscv64"
ON_BOTH = ("exit.fresh", "exit.sweep", "exit.wall", "lazy.hop")


def phase(busy):
    """What the plugin writes of a phase of so many instructions."""
    cpu = dict.fromkeys(bench_plugin.SUMMED, busy // 50) | {"busy": busy, "longest": busy // 100}
    cpu["scopes"] = {name: dict.fromkeys(bench_plugin.COLUMNS, busy // 3) for name in ("free", "mm")}
    cpu["probes"] = {"ipis": 7, "unit": 20}
    record = {"phase": "canned", "path": busy, "overlaps": 0, "slips": 1, "late": 1, "cpus": [cpu, cpu]}
    return bench_plugin.Phase(record)


class Canned(bench.Bench):
    """A port whose boots take no time. BROKEN: numbers of boots that fail."""

    def __init__(self, arch, folder, refused, broken):  # pylint: disable=super-init-not-called
        self.arch, self.folder, self.refused, self.broken = arch, folder, refused, broken

    def missing(self, experiment, row):
        return next((why for why in map(self.why_not, row, row.values()) if why), None)

    def boot(self, experiment, row, number, command, phases):
        if number in self.broken:
            raise bench.Failed(HOSTILE)
        # The later in the list of policies, the quicker.
        key, base = next(iter(experiment["base"].items()))
        share = 1 + 0.1 * (row.get(key, base) == base)
        if experiment["rows"] == "waits":
            values = self.split_within(experiment)[1]
            times = {"status": "ok", "wait_ns": {"rounds": [9e6, 12e6, 11e6]}}
            return [times | {"policies": {key.split(".")[1]: value}} for value in values], []
        if experiment["rows"] == "window":
            group, names = experiment["counters"]
            record = {"status": "ok", "children": 10, group: dict.fromkeys(names, {"median": 2.5})}
            return [record], [phase(int(9e4 * share))]
        ageing = [experiment["age"]] if "age" in experiment else []
        rounds = int(re.search(r"--rounds (\d+)", command)[1])
        found = []
        for size in ageing + experiment["sizes"]:
            for at in range(max(len(self.split_within(experiment)[1]), 1)):
                busy = 10000 + int(qemu.size(size) // bench.PAGE * share * 20 * (1 - 0.1 * at))
                found += [phase(busy + again) for again in range(bench.WARM_UPS + rounds)]
        return [], found + [phase(10000)]


def measure(folder):
    """Results in FOLDER, as make bench writes them."""
    # QEMU, which may not be there, is only asked for its version: echo answers.
    machine = qemu.machine
    qemu.machine = lambda settings: machine(settings) | {"qemu": "echo"}
    whole = Canned(WHOLE, folder, {}, ())
    partial = Canned(PARTIAL, folder, {"vm.free_async=zap": "no such value"}, (2, 5))
    for experiment in bench.EXPERIMENTS:
        for canned in [whole, partial] if experiment["name"] in ON_BOTH else [whole]:
            bench.report(canned, experiment)


class Page(html.parser.HTMLParser):
    """What is on the page: cells of the tables, class and text; ids; where its links lead; all tags and attributes."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.ids, self.links, self.tags, self.attributes, self.kind = [], [], [], set(), [], None
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.add(tag)
        self.attributes += attributes
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append((found.get("class", ""), []))
        elif tag in ("td", "th"):
            self.tables[-1][-1][1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self.inside:
            self.tables[-1][-1][1][-1] += data


def svgs(text):
    return re.findall(r"<svg.*?</svg>", text, re.S)


class Cases:
    """Each method is a case: it yields what is wrong."""

    def __init__(self, folder):
        self.folder, self.said = folder, []
        measure(folder)
        for name, text in UNREADABLE.items():
            with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as stream:
                stream.write(text)
        bench_report.write(folder, self.said.append)
        with open(os.path.join(folder, "report.html"), encoding="utf-8") as stream:
            self.text = stream.read()
        self.page = Page(self.text)
        self.results, self.plots = [], []
        for experiment in bench.EXPERIMENTS:
            archs = [PARTIAL, WHOLE] if experiment["name"] in ON_BOTH else [WHOLE]
            for arch in archs:
                with open(os.path.join(folder, f"{experiment['name']}-{arch}.json"), encoding="utf-8") as stream:
                    self.results.append((experiment, arch, json.load(stream)["rows"]))
            self.plots += [(experiment, plot, arch) for plot in experiment["plots"] for arch in archs]

    def every_row_is_shown_with_its_status(self):
        if len(self.page.tables) != 1 + len(self.results):
            yield f"{len(self.page.tables)} tables, not {1 + len(self.results)}"
        for (experiment, arch, rows), shown in zip(self.results, self.page.tables[1:]):
            wanted = [("", sum(bench_table.headings(experiment), []))]
            for row, (name, found, remark) in zip(rows, bench_table.cells(experiment, rows)):
                kind = {"ok": "", "failed": "failed"}.get(row["status"], "absent")
                wanted.append((kind, name + found + ([remark] if remark else [])))
            if shown != wanted:
                yield f"{experiment['name']} {arch}: {shown} is not {wanted}"

    def all_statuses_occur(self):
        found = {row["status"] for _, _, rows in self.results for row in rows}
        if found != {"ok", "failed", "not available"}:
            yield f"only {found}"
        if HOSTILE not in " ".join(cell for table in self.page.tables for _, cells in table for cell in cells):
            yield "the reason of a failure is not there, letter by letter"

    def links_lead_somewhere(self):
        wanted = {"#" + one["name"] for one in bench.EXPERIMENTS}
        wanted |= {f"#{experiment['name']}-{arch}" for experiment, arch, _ in self.results}
        if set(self.page.links) != wanted or {"#" + one for one in self.page.ids} < wanted:
            yield f"links {self.page.links}, ids {self.page.ids}"
        if len(set(self.page.ids)) != len(self.page.ids):
            yield "an id is there twice"

    def plots_are_all_there_and_xml(self):
        found = svgs(self.text)
        if len(found) != len(self.plots):
            yield f"{len(found)} plots, not {len(self.plots)}"
        for (experiment, plot, arch), text in zip(self.plots, found):
            try:
                texts = list(xml.etree.ElementTree.fromstring(text).itertext())
            except xml.etree.ElementTree.ParseError as error:
                yield f"{experiment['name']} {arch}: {error}"
                continue
            if f"{arch}: {plot['title']}" not in texts or plot["unit"] not in texts:
                yield f"{experiment['name']} {arch}: not titled {plot['title']}, in {plot['unit']}: {texts}"

    def plots_say_what_is_missing(self):
        for experiment, arch, rows in self.results:
            drawn = [text for (one, _, where), text in zip(self.plots, svgs(self.text))
                     if one is experiment and where == arch]
            for status, word in (("failed", "FAILED"), ("not available", "not available")):
                if any(row["status"] == status for row in rows) != any(word in text for text in drawn):
                    yield f"{experiment['name']} {arch}: {word} is in the table or in plots, but not in both"

    def every_figure_of_a_plot_exists(self):
        for experiment, arch, rows in self.results:
            for plot in experiment["plots"] if arch == WHOLE else []:
                names = [name for _, *names in plot.get("parts", []) for name in names]
                names += [plot[key] for key in ("y", "per", "samples") if key in plot]
                names += [*plot.get("whiskers", []), *plot.get("tick", [])[:1]]
                for name in names:
                    if all(row.get(name) is None for row in rows):
                        yield f"{experiment['name']}: {plot['title']}: no row has {name}"
        for (experiment, plot, arch), text in zip(self.plots, svgs(self.text)):
            if arch == WHOLE and ("no figure" in text or "no base" in text):
                yield f"{experiment['name']}: {plot['title']}: not all is drawn"

    def ports_share_a_scale(self):
        scales = {}
        for (experiment, plot, _), text in zip(self.plots, svgs(self.text)):
            scale = tuple(re.findall(r">([\d.,]+)</text>", text))
            scales.setdefault((experiment["name"], plot["title"]), set()).add(scale)
        for where, found in scales.items():
            if len(found) != 1:
                yield f"{where}: {found}"

    def nothing_is_loaded(self):
        for name, value in self.page.attributes:
            if name in ("src", "href", "xlink:href", "action", "data", "srcset") and not value.startswith("#"):
                yield f"{name}={value}"
        # The names of the SVG namespaces are no references.
        for bad in re.findall(r'url\((?!#)[^)]*\)|@import|(?<!xmlns=")(?<!xmlns:xlink=")https?:[^"\s<>]*', self.text):
            yield bad
        for tag in self.page.tags & {"script", "link", "iframe", "img", "object", "embed", "base"}:
            yield f"<{tag}>"

    def what_can_not_be_read_is_named(self):
        for name in UNREADABLE:
            if f"{name}.json is left out" not in self.text or f"{name}.json is left out" not in "\n".join(self.said):
                yield f"{name}.json is not named: {self.said}"

    def what_can_not_be_drawn_is_named(self):
        with tempfile.TemporaryDirectory() as other:
            with open(os.path.join(self.folder, f"exit.total-{WHOLE}.json"), encoding="utf-8") as stream:
                text = stream.read().replace('"256M"', '"much"')
            with open(os.path.join(other, f"exit.total-{WHOLE}.json"), "w", encoding="utf-8") as stream:
                stream.write(text)
            said = []
            bench_report.write(other, said.append)
            with open(os.path.join(other, "report.html"), encoding="utf-8") as stream:
                text = stream.read()
        if "no plots of exit.total" not in text or "no plots of exit.total" not in said[0] or ">much</td>" not in text:
            yield f"said {said}"

    def tables_come_without_matplotlib(self):
        said, bench_plots.PROBLEM = [], "no matplotlib: run tools/setup"
        try:
            with tempfile.TemporaryDirectory() as other:
                for path in glob.glob(os.path.join(self.folder, "exit.*.json")):
                    shutil.copy(path, other)
                bench_report.write(other, said.append)
                with open(os.path.join(other, "report.html"), encoding="utf-8") as stream:
                    text = stream.read()
        finally:
            bench_plots.PROBLEM = None
        if svgs(text) or "<td" not in text or "run tools/setup" not in text or "run tools/setup" not in said[0]:
            yield f"said {said}"

    def no_results_are_said(self):
        with tempfile.TemporaryDirectory() as other:
            said = []
            if bench_report.write(other, said.append) or len(said) != 1 or os.listdir(other):
                yield f"said {said}"


def main():
    names = [name for name in vars(Cases) if not name.startswith("_")]
    print(f"KTAP version 1\n1..1\n    # Subtest: report\n    1..{len(names)}", flush=True)
    if bench_plots.PROBLEM:
        print(f"Bail out! {bench_plots.PROBLEM}")
        return 1
    failed = 0
    with tempfile.TemporaryDirectory(prefix="exeunt-report-") as folder:
        with contextlib.redirect_stdout(io.StringIO()):
            cases = Cases(folder)
        for number, name in enumerate(names, 1):
            wrong = list(getattr(cases, name)())
            failed += bool(wrong)
            print("".join(f"    # {line}\n" for line in wrong), end="")
            print(f"    {'not ' if wrong else ''}ok {number} {name}", flush=True)
    print(f"{'not ' if failed else ''}ok 1 report")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
