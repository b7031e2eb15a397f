"""How to start Exeunt in QEMU: the machines as data, one function that builds the command line, one that runs it.

tools/run is the command-line face of this; the test runner and the benchmark check import it. Settings come as a mapping of
the words that `make run` takes (ARCH SMP MEM CMD APPEND ...), so that os.environ can be passed as it is.

The guest's status is told twice: by QEMU's exit status where the machine has a device for it, and always by the closing line
`exeunt: exit status N` on the console. Both must agree; what goes wrong gets a status of its own (NO_STATUS, TIMED_OUT).
"""
import ctypes
import os
import re
import select
import shlex
import shutil
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST_QEMU = (7, 0)
TIMED_OUT = 124
NO_STATUS = 125
GIB = 1 << 30
SPARSE_ABOVE = 16 * GIB
CLOSING = re.compile(rb"exeunt: exit status (\d+)")


def doubling(cpus, nodes):
    """Shares of CPUs of which each is at least as large as all before it together."""
    shares = []
    while nodes > 1:
        nodes -= 1
        shares.insert(0, cpus - cpus // 2)
        cpus //= 2
    return [cpus] + shares


# image   what -kernel gets, in the build folder          extra   devices every boot has
# extra_for   devices of machines whose name begins so
# status  from the guest's status to QEMU's exit status; None: the machine cannot tell, only the closing line counts
# numa_cpus  the shares of CPUs that several NUMA nodes must have, if not even ones
MACHINES = {
    "x86_64": {
        "qemu": "qemu-system-x86_64",
        "package": "qemu-system-x86",
        "machine": "q35",
        "cpu": "max",
        "image": "exeunt.elf",
        "extra": ["-vga", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"],
        "status": lambda code: (code << 1 | 1) & 0xFF,
        # More RAM than 40 physical bits reach needs a wider address bus.
        "cpu_for": [(900 * GIB, "max,phys-bits=48"), (16384 * GIB, "max,phys-bits=52")],
    },
    "riscv64": {
        "qemu": "qemu-system-riscv64",
        "package": "qemu-system-misc",
        "machine": "virt",
        "cpu": "rv64",
        "image": "Image",
        "extra": ["-bios", "default"],
        # The interrupt controller of a node reaches CPUs with numbers below twice its own number of CPUs.
        "numa_cpus": doubling,
        "status": lambda code: code & 0xFF,
    },
    "arm64": {
        "qemu": "qemu-system-aarch64",
        "package": "qemu-system-arm",
        "machine": "virt,gic-version=3",
        "cpu": "cortex-a72",
        "image": "Image",
        "extra": ["-semihosting"],
        "status": lambda code: code & 0xFF,
    },
    "ppc64": {
        "qemu": "qemu-system-ppc64",
        "package": "qemu-system-ppc",
        "machine": "pseries,x-vof=on",
        "cpu": "power9",
        "image": "exeunt.elf",
        "extra": ["-vga", "none"],
        # The bare machine is switched off by its service processor.
        "extra_for": {"powernv": ["-device", "ipmi-bmc-sim,id=bmc", "-device", "isa-ipmi-bt,bmc=bmc,irq=10"]},
        "status": lambda code: None,
    },
}


class Problem(Exception):
    """Something the user can set right; its text is one clear line."""


def switch(settings, name):
    """Is an on/off setting on? Unset, empty, 0, n and no are off."""
    return settings.get(name, "") not in ("", "0", "n", "no")


def size(text):
    """Bytes of a size such as 512M, 2G or 1T (a bare number is MiB, as for QEMU's -m)."""
    match = re.fullmatch(r"(\d+)([KMGT]?)", text.strip().upper())
    if not match:
        raise Problem(f"MEM={text}: not a size; write it like 512M, 2G or 1T")
    return int(match[1]) << {"K": 10, "M": 20, "": 20, "G": 30, "T": 40}[match[2]]


def smp(settings):
    text = settings.get("SMP") or "4"
    if not text.isdigit() or not int(text):
        raise Problem(f"SMP={text}: not a number of CPUs")
    return int(text)


def nodes(settings):
    """What each NUMA node has, as words of m (memory) and c (CPUs): NODES=2 is mc,mc; NODES=mc,m,c is written out."""
    text = settings.get("NODES") or "1"
    if text.isdigit() and int(text):
        return ["mc"] * int(text)
    words = text.split(",")
    if not set(words) <= {"m", "c", "mc"} or not all(any(kind in word for word in words) for kind in "mc"):
        raise Problem(f"NODES={text}: a number, or a word for each node: m (memory), c (CPUs) or mc, like mc,m,c")
    return words


def even(total, count, unit=1):
    """TOTAL in COUNT shares that differ by a UNIT at most; the last one has what is not a multiple of it."""
    marks = [total * i // count // unit * unit for i in range(count)] + [total]
    return [end - begin for begin, end in zip(marks, marks[1:])]


def cpu_shares(settings, words):
    """How many CPUs each node has. Even shares, larger ones first, where the machine can do it."""
    cpus, count = smp(settings), sum("c" in word for word in words)
    shares = even(cpus, count)[::-1]
    if "numa_cpus" in machine(settings):
        shares = machine(settings)["numa_cpus"](cpus, count)
        if "m" in words or min(shares) < 1:
            raise Problem(f"NODES={settings['NODES']}: this board needs CPUs in each node, and SMP={1 << count - 1} for {count} nodes")
    shares = iter(shares)
    return [next(shares) if "c" in word else 0 for word in words]


def numa(settings, memory):
    """QEMU's options for several nodes: memory in even shares, neighbours in pairs at distance 20, others at 40."""
    words, argv, cpu = nodes(settings), [], 0
    if len(words) == 1:
        return []
    with_memory = sum("m" in word for word in words)
    unit = 256 << 20 if memory >= with_memory << 28 else 1 << 20
    shares = iter(even(memory, with_memory, unit))
    sparse = ",reserve=off" if memory > SPARSE_ABOVE else ""
    for node, (word, count) in enumerate(zip(words, cpu_shares(settings, words))):
        option = f"node,nodeid={node}"
        if "m" in word:
            argv += ["-object", f"memory-backend-ram,id=ram{node},size={next(shares)}{sparse}"]
            option += f",memdev=ram{node}"
        if count:
            option += f",cpus={cpu}-{cpu + count - 1}"
            cpu += count
        argv += ["-numa", option]
    for a in range(len(words)):
        for b in range(a):
            argv += ["-numa", f"dist,src={b},dst={a},val={20 if a // 2 == b // 2 else 40}"]
    return argv


def build_dir(settings):
    """Where the makefile puts this kernel; the same rule as BUILD there."""
    name = settings.get("ARCH") or "x86_64"
    name += "-debug" if switch(settings, "DEBUG") else ""
    name += "-break-" + re.sub("[^a-z0-9]", "-", settings["break"]) if settings.get("break") else ""
    return os.path.join(settings.get("OUT") or "out", name)


def thread_mode(settings):
    """MTTCG is real parallelism as long as every vCPU has a host core; beyond that one thread is far quicker."""
    asked = settings.get("THREAD") or "auto"
    if asked not in ("auto", "single", "multi"):
        raise Problem(f"THREAD={asked}: auto, single or multi")
    if switch(settings, "ICOUNT"):
        return "single"
    if asked != "auto":
        return asked
    return "single" if smp(settings) > len(os.sched_getaffinity(0)) else "multi"


def quote(word):
    """A word of CMD as the kernel's command line writes it: in double quotes if it needs them, \\ before \\ and "."""
    if word and not re.search(r'[\s"\\]', word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def kernel_command_line(settings):
    try:
        command = shlex.split(settings.get("CMD", ""))
    except ValueError as error:
        raise Problem(f"CMD={settings['CMD']}: {error}") from None
    words = [settings["APPEND"].strip()] if settings.get("APPEND", "").strip() else []
    return " ".join(words + (["--"] + [quote(word) for word in command] if command else []))


def machine(settings):
    arch = settings.get("ARCH") or "x86_64"
    if arch not in MACHINES:
        raise Problem(f"ARCH={arch}: tools/qemu.py knows {' '.join(sorted(MACHINES))}")
    return MACHINES[arch]


def check_qemu(settings):
    """One clear line if QEMU is missing or too old."""
    here = machine(settings)
    if not shutil.which(here["qemu"]):
        raise Problem(f"{here['qemu']} is missing: run tools/setup, or install {here['package']}")
    text = subprocess.run([here["qemu"], "--version"], stdout=subprocess.PIPE, check=False).stdout.decode()
    match = re.search(r"version (\d+)\.(\d+)", text)
    if not match or (int(match[1]), int(match[2])) < OLDEST_QEMU:
        found = match[0] if match else "version unknown"
        raise Problem(f"{here['qemu']} is too old ({found}): install QEMU {'.'.join(map(str, OLDEST_QEMU))} or newer")


def command(settings, console):
    """QEMU's argument vector. CONSOLE is the list of options that makes the guest's first serial port."""
    here = machine(settings)
    memory = size(settings.get("MEM") or "2G")
    cpu = here["cpu"]
    for above, wider in here.get("cpu_for", []):
        cpu = wider if memory > above else cpu
    kind = settings.get("MACHINE") or here["machine"]
    argv = [here["qemu"], "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-net", "none"]
    split = numa(settings, memory)
    if memory > SPARSE_ABOVE and not split:
        argv += ["-object", f"memory-backend-ram,id=ram,size={memory},reserve=off"]
        kind += ",memory-backend=ram"
    argv += ["-machine", kind, "-cpu", settings.get("CPU") or cpu, "-smp", str(smp(settings)), "-m", f"{memory >> 20}M"]
    argv += split
    if switch(settings, "ICOUNT"):
        argv += ["-icount", "shift=0,sleep=off"]
    else:
        argv += ["-accel", f"tcg,thread={thread_mode(settings)}"]
    argv += here["extra"] + console
    for prefix, options in here.get("extra_for", {}).items():
        argv += options if kind.startswith(prefix) else []
    if settings.get("ISO"):
        argv += ["-cdrom", settings["ISO"], "-boot", "d"]
    else:
        folder = os.path.join(ROOT, settings.get("OUT") or "out")
        kernel = settings.get("KERNEL") or os.path.join(ROOT, build_dir(settings), here["image"])
        initrd = settings.get("INITRD") or os.path.join(folder, settings.get("ARCH") or "x86_64", "user/initramfs.cpio")
        for path in (kernel, initrd):
            if not os.path.exists(path):
                raise Problem(f"{os.path.relpath(path)} is not there: build it with make")
        argv += ["-kernel", kernel, "-initrd", initrd, "-append", kernel_command_line(settings)]
    if settings.get("GDB"):
        argv += ["-S", "-gdb", f"unix:{settings['GDB']},server=on,wait=off"]
    return argv + shlex.split(settings.get("QEMU_EXTRA", ""))


def without_host_thp():
    """No transparent huge pages for this process and its children: a scattered touch of a sparse guest would cost 2 MiB."""
    pr_set_thp_disable = 41
    ctypes.CDLL(None).prctl(pr_set_thp_disable, 1, 0, 0, 0)


def verdict(settings, qemu_status, output):
    """The guest's status from both sources: (status, complaint or None). OUTPUT is the console's end, as bytes."""
    said = CLOSING.findall(output)
    if not said:
        return NO_STATUS, f"the guest ended without its closing line (QEMU's status was {qemu_status})"
    code = int(said[-1])
    expected = machine(settings)["status"](code)
    if expected is not None and qemu_status != expected:
        return NO_STATUS, f"the closing line says {code}, which QEMU's status should show as {expected}, but it was {qemu_status}"
    return code & 0xFF, None


class Guest:
    """A QEMU whose console is read line by line, for the test runner. Its input is empty."""

    def __init__(self, settings, limit):
        self.settings, self.limit, self.output = settings, limit, bytearray()
        self.argv = command(settings, ["-chardev", "stdio,id=con,signal=off", "-serial", "chardev:con"])
        self.begin = time.monotonic()
        self.status, self.complaint, self.peak = None, None, 0

    def lines(self):
        """Yields the console's lines as text until QEMU ends or the time is up; then status, complaint and peak are set."""
        if size(self.settings.get("MEM") or "2G") > SPARSE_ABOVE:
            without_host_thp()
        process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        late, ended, done = False, False, 0
        try:
            while not ended and not late:
                left = self.begin + self.limit - time.monotonic()
                late = left <= 0
                if not late and select.select([process.stdout], [], [], left)[0]:
                    chunk = os.read(process.stdout.fileno(), 65536)
                    ended = not chunk
                    self.output += chunk
                    while (end := self.output.find(b"\n", done)) >= 0:
                        yield clean(self.output[done:end])
                        done = end + 1
            if len(self.output) > done:
                yield clean(self.output[done:])
        finally:
            # The console is closed before QEMU ends; if it is not closed, QEMU has to be ended.
            if not ended:
                process.kill()
            _, raw, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(raw)
            process.stdout.close()
        self.peak = usage.ru_maxrss * 1024
        if late:
            self.status, self.complaint = TIMED_OUT, f"no end after {self.limit} s"
        else:
            self.status, self.complaint = verdict(self.settings, process.returncode, bytes(self.output[-4096:]))

    def seconds(self):
        return time.monotonic() - self.begin


def clean(line):
    """A console line without carriage return, escape sequences and a time stamp in front."""
    text = line.decode("utf-8", "replace").rstrip("\r")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1bc", "", text)
    return re.sub(r"^\[ *\d+\.\d+\] ?", "", text)
