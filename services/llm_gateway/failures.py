"""Failures of models in the words of the catalogue, and what each lets us do next."""

from datetime import timedelta

from services.kit.errors import AppError, Reason
from services.llm_gateway.accounting import Scope, Spent
from services.llm_gateway.environment import Candidate
from services.llm_gateway.prices import MICROS
from services.llm_gateway.providers.faults import Fault, ProviderError

MAX_RETRY_AFTER = 3600.0
_UNAVAILABLE = frozenset(
    {
        Fault.OVERLOADED,
        Fault.SERVER_ERROR,
        Fault.NETWORK,
        Fault.TIMEOUT,
        Fault.CUT_STREAM,
        Fault.NOT_JSON,
        Fault.NO_COMPLETION,
        Fault.ERROR_IN_ANSWER,
        Fault.NO_FINISH,
        Fault.EMPTY,
    }
)
# What the candidate's provider did says something about the next call to it, too.
BREAKS = frozenset({Fault.OVERLOADED, Fault.SERVER_ERROR, Fault.NETWORK, Fault.TIMEOUT, Fault.NOT_JSON})
_ADDRESS = "{address} is the address before /chat/completions and mostly ends in /v1."
_ADVICE: dict[Fault, str] = {
    Fault.AUTH: "Check {key}.",
    Fault.PERMISSION: "Check what the key in {key} may use.",
    Fault.NOT_FOUND: "Check {model}.",
    Fault.BAD_REQUEST: "Try another model.",
    Fault.CONTEXT_TOO_LONG: "Choose one that takes more, or set maxInputTokens.",
    Fault.TIMEOUT: "A slow one may be given more with LINTEL_MODEL_SECONDS.",
    Fault.NO_MODEL: "Set {model}.",
    Fault.RATE_LIMIT: "Try again later.",
    Fault.OVERLOADED: "Try again later.",
    Fault.SERVER_ERROR: "Try again later.",
}
# What an address that is not quite right looks like; said where there is one to check.
_ADDRESSES = frozenset({Fault.NOT_FOUND, Fault.NETWORK, Fault.REDIRECT, Fault.NOT_JSON, Fault.NO_COMPLETION})


def _advice(fault: Fault, candidate: Candidate) -> str:
    own = candidate.origin.startswith("byokConfig")
    places = {
        "key": f"{candidate.origin}.apiKey" if own else candidate.credential,
        "model": f"{candidate.origin}.model" if own else "API_LLM_PROVIDER_MODEL",
        "address": f"{candidate.origin}.baseURL" if own else candidate.origin,
    }
    parts = [_ADVICE.get(fault, "")]
    if fault in _ADDRESSES and candidate.model.base_url:
        parts.append(_ADDRESS)
    return " ".join(filter(None, parts)).format(**places)


def describe(error: ProviderError, candidate: Candidate) -> str:
    """Answer in a line what went wrong with a candidate, without a word that came from the provider."""
    status = f" (HTTP {error.status})" if error.status else ""
    return f"{candidate.name}: {error.meaning.words}{status}"


def to_app_error(error: ProviderError, candidate: Candidate, others: str = "") -> AppError:
    """Answer the failure of a completion: what happened, and what to do about it; `others` is what fallbacks said."""
    reason = Reason.MODEL_REFUSED
    if error.fault is Fault.RATE_LIMIT:
        reason = Reason.MODEL_RATE_LIMITED
    elif error.fault in _UNAVAILABLE:
        reason = Reason.MODEL_UNAVAILABLE
    words = f"{error.meaning.words} {_advice(error.fault, candidate)}".strip()
    if error.status:
        words = f"{words} (HTTP {error.status})"
    if others:
        words = f"{words} So did what comes after it: {others}"
    wait = None
    if reason is Reason.MODEL_RATE_LIMITED:
        wait = timedelta(seconds=min(error.retry_after if error.retry_after is not None else 60.0, MAX_RETRY_AFTER))
    return AppError(reason, words, retry_after=wait, fault=error.fault.value, model=candidate.name)


def _dollars(micros: int) -> str:
    """Answer an amount with two decimals, or with as many as a smaller part of a cent needs."""
    whole = f"{micros / MICROS:.6f}".rstrip("0")
    return whole if len(whole.partition(".")[2]) > 2 else f"{micros / MICROS:.2f}"


def budget_error(spent: Spent, now_left: timedelta) -> AppError:
    """Answer the refusal of a call that a budget has no room for."""
    standing = spent.standing
    budget = standing.budget
    what = {
        Scope.ORGANIZATION: "the organisation",
        Scope.REPOSITORY: "the repository",
        Scope.PULL_REQUEST: "the pull request",
        Scope.USER: "the person",
    }[budget.scope]
    until = standing.renew_time.strftime("%Y-%m-%dT%H:%M:%SZ")
    return AppError(
        Reason.BUDGET_SPENT,
        f"The model budget of {what} for the {budget.period.value} ({_dollars(budget.limit_micros)} USD) has no "
        f"room for this call; it renews at {until}. An owner can raise it with PUT /usage/budget.",
        retry_after=max(now_left, timedelta(seconds=1)),
        scope=budget.scope.value,
        id=budget.subject,
        period=budget.period.value,
        renew_time=until,
    )
