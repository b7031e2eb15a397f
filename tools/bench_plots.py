"""The plots of the report: rows of an experiment and what its `plots` say (tests/bench/experiments.py) become SVG.

A figure has a panel for each combination of what is not on the x axis. Policies are colours, the same ones everywhere.
Drawn with matplotlib; without it PROBLEM says why, and nothing is drawn. Places and sizes are computed here, in inches,
so that the figures of several ports have the same shape.
"""
import html
import io
import itertools
import os
import re
import sys

import bench_table
import qemu

sys.path.insert(0, os.path.join(qemu.ROOT, "tests/bench"))
from experiments import EXPERIMENTS

try:
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
    PROBLEM = None
except Exception as error:  # pylint: disable=broad-except
    # It may be there and not fit: built for another Python, or for another numpy.
    PROBLEM = (f"{sys.executable} can not import matplotlib ({error}); run tools/setup report (Debian and Ubuntu: "
               "python3-matplotlib), and make without PYTHON= of your own")

# Okabe and Ito's palette, which colour-blind readers can tell apart; the base of a comparison is grey.
BASE = "#777777"
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#D55E00", "#0072B2", "#CC79A7", "#F0E442")
MARKERS = "sD^vPX"
SHADES = (1.0, 0.45, 0.10)
GREY, DARK, BAD = "#666666", "#222222", "#b00000"
# Inches. The height of a title line and a panel, what is around them, and how wide things get.
LEFT, RIGHT, TOP, TITLE, BETWEEN, BELOW = 0.85, 0.15, 0.30, 0.25, 0.45, 0.65
LEGEND_LINE, CHARACTER, HANDLE = 0.20, 0.075, 0.50
PANEL_HEIGHT, PANEL_WIDTH, BAR_WIDTH = 2.1, 3.3, 0.17
STYLE = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlepad": 4,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": DARK,
    "ytick.labelcolor": DARK,
    "text.color": DARK,
    "axes.labelcolor": DARK,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


def values_of(experiment, rows, key):
    """The values of a name in the rows, in the experiment's order."""
    name, within = experiment.get("within", (None, []))
    known = within if key == name else experiment["sizes"] if key == "size" else experiment["vary"].get(key, [])
    seen = [row[key] for row in rows if key in row]
    return [value for value in known if value in seen or not seen] + sorted(set(seen) - set(known), key=str)


def styles(key, values):
    """{value of a policy's name: (colour, marker)}; by the order in which the experiments name them."""
    every = list(dict.fromkeys(
        value for one in EXPERIMENTS for value in values_of(one, [], key) if one["base"].get(key) != value))
    found = {value: (COLOURS[at % len(COLOURS)], MARKERS[at % len(MARKERS)]) for at, value in enumerate(every)}
    return {value: found.get(value, (BASE, "o")) for value in values}


def row_of(rows, wanted):
    """The row with these values. That of a boot that failed has no values for what changes within a boot."""
    return next((row for row in rows if all(row.get(key, value) == value for key, value in wanted.items())), None)


def figure_of(row, plot, name, less=None):
    """What is drawn of a row, or None if this kernel or port has no such figure."""
    names = [one for one in (name, less, plot.get("per")) if one]
    if row["status"] != "ok" or any(row.get(one) is None for one in names):
        return None
    value = row[name] - (row[less] if less else 0)
    return value / (row[plot["per"]] if "per" in plot else 1) / plot.get("scale", 1)


def why_not(row, plot):
    """What stands where a figure should be."""
    if row["status"] == "ok":
        return "no base" if plot.get("ratio") else "no figure"
    return "FAILED" if row["status"] == "failed" else row["status"]


def extent(row, plot, value):
    """From where to where samples went, or None."""
    if "whiskers" in plot:
        return [figure_of(row, plot, name) for name in plot["whiskers"]]
    if "samples" in plot and len(row["samples"]) > 1:
        found = [value * row[plot["samples"]] / sample[plot["samples"]] for sample in row["samples"]]
        return [min(found), max(found)]
    return None


def lines_of(handles, width):
    """Entries of a legend in lines that are not wider than the figure, as far as one can tell without the font."""
    lines, room = [], 0
    for handle in handles:
        wanted = HANDLE + CHARACTER * len(handle.get_label())
        if not lines or wanted > room:
            lines.append([])
            room = width
        lines[-1].append(handle)
        room -= wanted
    return lines


def pale(colour, shade):
    """A colour mixed with white: what is behind it is not seen through."""
    return [1 - (1 - part) * shade for part in matplotlib.colors.to_rgb(colour)]


class Drawing:
    """One plot of one result."""

    def __init__(self, experiment, rows, plot, arch):
        self.rows, self.plot = rows, plot
        self.policy, self.base = next(iter(experiment["base"].items()))
        self.title = f"{arch}: {plot['title']}"
        self.x = plot.get("bars") or plot.get("points") or [plot["curve"]]
        keys = bench_table.keys_of(experiment)
        self.values = {key: values_of(experiment, rows, key) for key in keys}
        self.policies = [one for one in self.values[self.policy] if not (plot.get("ratio") and one == self.base)]
        self.styles = styles(self.policy, self.policies)
        self.fixed = [key for key in keys if len(self.values[key]) == 1]
        self.panels = [key for key in keys if key not in (*self.x, *self.fixed, self.policy)]
        self.named = [key for key in keys if key in (*self.panels, *self.fixed)]
        self.parts = plot.get("parts") or [("", plot["y"])]
        self.floors = [row for _, row in bench_table.floors(experiment, rows) if row] if plot.get("floor") else []
        self.figure = self.make_figure()

    def make_figure(self):
        first = self.values[self.panels[0]] if len(self.panels) > 1 else [None]
        rest = self.panels[1:] if len(self.panels) > 1 else self.panels
        beside = list(itertools.product(*(self.values[key] for key in rest)))
        self.groups = list(itertools.product(*(self.values[key] for key in self.x)))
        self.labels = [self.label(group) for group in self.groups]
        wide = PANEL_WIDTH
        if "curve" not in self.plot:
            words = max(len(line) for label in self.labels for line in label.split("\n")) + 2
            wide = max(len(self.groups) * max(CHARACTER * words, BAR_WIDTH * (len(self.policies) + 1.5)), wide)
        width = LEFT + len(beside) * (wide + BETWEEN) - BETWEEN + RIGHT
        key = CHARACTER * len(self.policy) + 0.15
        legend = lines_of(self.legend(), width - key)
        top = TOP + LEGEND_LINE * len(legend) + TITLE
        height = top + len(first) * (PANEL_HEIGHT + BELOW)
        figure = Figure((width, height))
        figure.text(0.05 / width, 1 - 0.06 / height, self.title, weight="bold", size=9, va="top")
        figure.text(0.05 / width, 1 - (TOP + 0.025) / height, self.policy, va="top")
        for at, handles in enumerate(legend):
            place = key / width, 1 - (TOP + at * LEGEND_LINE) / height
            figure.legend(handles=handles, loc="upper left", bbox_to_anchor=place, ncol=len(handles), handlelength=1.6,
                          columnspacing=1.2, borderaxespad=0, borderpad=0.2)
        share = None
        for (down, above), (across, values) in itertools.product(enumerate(first), enumerate(beside)):
            low = height - top - down * (PANEL_HEIGHT + BELOW) - PANEL_HEIGHT
            place = (LEFT + across * (wide + BETWEEN)) / width, low / height, wide / width, PANEL_HEIGHT / height
            share = axes = figure.add_axes(place, sharey=share)
            where = dict(zip(rest, values)) | ({self.panels[0]: above} if above is not None else {})
            self.panel(axes, where)
            if across == 0:
                axes.set_ylabel(self.plot["unit"])
        return figure

    def label(self, group):
        """What stands below a group of bars; what is the same for all does not."""
        names = [f"{bench_table.short(key)}={value}" for key, value in zip(self.x, group) if key not in self.fixed]
        return "\n".join(names)

    def legend(self):
        policies = [(str(one), *self.styles[one]) for one in self.policies]
        if "bars" in self.plot:
            handles = [Patch(color=colour, label=label) for label, colour, _ in policies]
        else:
            handles = [Line2D([], [], color=colour, marker=marker, markersize=4, label=label,
                              linestyle="-" if "curve" in self.plot else "") for label, colour, marker in policies]
        if "parts" in self.plot:
            handles += [Patch(facecolor=pale(BASE, shade), edgecolor=BASE, linewidth=0.5, label=label)
                        for (label, *_), shade in zip(self.parts, SHADES)]
        if self.line():
            handles.append(Line2D([], [], color=DARK, linestyle="--", linewidth=0.9, label=self.line()[1]))
        if "tick" in self.plot:
            handles.append(Line2D([], [], color="black", linewidth=1.6, label=self.plot["tick"][1]))
        if self.floors:
            handles.append(Line2D([], [], color=DARK, marker="o", markersize=9, fillstyle="none", linestyle="",
                                  label="not slower from here on"))
        return handles

    def line(self):
        return (1, self.base) if self.plot.get("ratio") else self.plot.get("line")

    def panel(self, axes, where):
        where = where | {key: self.values[key][0] for key in self.fixed}
        axes.set_title(", ".join(f"{bench_table.short(key)}={where[key]}" for key in self.named), loc="left")
        if self.plot.get("log"):
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_minor_locator(NullLocator())
        if "band" in self.plot:
            axes.axhspan(*self.plot["band"], color="#eeeeee", zorder=0)
        if self.line():
            axes.axhline(self.line()[0], color=DARK, linestyle="--", linewidth=0.9, zorder=1)
        if "curve" in self.plot:
            self.curves(axes, where)
        else:
            self.bars(axes, where)
        form = FuncFormatter(lambda value, _: f"{value:,.6g}" if value < 1e5 else f"{value:,.0f}")
        axes.yaxis.set_major_formatter(form)

    def bars(self, axes, where):
        step = 0.8 / max(len(self.policies), 1)
        for (at, group), (order, policy) in itertools.product(enumerate(self.groups), enumerate(self.policies)):
            x = at + (order - (len(self.policies) - 1) / 2) * step
            row = row_of(self.rows, where | dict(zip(self.x, group)) | {self.policy: policy})
            if row:
                self.bar(axes, x, step, row, policy)
        axes.set_xlim(-0.55, len(self.groups) - 0.45)
        axes.set_xticks(range(len(self.groups)), self.labels)
        axes.tick_params(axis="x", length=0)

    def bar(self, axes, x, step, row, policy):
        (colour, marker), bottom = self.styles[policy], 0
        for (_, *names), shade in zip(self.parts, SHADES):
            value = figure_of(row, self.plot, *names)
            if value is None:
                why = why_not(row, self.plot)
                axes.text(x, 0.02, why, rotation=90, size=6.5, ha="center", va="bottom",
                          transform=axes.get_xaxis_transform(), color=BAD if why == "FAILED" else GREY)
                return
            if "points" in self.plot:
                axes.plot(x, value, marker, color=colour, markersize=5)
            else:
                axes.bar(x, value, step * 0.88, bottom, color=pale(colour, shade), edgecolor=colour, linewidth=0.5)
            bottom += value
        reach = extent(row, self.plot, bottom)
        if reach:
            axes.vlines(x, *reach, color="black", linewidth=0.9)
        mark = figure_of(row, self.plot, self.plot["tick"][0]) if "tick" in self.plot else None
        if mark is not None:
            axes.hlines(mark, x - step * 0.44, x + step * 0.44, color="black", linewidth=1.6)

    def curves(self, axes, where):
        name, absent = self.x[0], {}
        for policy in self.policies:
            colour, marker = self.styles[policy]
            here = where | {self.policy: policy}
            rows = {value: row_of(self.rows, here | {name: value}) for value in self.values[name]}
            points = {value: figure_of(row, self.plot, self.plot["y"]) for value, row in rows.items() if row}
            bad = {value: why_not(rows[value], self.plot) for value, y in points.items() if y is None}
            for why in sorted(set(bad.values())):
                at = [value for value in bad if bad[value] == why]
                words = why + (f" at {', '.join(at)}" if len(at) < len(points) else "")
                absent.setdefault(words, []).append(policy)
            sizes = [qemu.size(value) for value in points]
            heights = [float("nan") if y is None else y for y in points.values()]
            axes.plot(sizes, heights, color=colour, marker=marker, markersize=3.5, linewidth=1.3)
            floor = row_of(self.floors, here)
            if floor:
                at = qemu.size(floor[name]), floor[self.plot["y"]]
                axes.plot(*at, "o", color=colour, markersize=9, fillstyle="none")
        sizes = [qemu.size(value) for value in self.values[name]]
        axes.set_xscale("log", base=2)
        axes.set_xlim(sizes[0] / 1.3, sizes[-1] * 1.3)
        axes.set_xticks(sizes, self.values[name])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(name, loc="left")
        text = "; ".join(f"{', '.join(policies)}: {why}" for why, policies in absent.items())
        axes.text(1, -0.165, text, transform=axes.transAxes, size=6.5, color=BAD, ha="right", va="center")


def share_scale(drawings):
    """The same y axis for all, so that figures of several ports can be compared by eye."""
    limits = [drawing.figure.axes[0].get_ylim() for drawing in drawings]
    for drawing in drawings:
        drawing.figure.axes[0].set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def to_svg(drawing, salt):
    """Text of an <svg> element. Its ids, of which used ones are kept, differ from those of other figures (SALT)."""
    made = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": salt}):
        drawing.figure.savefig(made, format="svg", metadata=nothing)
    text = made.getvalue()
    text = text[text.index("<svg"):]
    used = set(re.findall(r'#([^")]+)[")]', text))
    text = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else "", text)
    text = text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(drawing.title)}" ', 1)
    return re.sub(r"<!--.*?-->\n?", "", text, flags=re.S)


def draw(name, plot, results):
    """The SVG of one plot for each of (arch, experiment, rows)."""
    with matplotlib.rc_context(STYLE):
        drawings = [Drawing(experiment, rows, plot, arch) for arch, experiment, rows in results]
        if not plot.get("apart"):
            share_scale(drawings)
        return [to_svg(drawing, f"{name} {arch} {plot['title']}") for drawing, (arch, _, _) in zip(drawings, results)]
