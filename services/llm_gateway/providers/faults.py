"""Every way in which a provider can fail us, and what each means for whoever decides about the next call."""

from dataclasses import dataclass
from enum import StrEnum

from services.llm_gateway.providers.usage import Usage

MAX_WORDS = 500  # characters of a provider's own words that are kept


class Fault(StrEnum):
    """What went wrong between us and a provider; each is told apart in logs and in what people read."""

    AUTH = "auth"
    PERMISSION = "permission"
    PAYMENT = "payment"
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    CONTEXT_TOO_LONG = "context_too_long"
    RATE_LIMIT = "rate_limit"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    NETWORK = "network"
    TIMEOUT = "timeout"
    CUT_STREAM = "cut_stream"
    REDIRECT = "redirect"
    BLOCKED_ADDRESS = "blocked_address"
    NOT_JSON = "not_json"
    NO_COMPLETION = "no_completion"
    ERROR_IN_ANSWER = "error_in_answer"
    NO_FINISH = "no_finish"
    INCOMPLETE = "incomplete"
    REFUSAL = "refusal"
    CONTENT_FILTER = "content_filter"
    EMPTY = "empty"
    SCHEMA_MISMATCH = "schema_mismatch"
    OVERSIZED = "oversized"
    TRUNCATED_PROMPT = "truncated_prompt"
    NO_MODEL = "no_model"


class ProbeCode(StrEnum):
    """The result of a test call, as the contract names it."""

    OK = "ok"
    AUTH = "auth"
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    PAYMENT = "payment"
    RATE_LIMIT = "rate_limit"
    SERVER_ERROR = "server_error"
    NETWORK = "network"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What follows from a fault.

    `is_retryable`: the same call to the same model may well succeed a little later. `falls_back`: another model or
    provider may do what this one did not. `blames_credential`: the circuit of the credential should open.
    `in_doubt`: the provider may have worked, and charged, without our seeing it.
    """

    code: ProbeCode
    words: str
    is_retryable: bool = False
    falls_back: bool = True
    blames_credential: bool = False
    in_doubt: bool = False


_CODE = ProbeCode
MEANINGS: dict[Fault, Meaning] = {
    Fault.AUTH: Meaning(_CODE.AUTH, "The provider refuses the key.", blames_credential=True),
    Fault.PERMISSION: Meaning(_CODE.AUTH, "The provider forbids this key that model."),
    Fault.PAYMENT: Meaning(
        _CODE.PAYMENT,
        "The provider's credit or quota is used up. Look at the account's billing.",
        blames_credential=True,
    ),
    Fault.NOT_FOUND: Meaning(_CODE.NOT_FOUND, "The provider does not know the model or the address."),
    Fault.BAD_REQUEST: Meaning(_CODE.BAD_REQUEST, "The provider finds the request wrong."),
    Fault.CONTEXT_TOO_LONG: Meaning(_CODE.BAD_REQUEST, "The prompt is larger than the model takes."),
    Fault.RATE_LIMIT: Meaning(_CODE.RATE_LIMIT, "The provider limits the rate.", is_retryable=True),
    Fault.OVERLOADED: Meaning(_CODE.SERVER_ERROR, "The provider is overloaded.", is_retryable=True),
    Fault.SERVER_ERROR: Meaning(_CODE.SERVER_ERROR, "The provider has an error of its own.", is_retryable=True),
    Fault.NETWORK: Meaning(
        _CODE.NETWORK, "The provider cannot be reached, or hung up.", is_retryable=True, in_doubt=True
    ),
    Fault.TIMEOUT: Meaning(_CODE.NETWORK, "The provider did not answer in time.", in_doubt=True),
    Fault.CUT_STREAM: Meaning(_CODE.NETWORK, "The answer broke off before its end.", is_retryable=True, in_doubt=True),
    Fault.REDIRECT: Meaning(_CODE.BAD_REQUEST, "The provider redirects, which is never followed."),
    Fault.BLOCKED_ADDRESS: Meaning(_CODE.BAD_REQUEST, "The address is one that must not be called."),
    Fault.NOT_JSON: Meaning(
        _CODE.UNKNOWN, "What came is not JSON, or not whole: is the address that of a model server?", in_doubt=True
    ),
    Fault.NO_COMPLETION: Meaning(_CODE.UNKNOWN, "The answer is no completion: is the address right?", in_doubt=True),
    Fault.ERROR_IN_ANSWER: Meaning(
        _CODE.SERVER_ERROR, "The provider answered with an error in place of a completion.", is_retryable=True
    ),
    Fault.NO_FINISH: Meaning(
        _CODE.UNKNOWN, "The answer does not say that it is complete.", is_retryable=True, in_doubt=True
    ),
    Fault.INCOMPLETE: Meaning(_CODE.UNKNOWN, "The answer is longer than the model may write."),
    Fault.REFUSAL: Meaning(_CODE.UNKNOWN, "The model refuses to answer."),
    Fault.CONTENT_FILTER: Meaning(_CODE.UNKNOWN, "The provider's content filter stopped the answer."),
    Fault.EMPTY: Meaning(_CODE.UNKNOWN, "The model answered with nothing.", is_retryable=True),
    Fault.SCHEMA_MISMATCH: Meaning(_CODE.UNKNOWN, "The answer does not fit what was asked for, twice."),
    Fault.OVERSIZED: Meaning(_CODE.UNKNOWN, "The answer is larger than 10 MB or compressed, and was not read."),
    Fault.TRUNCATED_PROMPT: Meaning(
        _CODE.BAD_REQUEST, "The server read only a part of the prompt. Raise its context length (num_ctx with Ollama)."
    ),
    Fault.NO_MODEL: Meaning(_CODE.NOT_FOUND, "The server lists no model."),
}


class ProviderError(Exception):
    """A completion that did not come.

    `status` is the HTTP status or 0; `retry_after` the seconds that the provider asks to wait, None where it does not
    say; `words` are the provider's own, cut to MAX_WORDS with every secret masked (for the operator, never for a log of
    ours: they may quote the prompt); `usage` is what was paid for an answer that could not be used; `param` is the
    name of the setting that a 400 speaks of. None of it holds a key.
    """

    def __init__(
        self,
        fault: Fault,
        *,
        status: int = 0,
        retry_after: float | None = None,
        words: str = "",
        usage: Usage | None = None,
        param: str | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(f"{fault.value} ({status})" if status else fault.value)
        self.fault = fault
        self.status = status
        self.retry_after = retry_after
        self.words = words
        self.usage = usage
        self.param = param
        self.request_id = request_id

    @property
    def meaning(self) -> Meaning:
        """What follows from it."""
        return MEANINGS[self.fault]
