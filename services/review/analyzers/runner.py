"""The parent's side of the analysis child: hand it the files, believe only what can be checked, always answer."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from services.review.analyzers import frames, wire
from services.review.analyzers.frames import FrameError
from services.review.analyzers.limits import Limits
from services.review.analyzers.process import ChildProcess
from services.review.analyzers.table import NAMES
from services.review.domain import Analysis, AnalyzerReport, DropReason, Fate, FileReport, SourceFile
from services.review.evidence.bind import merge
from services.review.evidence.paths import path_text

PROGRAM = Path(__file__).resolve().parent / "child.py"
ISOLATION = "isolation"  # the line in the receipt that says which walls held
_START_SECONDS = 20.0
_MAX_HELLO = 16 * 1024


@dataclass(slots=True)
class _Progress:
    """What is known so far; all of it is kept whatever happens to the child."""

    files: tuple[FileReport, ...] | None = None
    running: str | None = None
    done: dict[str, wire.Done] = field(default_factory=dict)
    complete: bool = False


class AnalysisChild:
    """One confined child process for one analysis; it may be started long before it is needed.

    `analyze` never raises for anything that the child or its input does. With `strict` nothing is analysed where
    sockets can't be denied. Use it as an asynchronous context manager, from the event loop's thread.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        strict: bool = False,
        program: Path = PROGRAM,
        analyzers: Sequence[str] = NAMES,
    ) -> None:
        self._limits = limits or Limits()
        self._strict = strict
        self._program = program
        self._analyzers = tuple(analyzers)
        self._process: ChildProcess | None = None
        self._walls: Mapping[str, Any] | None = None
        self._problem: str | None = None
        self._used = False
        self.start_ms = 0  # from the start of the process to its first word, behind its walls
        self.peak_memory = 0  # bytes

    async def __aenter__(self) -> Self:
        """Start the child and wait until it is behind its walls; a failure is told by `analyze`."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(_START_SECONDS):
                self._process = await ChildProcess.start(self._program, self._limits, strict=self._strict)
                self._walls = _hello(frames.parse_json(await self._process.receive(_MAX_HELLO)))
        except (OSError, TimeoutError, EOFError, FrameError) as error:
            self._problem = f"the analysis child did not start ({type(error).__name__})"
        except BaseException:
            await self.aclose()
            raise
        self.start_ms = round((time.monotonic() - started) * 1000)
        if self._walls is not None and self._strict and not self._walls["no_sockets"]:
            self._problem = "sockets can't be denied here, and strict isolation is asked for"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill the child with all it started, and remove its folder."""
        await self.aclose()

    async def aclose(self) -> None:
        """Kill the child with all it started, and remove its folder; may be called again."""
        process, self._process = self._process, None
        if process is not None:
            await process.close()

    async def analyze(self, files: Sequence[SourceFile]) -> Analysis:
        """Analyse the files of one change, once per child; what went wrong is told by the fates in the result."""
        if self._used:
            raise RuntimeError("an analysis child serves one analysis")
        self._used = True
        started = time.monotonic()
        progress = _Progress()
        problem = self._problem
        if problem is None and self._process is not None:
            problem = await self._guarded(self._process, files, progress)
        self._problem = problem
        duration = round((time.monotonic() - started) * 1000)
        return self._assemble(files, progress, problem, duration)

    async def _guarded(self, process: ChildProcess, files: Sequence[SourceFile], progress: _Progress) -> str | None:
        """Let the child work under watch; returns why it did not finish, None when it did."""
        overruns: list[str] = []
        watch = asyncio.create_task(process.watch(self._limits, overruns.append))
        try:
            async with asyncio.timeout(self._limits.seconds):
                await self._exchange(process, files, progress)
            return None
        except TimeoutError:
            process.kill()
            return f"took longer than {self._limits.seconds:g} s"
        except FrameError as error:
            process.kill()
            return f"broke the protocol: {error}"
        except (OSError, EOFError):
            await process.ended(seconds=1.0)
            return overruns[0] if overruns else process.how_it_ended()
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            self.peak_memory = process.peak_memory

    async def _exchange(self, process: ChildProcess, files: Sequence[SourceFile], progress: _Progress) -> None:
        request, blobs = wire.encode_request(files, self._limits)
        for frame in (frames.pack_json(request), *map(frames.pack, blobs)):
            process.writer.write(frame)
            await process.writer.drain()
        process.writer.write_eof()
        paths = frozenset(path_text(file.path) for file in files)
        room = self._limits.answer_bytes
        while not progress.complete:
            payload = await process.receive(room)
            room -= len(payload)
            self._take(frames.parse_json(payload), files, paths, progress)

    def _take(self, message: Any, files: Sequence[SourceFile], paths: frozenset[str], progress: _Progress) -> None:
        """Check one message against what may come next; raises FrameError."""
        kind = message.get("type") if isinstance(message, dict) else None
        following = next((name for name in self._analyzers if name not in progress.done), None)
        if kind == "files" and progress.files is None:
            progress.files = wire.decode_reports(message, files)
        elif progress.files is None:
            raise FrameError("the child answered out of order")
        elif (
            kind == "start" and progress.running is None and following is not None and message.get("name") == following
        ):
            progress.running = following
        elif kind == "done" and progress.running is not None:
            progress.done[progress.running] = wire.decode_done(message, progress.running, paths, self._limits)
            progress.running = None
        elif kind == "end" and progress.running is None and following is None:
            progress.complete = True
        else:
            raise FrameError("the child answered out of order")

    def _assemble(
        self, files: Sequence[SourceFile], progress: _Progress, problem: str | None, duration: int
    ) -> Analysis:
        done = list(progress.done.values())
        findings, merged = merge(finding for part in done for finding in part.findings)
        dropped: Counter[DropReason] = Counter(merged)
        for part in done:
            dropped.update(part.dropped)
        summary = tuple(claim for part in done for claim in part.summary)
        reports = [self._fate(name, progress, problem) for name in self._analyzers]
        return Analysis(
            findings=findings,
            files=_file_reports(files, progress, problem),
            analyzers=(self._isolation(problem, duration), *reports),
            dropped=dict(dropped),
            summary_only=summary,
        )

    def _fate(self, name: str, progress: _Progress, problem: str | None) -> AnalyzerReport:
        done = progress.done.get(name)
        if done is not None:
            return done.report
        if name == progress.running:
            return AnalyzerReport(name, "", Fate.FAILED, f"the analysis child {problem}", 0)
        return AnalyzerReport(name, "", Fate.SKIPPED, f"not reached: the analysis child {problem}", 0)

    def _isolation(self, problem: str | None, duration: int) -> AnalyzerReport:
        walls = self._walls
        if walls is None:
            return AnalyzerReport(ISOLATION, "", Fate.FAILED, problem, duration)
        parts = ["seccomp"] if walls["no_sockets"] else []
        parts += [f"landlock {walls['landlock']}"] if walls["landlock"] else []
        parts += ["own user"] if walls["user"].startswith("private") else []
        notes = [*walls["notes"], *([f"the analysis child {problem}"] if problem else [])]
        fate = Fate.FAILED if problem else Fate.PARTIAL if notes else Fate.RAN
        return AnalyzerReport(ISOLATION, ", ".join(parts), fate, "; ".join(notes) or None, duration)


def _file_reports(files: Sequence[SourceFile], progress: _Progress, problem: str | None) -> tuple[FileReport, ...]:
    reason = f"the analysis child {problem}"
    if progress.files is None:
        return tuple(FileReport(path_text(f.path), f.status, Fate.FAILED, reason, 0, 0) for f in files)
    if problem is None:
        return progress.files
    return tuple(
        replace(report, fate=Fate.PARTIAL, reason=reason) if report.fate is Fate.REVIEWED else report
        for report in progress.files
    )


def _hello(message: Any) -> Mapping[str, Any]:
    """The child's account of its walls, sent before it has read any input; raises FrameError."""
    shape = {"no_sockets": bool, "landlock": int, "user": str, "notes": list}
    if not isinstance(message, dict) or any(not isinstance(message.get(k), t) for k, t in shape.items()):
        raise FrameError("the child's first word is malformed")
    return message
