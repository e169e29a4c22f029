"""Odd and hostile files, each with the fate it must have; none of them may disturb its neighbours."""

from services.review.domain import Fate, SourceFile


def added(*lines: bytes) -> bytes:
    return b"@@ -0,0 +1,%d @@\n" % len(lines) + b"".join(b"+" + line + b"\n" for line in lines)


def new(path: bytes, *lines: bytes) -> SourceFile:
    return SourceFile(path, "added", patch=added(*lines))


HOSTILE: tuple[tuple[SourceFile, Fate], ...] = (
    (new(b"deep.py", b"x = " + b"(" * 20_000 + b")" * 20_000), Fate.REVIEWED),
    (new(b"deep.js", b"x = " + b"[" * 20_000 + b"]" * 20_000), Fate.REVIEWED),
    (new(b"deep.java", b"class A { int x = " + b"-" * 30_000 + b"1; }"), Fate.REVIEWED),
    (new(b"unclosed.go", b"package a", b'var s = "' + b"\\" * 30_000), Fate.REVIEWED),
    (new(b"digits.py", b"x = " + b"9" * 60_000), Fate.REVIEWED),
    (new(b"noqa.py", b"# ruff: noqa", b"# flake8: noqa", b"eval(input())  # noqa  # nosec"), Fate.REVIEWED),
    (new(b"ruff.toml", b'select = ["NONE"]', b'exclude = ["*"]', b"extend = '/etc/passwd'"), Fate.REVIEWED),
    (new(b"pyproject.toml", b"[tool.ruff]", b'exclude = ["*"]'), Fate.REVIEWED),
    (new(b"--config=evil.py", b"x = 1"), Fate.REVIEWED),
    (new(b"../../../tmp/escape.py", b"x = 1"), Fate.REVIEWED),
    (new(b"latin1.py", b"# -*- coding: latin-1 -*-", b"name = '\xe4\xf6\xfc'"), Fate.REVIEWED),
    (new(b"coding.py", b"# -*- coding: utf-7 -*-", b"+AGUAdgBhAGw-(1)"), Fate.REVIEWED),
    (new(b"utf16.py", b"\xff\xfex\0=\0001\0"), Fate.SKIPPED),
    (new(b"surrogate.py", b"x = '\xed\xa0\x80'"), Fate.REVIEWED),
    (new(b"null.ipynb", b'{"cells": null}'), Fate.REVIEWED),
    (new(b"huge.json", b"[" + b"1," * 2_500_000 + b"1]"), Fate.PARTIAL),
    (new(b"words.txt", b"token=" * 10_000, b"eyJ" * 20_000, b"://" * 20_000), Fate.REVIEWED),
    (new(b"marks.md", "\u202e".encode() * 10_000, b"a" + "\u0301".encode() * 20_000), Fate.REVIEWED),
    (new(b"syntax.diff", b"++ b/other", b"-- a/other", b"@@ -1 +1 @@", b"diff --git a/x b/x"), Fate.REVIEWED),
    (SourceFile(b"lie.py", "modified", patch=b"@@ -1,3 +1,900000 @@\n-a\n+b\n"), Fate.SKIPPED),
    (SourceFile(b"big.py", "modified", patch=b"@@ -1 +99999999999999999999 @@\n-a\n+b\n"), Fate.SKIPPED),
    (SourceFile(b"\xff\n.py", "weird", patch=b"@@ -1 +1 @@\n-a\n+eval(b)\n", head=b"eval(b)\n"), Fate.REVIEWED),
    (SourceFile(b"", "modified", patch=b""), Fate.SKIPPED),
)  # fmt: skip
