"""By which words tests, assertions and checks are known in each language; the reading is in `removals`."""

import re
from typing import NamedTuple

from services.review.domain import Severity


class Language(NamedTuple):
    """Patterns for one line each. `test` names the test in a group; `mark` is a line of its own before the test."""

    test: re.Pattern[str]
    asserts: re.Pattern[str]
    skip: re.Pattern[str] | None = None
    mark: re.Pattern[str] | None = None
    comment: str = "//"


_JS = Language(
    re.compile(r"""^\s*(?:it|test)(?:\.(?:each|concurrent|failing))?\(\s*(?P<name>(['"`]).+?\2)"""),
    re.compile(r"^\s*(?:await\s+|return\s+)?(?:expect\w*[.(<]|assert\w*[.(]|[\w.()]+\.should\b)"),
    re.compile(r"""^\s*(?:(?:it|test|describe)\.skip\(|x(?:it|test|describe)\()\s*(?P<name>(['"`]).+?\2)"""),
)
_JAVA = Language(
    re.compile(r"^\s*(?:(?:public|private|protected|internal|async|override|suspend|final)\s+)*"
               r"(?:void|fun|Task|ValueTask)\s+`?(?P<name>\w+)`?\s*\("),
    re.compile(r"^\s*(?:await\s+)?(?:(?:Assert(?:ions)?|Truth|CollectionAssert|StringAssert)\.\w+|assert\w*)\s*[(<{]"
               r"|\.Should\w*\("),
    re.compile(r"^\s*@(?:Disabled|Ignore)\b|^\s*\[(?:Ignore\b|(?:Fact|Theory)\(.*\bSkip\s*=)"),
    re.compile(r"^\s*(?:@(?:Test|ParameterizedTest|RepeatedTest)\b|\[(?:Fact|Theory|Test|TestCase|TestMethod)\b)"),
)  # fmt: skip
LANGUAGES: dict[str, Language] = {
    "py": Language(
        re.compile(r"^\s*(?:async\s+)?def\s+(?P<name>test_?\w+)\s*\("),
        re.compile(r"^\s*(?:assert\b|self\.assert\w+\(|\w[\w.]*\.assert_\w+\(|with\s+(?:pytest\.\w+|self\.assert\w+)\()"),
        re.compile(r"^\s*@(?:pytest\.mark\.(?:skip|xfail)|unittest\.skip|skip)\b(?!if|If)"),
        comment="#",
    ),
    "js": _JS, "jsx": _JS, "mjs": _JS, "cjs": _JS, "ts": _JS, "tsx": _JS, "mts": _JS, "cts": _JS,
    "java": _JAVA, "kt": _JAVA, "cs": _JAVA,
    "go": Language(
        re.compile(r"^func\s+(?:\([^)]*\)\s*)?(?P<name>(?:Test|Fuzz)\w+)\s*\("),
        re.compile(r"^\s*(?:(?:assert|require|is|c)\.\w+\(|t\.(?:Errorf?|Fatalf?|Fail(?:Now)?)\()"),
        re.compile(r"^\tt\.Skip(?:f|Now)?\("),  # one tab: at the top of the test, so always
    ),
    "rb": Language(
        re.compile(r"""^\s*(?:(?:it|test|specify|scenario)\s*\(?\s*(?P<name>(['"]).+?\2)|def\s+(?P<method>test_\w+))"""),
        re.compile(r"^\s*(?:assert\w*[ (!]|refute\w*[ (]|expect\b|is_expected\b|\w+\.(?:must|wont)_|.*\.should\b)"),
        re.compile(r"""^\s*(?:xit|xdescribe|xcontext|xspecify)\b"""),
        comment="#",
    ),
    "rs": Language(
        re.compile(r"^\s*(?:pub\s+)?(?:async\s+)?fn\s+(?P<name>\w+)\s*[(<]"),
        re.compile(r"^\s*(?:debug_)?assert\w*!\s*[({]"),
        re.compile(r"^\s*#\[ignore\b"),
        re.compile(r"^\s*#\[(?:\w+::)?test\b"),
    ),
    "php": Language(
        re.compile(r"^\s*(?:(?:public|final|static)\s+)*function\s+(?P<name>test\w+)\s*\("),
        re.compile(r"^\s*(?:\$this->|self::|static::|Assert::)(?:assert|expectException)\w*\("),
    ),
}  # fmt: skip
TEST_PATH = re.compile(
    r"(?i)(?:^|/)(?:tests?|specs?|__tests__|e2e|testing)/|(?:^|/)(?:test_[^/]*\.py|[^/]*(?:[._-](?:test|spec)|tests?)\.\w+)$"
)
FOCUS = re.compile(r"""^\s*(?:(?:it|test|describe|context)\.only\(|f(?:it|describe|context)\()\s*['"`]""")
DEFINITION = re.compile(
    r"^\s*(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|override|pub(?:\([^)]*\))?|"
    r"unsafe|const|virtual|sealed|partial|readonly|suspend)\s+)*"
    r"(?:def|class|function\*?|func|fn|fun|interface|struct|enum|type|module|trait|impl|record)\b"
    r"(?:\s*\([^)]*\))?\s+`?(?:self\.)?(?P<name>[\w$]+)"
    r"|^\s*(?:(?:public|private|protected|internal|static|final|async|override|virtual)\s+)+[\w<>\[\],.? ]+?\s"
    r"(?P<method>\w+)\s*\("
    r"|^\s*(?:export\s+)?(?:const|let|var)\s+(?P<value>[\w$]+)\s*="
)


class Check(NamedTuple):
    """A line that lets only some through; `word` is what must be nowhere else in the change.

    With `refuses` it counts only where a refusal is removed with it: a page may ask who somebody is to greet them.
    """

    rule: str
    severity: Severity
    title: str
    word: re.Pattern[str]
    refuses: bool = False


_WHO = "removed-authorization"
CHECKS = (
    Check(
        "removed-signature-check",
        Severity.HIGH,
        "A check of a signature is removed",
        re.compile(
            r"\b(?:hmac\.compare_digest|timingSafeEqual|hash_equals|hmac\.Equal|ConstantTimeCompare|MessageDigest\.isEqual"
            r"|secure_compare|verify_?signature|check_?signature|validate_?signature|constructEvent"
            r"|jwt\.verify|jwtVerify|password_verify|check_password|checkpw|bcrypt\.compare\w*"
            r"|CompareHashAndPassword)(?=\s*\()", re.I),
    ),
    Check(
        "removed-csrf-check",
        Severity.HIGH,
        "A protection against forged requests is removed",
        re.compile(
            r"(?i:@csrf_protect\b|\bCsrfViewMiddleware\b|\bCSRFProtect\()|\bprotect_from_forgery\b"
            r"|\bVerifyCsrfToken::class|\[ValidateAntiForgeryToken\]|\[AutoValidateAntiforgeryToken\]"
            r"|\bverify_authenticity_token\b|\bapp\.use\(\s*csrf\w*\("
        ),
    ),
    Check(
        _WHO,
        Severity.HIGH,
        "A check of who may do this is removed",
        re.compile(
            r"^\s*@(?:\w+\.)?(?:login_required|permission_required|user_passes_test|staff_member_required|requires_auth"
            r"|auth_required|jwt_required|permission_classes|roles_required|require_permission|PreAuthorize|Secured"
            r"|RolesAllowed|RequiresPermissions|UseGuards)\b"
            r"|^\s*\[Authorize\b"
            r"|^\s*before_action\s+:(?:authenticate|authorize|require|ensure|check)_\w+"
            r"|^\s*(?:authorize!?|authenticate_user!|require_login|load_and_authorize_resource)(?:[\s(]|$)"
            r"|\$this->authorize\(|\bGate::authorize\(|\babort_(?:if|unless)\(.*(?:can|allow|den)"
            r"|->middleware\(\s*\[?['\"](?:auth|can:)", re.I),
    ),
    Check(
        _WHO,
        Severity.HIGH,
        "A check of who may do this is removed",
        re.compile(
            r"\b(?:if|unless|elif)\b.*\b(?:is_?authenticated|is_?authorized|has_?permissions?|has_?perm|is_?admin|has_?role"
            r"|can_?access|check_?permissions?|check_?access|is_?logged_?in)\b", re.I),
        refuses=True,
    ),
)  # fmt: skip
REFUSAL = re.compile(
    r"(?i)\b(?:raise|throw|abort|panic|halt)\b|\b40[13]\b|forbid|forbidden|denied|unauthori[sz]ed|redirect|head :"
    r"|return"
)
CODE = frozenset(LANGUAGES) | {"scala", "swift", "ex", "exs"}
