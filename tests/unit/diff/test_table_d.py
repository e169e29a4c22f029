"""The hostile inputs of the protocol facts, table D, as far as reading a diff goes; git makes the diffs."""

import random
from pathlib import Path

import pytest

from services.kit.diff.git import DIFF_OPTIONS
from services.kit.diff.model import FileDiff, FileStatus, LineKind, Side
from services.kit.diff.parser import parse_diff
from services.kit.diff.positions import PositionMap
from tests.unit.diff.generate import EXECUTABLE, FILE, LINES, SYMLINK, Entry, Tree, build_repository
from tests.unit.diff.gitfacts import SUBMODULE, run_git
from tests.unit.diff.oracle import check_history

TEXT = b"".join(b"line %d\n" % number for number in range(40))
EDITED = TEXT.replace(b"line 20\n", b"line twenty\n")


def diff_of(folder: Path, old: Tree, new: Tree, *, quote_path: bool = True) -> list[FileDiff]:
    """Commit both trees, hold the whole history against git, and parse the diff between them."""
    repository = build_repository(folder / "repo.git", [old, new])
    assert check_history(repository, quote_path=quote_path).mismatches == []
    arguments = ("diff-tree", "-r", "-p", *DIFF_OPTIONS, "main~1", "main")
    return list(parse_diff(run_git(repository, *arguments, quote_path=quote_path)))


def file(content: bytes = TEXT, mode: str = FILE) -> Entry:
    return Entry(mode, content)


def texts(diff: FileDiff, kind: LineKind) -> list[bytes]:
    return [line.text for hunk in diff.hunks for line in hunk.lines() if line.kind is kind]


def test_row_1_pure_rename(tmp_path: Path) -> None:
    (moved,) = diff_of(tmp_path, {b"old": file()}, {b"new": file()})
    assert moved == FileDiff(b"old", b"new", FileStatus.RENAMED, similarity=100)


def test_row_1_rename_with_edits_keeps_the_old_path_for_the_left_side(tmp_path: Path) -> None:
    (moved,) = diff_of(tmp_path, {b"old": file()}, {b"new": file(EDITED)})
    assert (moved.old_path, moved.new_path, moved.status) == (b"old", b"new", FileStatus.RENAMED)
    assert PositionMap(moved.hunks).text(Side.LEFT, 21, 21) == b"line 20"


def test_row_1_case_only_rename_is_of_two_paths(tmp_path: Path) -> None:
    (moved,) = diff_of(tmp_path, {b"Read.me": file()}, {b"read.ME": file()})
    assert (moved.old_path, moved.new_path) == (b"Read.me", b"read.ME")


def test_row_1_swap_of_two_files(tmp_path: Path) -> None:
    other = b"".join(b"quite another line %d\n" % number for number in range(40))
    one, two = diff_of(tmp_path, {b"a": file(), b"b": file(other)}, {b"a": file(other), b"b": file()})
    assert {one.path, two.path} == {b"a", b"b"}


def test_row_1_directory_rename(tmp_path: Path) -> None:
    old = {b"lib/%d" % n: file(TEXT + b"%d\n" % n) for n in range(5)}
    new = {b"src/lib/%d" % n: file(TEXT + b"%d\n" % n) for n in range(5)}
    moved = diff_of(tmp_path, old, new)
    assert [(each.old_path, each.new_path) for each in moved] == list(zip(sorted(old), sorted(new), strict=True))


def test_row_2_binary_files_have_no_hunks_and_pointers_are_text(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12345\n"
    old = {b"image": file(b"\0\1\2"), b"big.bin": file(pointer % 1), b"gone": file(b"\0")}
    new = {b"image": file(b"\0\1\3"), b"big.bin": file(pointer % 2), b"new": file(b"\0x")}
    found = {each.path: each for each in diff_of(tmp_path, old, new)}
    assert [found[path].is_binary for path in (b"image", b"big.bin", b"gone", b"new")] == [True, False, True, True]
    assert not found[b"image"].hunks
    assert texts(found[b"big.bin"], LineKind.ADDED) == [b"oid sha256:%064d" % 2]
    assert (found[b"gone"].status, found[b"new"].status) == (FileStatus.REMOVED, FileStatus.ADDED)


def test_row_2_the_data_of_a_binary_patch_is_passed_over(tmp_path: Path) -> None:
    chance = random.Random(1)
    trees: list[Tree] = [
        {b"image": file(b"\0" + chance.randbytes(5000)), b"z": file()},
        {b"image": file(b"\0" + chance.randbytes(6000)), b"z": file(EDITED)},
    ]
    repository = build_repository(tmp_path / "repo.git", trees)
    image, text = parse_diff(run_git(repository, "diff-tree", "-r", "-p", "--binary", "main~1", "main"))
    assert (image.path, image.is_binary, image.hunks) == (b"image", True, ())
    assert texts(text, LineKind.ADDED) == [b"line twenty"]


def test_row_3_submodule_bump(tmp_path: Path) -> None:
    old, new = (Entry(SUBMODULE, b"%040x" % number) for number in (1, 2))
    (bump,) = diff_of(tmp_path, {b"lib": old}, {b"lib": new})
    assert (bump.old_mode, bump.new_mode, bump.status) == ("160000", "160000", FileStatus.MODIFIED)
    assert texts(bump, LineKind.ADDED) == [b"Subproject commit %040x" % 2]


def test_row_3_symlink_change_and_change_of_type(tmp_path: Path) -> None:
    old = {b"link": file(b"here", SYMLINK), b"turned": file(b"x\n")}
    new = {b"link": file(b"/etc/passwd", SYMLINK), b"turned": file(b"x", SYMLINK)}
    link, gone, made = diff_of(tmp_path, old, new)
    assert (link.old_mode, link.new_mode) == ("120000", "120000")
    assert [line.newline for hunk in link.hunks for line in hunk.lines()] == [False, False]
    assert (gone.status, gone.old_mode, gone.new_mode) == (FileStatus.REMOVED, "100644", None)
    assert (made.status, made.old_mode, made.new_mode) == (FileStatus.ADDED, None, "120000")


def test_row_3_mode_only_change(tmp_path: Path) -> None:
    (changed,) = diff_of(tmp_path, {b"run me.sh": file()}, {b"run me.sh": file(mode=EXECUTABLE)})
    assert changed == FileDiff(b"run me.sh", b"run me.sh", FileStatus.MODE_CHANGED, (), "100644", "100755")


@pytest.mark.parametrize(
    "odd",
    [
        b"dos\r",
        b"lone\rcr",
        b"\r",
        b"form\x0cfeed",
        b"vertical\x0btab",
        "u\u2028l\u2029p\u0085n".encode(),
        b"\x1c\x1d\x1e",
    ],
)
def test_row_4_only_line_feeds_end_lines(tmp_path: Path, odd: bytes) -> None:
    content = b"one\n" + odd + b"\nthree\n"
    (changed,) = diff_of(tmp_path, {b"f": file(content)}, {b"f": file(content + odd + b"\n")})
    positions = PositionMap(changed.hunks)
    assert positions.text(Side.RIGHT, 2, 2) == positions.text(Side.RIGHT, 4, 4) == odd
    assert list(positions.changed_lines(Side.RIGHT)) == [4]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b"a\nb\n", b"a\nb", [("-", True), ("+", False)]),
        (b"a\nb", b"a\nb\n", [("-", False), ("+", True)]),
        (b"a\nb", b"a\nc", [("-", False), ("+", False)]),
        (b"a\nb", b"c\nb", [("-", True), ("+", True), (" ", False)]),
    ],
)
def test_row_5_the_mark_of_a_missing_newline_is_no_line(
    tmp_path: Path, old: bytes, new: bytes, expected: list[tuple[str, bool]]
) -> None:
    (changed,) = diff_of(tmp_path, {b"f": file(old)}, {b"f": file(new)})
    (hunk,) = changed.hunks
    assert (hunk.old_count, hunk.new_count) == (2, 2)
    assert [(str(line.kind), line.newline) for line in hunk.lines()][-len(expected) :] == expected
    assert PositionMap(changed.hunks).text(Side.RIGHT, 2, 2) == new.split(b"\n")[1]


def test_row_6_content_that_imitates_diff_syntax(tmp_path: Path) -> None:
    fake = b"\n".join(LINES) + b"\n"
    old = {b"f.text": file(fake * 2), b"gone.text": file(fake)}
    found = diff_of(tmp_path, old, {b"f.text": file(fake), b"new.text": file(fake * 3)})
    assert [each.path for each in found] == [b"f.text", b"gone.text", b"new.text"]
    assert texts(found[1], LineKind.REMOVED) == list(LINES)
    assert texts(found[2], LineKind.ADDED) == list(LINES) * 3


def test_row_7_a_huge_line_is_one_line(tmp_path: Path) -> None:
    old, new = (b"{" + letter * 5_000_000 + b"}\n" for letter in (b"a", b"b"))
    (changed,) = diff_of(tmp_path, {b"min.json": file(old)}, {b"min.json": file(new)})
    assert PositionMap(changed.hunks).text(Side.RIGHT, 1, 1) == new[:-1]


def test_row_8_thousands_of_files_and_lines(tmp_path: Path) -> None:
    old = {b"f/%04d" % n: file(b"%d\n" % n) for n in range(3100)} | {b"long": file(b"")}
    new = {b"f/%04d" % n: file(b"%d changed\n" % n) for n in range(3100)} | {b"long": file(b"x\n" * 20_500)}
    found = diff_of(tmp_path, old, new)
    assert len(found) == 3101
    assert sum(1 for _ in PositionMap(found[-1].hunks).changed_lines(Side.RIGHT)) == 20_500


@pytest.mark.parametrize("quote_path", [True, False])
@pytest.mark.parametrize(
    "path",
    [
        "\u00e4.txt".encode(), b"caf\xe9", b"\xff\xfe", b"sp ace", b" lead", b"trail ", b"a b/a b", b'quo"te', b'"',
        b"back\\slash", b"tab\t", b"new\nline", b"cr\r", b"-dash", b"%41#?", b"..x/..", b"--- a/x",
        b"\x07\x08\x0b\x0c\x01\x7f", b"\\303\\244",
    ],
)  # fmt: skip
def test_row_9_every_path_comes_back_as_its_bytes(tmp_path: Path, path: bytes, quote_path: bool) -> None:
    old: Tree = {path: file(), b"x" + path: file(b"%d" % 1), b"y" + path: file(b""), b"m" + path: file(b"same\n")}
    new: Tree = {
        path: file(EDITED),
        b"z" + path: file(b"2"),
        b"w" + path: file(b""),
        b"m" + path: file(b"same\n", EXECUTABLE),
    }
    found = diff_of(tmp_path, old, new, quote_path=quote_path)
    assert {name for each in found for name in (each.old_path, each.new_path) if name} == old.keys() | new.keys()


@pytest.mark.parametrize(
    "content", ["caf\u00e9\n".encode("latin-1"), "\u30c6\u30b9\u30c8\n".encode("shift-jis"), b"\xff\xfea\0\n\0"]
)
def test_row_9_content_in_any_encoding_comes_back_as_its_bytes(tmp_path: Path, content: bytes) -> None:
    (made,) = diff_of(tmp_path, {}, {b"forced.text": file(content)})
    (hunk,) = made.hunks
    assert b"\n".join(line.text for line in hunk.lines()) == content.removesuffix(b"\n")


def test_row_21_invisible_characters_are_kept(tmp_path: Path) -> None:
    hidden = "if (a\u202e\u2066) // \u200b\U000e0041\u0430" + "e\u0301\u0301\u0301"
    (made,) = diff_of(tmp_path, {}, {"\u202efdp.exe".encode(): file(hidden.encode() + b"\n")})
    assert made.path.decode() == "\u202efdp.exe"
    assert PositionMap(made.hunks).text(Side.RIGHT, 1, 1).decode() == hidden


def test_row_23_anchors_that_are_not_in_the_diff(tmp_path: Path) -> None:
    long = b"".join(b"line %d\n" % number for number in range(1, 101))
    changed = long.replace(b"line 20\n", b"line twenty\nand more\n").replace(b"line 80\n", b"")
    edited, made = diff_of(tmp_path, {b"f": file(long)}, {b"f": file(changed), b"new": file(b"x\n")})
    positions = PositionMap(edited.hunks)
    assert [positions.anchor_hunk(Side.RIGHT, *each) for each in ((17, 24), (20, 21), (20, 20), (78, 83))] == [
        0,
        0,
        0,
        1,
    ]
    assert [positions.anchor_hunk(Side.LEFT, *each) for each in ((17, 23), (80, 80))] == [0, 1]
    bad = [
        (0, 0),
        (-1, 20),
        (0, 20),
        (20, 19),
        (16, 20),
        (20, 25),
        (24, 78),
        (20, 80),
        (50, 50),
        (500, 501),
        (20, 2**70),
    ]
    for start, end in bad:
        assert positions.anchor_hunk(Side.RIGHT, start, end) is None
        assert not positions.valid_anchor(Side.RIGHT, start, end)
        with pytest.raises(LookupError):
            positions.text(Side.RIGHT, start, end)
    assert not PositionMap(made.hunks).valid_anchor(Side.LEFT, 1, 1)
    assert not PositionMap(()).valid_anchor(Side.RIGHT, 1, 1)
