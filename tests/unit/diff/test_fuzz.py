"""Whatever the bytes, the parser yields files or raises DiffError, and what it yields is sound."""

import contextlib
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kit.diff.errors import DiffError
from services.kit.diff.model import FileDiff, Hunk, Side
from services.kit.diff.parser import parse_diff, parse_patch
from services.kit.diff.positions import PositionMap
from tests.unit.diff.generate import build_history
from tests.unit.diff.gitfacts import first_parent_pairs, read_patches

FRAGMENTS = (
    b"diff --git a/x b/x\n", b'diff --git "a/\\303" "b/\\303"\n', b"diff --git a/x y b/z\n", b"diff --cc x\n",
    b"index 12..34 100644\n", b"new file mode 100644\n", b"deleted file mode 100644\n", b"old mode 100644\n",
    b"new mode 100755\n", b"rename from x\n", b"rename to y\n", b"copy from x\n", b"copy to y\n",
    b"similarity index 9%\n", b"--- a/x\n", b"+++ b/x\n", b"--- /dev/null\n", b"+++ /dev/null\n",
    b"--- x\t1970-01-01 00:00:00 +0000\n", b"@@ -1 +1 @@\n", b"@@ -0,0 +1,2 @@ f\n", b"@@ -1,2 +0,0 @@\n",
    b"@@ -3,2 +3,2 @@\n", b"@@@ -1 -1 +1 @@@\n", b"+a\n", b"-b\n", b" c\n", b"\n",
    b"\\ No newline at end of file\n", b"Binary files a/x and b/x differ\n", b"GIT binary patch\n", b"literal 3\n",
    b"\r\n", b"-- \n", b"+", b"\\ ",
)  # fmt: skip


def sound(hunks: tuple[Hunk, ...]) -> None:
    """Counts, numbers and positions of the hunks fit each other."""
    positions = PositionMap(hunks)
    for index, hunk in enumerate(hunks):
        lines = list(hunk.lines())
        for side, first, count in (
            (Side.LEFT, hunk.old_first, hunk.old_count),
            (Side.RIGHT, hunk.new_first, hunk.new_count),
        ):
            found = [line for line in lines if line.number(side) is not None]
            assert [line.number(side) for line in found] == list(range(first, first + count))
            if count:
                assert positions.anchor_hunk(side, first, first + count - 1) == index
                assert positions.text(side, first, first + count - 1) == b"\n".join(line.text for line in found)


def parsed(source: bytes) -> list[FileDiff]:
    """The files that come before any fault; nothing but a DiffError may be raised."""
    files: list[FileDiff] = []
    try:
        for file in parse_diff(source):
            assert file.path
            sound(file.hunks)
            files.append(file)
    except DiffError as error:
        assert 1 <= error.line <= source.count(b"\n") + 2
    return files


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes(source: bytes) -> None:
    parsed(source)
    with contextlib.suppress(DiffError):
        sound(parse_patch(source))


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14).map(b"".join))
def test_random_pieces_of_diffs(source: bytes) -> None:
    parsed(source)
    with contextlib.suppress(DiffError):
        sound(parse_patch(source[source.find(b"@@") :]))


@pytest.fixture(scope="module")
def real_diffs(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    repository = build_history(tmp_path_factory.mktemp("fuzz") / "repo.git", seed=3, commits=120)
    return [patch for _, patch in read_patches(repository, first_parent_pairs(repository))]


@settings(max_examples=400, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_mutated_diffs_of_git(real_diffs: list[bytes], seed: int) -> None:
    chance = random.Random(seed)
    source = chance.choice(real_diffs)
    for _ in range(chance.randint(1, 3)):
        source = _mutate(source, chance)
    parsed(source)


def _mutate(source: bytes, chance: random.Random) -> bytes:
    lines = re.split(rb"(?<=\n)", source)
    at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    match chance.randrange(6):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[other])
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = chance.choice(FRAGMENTS)
        case 4:
            lines = lines[: at + 1]
            lines[-1] = lines[-1][: chance.randrange(len(lines[-1]) + 1)]
        case _:
            changed = bytearray(lines[at])
            if changed:
                changed[chance.randrange(len(changed))] = chance.choice(b'\0\n\r +-@\\"0123456789/a\xff')
            lines[at] = bytes(changed)
    return b"".join(lines)


def test_no_line_of_a_hunk_goes_missing_or_comes_twice_unseen(real_diffs: list[bytes]) -> None:
    """Counts are binding: whichever line of a hunk is taken out or repeated, the diff is refused."""
    tried = 0
    for source in real_diffs:
        for hunk in (hunk for file in parse_diff(source) for hunk in file.hunks):
            before, _, after = source.partition(hunk.body)
            lines = hunk.body.removesuffix(b"\n").split(b"\n")
            for at in (at for at, line in enumerate(lines[:30]) if not line.startswith(b"\\ ")):
                for times in (0, 2):
                    changed = lines[:at] + [lines[at]] * times + lines[at + 1 :]
                    with pytest.raises(DiffError):
                        list(parse_diff(before + b"".join(line + b"\n" for line in changed) + after))
                    tried += 1
    assert tried > 500
