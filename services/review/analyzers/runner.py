"""The parent's side of the analysis child: hand it the files, believe only what can be checked, always answer."""

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from services.kit.errors import AppError, Reason
from services.review.analyzers import frames, wire
from services.review.analyzers.binding import MAX_CLAIMS, decode_bound, encode_claims
from services.review.analyzers.frames import FrameError
from services.review.analyzers.limits import Limits
from services.review.analyzers.process import ChildProcess
from services.review.analyzers.sarif import MAX_RUNS
from services.review.analyzers.table import NAMES
from services.review.analyzers.upload import (
    SourceInvalidError,
    decode_invalid,
    decode_listing,
    encode_upload,
)
from services.review.analyzers.view import decode_view
from services.review.domain import (
    Analysis,
    AnalyzerReport,
    Claim,
    DropReason,
    Fate,
    FileReport,
    SourceFile,
    SourceKind,
    Upload,
)
from services.review.evidence.bind import DEFAULT_LIMIT, Bound, merge
from services.review.evidence.paths import path_text
from services.review.model_port import SourceView

PROGRAM = Path(__file__).resolve().parent / "child.py"
ISOLATION = "isolation"  # the line in the receipt that says which walls held
_START_SECONDS = 20.0
_MAX_HELLO = 16 * 1024
_BIND_SECONDS = 30.0


@dataclass(slots=True)
class _Progress:
    """What is known so far; all of it is kept whatever happens to the child."""

    sources: Sequence[SourceFile] | None = None  # of an upload: unknown until the child has read it
    files: tuple[FileReport, ...] | None = None
    view: SourceView | None = None
    running: str | None = None
    done: dict[str, wire.Done] = field(default_factory=dict)
    imports: list[wire.Done] = field(default_factory=list)
    complete: bool = False

    @property
    def paths(self) -> frozenset[str]:
        """The paths that findings may name."""
        return frozenset(path_text(file.path) for file in self.sources or ())


class AnalysisChild:
    """One confined child process for one analysis; it may be started long before it is needed.

    `analyze` never raises for anything that the child or its input does, but for an upload that can't be read. With
    `strict` nothing is analysed where sockets can't be denied. With a view of the change asked for, claims about it can
    be bound afterwards, once. Use it as an asynchronous context manager, from the event loop's thread.
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
        self._paths: frozenset[str] = frozenset()
        self.view: SourceView | None = None  # after `analyze`, where it was asked for and the child made one
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

    async def analyze(self, change: Sequence[SourceFile] | Upload, *, with_view: bool = False) -> Analysis:
        """Analyse one change, once per child; what went wrong is told by the fates in the result.

        Raises SourceInvalidError for an upload that can't be read, AppError(UNAVAILABLE) where nobody could try.
        """
        if self._used:
            raise RuntimeError("an analysis child serves one analysis")
        self._used = True
        started = time.monotonic()
        progress = _Progress(None if isinstance(change, Upload) else change)
        problem = self._problem
        if problem is None and self._process is not None:
            process = self._process
            problem = await self._guarded(
                process, self._exchange(process, change, progress, with_view), self._limits.seconds
            )
            if problem is not None and progress.sources is None:
                raise SourceInvalidError(f"the change can't be read: the analysis child {problem}")
        elif progress.sources is None:
            raise AppError(Reason.UNAVAILABLE, problem or "the analysis child did not start")
        self._problem = problem
        self._paths, self.view = progress.paths, progress.view
        duration = round((time.monotonic() - started) * 1000)
        return self._assemble(progress, problem, duration, isinstance(change, Upload) and change.sarif is not None)

    async def bind(self, claims: Sequence[Claim], limit: int = DEFAULT_LIMIT) -> Bound:
        """Bind claims to what the view shows, once. Raises AppError(UNAVAILABLE) where the child can't do it."""
        process, problem = self._process, self._problem
        answers: list[Bound] = []
        kept = claims[:MAX_CLAIMS]
        if process is None or self.view is None:
            problem = problem or "was given no view to make"
        if problem is None and process is not None:
            problem = await self._guarded(process, self._ask_to_bind(process, kept, limit, answers), _BIND_SECONDS)
        if problem is not None:
            raise AppError(Reason.UNAVAILABLE, f"the analysis child {problem}")
        over = len(claims) - len(kept)
        (bound,) = answers
        return replace(bound, dropped=Counter(bound.dropped) + Counter({DropReason.OVER_LIMIT: over}))

    async def _ask_to_bind(
        self, process: ChildProcess, claims: Sequence[Claim], limit: int, answers: list[Bound]
    ) -> None:
        process.writer.write(frames.pack_json(encode_claims(claims, limit)))
        await process.writer.drain()
        process.writer.write_eof()
        payload = await process.receive(self._limits.answer_bytes)
        answers.append(decode_bound(frames.parse_json(payload), claims, self._paths))

    async def _guarded(self, process: ChildProcess, work: Coroutine[Any, Any, None], seconds: float) -> str | None:
        """Let the child work under watch; returns why it did not finish, None when it did."""
        overruns: list[str] = []
        watch = asyncio.create_task(process.watch(self._limits, overruns.append))
        try:
            async with asyncio.timeout(seconds):
                await work
            return None
        except TimeoutError:
            process.kill()
            return f"took longer than {seconds:g} s"
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

    async def _exchange(
        self, process: ChildProcess, change: Sequence[SourceFile] | Upload, progress: _Progress, with_view: bool
    ) -> None:
        if isinstance(change, Upload):
            request, blobs = encode_upload(change, self._limits)
        else:
            request, blobs = wire.encode_request(change, self._limits)
        for frame in (frames.pack_json(request | {"view": with_view}), *map(frames.pack, blobs)):
            process.writer.write(frame)
            await process.writer.drain()
        if not with_view:
            process.writer.write_eof()
        room = self._limits.answer_bytes
        while not progress.complete:
            payload = await process.receive(room)
            room -= len(payload)
            self._take(frames.parse_json(payload), progress)

    def _take(self, message: Any, progress: _Progress) -> None:
        """Check one message against what may come next; raises FrameError, or SourceInvalidError if it says so."""
        kind = message.get("type") if isinstance(message, dict) else None
        following = next((name for name in self._analyzers if name not in progress.done), None)
        is_between = progress.files is not None and progress.running is None
        if progress.sources is None and kind == "source":
            progress.sources = decode_listing(message)
        elif progress.files is None and kind == "invalid":
            raise decode_invalid(message)
        elif progress.sources is not None and progress.files is None and kind == "files":
            progress.files = wire.decode_reports(message, progress.sources)
        elif is_between and kind == "view" and progress.view is None and progress.sources is not None:
            progress.view = decode_view(message, progress.sources)
        elif is_between and kind == "start" and following is not None and message.get("name") == following:
            progress.running = following
        elif kind == "done" and progress.running is not None:
            progress.done[progress.running] = wire.decode_done(message, progress.running, progress.paths, self._limits)
            progress.running = None
        elif is_between and kind == "imported" and following is None and len(progress.imports) < MAX_RUNS:
            name = wire.imported_name(message)
            progress.imports.append(wire.decode_done(message, name, progress.paths, self._limits, SourceKind.IMPORT))
        elif is_between and kind == "end" and following is None:
            progress.complete = True
        else:
            raise FrameError("the child answered out of order")

    def _assemble(self, progress: _Progress, problem: str | None, duration: int, has_imports: bool) -> Analysis:
        done = [*progress.done.values(), *progress.imports]
        findings, merged = merge(finding for part in done for finding in part.findings)
        dropped: Counter[DropReason] = Counter(merged)
        for part in done:
            dropped.update(part.dropped)
        summary = tuple(claim for part in done for claim in part.summary)
        reports = [self._fate(name, progress, problem) for name in self._analyzers]
        reports += [part.report for part in progress.imports]
        if has_imports and problem is not None:
            reason = f"not read to its end: the analysis child {problem}"
            reports.append(AnalyzerReport("SARIF", "", Fate.FAILED, reason, 0))
        return Analysis(
            findings=findings,
            files=_file_reports(progress.sources or (), progress, problem),
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
