"""What the pipeline makes of whatever a model pass answers, with the real analysis child: told and bound."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from services.kit.diff.model import LineKind, Side
from services.kit.errors import AppError, Reason
from services.review.analysis import analyse
from services.review.domain import (
    LOCAL,
    ChangeSource,
    Claim,
    DropReason,
    ModelUse,
    PullRequest,
    PullRequestRef,
    Report,
    Run,
    Severity,
    Source,
    SourceKind,
)
from services.review.model_port import Estimate, ModelChoice, ModelResult, SourceView
from services.review.receipts import receipt
from tests.integration.local.conftest import EVIL, upload_of

KEY = "AKIA" + "ABCDEFGH23456723"  # a made-up one
USE = ModelUse("openai", "gpt-x", 2, 900, 100, 50, None, "ab" * 32)


@dataclass
class Pass:
    """A model pass that answers what the test says, and notes what it was shown."""

    result: ModelResult | Exception = field(default_factory=ModelResult)
    choice: ModelChoice | Exception | None = field(default_factory=lambda: ModelChoice("openai", "gpt-x"))
    seen: list[SourceView] = field(default_factory=list)

    async def chosen(self, run: Run) -> ModelChoice | None:
        if isinstance(self.choice, Exception):
            raise self.choice
        return self.choice

    async def estimate(self, run: Run, view: SourceView) -> Estimate:
        return Estimate(2, 1_234, ("a note",))

    async def claims(self, run: Run, view: SourceView) -> ModelResult:
        self.seen.append(view)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def claim(quote: str, **values: Any) -> Claim:
    given: dict[str, Any] = {"path": "tool.py", "side": Side.RIGHT, "severity": Severity.HIGH, "category": "bug"}
    words = {"title": "It is wrong", "body": "Because.", "source": Source(SourceKind.MODEL, "openai", None, "gpt-x")}
    return Claim(quote=quote, **(given | words | values))


async def run(model: Pass | None, files: dict[str, str] | None = None, **values: bool) -> Report:
    ref = PullRequestRef(LOCAL, "", "1", "shop", 0)
    made = Run(uuid4(), uuid4(), ref, "", "", 1, 0, 0, False, "", **values)  # type: ignore[arg-type]
    change = PullRequest(True, False, "", "", "", "")
    return await analyse(made, ChangeSource(change, (), (), upload_of(files or {"tool.py": EVIL})), model)


async def test_claims_become_findings_at_their_lines_and_keep_their_words() -> None:
    claims = (claim("def run(words):", replacement="def run(words: str):"), claim("no such line"))
    dropped = {DropReason.REFUTED: 3}
    report = await run(Pass(ModelResult(claims, (USE,), dropped=dropped, notes=("a note",))))
    (found,) = [f for f in report.analysis.findings if f.source.kind is SourceKind.MODEL]
    assert (found.start_line, found.quote, found.title, found.body) == (4, "def run(words):", "It is wrong", "Because.")
    assert found.replacement == "def run(words: str):"
    assert found.source == Source(SourceKind.MODEL, "openai", None, "gpt-x")
    assert report.analysis.dropped[DropReason.REFUTED] == 3
    assert report.analysis.dropped[DropReason.QUOTE_NOT_FOUND] == 1
    assert "a note" in report.notes
    assert receipt(report)["models"] == [
        {
            "provider": "openai",
            "model": "gpt-x",
            "calls": 2,
            "input_tokens": 900,
            "cached_tokens": 100,
            "output_tokens": 50,
            "prompt_hash": "ab" * 32,
        }
    ]
    assert "`gpt-x` of openai, 2 calls, 900 tokens in and 50 out" in report.summary
    assert report.model_failure == ""


async def test_secrets_are_masked_before_a_model_sees_them_and_claims_about_them_still_bind() -> None:
    model = Pass()
    text = f'key = "{KEY}"\nprint(key)\n'
    await run(model, {"tool.py": text})
    (view,) = model.seen
    lines = [line for file in view.files for hunk in file.hunks for line in hunk.lines]
    assert KEY not in str(view)
    assert [(line.kind, line.old, line.new) for line in lines] == [(LineKind.ADDED, None, 1), (LineKind.ADDED, None, 2)]
    report = await run(Pass(ModelResult((claim(lines[0].text),), (USE,))), {"tool.py": text})
    (found,) = [f for f in report.analysis.findings if f.source.kind is SourceKind.MODEL]
    assert (found.start_line, found.quote) == (1, f'key = "{KEY}"')
    assert KEY not in report.summary


FAILURES: dict[str, tuple[Callable[[], Pass], str]] = {
    "says so": (lambda: Pass(ModelResult(uses=(USE,), failed=True, reason="the stream was cut")), "the stream was cut"),
    "raises": (lambda: Pass(AppError(Reason.MODEL_UNAVAILABLE, "it is away")), "gpt-x: it is away"),
    "breaks": (lambda: Pass(ValueError("with a secret")), "gpt-x: internal error (ValueError)"),
    "is not known": (lambda: Pass(choice=AppError(Reason.UNAVAILABLE, "nobody answers")), "nobody answers"),
}


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("text", [EVIL, "x = 1\n"])
async def test_a_failed_model_never_reads_as_no_findings(name: str, text: str) -> None:
    make, words = FAILURES[name]
    report = await run(make(), {"tool.py": text})
    assert report.model_failure == words
    assert receipt(report)["model_failure"] == words
    assert "No findings" not in report.summary
    assert "the model did" in report.summary
    assert f"not complete: {words}" in report.summary
    assert bool(report.analysis.findings) is (text == EVIL)


async def test_claims_of_a_pass_that_failed_later_still_count() -> None:
    report = await run(Pass(ModelResult((claim("def run(words):"),), (USE,), failed=True, reason="one pack failed")))
    assert [f.start_line for f in report.analysis.findings if f.source.kind is SourceKind.MODEL] == [4]
    assert report.model_failure == "one pack failed"


async def test_five_thousand_claims_are_bound_and_more_are_counted() -> None:
    claims = tuple(claim("def run(words):", title=f"number {n}") for n in range(5_100))
    report = await run(Pass(ModelResult(claims, (USE,))))
    assert len([f for f in report.analysis.findings if f.source.kind is SourceKind.MODEL]) == 1
    assert report.analysis.dropped[DropReason.OVER_LIMIT] == 100
    assert report.analysis.dropped[DropReason.DUPLICATE] == 4_999


async def test_no_model_and_none_configured_are_told_apart() -> None:
    model = Pass()
    assert "- models: switched off for this review" in (await run(model, no_model=True)).summary
    assert "- models: none configured" in (await run(Pass(choice=None))).summary
    assert "- models: none configured" in (await run(None)).summary
    assert model.seen == []


async def test_a_dry_run_names_the_model_and_does_not_call_it() -> None:
    model = Pass()
    report = await run(model, dry_run=True)
    assert model.seen == []
    (use,) = report.models
    assert (use.provider, use.model, use.calls, use.input_tokens, use.cost_usd) == ("openai", "gpt-x", 0, 1_234, None)
    assert report.notes == (
        "dry run: 1 file would be sent to a model in 2 calls with about 1,234 tokens, instructions included; what it "
        "finds takes further calls to verify",
        "dry run: what gpt-x costs is not known (LINTEL_MODEL_PRICES can say it)",
        "a note",
    )


async def test_a_dry_run_tells_what_reading_would_cost() -> None:
    report = await run(Pass(choice=ModelChoice("openai", "gpt-x", (2.5, 10.0))), dry_run=True)
    assert report.models[0].cost_usd == pytest.approx(1_234 * 2.5 / 1e6)
    assert report.notes[1] == (
        "dry run: to read them costs about 0.0031 USD, each 1,000 tokens of its answers 0.0100 USD"
    )
    assert receipt(report)["models"][0]["cost_usd"] == pytest.approx(1_234 * 2.5 / 1e6)


async def test_skipped_files_are_not_shown() -> None:
    model = Pass()
    await run(model, {"tool.py": "x = 1\n", "package-lock.json": "{}\n"})
    assert [file.path for file in model.seen[0].files] == ["tool.py"]


async def test_what_does_not_fit_is_told() -> None:
    model = Pass()
    big = "".join(f"# {number:0100}\n" for number in range(65_000))
    report = await run(model, {"big.py": big, "tool.py": EVIL})
    assert [file.path for file in model.seen[0].files] == ["tool.py"]
    assert model.seen[0].left_out == ("big.py",)
    assert report.model_failure == "too large for a model: 1 file not shown to it"
