from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from services.review.analyzers.limits import Limits
from services.review.analyzers.runner import AnalysisChild
from services.review.domain import Analysis, SourceFile

PROGRAMS = Path(__file__).parent / "programs"
Attack = Callable[..., Coroutine[Any, Any, Analysis]]


def added(path: str, content: bytes) -> SourceFile:
    lines = content.removesuffix(b"\n").split(b"\n")
    patch = b"@@ -0,0 +1,%d @@\n" % len(lines) + b"".join(b"+" + line + b"\n" for line in lines)
    return SourceFile(path.encode(), "added", patch=patch, head=content)


@pytest.fixture
def attack() -> Attack:
    async def run(
        name: str, argument: object = "", limits: Limits | None = None, program: str = "attacker.py"
    ) -> Analysis:
        names = ("attacker", "second")
        async with AnalysisChild(limits, program=PROGRAMS / program, analyzers=names) as child:
            return await child.analyze([added("attack.txt", f"{name} {argument}\n".encode())])

    return run


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text("the secret")
    tmp_path.chmod(0o777)
    path.chmod(0o666)  # the walls must hold where the file system would let anyone in
    return path
