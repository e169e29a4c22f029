"""Changes to find quotes in. Each scene is a whole change, given as old and new contents."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from services.kit.diff.model import FileDiff, Side
from services.kit.diff.parser import parse_diff
from services.review.domain import Claim, Severity, Source, SourceKind

MODEL = Source(SourceKind.MODEL, "pass-1", model="m")


def claim(quote: str, side: Side = Side.RIGHT, path: str = "app.py", **more: object) -> Claim:
    fields: dict[str, object] = {
        "severity": Severity.MEDIUM,
        "category": "bug",
        "title": "t",
        "body": "b",
        "source": MODEL,
    }
    return Claim(path=path, side=side, quote=quote, **{**fields, **more})  # type: ignore[arg-type]


def _kept(content: bytes) -> list[bytes]:
    """Lines with their line feed, split at line feeds only."""
    lines = [line + b"\n" for line in content.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _span(first: int, count: int) -> bytes:
    return b"%d,%d" % (first + (count > 0), count)


def _row(mark: bytes, line: bytes) -> bytes:
    return mark + line if line.endswith(b"\n") else mark + line + b"\n\\ No newline at end of file\n"


def hunks(old: bytes, new: bytes, context: int = 3) -> bytes:
    """A unified diff of two contents, from the first @@."""
    left, right = _kept(old), _kept(new)
    out = []
    for group in SequenceMatcher(None, left, right, autojunk=False).get_grouped_opcodes(context):
        l_first, l_stop, r_first, r_stop = group[0][1], group[-1][2], group[0][3], group[-1][4]
        out.append(b"@@ -%s +%s @@\n" % (_span(l_first, l_stop - l_first), _span(r_first, r_stop - r_first)))
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                out += [_row(b" ", line) for line in left[i1:i2]]
            else:
                out += [_row(b"-", line) for line in left[i1:i2]] + [_row(b"+", line) for line in right[j1:j2]]
    return b"".join(out)


@dataclass(frozen=True)
class Change:
    """One file of a change; None where a side has no file."""

    old: str | bytes | None
    new: str | bytes | None
    path: str = "app.py"
    old_path: str | None = None
    context: int = 3

    def contents(self) -> dict[tuple[str, Side], bytes]:
        path = self.path
        both = {(path, Side.LEFT): self.old, (path, Side.RIGHT): self.new}
        return {key: raw(text) for key, text in both.items() if text is not None}

    def diff(self) -> bytes:
        old_name, new_name = (self.old_path or self.path), self.path
        head = [f"diff --git a/{old_name} b/{new_name}\n"]
        if self.old is None:
            head.append("new file mode 100644\n")
        if self.new is None:
            head.append("deleted file mode 100644\n")
        if old_name != new_name:
            head.append(f"similarity index 60%\nrename from {old_name}\nrename to {new_name}\n")
        body = hunks(raw(self.old or b""), raw(self.new or b""), self.context)
        if body:
            head.append("--- /dev/null\n" if self.old is None else f"--- a/{old_name}\n")
            head.append("+++ /dev/null\n" if self.new is None else f"+++ b/{new_name}\n")
        return "".join(head).encode() + body


def raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def parsed(changes: Sequence[Change]) -> list[FileDiff]:
    return list(parse_diff(b"".join(change.diff() for change in changes)))


NOTES = "".join(f"# note {number}\n" for number in range(14, 25))

APP = Change(
    old="import os\nimport sys\n\n"
    "def load(path):\n    handle = open(path)\n    data = handle.read()\n    return data\n\n"
    'def save(path, data):\n    handle = open(path, "w")\n    handle.write(data)\n    handle.close()\n\n'
    + NOTES
    + 'def main():\n    return load("a")\n',
    new="import os\nimport sys\n\n"
    "def load(path):\n    with open(path) as handle:\n        data = handle.read()\n        return data\n\n"
    'def save(path, data):\n    with open(path, "w") as handle:\n        handle.write(data)\n        handle.close()\n\n'
    + NOTES
    + 'def main():\n    return load("b")\n',
)
REPEAT_OLD = 'a = 1\nlog("start")\nb = 2\nlog("start")\nc = 3\n'
MOVED = "def moved(x):\n    y = x + 1\n    return y\n\n"
REST = "".join(f"step_{number}()\n" for number in range(12))
YAML_OLD = "jobs:\n- name: lint\n  run: ruff\n- name: test\n  run: pytest\n"
YAML_NEW = "jobs:\n- name: lint\n  run: ruff check\n- name: test\n  run: pytest -q\n- name: docs\n  run: mkdocs\n"

SCENES: dict[str, tuple[Change, ...]] = {
    "near copies": (Change("top\n", "top\np()\nq()\nr()\ns()\np()\nq()\nt()\n  t()\n"),),
    "elsewhere": (
        Change("x()\n" + REST + "x()\np()\nq()\nu()\nv()\n", "p()\nq()\n" + REST + "x()\np()\nq()\nu()\nv()\n"),
    ),
    "app": (APP,),
    "repeat": (Change(REPEAT_OLD, REPEAT_OLD + 'log("start")\n'),),
    "repeat twice": (Change(REPEAT_OLD, REPEAT_OLD + 'log("start")\nd = 4\nlog("start")\n'),),
    "moved": (Change(MOVED + REST, REST + MOVED),),
    "tabs": (
        Change(
            "package a\n\nfunc f() {\n\tx()\n}\n",
            "package a\n\nfunc f() {\n\tif ok {\n\t\tx()\n\t\ty()\n\t}\n\tz(1)\t// why\n}\n",
            path="a.go",
        ),
    ),
    "crlf": (Change("one\r\ntwo\r\nthree\r\n", "one\r\ntwo!\r\nthree!\r\nfour\r\n", path="w.txt"),),
    "mixed ends": (Change("one\r\ntwo\n", "one\r\ntwo?\r\nthree?\n", path="m.txt"),),
    "spaces only": (Change("if x:\n  go()\nend \n", "if x:\n    go()\nend\n"),),
    "prefixes": (Change("x = 0\n", "x = 1\nx = 10\nx = 100\nx = 1000  # x = 7\n"),),
    "yaml": (Change(YAML_OLD, YAML_NEW, path="ci.yml"),),
    "unicode": (
        Change(
            "a\n",
            'scope = "admin"\nname = "café"\nweiß = 1\nlong\u2028line = 2\n'
            "form\x0cfeed = 3\nlone\rcr = 4\nzero\u200bwidth = 5\n",
        ),
    ),
    "bytes": (Change(b"x\n", b'name = "caf\xe9"\nrest = 1\n\xff\xfe\n'),),
    "no newline": (Change("one\ntwo", "one\ntwo\nthree"),),
    "added": (Change(None, "alpha = 1\nbeta = 2\n", path="src/new.py"),),
    "removed": (Change("alpha = 1\nbeta = 2\n", None, path="src/gone.py"),),
    "renamed": (Change("keep\nold line\n", "keep\nnew line\n", path="new/name.py", old_path="old/name.py"),),
    "swapped": (
        Change("keep\nfrom a\nsame\n", "keep\nfrom a, edited\nsame\n", path="b.py", old_path="a.py"),
        Change("keep\nfrom b\nsame\n", "keep\nfrom b, edited\nsame\n", path="a.py", old_path="b.py"),
    ),
    "case twins": (
        Change("upper = 0\n", "upper = 1\nshared = 1\n", path="Foo.py"),
        Change("lower = 0\n", "lower = 1\nshared = 1\n", path="foo.py"),
    ),
    "case renamed": (Change("k\nold\n", "k\nnew\n", path="readme.md", old_path="README.md"),),
    "dirs": (
        Change("1\n", "in a/x\n", path="a/x.py"),
        Change("1\n", "in x\n", path="x.py"),
        Change("1\n", "in lib\n", path="Lib/Y.py"),
    ),
    "no context": (Change("a1\na2\na3\na4\na5\n", "a1\nB2\na3\nB4\na5\n", context=0),),
    "only mode": (Change("same\n", "same\n", path="other.py"),),
    "diff syntax": (Change("-- x\n@@ y\n", "++ x\n+++ b/app.py\n@@ -1 +1 @@\ndiff --git a b\n", path="q.sql"),),
    "blank lines": (Change("top\n", "top\n\n\nfirst()\n\nsecond()\n\n   \nthird()\n"),),
    "braces": (Change("a\n", "a {\n  one()\n}\nb {\n  two()\n}\n", path="a.js"),),
}
