"""The child's side: put up the walls, read a change, run the analyzers, answer piece by piece, bind claims, and end.

Each analyzer's result is sent as soon as it is there, so that what the child has done survives its being killed.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import services
from services.review.analyzers import frames, wire
from services.review.analyzers.binding import decode_claims, encode_bound
from services.review.analyzers.confine import ProcessLimits, confine
from services.review.analyzers.imports import Importer
from services.review.analyzers.prepare import Prepared, prepare
from services.review.analyzers.sarif import SarifRun, read_sarif
from services.review.analyzers.target import Analyzer, Deadline, Outcome
from services.review.analyzers.tools import PROGRAMS, installed
from services.review.analyzers.upload import SourceInvalidError, encode_listing, read_upload
from services.review.analyzers.view import Display, make_view
from services.review.domain import Claim, Fate, SourceFile
from services.review.evidence.bind import Bound, bind


def main(analyzers: Sequence[Analyzer]) -> None:
    """Serve one request on stdin and stdout; argv[1] is the JSON of the start options."""
    options = json.loads(sys.argv[1])
    requests, answers = sys.stdin.buffer, _private_stdout()
    tools = [str(path) for path in map(installed, PROGRAMS) if path]
    package = str(Path(services.__path__[0]))
    walls = confine(str(Path.cwd()), package, tools, ProcessLimits(**options["limits"]))
    _send(answers, {"type": "hello"} | asdict(walls))
    if options["strict"] and not walls.no_sockets:
        return
    try:
        request = frames.parse_json(frames.read(requests))
        blobs = [frames.read(requests) for _ in range(request["blobs"])]
    except EOFError:
        return  # the parent had no work after all
    try:
        files = _source(request, blobs, answers)
        runs = _sarif(request, blobs)
    except SourceInvalidError as error:
        _send(answers, {"type": "invalid", "reason": str(error)})
        return
    blobs.clear()
    display = _analyze(analyzers, request, files, runs, answers)
    if display is not None:
        _bind_claims(requests, display, answers)


def _private_stdout() -> BinaryIO:
    """Keep the pipe to the parent for frames only: what anything prints goes nowhere."""
    pipe = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return os.fdopen(pipe, "wb")


def _send(answers: BinaryIO, message: object) -> None:
    answers.write(frames.pack_json(message))
    answers.flush()


def _source(request: Any, blobs: Sequence[bytes], answers: BinaryIO) -> list[SourceFile]:
    """The changed files, listed first where the parent can't know them. Raises SourceInvalidError."""
    if "upload" not in request:
        return wire.decode_files(request, blobs)
    files = read_upload(request["upload"], blobs)
    _send(answers, encode_listing(files))
    return files


def _sarif(request: Any, blobs: Sequence[bytes]) -> Sequence[SarifRun]:
    number = request.get("upload", {}).get("sarif")
    return () if number is None else read_sarif(blobs[number])


def _analyze(
    analyzers: Sequence[Analyzer],
    request: Any,
    files: Sequence[SourceFile],
    runs: Sequence[SarifRun],
    answers: BinaryIO,
) -> tuple[Sequence[Prepared], Display] | None:
    """Answer the analysis; returns what claims may be bound to, where the parent will bring some."""
    folder = Path.cwd()
    deadline = Deadline(request["seconds"])
    prepared = prepare(files, folder)
    _send(answers, {"type": "files", "files": [wire.encode_report(file.report) for file in prepared]})
    display = make_view(prepared, files) if request.get("view") else None
    if display is not None:
        _send(answers, display.message)
    targets = [file.target for file in prepared if file.target is not None]
    for left, analyzer in zip(range(len(analyzers), 0, -1), analyzers, strict=True):
        _send(answers, {"type": "start", "name": analyzer.name})
        started = time.monotonic()
        # What is left is shared evenly, and a quick analyzer leaves its part to those after it.
        version, outcome, bound = _guarded(
            analyzer, targets, prepared, folder, Deadline(deadline.remaining / left), request["findings"]
        )
        duration = round((time.monotonic() - started) * 1000)
        _send(answers, wire.encode_done(analyzer.name, version, outcome, bound, duration))
    importer = Importer(prepared, files)
    for run in runs:
        started = time.monotonic()
        made = importer.bind(run, request["findings"])
        duration = round((time.monotonic() - started) * 1000)
        done = wire.encode_done(made.tool, made.version, made.outcome, made.bound, duration)
        _send(answers, done | {"type": "imported"})
    _send(answers, {"type": "end"})
    return None if display is None else (prepared, display)


def _bind_claims(requests: BinaryIO, display: tuple[Sequence[Prepared], Display], answers: BinaryIO) -> None:
    """Bind what the parent brings to what it was shown, once."""
    prepared, view = display
    try:
        request = frames.parse_json(frames.read(requests))
    except EOFError:
        return  # there was nothing to bind
    diffs = [file.diff for file in prepared]
    bound = bind(decode_claims(request), diffs, shown=view.shown, limit=request["limit"])
    _send(answers, encode_bound(bound))


def _guarded(
    analyzer: Analyzer,
    targets: Sequence[Any],
    prepared: Sequence[Prepared],
    folder: Path,
    deadline: Deadline,
    limit: int,
) -> tuple[str, Outcome, Bound]:
    """Run one analyzer, whatever it raises: a panic of a native library is no Exception."""
    version = ""
    try:
        version = analyzer.version()
        if not targets:
            return version, Outcome((), Fate.SKIPPED, "no file to read"), Bound(())
        outcome = analyzer.run(targets, folder, deadline)
        return version, outcome, _bind(outcome.claims, prepared, limit)
    except MemoryError:
        return version, Outcome((), Fate.FAILED, "out of memory"), Bound(())
    except BaseException as error:
        # The message of an error may quote the input; its type does not.
        return version, Outcome((), Fate.FAILED, f"stopped by an error of its own ({type(error).__name__})"), Bound(())


def _bind(claims: Sequence[Claim], prepared: Sequence[Prepared], limit: int) -> Bound:
    if not claims:
        return Bound(())
    paths = {claim.path for claim in claims}
    return bind(claims, [file.diff for file in prepared if file.report.path in paths], limit=limit)
