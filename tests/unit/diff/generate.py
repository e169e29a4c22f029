"""Repositories with histories full of odd content and odd paths, made by `git fast-import` from a seed."""

import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

from services.kit.diff.git import git_command, git_environment
from tests.unit.diff.gitfacts import SUBMODULE

FILE, EXECUTABLE, SYMLINK = "100644", "100755", "120000"

LINES = (
    b"",
    b" ",
    b"\t",
    b"x = 1",
    b"x = 2",
    b"}",
    b"    return None",
    b"+++ b/x",
    b"--- a/x",
    b"-- x",
    b"++ x",
    b"- item",
    b"+ item",
    b"@@ -1,3 +1,3 @@",
    b"@@@ -1 -1 +1 @@@",
    b"diff --git a/x b/x",
    b"diff --cc x",
    b"index 1234567..89abcde 100644",
    b"rename from x",
    b"new file mode 100644",
    b"Binary files a/x and b/x differ",
    b"GIT binary patch",
    b"\\ No newline at end of file",
    b"\\",
    b"carriage\rreturn",
    b"ends in cr\r",
    b"\r",
    b"form\x0cfeed\x0bvertical",
    b"\x1c\x1d\x1e\x85",
    "line\u2028para\u2029sep".encode(),
    b"latin caf\xe9",
    "w\u00efde \U0001f600".encode(),
    "bidi \u202e override".encode(),
    b"\xff\xfeu\x00t\x00f\x00",
    b"deadbeef" * 5,
)
PATHS = (
    b"plain.txt",
    b"dir/sub/code.py",
    b"dir/sub/more.py",
    b"dir/other.c",
    b"a/x",
    b"b/x",
    b"a b/a b",
    b"with space.txt",
    b" lead",
    b"trail ",
    b'quo"te',
    b'quote-last"',
    b"back\\slash",
    b"tab\there",
    b"new\nline",
    b"cr\r",
    b"-dash",
    b"--- a/x",
    b"caf\xe9.txt",
    "\u00e4\u00f6.txt".encode(),
    b"Case.txt",
    b"case.TXT",
    b"odd %41#?&.txt",
    b"dev/null",
    b"x differ",
    b"x and b/x differ",
    b"rename to y",
    b"\x01\x7f\x1b",
    b"..hidden/..",
    b"i/w/c/1/2",
    b"forced.text",
    b"kept.binary",
    "bidi\u202e.py".encode(),
)


@dataclass(frozen=True)
class Entry:
    """A file of a tree; for a submodule the content is its commit id."""

    mode: str
    content: bytes


Tree = dict[bytes, Entry]


def build_history(folder: Path, seed: int, commits: int = 8) -> Path:
    """Make a bare repository whose commits change a tree in random ways; the same seed gives the same history."""
    chance = random.Random(seed)
    trees: list[Tree] = [{}]
    for _ in range(commits):
        tree = dict(trees[-1])
        for _ in range(chance.randint(1, 4)):
            chance.choice(_STEPS)(tree, chance)
        trees.append(tree)
    return build_repository(folder, trees[1:])


def build_repository(folder: Path, trees: list[Tree]) -> Path:
    """Make a bare repository in `folder` with one commit for each tree, each the parent of the next."""
    _git("init", "--quiet", "--bare", str(folder))
    info = folder / "info"
    info.mkdir(exist_ok=True)
    (info / "attributes").write_text("*.text diff\n*.binary -diff\n")  # so that NUL bytes come as text, too
    stream = []
    for number, tree in enumerate(trees):
        stream.append(b"commit refs/heads/main\ncommitter nobody <> %d +0000\ndata 0\ndeleteall\n" % number)
        for path, entry in tree.items():
            name = b'"' + b"".join(b"\\%03o" % byte for byte in path) + b'"'
            if entry.mode == SUBMODULE:
                stream.append(b"M 160000 %s %s\n" % (entry.content, name))
            else:
                stream.append(b"M %s inline %s\n" % (entry.mode.encode(), name))
                stream.append(b"data %d\n%s\n" % (len(entry.content), entry.content))
    _git("-C", str(folder), "fast-import", "--quiet", stdin=b"".join(stream))
    return folder


def _git(*arguments: str, stdin: bytes = b"") -> None:
    subprocess.run(git_command(*arguments), input=stdin, env=git_environment(), check=True)


def random_text(chance: random.Random) -> bytes:
    """Some lines, with a final newline or not; sometimes all CRLF, sometimes empty."""
    lines = chance.choices(LINES, k=chance.choice((0, 1, 2, 5, 12, 40, 90)))
    if chance.random() < 0.3:  # distinct lines, so that renames are found
        lines = [b"%d %s" % (number, line) for number, line in enumerate(lines)]
    return _join(lines, b"\r\n" if chance.random() < 0.15 else b"\n", chance.random() < 0.75)


def _join(lines: list[bytes], feed: bytes, final: bool) -> bytes:
    return feed.join(lines) + (feed if final and lines else b"")


def _free_path(tree: Tree, chance: random.Random) -> bytes | None:
    """A path that is not taken, nor lies under a file, nor is a directory."""
    wanted = chance.choice(PATHS)
    taken = any(path == wanted or path.startswith(wanted + b"/") or wanted.startswith(path + b"/") for path in tree)
    return None if taken else wanted


def _pick(tree: Tree, chance: random.Random, *modes: str) -> bytes | None:
    paths = [path for path, entry in tree.items() if not modes or entry.mode in modes]
    return chance.choice(paths) if paths else None


def _add(tree: Tree, chance: random.Random) -> None:
    path = _free_path(tree, chance)
    if path is None:
        return
    kind = chance.random()
    if kind < 0.1:
        tree[path] = Entry(SYMLINK, chance.choice((b"target", b"../up", b"/etc/hosts", b"caf\xe9")))
    elif kind < 0.2:
        tree[path] = Entry(SUBMODULE, b"%040x" % chance.getrandbits(160))
    elif kind < 0.3:
        tree[path] = Entry(FILE, b"\0" + chance.randbytes(60))
    else:
        tree[path] = Entry(chance.choice((FILE, FILE, EXECUTABLE)), random_text(chance))


def _edit(tree: Tree, chance: random.Random) -> None:
    path = _pick(tree, chance, FILE, EXECUTABLE)
    if path is not None:
        tree[path] = Entry(tree[path].mode, edit_text(tree[path].content, chance))


def edit_text(content: bytes, chance: random.Random) -> bytes:
    """Change, add or remove a few lines, and sometimes the newline at the end."""
    lines = content.split(b"\n")
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(lines) + 1)
        lines[at : at + chance.choice((0, 0, 1, 1, 3))] = chance.choices(LINES, k=chance.choice((0, 1, 1, 3)))
        lines = lines or [b""]
    edited = b"\n".join(lines)
    if chance.random() < 0.3:
        edited = edited.removesuffix(b"\n") if edited.endswith(b"\n") else edited + b"\n"
    return edited


def _delete(tree: Tree, chance: random.Random) -> None:
    path = _pick(tree, chance)
    if path is not None:
        del tree[path]


def _rename(tree: Tree, chance: random.Random) -> None:
    old, new = _pick(tree, chance), _free_path(tree, chance)
    if old is None or new is None:
        return
    entry = tree.pop(old)
    if entry.mode in (FILE, EXECUTABLE) and chance.random() < 0.5:
        entry = Entry(chance.choice((FILE, EXECUTABLE)), edit_text(entry.content, chance))
    tree[new] = entry


def _rename_case(tree: Tree, chance: random.Random) -> None:
    old = _pick(tree, chance)
    if old is not None and old.swapcase() not in tree:
        tree[old.swapcase()] = tree.pop(old)


def _swap(tree: Tree, chance: random.Random) -> None:
    one, other = _pick(tree, chance), _pick(tree, chance)
    if one is not None and other is not None:
        tree[one], tree[other] = tree[other], tree[one]


def _rename_directory(tree: Tree, chance: random.Random) -> None:
    target = b"moved%d/" % chance.randrange(3)
    for path in [path for path in tree if path.startswith(b"dir/")]:
        tree[target + path.removeprefix(b"dir/")] = tree.pop(path)


def _change_mode(tree: Tree, chance: random.Random) -> None:
    path = _pick(tree, chance, FILE, EXECUTABLE)
    if path is not None:
        other = EXECUTABLE if tree[path].mode == FILE else FILE
        tree[path] = Entry(other, tree[path].content)


def _change_type(tree: Tree, chance: random.Random) -> None:
    path = _pick(tree, chance)
    if path is not None:
        tree[path] = Entry(chance.choice((FILE, SYMLINK)), b"target of a link")


def _bump_submodule(tree: Tree, chance: random.Random) -> None:
    path = _pick(tree, chance, SUBMODULE)
    if path is not None:
        tree[path] = Entry(SUBMODULE, b"%040x" % chance.getrandbits(160))


def _retarget_link(tree: Tree, chance: random.Random) -> None:
    path = _pick(tree, chance, SYMLINK)
    if path is not None:
        tree[path] = Entry(SYMLINK, b"elsewhere/%d" % chance.randrange(100))


def _convert_line_ends(tree: Tree, chance: random.Random) -> None:
    path = _pick(tree, chance, FILE, EXECUTABLE)
    if path is not None:
        content = tree[path].content
        dos = b"\r\n" in content
        tree[path] = Entry(tree[path].mode, content.replace(b"\r\n", b"\n") if dos else content.replace(b"\n", b"\r\n"))


def _empty(tree: Tree, chance: random.Random) -> None:
    path = _pick(tree, chance, FILE, EXECUTABLE)
    if path is not None:
        tree[path] = Entry(tree[path].mode, b"")


_STEPS = (
    _add, _add, _add, _add, _edit, _edit, _edit, _edit, _edit, _delete, _rename, _rename, _rename_case, _swap,
    _rename_directory, _change_mode, _change_type, _bump_submodule, _retarget_link, _convert_line_ends, _empty,
)  # fmt: skip
