#!/usr/bin/env python3
"""The results of `make bench` as one HTML page with plots, $(OUT)/bench/report.html: `make bench-report`.

Every NAME-ARCH.json of the folder is in it, from whichever run; `make bench` ends with it. Header, cells and notes are
those of the console (bench_table.py), plots are inlined SVG (bench_plots.py): the page loads nothing and runs nothing.
A file that can not be read is named on the page and on the console, and so is why there are no plots; tables need no
matplotlib.
"""
import collections
import glob
import html
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench_plots
import bench_table
import qemu

sys.path.insert(0, os.path.join(qemu.ROOT, "tests/bench"))
from experiments import EXPERIMENTS

STYLE = """
:root { color-scheme: light dark;
        --text: #222; --page: #fff; --soft: #555; --line: #e2e2e2; --rule: #999; --bad: #b00000; }
@media (prefers-color-scheme: dark) {
  :root { --text: #ddd; --page: #191919; --soft: #aaa; --line: #333; --rule: #777; --bad: #ff8a80; }
}
body { max-width: 76rem; margin: 2rem auto; padding: 0 1.5rem; color: var(--text); background: var(--page);
       font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Verdana, sans-serif; }
h1 { font-size: 1.7rem; margin-bottom: 0.5rem; }
h2 { font-size: 1.3rem; margin: 3.5rem 0 0; padding-top: 0.8rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.8rem 0 0; }
p { max-width: 48rem; margin: 0.4rem 0; }
code { font: 0.9em "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.measured { max-width: none; font-size: 0.85rem; color: var(--soft); }
.plots { display: flex; flex-wrap: wrap; gap: 1rem 2rem; margin: 1.2rem 0; }
svg { max-width: 100%; height: auto; background: #fff; }
svg text { font-family: "DejaVu Sans", Verdana, sans-serif !important; }
.scroll { overflow-x: auto; margin: 0.8rem 0; }
table { border-collapse: collapse; font-size: 0.8rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
th { text-align: right; vertical-align: bottom; font-weight: 600; border-bottom: 1px solid var(--rule); }
td { text-align: right; border-bottom: 1px solid var(--line); }
th, td { padding: 0.2rem 0.5rem; white-space: nowrap; }
.name { text-align: left; }
.failed td, .problem { color: var(--bad); }
.absent td { color: var(--soft); }
.contents { font-size: 0.9rem; }
.contents td { white-space: normal; }
"""

Result = collections.namedtuple("Result", "arch experiment head rows")


def tag(name, text, attributes=""):
    return f"<{name}{' ' if attributes else ''}{attributes}>{text}</{name}>"


def read(path):
    """A Result; raises ValueError, whose text says why this is none."""
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
        head, rows = found["header"], found["rows"]
        experiment = next((one for one in EXPERIMENTS if one["name"] == head["experiment"]), None)
        if experiment is None:
            raise ValueError(f"tests/bench/experiments.py has no {head['experiment']}")
        # What the console can not show is not a result.
        bench_table.render(head, experiment, rows)
        return Result(head["arch"], experiment, head, rows)
    except (OSError, ValueError) as error:
        raise ValueError(str(error)) from None
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a result of make bench ({type(error).__name__}: {error})") from None


def anchor(result):
    return f"{result.experiment['name']}-{result.arch}"


def command(result):
    return f"make bench ARCH={result.arch} FILTER={result.experiment['name']}"


def counts(rows):
    """How many rows there are of each status, in words."""
    found = collections.Counter(row["status"] for row in rows)
    return ", ".join(f"{found[status]} {status}" for status in ("ok", "failed", "not available") if found[status])


def table(result):
    names, titles = bench_table.headings(result.experiment)
    lines = [tag("tr", "".join([tag("th", html.escape(one), 'class="name"') for one in names] +
                               [tag("th", html.escape(one)) for one in titles]))]
    for name, found, remark in bench_table.cells(result.experiment, result.rows):
        kind = "" if not remark else 'class="failed"' if remark.startswith("FAILED") else 'class="absent"'
        line = [tag("td", html.escape(one), 'class="name"') for one in name]
        line += [tag("td", html.escape(one)) for one in found]
        if remark:
            line.append(tag("td", html.escape(remark), f'class="name" colspan="{len(titles)}"'))
        lines.append(tag("tr", "".join(line), kind))
    return tag("div", tag("table", "\n".join(lines)), 'class="scroll"')


def plots(name, results, problems):
    """Lines of plots: the same one for each port, or all of the only port there is."""
    if bench_plots.PROBLEM:
        return []
    of_ports = [(result.arch, result.experiment, result.rows) for result in results]
    try:
        lines = [bench_plots.draw(name, plot, of_ports) for plot in results[0].experiment.get("plots", [])]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, qemu.Problem) as error:
        problems.append(f"no plots of {name}: {type(error).__name__}: {error}")
        return []
    return lines if len(results) > 1 else [sum(lines, [])]


def section(name, results, problems):
    """All that there is of one experiment: headers, plots side by side, tables. Adds to PROBLEMS."""
    out = [tag("h2", html.escape(name), f'id="{html.escape(name)}"'), tag("p", html.escape(results[0].head["title"]))]
    for result in results:
        lines = [html.escape(line) for line in bench_table.header_lines(result.head)]
        lines.append(f"again: {tag('code', html.escape(command(result)))}")
        out.append(tag("p", "<br>\n".join(lines), 'class="measured"'))
    out += [tag("div", "\n".join(line), 'class="plots"') for line in plots(name, results, problems)]
    for result in results:
        out.append(tag("h3", html.escape(f"{name}, {result.arch}: {counts(result.rows)}"), f'id="{anchor(result)}"'))
        out.append(table(result))
        out += [tag("p", html.escape(line)) for line in bench_table.notes(result.experiment, result.rows)]
    return "\n".join(out)


def contents(sections):
    lines = []
    for name, results in sections.items():
        ports = " ".join(f'<a href="#{anchor(one)}">{html.escape(one.arch)}</a>' for one in results)
        rows = counts([row for result in results for row in result.rows])
        title = html.escape(results[0].head["title"])
        cells = [f'<a href="#{html.escape(name)}">{html.escape(name)}</a>', title, ports, rows]
        lines.append(tag("tr", "".join(tag("td", cell, 'class="name"') for cell in cells)))
    return tag("div", tag("table", "\n".join(lines), 'class="contents"'), 'class="scroll"')


def page(sections, problems):
    """The whole text. Adds to PROBLEMS."""
    experiments = [section(name, results, problems) for name, results in sections.items()]
    out = [
        tag("h1", "Exeunt: what it costs to take memory away"),
        tag("p", f"Results of {tag('code', 'make bench')}, put together on {time.strftime('%Y-%m-%d %H:%M')}. "
                 "Figures are guest instructions and counts in QEMU, not time, where the text does not say host time. "
                 f"{tag('code', 'tools/README.md')} says what the columns mean and how they are measured."),
        tag("p", f"To measure again: {tag('code', 'make bench')} does all experiments on x86_64, "
                 f"{tag('code', 'ARCH=')} names another port, {tag('code', 'FILTER=')} an experiment. "
                 "Results of several runs stand side by side here: each says its commit and date."),
        *(tag("p", html.escape(problem), 'class="problem"') for problem in problems),
        contents(sections),
        *experiments,
    ]
    head = ['<meta charset="utf-8">', '<meta name="viewport" content="width=device-width">',
            "<title>Exeunt: make bench</title>", tag("style", STYLE)]
    text = tag("head", "\n".join(head)) + tag("body", "\n".join(out))
    return "<!DOCTYPE html>\n" + tag("html", text, 'lang="en"') + "\n"


def write(folder, say=print):
    """Writes FOLDER/report.html of all results in FOLDER; false if there are none."""
    found, problems = [], [f"no plots: {bench_plots.PROBLEM}"] if bench_plots.PROBLEM else []
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        try:
            found.append(read(path))
        except ValueError as error:
            problems.append(f"{os.path.basename(path)} is left out: {error}")
    sections = {one["name"]: [result for result in found if result.experiment is one] for one in EXPERIMENTS}
    sections = {name: results for name, results in sections.items() if results}
    text = page(sections, problems)
    for problem in problems:
        say(f"report: {problem}")
    if not sections:
        say(f"report: no results in {folder}; make bench measures")
        return False
    path = os.path.join(folder, "report.html")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    say(f"report: {os.path.abspath(path)}")
    return True


if __name__ == "__main__":
    sys.exit(0 if write(os.path.join(qemu.ROOT, os.environ.get("OUT") or "out", "bench")) else 1)
