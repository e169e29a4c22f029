"""From the source of a run to its report: analyse in a confined child, ask a model if there is one, write it up."""

from collections import Counter
from dataclasses import dataclass, replace

from services.kit.errors import AppError, Reason
from services.kit.telemetry import log, trace
from services.review import text
from services.review.analyzers.runner import AnalysisChild
from services.review.analyzers.upload import SourceInvalidError
from services.review.domain import Analysis, ChangeSource, ModelUse, Report, Run
from services.review.evidence.bind import merge
from services.review.model_port import CheckpointError, ModelChoice, ModelPass, SourceView

CHARACTERS_PER_TOKEN = 3  # of source code; models cut it differently, and a dry run had better say too much
_logger = log.get("analysis")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What came of the model's part; `failure` says in words why it is not complete."""

    analysis: Analysis
    uses: tuple[ModelUse, ...] = ()
    failure: str = ""
    notes: tuple[str, ...] = ()
    line: str = text.NONE_CONFIGURED  # of the summary


async def analyse(run: Run, source: ChangeSource, model: ModelPass | None) -> Report:
    """Analyse a change and write the summary.

    Raises AppError(SOURCE_INVALID) for an upload that can't be read, and what keeps checkpoints from being written:
    AppError(UNAVAILABLE) and LeaseLostError.
    """
    choice, failure = await _chosen(run, model)
    async with AnalysisChild() as child:
        try:
            analysis = await child.analyze(
                source.files if source.upload is None else source.upload,
                with_view=run.dry_run or choice is not None,
            )
        except SourceInvalidError as error:
            raise AppError(Reason.SOURCE_INVALID, str(error)) from None
        if failure:
            asked = _Asked(analysis, failure=failure)
        elif run.dry_run:
            asked = await _estimated(run, model, choice, child.view, analysis)
        elif model is None or choice is None:
            asked = _Asked(analysis, line="switched off for this review" if run.no_model else text.NONE_CONFIGURED)
        else:
            with trace.span("ask model", provider=choice.provider, model=choice.model):
                asked = await _ask(run, model, choice, child, analysis)
    notes = (*source.omissions, *asked.notes)
    line = f"not complete: {asked.failure}" if asked.failure else asked.line
    summary = text.summary(asked.analysis, notes, run.head_sha, text.models_line(asked.uses, line), bool(asked.failure))
    base_sha = source.pull_request.base_sha
    return Report(base_sha, asked.analysis, notes, summary, asked.uses, asked.failure)


async def _chosen(run: Run, model: ModelPass | None) -> tuple[ModelChoice | None, str]:
    """Which model is to be asked, and why that can't be told."""
    if model is None or run.no_model:
        return None, ""
    try:
        return await model.chosen(run), ""
    except Exception as error:
        return None, _in_words(error)


async def _estimated(
    run: Run, model: ModelPass | None, choice: ModelChoice | None, view: SourceView | None, analysis: Analysis
) -> _Asked:
    """What a dry run says instead of asking."""
    if view is None:
        return _Asked(
            analysis, notes=("dry run: the change could not be read, so nothing is estimated",), line="dry run"
        )
    files = text.files(len(view.files))
    if model is None or choice is None:
        tokens = -(-view.characters // CHARACTERS_PER_TOKEN)
        about = f"dry run: {files} with about {tokens:,} tokens would be sent to a model, but none is asked"
        return _Asked(analysis, notes=(about,), line="dry run")
    try:
        found = await model.estimate(run, view)
    except Exception as error:
        return _Asked(analysis, failure=f"{choice.model}: {_in_words(error)}")
    calls = "1 call" if found.calls == 1 else f"{found.calls} calls"
    about = (
        f"dry run: {files} would be sent to a model in {calls} with about {found.input_tokens:,} tokens, instructions "
        "included; what it finds takes further calls to verify"
    )
    price = choice.usd_per_million_tokens
    cost = None if price is None else round(found.input_tokens * price[0] / 1e6, 6)
    use = ModelUse(choice.provider, choice.model, 0, found.input_tokens, 0, 0, cost, "")
    return _Asked(analysis, (use,), notes=(about, _costs(choice, cost), *found.notes))


def _costs(choice: ModelChoice, cost: float | None) -> str:
    if cost is None or choice.usd_per_million_tokens is None:
        return f"dry run: what {choice.model} costs is not known (LINTEL_MODEL_PRICES can say it)"
    answers = choice.usd_per_million_tokens[1] / 1000
    return f"dry run: to read them costs about {cost:.4f} USD, each 1,000 tokens of its answers {answers:.4f} USD"


async def _ask(run: Run, model: ModelPass, choice: ModelChoice, child: AnalysisChild, analysis: Analysis) -> _Asked:
    """Ask the model and bind what it claims; whatever goes wrong is told, and costs the model's part only."""
    view = child.view
    if view is None:
        return _Asked(analysis, failure="the change could not be shown to the model")
    too_large = f"too large for a model: {text.files(len(view.left_out))} not shown to it" if view.left_out else ""
    if not view.files:
        return _Asked(analysis, failure=too_large, line="not asked, as there was nothing to read")
    try:
        result = await model.claims(run, view)
    except CheckpointError as error:
        raise error.cause from None
    except Exception as error:
        return _Asked(analysis, failure=f"{choice.model}: {_in_words(error)}")
    failures = [result.reason or "the model did not answer"] if result.failed else []
    failures += [too_large] if too_large else []
    dropped = Counter(analysis.dropped) + Counter(result.dropped)
    if result.claims:
        try:
            bound = await child.bind(result.claims)
        except AppError as error:
            failures.append(f"what the model said could not be tied to the change: {error.message}")
        else:
            findings, merged = merge((*analysis.findings, *bound.findings))
            dropped += Counter(bound.dropped) + Counter(merged)
            told = (*analysis.summary_only, *bound.summary_only)
            analysis = replace(analysis, findings=findings, summary_only=told)
    analysis = replace(analysis, dropped=dict(dropped))
    return _Asked(analysis, result.uses, "; ".join(failures), result.notes)


def _in_words(error: Exception) -> str:
    if isinstance(error, AppError):
        return error.message or error.reason.value
    _logger.exception("model pass failed")
    return f"internal error ({type(error).__name__})"
