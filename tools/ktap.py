"""Reading KTAP as the kernel and the test programs print it: nested by indentation, among other console lines.

Lines are read by the package tap.py (Debian: python3-tap); the nesting is ours. A result line closes everything that is
indented deeper and came since the last result of its own depth: those are its children. The leaves are counted; a parent that
fails though none of its children does counts as one failure more (a wrong plan, an exit status, a balance check).
"""
import sys
import time

sys.path.append("/usr/lib/python3/dist-packages")
try:
    from tap.parser import Parser
except ImportError:
    sys.exit("the Python package tap.py is missing: run tools/setup (Debian and Ubuntu: python3-tap)")


class Node:
    """A result: of a case, or of a suite with its children."""

    def __init__(self, name, good, skip, reason, children):
        self.name, self.good, self.skip, self.reason, self.children = name, good, skip, reason, children

    def leaves(self, above=""):
        """(full name, "passed", "failed" or "skipped", reason) of each case below."""
        path = f"{above}.{self.name}" if above else self.name
        if not self.children:
            return [(path, "skipped" if self.skip else "passed" if self.good else "failed", self.reason)]
        found = [leaf for child in self.children for leaf in child.leaves(path)]
        if not self.good and not any(state == "failed" for _, state, _ in found):
            found.append((path, "failed", "the suite itself"))
        return found


class Suite:
    """A result of the outermost depth, with the lines that led to it."""

    def __init__(self, node, lines, seconds):
        self.node, self.lines, self.seconds = node, lines, seconds
        self.name, self.leaves = node.name, node.leaves()

    def count(self, state):
        return sum(found == state for _, found, _ in self.leaves)


class Reader:
    """Feed it lines; it hands out suites. At the end ask for what is missing."""

    def __init__(self):
        self.parser = Parser()
        self.pending = []  # (depth, Node), what has no parent yet
        self.plans = {}  # depth -> planned results
        self.lines = []  # since the last suite ended
        self.current = None  # the outermost subtest that is running
        self.planned = None  # suites planned so far, over all documents
        self.suites = []
        self.bail = None
        self.begin = time.monotonic()

    def feed(self, line):
        """A Suite if this line ends one, else None."""
        text = line.strip()
        depth = len(line) - len(line.lstrip())
        self.lines.append(line)
        if text.startswith("# Subtest:"):
            if self.current is None:
                self.current = text[len("# Subtest:"):].strip()
                self.begin = time.monotonic()
            return None
        parsed = self.parser.parse_line(text)
        if parsed.category == "bail":
            self.bail = parsed.reason
        elif parsed.category == "plan":
            if depth == 0:
                self.planned = (self.planned or 0) + parsed.expected_tests
            else:
                self.plans[depth] = parsed.expected_tests
        elif parsed.category == "test" and (parsed.number is not None or depth == 0):
            return self.result(depth, parsed)
        return None

    def result(self, depth, parsed):
        name = parsed.description.removeprefix("-").strip() or f"#{parsed.number}"
        children = []
        while self.pending and self.pending[-1][0] > depth:
            children.insert(0, self.pending.pop())
        for inner in [key for key in self.plans if key > depth]:
            planned = self.plans.pop(inner)
            ran = sum(found == inner for found, _ in children)
            if inner == min([found for found, _ in children], default=inner) and ran != planned:
                children.append((inner, Node("plan", False, False, f"planned {planned}, ran {ran}", [])))
        good = parsed.ok or parsed.todo
        node = Node(name, good, parsed.skip, parsed.directive.reason or "", [child for _, child in children])
        if depth:
            self.pending.append((depth, node))
            return None
        suite = Suite(node, self.lines, time.monotonic() - self.begin)
        self.suites.append(suite)
        self.lines, self.current, self.begin = [], None, time.monotonic()
        return suite

    def complaint(self):
        """What is wrong with the whole, or None. That there is no plan at all is for the caller to judge."""
        if self.bail is not None:
            return f"bailed out: {self.bail}"
        if self.current is not None:
            return f"ended in the middle of {self.current}"
        if self.planned is not None and self.planned != len(self.suites):
            return f"planned {self.planned} suites, ran {len(self.suites)}"
        return None
