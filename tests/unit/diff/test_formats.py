"""Forms of diff that `git diff` with our options does not print, and input that is refused."""

import io
from collections.abc import Iterator
from typing import cast

import pytest

from services.kit.diff.errors import DiffError
from services.kit.diff.model import FileDiff, FileStatus, LineKind
from services.kit.diff.parser import parse_diff, parse_patch

HUNK = b"@@ -1 +1 @@\n-old\n+new\n"
GIT = b"diff --git a/x b/x\nindex 1234567..89abcde 100644\n--- a/x\n+++ b/x\n"


def names(source: bytes) -> list[tuple[str, bytes | None, bytes | None]]:
    return [(file.status.value, file.old_path, file.new_path) for file in parse_diff(source)]


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"a/", b"b/"), (b"b/", b"a/"), (b"i/", b"w/"), (b"c/", b"i/"), (b"c/", b"w/"), (b"o/", b"w/"), (b"1/", b"2/"),
     (b"", b""), (b"src://", b"dst://"), (b"old/", b"new/"), (b"before/", b"now/")],
)  # fmt: skip
@pytest.mark.parametrize("path", [b"x", b"lib/a file.c", b"a/x", b"b/b"])
def test_prefixes(old: bytes, new: bytes, path: bytes) -> None:
    tab = b"\t" if b" " in path else b""
    head = b"diff --git %s%s %s%s\n" % (old, path, new, path)
    body = b"--- %s%s%s\n+++ %s%s%s\n%s" % (old, path, tab, new, path, tab, HUNK)
    assert names(head + b"index 12..34 100644\n" + body) == [("modified", path, path)]
    if len(old) == len(new):  # otherwise nothing but the first line would say what is prefix and what is path
        assert names(head + b"old mode 100644\nnew mode 100755\n") == [("mode_changed", path, path)]
        added = b"new file mode 100644\nindex 00..12\n--- /dev/null\n+++ %s%s%s\n@@ -0,0 +1 @@\n+new\n"
        assert names(head + added % (new, path, tab)) == [("added", None, path)]


def test_renamed_and_copied_paths_come_from_their_own_headers() -> None:
    diff = b'diff --git a/a b b/c b/d\nsimilarity index 90%\nrename from a b\nrename to "c b/\\303\\244"\n'
    moved = b'--- a/a b\t\n+++ "b/c b/\\303\\244"\t\n'
    copied = b"diff --git a/x b/y\nsimilarity index 100%\ncopy from x\ncopy to y\n"
    expected = [("renamed", b"a b", "c b/\u00e4".encode()), ("copied", b"x", b"y")]
    assert names(diff + moved + HUNK + copied) == expected


@pytest.mark.parametrize(
    ("old", "new", "hunk", "expected"),
    [
        (b"a/x\t2024-01-02 03:04:05.678 +0100", b"b/x\t2024-01-02 03:04:06 +0100", HUNK, ("modified", b"x", b"x")),
        (b"x", b"x", HUNK, ("modified", b"x", b"x")),
        (b"before/lib/x\tstamp", b"now/lib/x\tstamp", HUNK, ("modified", b"lib/x", b"lib/x")),
        (b"b/x\tstamp", b"b/y\tstamp", HUNK, ("renamed", b"b/x", b"b/y")),
        (b"x.orig\tstamp", b"x\tstamp", HUNK, ("renamed", b"x.orig", b"x")),
        (b"/dev/null", b"b/x", b"@@ -0,0 +1 @@\n+new\n", ("added", None, b"x")),
        (b"a/x", b"/dev/null", b"@@ -1 +0,0 @@\n-old\n", ("removed", b"x", None)),
        (b"p/x\t1970-01-01 01:00:00.000000000 +0100", b"q/x\tstamp", b"@@ -0,0 +1 @@\n+new\n", ("added", None, b"x")),
        (b"p/x\tstamp", b"q/x\t1970-01-01 00:00:00 +0000", b"@@ -1 +0,0 @@\n-old\n", ("removed", b"x", None)),
        (b'"a/\\303\\244"\tstamp', b'"b/\\303\\244"', HUNK, ("modified", "\u00e4".encode(), "\u00e4".encode())),
    ],
)
def test_plain_diffs(old: bytes, new: bytes, hunk: bytes, expected: tuple[str, bytes | None, bytes | None]) -> None:
    around = b"diff -ru p q\nOnly in p: y\nIndex: x\n====\n"
    assert names(around + b"--- " + old + b"\n+++ " + new + b"\n" + hunk) == [expected]


def test_files_of_a_plain_diff_may_follow_without_a_line_between() -> None:
    assert [name[1] for name in names(b"--- x\n+++ x\n" + HUNK + b"--- y\n+++ y\n" + HUNK)] == [b"x", b"y"]


def test_text_around_the_files_is_passed_over() -> None:
    mail = b"From 1234 Mon Sep 17 00:00:00 2001\nSubject: x\n\n--- a list\n- item\n---\n x | 2 +-\n\n"
    assert len(names(mail + GIT + HUNK + b"-- \n2.39.5\n\n" + mail + GIT + HUNK + b"-- \n2.39.5\n")) == 2
    assert len(names(b"commit 1\n\n    +++ text\n\n" + GIT + HUNK + b"\ncommit 2\n\n    t\n\n" + GIT + HUNK)) == 2


def test_the_header_of_a_hunk() -> None:
    hunk, other = parse_patch(HUNK + b"@@ -9,0 +10,2 @@ def f(): @@ -1 +1 @@\n+a\n+b\n")
    assert (hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count, hunk.section) == (1, 1, 1, 1, b"")
    assert (other.old_start, other.old_count, other.section) == (9, 0, b"def f(): @@ -1 +1 @@")
    assert [line.new for line in other.lines()] == [10, 11]


def test_blank_context_lines_may_have_lost_their_blank() -> None:
    (hunk,) = parse_patch(b"@@ -1,3 +1,3 @@\n one\n\n-x\n+y\n")
    assert [(line.kind, line.text) for line in hunk.lines()][1] == (LineKind.CONTEXT, b"")


@pytest.mark.parametrize("source", [b"", b"\n", b" \n\t\n"])
def test_nothing_is_an_empty_diff(source: bytes) -> None:
    assert list(parse_diff(source)) == []


def test_a_patch_may_be_empty() -> None:
    assert parse_patch(b"") == ()


def test_headers_without_content() -> None:
    empty = b"diff --git a/e b/e\nnew file mode 100644\nindex 0000000..e69de29\n"
    touched = b"diff --git a/t b/t\nindex 1234567..89abcde 100644\n"  # what "git diff -w" leaves of blanks
    unsaid = b"diff --git a/n b/n\nindex 0000000..89abcde 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+new\n"
    made, same, new = parse_diff(empty + touched + unsaid)
    assert (new.status, new.old_path, new.old_mode, new.new_mode) == (FileStatus.ADDED, None, None, "100644")
    assert (made.status, made.hunks, made.old_mode, made.new_mode) == (FileStatus.ADDED, (), None, "100644")
    assert (same.status, same.hunks) == (FileStatus.MODIFIED, ())


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        (b"hello\n", 1, "no diff"),
        (b"\n\nhello\n", 3, "no diff"),
        (b"@@ -1 +1 @@\n-a\n+b\n", 1, "belongs to no file"),
        (b"diff --cc x\n", 1, "combined"),
        (b"diff --git a/x b/x\nindex 12,34..56\n@@@ -1 -1 +1 @@@\n", 2, "index"),
        (GIT + b"@@@ -1 -1 +1 @@@\n", 5, "combined"),
        (GIT, 5, "not followed by a hunk"),
        (GIT + b"@@ -1 +1\n", 5, "malformed hunk header"),
        (GIT + b"@@ -1," + b"9" * 5000 + b" +1 @@\n", 5, "malformed hunk header"),
        (GIT + b"@@ -0 +1 @@\n-a\n+b\n", 5, "counted from 1"),
        (GIT + b"@@ -0,0 +0,0 @@\n", 5, "no lines"),
        (GIT + b"@@ -1 +1,2 @@\n-a\n+b\n", 7, "ends inside a hunk"),
        (GIT + b"@@ -1,2 +1,2 @@\n-a\nb\n", 7, "starts with none of"),
        (GIT + b"@@ -1,2 +1 @@\n+a\n+b\n-c\n-d\n", 9, "more lines on one side"),
        (GIT + HUNK + b"+more\n", 8, "more lines than its header"),
        (GIT + HUNK + b" more\n", 8, "more lines than its header"),
        (GIT + HUNK + b"--- more\n", 8, "more lines than its header"),
        (GIT + HUNK + HUNK, 8, "overlaps"),
        (GIT + HUNK + b"@@ -1 +5 @@\n-a\n+b\n", 8, "overlaps"),
        (GIT + HUNK + b"@@ -5 +1 @@\n-a\n+b\n", 8, "overlaps"),
        (GIT + b"@@ -1,2 +1 @@\n-a\n\\ No newline at end of file\n-b\n+c\n", 7, "misplaced"),
        (GIT + b"@@ -1 +1 @@\n\\ No newline at end of file\n-b\n+c\n", 6, "misplaced"),
        (GIT + HUNK + b"\\ No newline at end of file\n" * 2, 9, "more lines"),
        (b"diff --git a/x b/x\n--- a/x\n@@ -1 +1 @@\n", 3, "not followed by its new one"),
        (b"diff --git a/x b/x\n--- a/y\n+++ b/y\n" + HUNK, 2, "different paths"),
        (b"diff --git a/x b/x\n--- /dev/null\n+++ b/x\n" + HUNK, 1, "side where it does not exist"),
        (b"diff --git a/x b/x\nnew file mode 100644\n--- a/x\n+++ b/x\n" + HUNK, 3, "disagree"),
        (b"diff --git a/x b/x\nnew file mode 100644\ndeleted file mode 100644\n", 3, "contradicts"),
        (b"diff --git a/x b/x\nnew file mode 1006\n", 2, "mode"),
        (b"diff --git a/x b/y\nsimilarity index 400%\n", 2, "similarity"),
        (b"diff --git a/x b/y\nrename from x\n", 3, "only one of its two"),
        (b"diff --git a/x y b/z\nold mode 100644\nnew mode 100755\n", 1, "can't be told"),
        (b"diff --git a/x y b/x z\nold mode 100644\nnew mode 100755\n", 1, "can't be told"),
        (b'diff --git "a/\\9" "b/\\9"\nnew file mode 100644\n', 1, "can't be told"),
        (b'--- "a/x\n+++ b/x\n' + HUNK, 1, "quoting"),
        (b"--- /dev/null\n+++ /dev/null\n" + HUNK, 1, "neither side"),
        (b'diff --git "a/\\000" "b/\\000"\nnew file mode 100644\n', 1, "NUL"),
        (b"--- a/\n+++ b/\n" + HUNK, 1, "empty"),
        (b"diff --git a/x b/x\r\nnew file mode 100644\r\n", 1, "CRLF"),
        (b"diff --git a/x b/x\nGIT binary patch\nliteral 5\nabc\n", 5, "inside a binary patch"),
        (b"diff --git a/x b/x\nGIT binary patch\nabc\n", 3, "without data"),
    ],
)
def test_malformed_input_is_refused_where_it_goes_wrong(source: bytes, line: int, reason: str) -> None:
    with pytest.raises(DiffError, match=reason) as caught:
        list(parse_diff(source))
    assert caught.value.line == line


@pytest.mark.parametrize("patch", [b"hello\n", b"--- a/x\n+++ b/x\n" + HUNK, HUNK + b"\n", HUNK + b"-- \n"])
def test_a_patch_holds_nothing_but_hunks(patch: bytes) -> None:
    with pytest.raises(DiffError, match="expected a hunk header"):
        parse_patch(patch)


def test_an_error_shows_nothing_of_the_input() -> None:
    with pytest.raises(DiffError) as caught:
        list(parse_diff(GIT + b"@@ -1,9 +1,9 @@\n token=hunter2\n"))
    assert "hunter2" not in str(caught.value)


class _Unbuffered(io.RawIOBase):
    """An unbuffered stream that counts how often it is asked."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)
        self.reads = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        self.reads += 1
        return self._content.readinto(cast("bytearray", buffer))


def test_files_come_before_a_fault_that_follows_them() -> None:
    files: Iterator[FileDiff] = parse_diff(GIT + HUNK + GIT + b"@@ broken\n")
    assert next(files).path == b"x"
    with pytest.raises(DiffError):
        next(files)


def test_any_binary_stream_will_do() -> None:
    stream = _Unbuffered((GIT + HUNK) * 1000)
    assert sum(1 for _ in parse_diff(cast("io.BytesIO", stream))) == 1000
    assert stream.reads < 100
