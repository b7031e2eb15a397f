"""The tables of `make bench`: header lines, then a row for each combination, then what follows from them."""


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


def render_header(head):
    append = f", {head['append']}" if head["append"] else ""
    loads = f"load {head['host_load']} before, {head['host_load_after']} after"
    lines = [
        f"{head['arch']}: {head['machine']}, CPU {head['guest_cpu']}, {head['memory']}{append}",
        f"{head['qemu']}; {head['accelerator']}",
        f"host: {head['host_cpu']}, THP {head['host_thp']}, {loads}",
        f"commit {head['commit']}, {head['date']}, {head['seconds']} s; {head['command']}",
    ]
    return "\n".join(lines)


def render_rows(experiment, rows):
    keys, columns = keys_of(experiment), columns_of(experiment)
    cells = [[key.split(".")[-1] for key in keys] + [title for title, _ in columns]]
    remarks = [""]
    for row in rows:
        line = [str(row.get(key, "")) for key in keys]
        good = row["status"] == "ok"
        cells.append(line + ([show(row) for _, show in columns] if good else [""] * len(columns)))
        status = row["status"].upper() if row["status"] == "failed" else row["status"]
        remarks.append("" if good else f"{status}: {row['reason']}")
    widths = [max(len(line[at]) for line in cells) for at in range(len(cells[0]))]
    out = []
    for line, remark in zip(cells, remarks):
        if remark:
            out.append("  ".join(text.ljust(width) for text, width in zip(line[:len(keys)], widths)) + "  " + remark)
            continue
        left = [text.ljust(width) for text, width in zip(line[:len(keys)], widths)]
        right = [text.rjust(width) for text, width in zip(line[len(keys):], widths[len(keys):])]
        out.append("  ".join(left + right).rstrip())
    out.insert(1, "-" * max(len(line) for line in out))
    return "\n".join(out)


def floors(experiment, rows):
    """From which size on a policy is not slower than the base, for each combination."""
    base_key, base_value = next(iter(experiment["base"].items()))
    groups = {}
    for row in rows:
        if row["status"] == "ok" and row.get("speed_up") is not None and row[base_key] != base_value:
            name = " ".join(f"{key.split('.')[-1]}={row[key]}" for key in by_policy(experiment))
            groups.setdefault(name, []).append(row)
    lines = []
    for name, group in groups.items():
        floor = None
        for row in reversed(group):
            if row["speed_up"] < 1:
                break
            floor = row["size"]
        verdict = f"not slower from {floor} on" if floor else "slower at the largest size"
        lines.append(f"{name}: {verdict}")
    return "\n".join(lines)


def notes(experiment, rows):
    slips, late = (sum(row.get(key, 0) for row in rows) for key in ("slips", "late"))
    lines = [floors(experiment, rows)] if experiment.get("floor") else []
    if slips:
        lines.append(f"lockstep slipped {slips} times: vCPUs were waited for in vain, times are less exact")
    if late:
        lines.append(f"{late} interrupts were not taken while their sender waited; it went on")
    return "\n".join(line for line in lines if line)


def render(head, experiment, rows):
    parts = [render_header(head), "", render_rows(experiment, rows), notes(experiment, rows)]
    return "\n".join(parts).rstrip()
