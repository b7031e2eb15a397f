"""The experiments of `make bench`, as data. tools/bench.py runs them; tools/README.md explains the columns.

name      FILTER= chooses by it                        title     what the table says
mode      lockstep (the critical path, vCPUs side by side), icount (exact sums), wall (host time, 2 vCPUs on 2 cores)
command   what init runs; {sizes}, {rounds} and {within} are filled in
vary      rows: each combination is a boot. A name with a dot is a kernel option; `cpus` and `nodes` are QEMU's
within    rows of the same boot: an option that exitcost sets to one value after the other; waits: for `turns` times
append    more kernel options                          mem       the guest's memory
samples   of each figure                               limit     seconds for a boot
age       a size that is measured first and not shown, so that no value of `within` finds fresher memory than others
fresh     a boot for each sample, because memory that was freed before is not what it was
rows      exits (of exitcost's child, by size), window (a phase of a program), waits (wait4() in exitcost)
phase     of a window: from where to where; the last time counts. Programs read /proc/vmstat before and after
per       of a window: what a unit is. A place of the kernel and how often it is passed, or a number in the JSON
counters  of a window: from the program's JSON, per unit already
base      the row that the others of the same combination are compared with
scopes    functions whose work is told apart; `free` is what policies do in parallel, `mm` what a lazy-TLB policy does
parallel  what a policy does in parallel: free (as above), or all of it; for Amdahl's bound
plots     what the report draws; colours are policies, names that are not on the x axis make panels

A plot
bars      names whose values make groups of bars       points    the same with points, for scales that do not begin at 0
curve     the name on the x axis, in powers of two     unit      of the y axis
y         a figure of the row                          parts     a sum: (what it is, figure[, figure to subtract]), ...
per       a figure that it is divided by               scale     a number that it is divided by
ratio     it is one to the base, which is a line at 1  line      (y, what it is): a line across
band      (from, to) on the y axis                     tick      (figure, what it is): a mark at each bar
whiskers  figures of the least and the most            samples   the same from the samples: y goes with 1 / this figure
floor     marks from which size on it pays             log       a logarithmic y axis
apart     each port has its own y axis, because figures of several ports are not to be compared

A policy or an option that this kernel does not have makes rows that say "not available". WITHOUT says what a kernel
does that does not have the option at all; that is measured.
"""

WITHOUT = {"vm.free_async": "off", "vm.gather_runs": 0, "vm.lazy_tlb": "refcount", "mem.shuffle": 0}

POLICIES = ["off", "batch", "node", "zap"]
LAZY_POLICIES = ["none", "refcount", "shootdown", "filtered", "hazard", "quiesce"]

# Where pages go back to the allocator, in a worker or not.
FREE = "gather_free_chain|free_page_runs|free_batches|free_page_bulk"
PARALLEL = {"batch": "free", "node": "free", "zap": "all"}

PATH = {
    "title": "speed-up of the critical path",
    "bars": ["cpus", "vm.gather_runs"],
    "y": "speed_up",
    "unit": "times as quick as off",
    "ratio": True,
    "tick": ("bound", "Amdahl's bound"),
    "samples": "path",
}
ALL_CPUS = {
    "title": "what all CPUs do",
    "bars": ["cpus", "vm.gather_runs"],
    "parts": [("freeing", "free"), ("the rest", "total", "free"), ("waiting", "spin")],
    "per": "pages",
    "unit": "instructions a page",
}

EXIT = {
    "mode": "lockstep",
    "rows": "exits",
    "command": "exitcost --json --size {sizes} --rounds {rounds}",
    "samples": 3,
    "base": {"vm.free_async": "off"},
    "scopes": {"free": FREE},
    "parallel": PARALLEL,
    "mem": "2G",
    "limit": 400,
}

IN_SWITCH = "in switch_mm() and what finishes it"
SWITCH_PLOTS = [
    {
        "title": "a switch there and back",
        "bars": ["cpus"],
        "parts": [(IN_SWITCH, "mm_busy"), ("the rest", "instructions", "mm_busy")],
        "unit": "instructions",
    },
    {"title": IN_SWITCH, "bars": ["cpus"], "y": "mm_busy", "unit": "instructions a switch"},
    {"title": "shared atomics", "bars": ["cpus"], "y": "shared", "unit": "shared atomics a switch"},
    {"title": "interrupts", "bars": ["cpus"], "y": "ipis_taken", "unit": "IPIs taken a switch"},
]
CHILD = {"bars": ["cpus", "vm.tlb_shootdown"]}
CHILD_PLOTS = [
    CHILD | {"title": "a child, from fork to wait", "y": "instructions", "unit": "instructions"},
    {
        "title": "the same, against refcount",
        "points": CHILD["bars"],
        "y": "to_base",
        "unit": "times as many instructions",
        "ratio": True,
    },
    CHILD | {"title": "shared atomics", "y": "shared", "unit": "shared atomics a child"},
    CHILD | {
        "title": "interrupts",
        "parts": [("for borrowers", "lazy_tlb_ipis"), ("for flushes", "tlb_shootdown_ipis")],
        "unit": "IPIs sent an exit",
    },
]

LAZY = {
    "mode": "icount",
    "rows": "window",
    "phase": ("vmstat_show", "vmstat_show"),
    "scopes": {"mm": "switch_mm|switch_mm_finish|lazy_tlb_enter|lazy_tlb_leave"},
    "base": {"vm.lazy_tlb": "refcount"},
    "mem": "512M",
    "limit": 300,
}

EXPERIMENTS = [
    EXIT | {
        "name": "exit.fresh",
        "title": "exit on fresh memory, by policy: the critical path, what bounds it, and what all CPUs do",
        "vary": {"cpus": [2, 4], "vm.gather_runs": [0, 1], "vm.free_async": POLICIES},
        "sizes": ["64M", "1G"],
        "fresh": True,
        "plots": [PATH, ALL_CPUS],
    },
    EXIT | {
        "name": "exit.shuffled",
        "title": "exit on shuffled memory, where physical runs are rare",
        "vary": {"cpus": [2, 4], "vm.gather_runs": [0, 1], "vm.free_async": POLICIES},
        "append": "mem.shuffle=1",
        "sizes": ["64M", "1G"],
        "plots": [PATH, ALL_CPUS],
    },
    EXIT | {
        "name": "exit.sweep",
        "title": "exit by size, hand-off after 512 pages: from which size on does it pay?",
        "command": "exitcost --json --size {sizes} --rounds {rounds} --policies {within}",
        "vary": {"cpus": [2, 4], "vm.gather_runs": [0, 1]},
        "within": ("vm.free_async", POLICIES),
        "append": "vm.free_async_threshold=512",
        "sizes": ["1M", "2M", "4M", "8M", "16M", "32M", "64M", "128M", "256M"],
        "age": "512M",
        "samples": 5,
        "floor": True,
        "plots": [{
            "title": "speed-up of the critical path, by size",
            "curve": "size",
            "y": "speed_up",
            "unit": "times as quick as off",
            "ratio": True,
            "floor": True,
        }],
    },
    EXIT | {
        "name": "exit.seed",
        "title": "exit of 4 GiB with the threshold that the idea was published with, 1 GiB",
        "vary": {"cpus": [2, 4], "vm.gather_runs": [0, 1], "vm.free_async": ["off", "batch", "node"]},
        "append": "vm.free_async_threshold=262144",
        "sizes": ["4G"],
        "samples": 1,
        "mem": "6G",
        "limit": 900,
        "plots": [PATH, ALL_CPUS],
    },
    EXIT | {
        "name": "exit.nodes",
        "title": "exit of memory that threads on all nodes have touched: are workers = nodes right?",
        "command": "exitcost --json --threads 4 --join --size {sizes} --rounds {rounds}",
        "vary": {"cpus": [4], "nodes": [1, 2, 4], "vm.gather_runs": [0, 1], "vm.free_async": POLICIES},
        "append": "vm.free_async_threshold=4096",
        "sizes": ["256M"],
        "plots": [PATH | {"bars": ["nodes"]}, ALL_CPUS | {"bars": ["nodes"]}],
    },
    EXIT | {
        "name": "exit.total",
        "title": "exit, instructions of all CPUs, one at a time (exact)",
        "mode": "icount",
        "vary": {"cpus": [4], "nodes": [1, 2], "vm.gather_runs": [0, 1], "vm.free_async": POLICIES},
        "sizes": ["1M", "4M", "16M", "64M", "256M", "1G"],
        "plots": [{
            "title": "instructions of all CPUs, by size, and 3 % to both sides of off",
            "curve": "size",
            "y": "to_base",
            "unit": "times as many as off",
            "ratio": True,
            "band": (0.97, 1.03),
        }],
    },
    EXIT | {
        "name": "exit.aged",
        "title": "exit, instructions of all CPUs, of memory that many exits have been through",
        "mode": "icount",
        "vary": {"cpus": [4], "vm.gather_runs": [0, 1], "vm.free_async": POLICIES},
        "sizes": ["256M"],
        "samples": 12,
        "plots": [{
            "title": "what all CPUs do, a page",
            "bars": ["vm.gather_runs"],
            "parts": [("freeing", "free"), ("the rest", "total", "free")],
            "per": "pages",
            "unit": "instructions a page",
        }],
    },
    EXIT | {
        "name": "exit.stretch",
        "title": "exit of 4 GiB: the longest stretch without a yield",
        "mode": "icount",
        "vary": {"cpus": [2], "mem.shuffle": [0, 1], "vm.gather_runs": [0, 1], "vm.free_async": POLICIES},
        "append": "vm.free_async_threshold=262144",
        "sizes": ["4G"],
        "samples": 1,
        "mem": "6G",
        "limit": 900,
        "plots": [{
            "title": "the longest stretch without a yield",
            "points": ["mem.shuffle", "vm.gather_runs"],
            "y": "longest",
            "unit": "instructions",
            "line": (2000000, "the most that is allowed"),
            "log": True,
        }],
    },
    {
        "name": "exit.wall",
        "title": "exit of 1 GiB, host time on 2 host cores: the parent's wait",
        "mode": "wall",
        "rows": "waits",
        "command": "exitcost --json --size 1G --rounds {rounds} --policies {within}",
        "samples": 3,
        "turns": 3,
        "vary": {"cpus": [2], "mem.shuffle": [0, 1]},
        "within": ("vm.free_async", POLICIES),
        "base": {"vm.free_async": "off"},
        "mem": "2G",
        "limit": 600,
        "plots": [{
            "title": "the parent's wait: median, least and most",
            "bars": ["mem.shuffle"],
            "y": "wait_ns",
            "scale": 1000000,
            "unit": "ms",
            "whiskers": ("wait_min_ns", "wait_max_ns"),
            "apart": True,
        }],
    },
    LAZY | {
        "name": "lazy.pingpong",
        "title": "lazy TLB: user -> idle -> user on all CPUs; what one switch there and back costs",
        "command": "lazyswitch pingpong --json --rounds 1 --ms 50",
        "vary": {"cpus": [2, 8], "vm.lazy_tlb": LAZY_POLICIES},
        "per": {"place": "switch_mm", "passes": 2},
        "counters": ("per_switch", ["ipis", "lazy_tlb_ipis"]),
        "plots": SWITCH_PLOTS,
    },
    LAZY | {
        "name": "lazy.beside",
        "title": "lazy TLB: the same with CPUs that run side by side, so that they do compete for lines",
        "mode": "lockstep",
        "command": "lazyswitch pingpong --json --rounds 1 --ms 200",
        "vary": {"cpus": [4], "vm.lazy_tlb": LAZY_POLICIES},
        "per": {"place": "switch_mm", "passes": 2},
        "counters": ("per_switch", ["ipis", "lazy_tlb_ipis"]),
        "plots": SWITCH_PLOTS,
    },
    LAZY | {
        "name": "lazy.storm",
        "title": "lazy TLB: a storm of fork and exit; what one child costs, from fork to wait",
        "command": "lazyswitch storm --json --rounds 1 --children 500",
        "vary": {"cpus": [2, 8], "vm.tlb_shootdown": ["ipi", "broadcast"], "vm.lazy_tlb": LAZY_POLICIES},
        "per": {"json": "children"},
        "counters": ("per_exit", ["ipis", "tlb_shootdown_ipis", "lazy_tlb_ipis"]),
        "plots": CHILD_PLOTS,
    },
    LAZY | {
        "name": "lazy.hop",
        "title": "lazy TLB: children that were on eight CPUs, which are idle when the child exits",
        "command": "lazyswitch storm --json --rounds 1 --procs 1 --hop 8 --children 200",
        "vary": {"cpus": [8], "vm.tlb_shootdown": ["ipi", "broadcast"], "vm.lazy_tlb": LAZY_POLICIES},
        "per": {"json": "children"},
        "counters": ("per_exit", ["ipis", "tlb_shootdown_ipis", "lazy_tlb_ipis"]),
        "plots": CHILD_PLOTS,
    },
]
