"""Which of ruff's rules we run and what we say about each; style is none of our business.

Chosen are rules whose finding is nearly always a fault. Left out for noise: unused names and imports, assert, pickle
and random as such, hard-coded passwords (our own detector), SQL put together (S608 can't tell a constant from input),
exec (S102: nobody writes it by accident), functions made in loops (B023 can't tell one that is used at once), a bare
`raise` in a function (PLE0704 can't tell one that is called from a handler), bare except, and anything that is taste.
"""

from typing import NamedTuple

from services.review.domain import Severity


class Advice(NamedTuple):
    """How a rule is told to a person; an empty title means ruff's own message, which names the culprit."""

    severity: Severity
    category: str
    title: str
    body: str


_L, _M, _H = Severity.LOW, Severity.MEDIUM, Severity.HIGH
_CRASH = "This raises as soon as the line runs. Make the format and its arguments agree."
_LOST = "The arguments do not fit the format, so one is lost or the call raises. Make them agree."
_BLOCKS = "It stops the event loop, and with it every other task. Use an awaitable call or a thread."
_INVALID = "Python refuses this file or this function as it stands. Correct the statement."
_TLS = (
    "Anyone between the two machines can read and change what is sent. Keep verification on and trust your own CA file."
)


def _bug(title: str, body: str, severity: Severity = _M) -> Advice:
    return Advice(severity, "bug", title, body)


def _security(title: str, body: str, severity: Severity = _H) -> Advice:
    return Advice(severity, "security", title, body)


RULES: dict[str, Advice] = {
    "invalid-syntax": _bug("The file does not parse", "Python can't import it. Correct the syntax at this line.", _H),
    **{code: _bug("", _CRASH, _H) for code in ("F501", "F502", "F503", "F505", "F506", "F507", "F508", "F509")},
    **{code: _bug("", _CRASH, _H) for code in ("F521", "F524", "F525", "PLE1300", "PLE1307")},
    **{code: _bug("", _LOST) for code in ("F504", "F522", "F523", "PLE1205", "PLE1206")},
    **{
        code: _bug("", _INVALID, _H)
        for code in ("F621", "F622", "F701", "F702", "F704", "F706", "F707", "F404", "F407")
    },
    **{code: _bug("", _INVALID, _H) for code in ("PLE0115", "PLE0117", "PLE0118", "PLE1142", "PLE1700", "PLE0101")},
    "F601": _bug("", "Only the last value of the repeated key survives. Remove one or correct the key."),
    "F602": _bug("", "Only the last value of the repeated key survives. Remove one or correct the key."),
    "F631": _bug(
        "This assertion is always true", "It tests a tuple, which is never false. Remove the parentheses.", _H
    ),
    "F632": _bug(
        "`is` compares identity, not value", "Whether equal literals are one object is an accident. Use == or !=."
    ),
    "F633": _bug("`>>` is applied to the print function", "That is Python 2. Pass file= instead.", _H),
    "F634": _bug(
        "This condition is always true", "It tests a tuple, which is never false. Remove the parentheses.", _H
    ),
    "F811": _bug("", "The earlier definition can no longer be reached. Rename one of them or delete the first."),
    "F821": _bug("", "The line raises NameError when it runs. Define or import the name, or correct its spelling.", _H),
    "F822": _bug("", "`import *` from this module raises AttributeError. Remove the name from __all__ or define it."),
    "F823": _bug("", "The name is local to the whole function, so reading it here raises. Rename one of the two.", _H),
    "B002": _bug("Python has no ++ or --", "Two signs in a row change nothing. Write += 1 or -= 1.", _H),
    "B003": _bug(
        "Assigning to os.environ changes nothing outside", "Child processes keep the old one. Use os.environ.update."
    ),
    "B005": _bug("strip() with several characters removes each of them", "Use removeprefix or removesuffix."),
    "B006": _bug(
        "A mutable default is shared by all calls",
        "What one call puts in, the next one sees. Default to None and create the object inside the function.",
        _L,
    ),
    "B012": _bug(
        "Leaving `finally` this way swallows exceptions", "An error on its way is lost. Move it out of the block.", _H
    ),
    "B015": _bug("The result of this comparison is thrown away", "Perhaps an assert or an assignment was meant."),
    "B016": _bug("Raising a literal is a TypeError", "Only exceptions can be raised. Wrap the text in one.", _H),
    "B017": _bug(
        "This test passes on any exception", "Even a misspelt name makes it pass. Name the exception expected.", _L
    ),
    "B020": _bug(
        "The loop variable overwrites what is looped over", "Later reads see the last item. Rename the variable."
    ),
    "B025": _bug("The same exception is caught twice", "The second handler never runs. Merge or correct them."),
    "B029": _bug("`except ()` catches nothing", "Name the exceptions to catch."),
    "B030": _bug(
        "This except clause names something that is no exception", "It raises TypeError when an error arrives.", _H
    ),
    "B031": _bug("A groupby group can be read once only", "The second pass sees nothing. Put it in a list first."),
    "B032": _bug("This is an annotation, not an assignment", "The statement does nothing. Write = instead of :."),
    "B035": _bug(
        "Every round writes the same key", "The dictionary ends with one entry. Use the loop variable in the key.", _H
    ),
    "B039": _bug("A mutable default of a ContextVar is shared", "All contexts change one object. Default to None."),
    "PLE0604": _bug("", "`import *` from this module raises TypeError. List names as strings."),
    "PLE1132": _bug("", "The call raises TypeError. Pass the argument once.", _H),
    "PLE1310": _bug(
        "", "strip() takes a set of characters, so repeats mean nothing. Use removeprefix or removesuffix."
    ),
    "PLE1507": _bug("", "The call raises TypeError. Environment variables are text.", _H),
    "ASYNC210": _bug("A blocking HTTP call in an async function", _BLOCKS),
    "ASYNC220": _bug("A blocking process start in an async function", _BLOCKS),
    "ASYNC221": _bug("A blocking process run in an async function", _BLOCKS),
    "ASYNC222": _bug("A blocking wait for a process in an async function", _BLOCKS),
    "ASYNC251": _bug("time.sleep in an async function", _BLOCKS, _H),
    "S113": _bug(
        "An HTTP request without a timeout", "It waits for ever when the other side is silent. Pass timeout=.", _L
    ),
    "S201": _security("Flask's debugger is on", "It runs any Python code sent to it. Never ship debug=True."),
    "S202": _security(
        "Extracting an archive without checking its members",
        "A member named ../../x is written outside the folder. Pass filter='data'.",
    ),
    "S302": _security("marshal loads data that can crash or take over Python", "Use JSON for data from outside.", _M),
    "S306": _security(
        "tempfile.mktemp leaves a race", "Someone can create the file first. Use NamedTemporaryFile or mkstemp.", _M
    ),
    "S307": _security(
        "eval runs whatever text it is given", "Use ast.literal_eval for values, or a parser for the format."
    ),
    "S323": _security("TLS certificates are not verified", _TLS),
    "S501": _security("TLS certificates are not verified", _TLS),
    "S502": _security("An outdated TLS version", "SSL 2, SSL 3, TLS 1.0 and 1.1 are broken. Require TLS 1.2 or later."),
    "S505": _security(
        "The key is too short", "Use RSA of 2048 bits or more, or an elliptic curve of 224 bits or more.", _M
    ),
    "S506": _security(
        "yaml.load builds any Python object", "A document can run code while it is read. Use yaml.safe_load."
    ),
    "S507": _security(
        "SSH host keys are not verified", "Anyone between can pose as the server. Load known hosts, reject others."
    ),
    "S602": _security(
        "A command goes through the shell",
        "Text in it that comes from outside can run other commands. Pass a list of arguments without shell=True.",
    ),
    "S605": _security(
        "A command goes through the shell",
        "Text in it that comes from outside can run other commands. Use subprocess.run with a list of arguments.",
    ),
    "S612": _security("logging.config.listen runs what it receives", "Anyone who reaches the port runs code here.", _M),
    "S701": _security(
        "Jinja2 without escaping", "Values can carry markup and scripts. Pass autoescape=select_autoescape()."
    ),
}
SELECTED: tuple[str, ...] = tuple(sorted(code for code in RULES if code != "invalid-syntax"))
