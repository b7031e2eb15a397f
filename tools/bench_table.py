"""The tables of `make bench`: header lines, then a row for each combination, then what follows from them.

They are rendered as text for the console here; bench_report.py makes HTML of the same lines and cells.
"""


def number(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def ratio(value):
    return "-" if value is None else f"{value:.2f}"


def percent(value):
    return "-" if value is None else f"{100 * value:.1f}%"


def each(key, per, digits=2):
    """A figure divided by another one of its row."""
    def show(row):
        return number(row[key] / row[per] if row.get(key) is not None and row.get(per) else None, digits)
    return show


def plain(key, form, *args):
    return lambda row: form(row.get(key), *args)


# (heading, function of the row) by what the rows are
LOCKSTEP_EXITS = [
    ("path", plain("path", number)),
    ("/page", each("path", "pages", 1)),
    ("speed-up", plain("speed_up", ratio)),
    ("bound", plain("bound", ratio)),
    ("of it", plain("of_bound", ratio)),
    ("ceiling", plain("ceiling", ratio)),
    ("all CPUs", plain("total", number)),
    ("to off", plain("to_base", ratio)),
    ("busiest", plain("busiest", number)),
    ("waiting", plain("spin", number)),
    ("freeing", plain("free", number)),
    ("atomics", plain("atomics", number)),
    ("shared", plain("shared", number)),
    ("fences", plain("fences", number)),
    ("lines", plain("transfers", number)),
    ("IPIs", plain("ipis", number)),
    ("longest", plain("longest", number)),
    ("spread", plain("spread", percent)),
]
ICOUNT_EXITS = [
    ("all CPUs", plain("total", number)),
    ("to off", plain("to_base", lambda value: "-" if value is None else f"{value:.3f}")),
    ("/page", each("total", "pages")),
    ("freeing/page", each("free", "pages")),
    ("atomics/page", each("atomics", "pages")),
    ("shared/page", each("shared", "pages", 3)),
    ("fences/page", each("fences", "pages")),
    ("lines/page", each("transfers", "pages", 3)),
    ("IPIs", plain("ipis", number)),
    ("longest", plain("longest", number)),
    ("spread", plain("spread", percent)),
]
WAITS = [
    ("wait ms", lambda row: number(row["wait_ns"] / 1e6, 1)),
    ("min..max", lambda row: f"{row['wait_min_ns'] / 1e6:.1f}..{row['wait_max_ns'] / 1e6:.1f}"),
    ("speed-up", plain("speed_up", ratio)),
    ("times", plain("times", number)),
]


def window_columns(experiment):
    columns = [
        ("units", plain("units", number)),
        ("instructions", plain("instructions", number)),
        ("to base", plain("to_base", ratio)),
        ("atomics", plain("atomics", number, 2)),
        ("shared", plain("shared", number, 2)),
        ("fences", plain("fences", number, 2)),
        ("lines", plain("transfers", number, 2)),
        ("IPIs taken", plain("ipis_taken", number, 3)),
    ]
    columns += [(name.replace("_", " "), plain(name, number, 3)) for name in experiment["counters"][1]]
    titles = {"busy": "instr", "atomics": "atomics", "shared": "shared", "fences": "fences", "transfers": "lines"}
    for scope in experiment.get("scopes", {}):
        for key, title in titles.items():
            columns.append((f"{scope}: {title}", plain(f"{scope}_{key}", number, 2)))
    return columns


def columns_of(experiment):
    if experiment["rows"] == "window":
        return window_columns(experiment)
    if experiment["rows"] == "waits":
        return WAITS
    return ICOUNT_EXITS if experiment["mode"] == "icount" else LOCKSTEP_EXITS


def keys_of(experiment):
    keys = list(experiment["vary"]) + (["size"] if "sizes" in experiment else [])
    return keys + ([experiment["within"][0]] if "within" in experiment else [])


def by_policy(experiment):
    """What names a curve over sizes."""
    return list(experiment["vary"]) + ([experiment["within"][0]] if "within" in experiment else [])


def short(key):
    return key.split(".")[-1]


def header_lines(head):
    append = f", {head['append']}" if head["append"] else ""
    loads = f"load {head['host_load']} before, {head['host_load_after']} after"
    return [
        f"{head['arch']}: {head['machine']}, CPU {head['guest_cpu']}, {head['memory']}{append}",
        f"{head['qemu']}; {head['accelerator']}",
        f"host: {head['host_cpu']}, THP {head['host_thp']}, {loads}",
        f"commit {head['commit']}, {head['date']}, {head['seconds']} s; {head['command']}",
    ]


def headings(experiment):
    """What is above the cells that name a row, and above its figures."""
    return [short(key) for key in keys_of(experiment)], [title for title, _ in columns_of(experiment)]


def cells(experiment, rows):
    """For each row the cells that name it, those of its figures, and what there is to say if it has none."""
    keys, columns = keys_of(experiment), columns_of(experiment)
    for row in rows:
        name = [str(row.get(key, "")) for key in keys]
        if row["status"] == "ok":
            yield name, [show(row) for _, show in columns], ""
        else:
            status = row["status"].upper() if row["status"] == "failed" else row["status"]
            yield name, [], f"{status}: {row['reason']}"


def render_rows(experiment, rows):
    lines = [(*headings(experiment), ""), *cells(experiment, rows)]
    names = [max(map(len, column)) for column in zip(*(name for name, _, _ in lines))]
    figures = [max(map(len, column)) for column in zip(*(found for _, found, _ in lines if found))]
    out = []
    for name, found, remark in lines:
        left = [text.ljust(width) for text, width in zip(name, names)]
        right = [text.rjust(width) for text, width in zip(found, figures)]
        out.append("  ".join(left + right + [remark]).rstrip())
    out.insert(1, "-" * max(len(line) for line in out))
    return "\n".join(out)


def floors(experiment, rows):
    """For each curve over sizes its name, and the row from which on the policy is not slower than the base, or None."""
    base_key, base_value = next(iter(experiment["base"].items()))
    groups = {}
    for row in rows:
        if row["status"] == "ok" and row.get("speed_up") is not None and row[base_key] != base_value:
            name = " ".join(f"{short(key)}={row[key]}" for key in by_policy(experiment))
            groups.setdefault(name, []).append(row)
    for name, group in groups.items():
        floor = None
        for row in reversed(group):
            if row["speed_up"] < 1:
                break
            floor = row
        yield name, floor


def notes(experiment, rows):
    slips, late = (sum(row.get(key, 0) for row in rows) for key in ("slips", "late"))
    lines = []
    for name, floor in floors(experiment, rows) if experiment.get("floor") else []:
        verdict = f"not slower from {floor['size']} on" if floor else "slower at the largest size"
        lines.append(f"{name}: {verdict}")
    if slips:
        lines.append(f"lockstep slipped {slips} times: vCPUs were waited for in vain, times are less exact")
    if late:
        lines.append(f"{late} interrupts were not taken while their sender waited; it went on")
    return lines


def render(head, experiment, rows):
    parts = [*header_lines(head), "", render_rows(experiment, rows), *notes(experiment, rows)]
    return "\n".join(parts).rstrip()
