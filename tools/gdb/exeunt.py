"""gdb commands that know Exeunt's structures: `help exeunt` lists them. Loaded by `make gdb`."""
import gdb

STATES = ["running", "interruptible", "uninterruptible", "killable", "stopped", "dead", "new"]
PAGE_FLAGS = "locked uptodate dirty referenced lru active writeback swapcache reclaim unevictable waiters zero error huge poison".split()


def look(expression):
    return gdb.parse_and_eval(expression)


def members(head, struct, link):
    """The structs on a list: HEAD is the list_head, LINK the name of the member that links them."""
    kind = gdb.lookup_type(f"struct {struct}")
    offset = next(field.bitpos // 8 for field in kind.fields() if field.name == link)
    at = head["next"]
    while at != head.address:
        yield (at.cast(gdb.lookup_type("char").pointer()) - offset).cast(kind.pointer()).dereference()
        at = at.dereference()["next"]


def state_name(task):
    value = int(task["state"])
    if int(task["on_rq"]) and value == 0:
        return "running" if int(task["on_cpu"]) else "ready"
    return STATES[value.bit_length()] if value.bit_length() < len(STATES) else str(value)


def task_line(task):
    proc = task["proc"]
    return "%5d %5d  %-15s %2d  %-15s %s" % (
        int(task["pid"]), int(proc["pid"]) if proc else 0, state_name(task), int(task["cpu"]), task["comm"].string(), task.address)


class Exeunt(gdb.Command):
    """Commands for the Exeunt kernel.
    exeunt cpus     what each CPU runs
    exeunt tasks    every task
    exeunt page X   the descriptor of page frame number X, or of the page at kernel address X
    exeunt stack T  the return addresses on the stack of task T (an address, as tasks prints it)"""

    def __init__(self):
        super().__init__("exeunt", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE, True)


class Cpus(gdb.Command):
    """What each CPU runs."""

    def __init__(self):
        super().__init__("exeunt cpus", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        low, high = look("cpus").type.range()
        print("cpu   pid  tgid  state          last  comm            task")
        for index in range(low, high + 1):
            cpu = look(f"cpus[{index}]")
            if cpu and cpu["current"]:
                print("%3d %s" % (int(cpu["id"]), task_line(cpu["current"].dereference())))


class Tasks(gdb.Command):
    """Every task but the idle ones."""

    def __init__(self):
        super().__init__("exeunt tasks", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        print("  pid  tgid  state          cpu  comm            task")
        for task in members(look("all_tasks"), "task", "all_link"):
            print(task_line(task))


class Page(gdb.Command):
    """A page descriptor, by frame number or by kernel address."""

    def __init__(self):
        super().__init__("exeunt page", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        value = int(look(argument or "0"))
        if value < 0 or value >> 47:
            page = look(f"virt_to_page((void *){value & (1 << 64) - 1:#x})")
            page = page.dereference()
        else:
            page = look(f"pfn_to_page({value})").dereference()
        word, state = int(page["word"]) & (1 << 64) - 1, int(page["state"]["counter"]) & (1 << 64) - 1
        kind = gdb.lookup_type("enum page_type")
        names = {field.enumval: field.name for field in kind.fields()}
        flags = [name for bit, name in enumerate(PAGE_FLAGS) if state >> bit & 1]
        print(f"{page.address}: {names.get(word & 15, word & 15)}, order {word >> 4 & 31}, node {word >> 9 & 127}, "
              f"owner {word >> 16:#x}")
        print(f"  references {state >> 16 & 0xffffff}, mappings {state >> 40}, flags: {' '.join(flags) or 'none'}")


class Stack(gdb.Command):
    """The return addresses on the stack of a task: each word that points into a function, a superset of its frames."""

    def __init__(self):
        super().__init__("exeunt stack", gdb.COMMAND_STACK, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        low, top = int(look(f"(unsigned long)((struct task *)({argument}))->kstack")), int(look("KSTACK_SIZE"))
        data = gdb.selected_inferior().read_memory(low, top).tobytes()
        for at in range(0, len(data), 8):
            value = int.from_bytes(data[at:at + 8], "little")
            block = gdb.block_for_pc(value)
            if block and block.function:
                print(f"  {low + at:#x}: {value:#x} {block.function.name}")



Exeunt()
Cpus()
Tasks()
Page()
Stack()
