"""The analyzers, in the order in which they run: what is cheap and certain first."""

from services.review.analyzers.conflicts import Conflicts
from services.review.analyzers.hadolint import Hadolint
from services.review.analyzers.removals import Removals
from services.review.analyzers.ruff import Ruff
from services.review.analyzers.secrets import Secrets
from services.review.analyzers.shellcheck import Shellcheck
from services.review.analyzers.structural import Structural
from services.review.analyzers.target import Analyzer
from services.review.analyzers.unicode import HiddenUnicode
from services.review.analyzers.zizmor import Zizmor

ANALYZERS: tuple[Analyzer, ...] = (
    Secrets(),
    HiddenUnicode(),
    Conflicts(),
    Removals(),
    Structural(),
    Ruff(),
    Shellcheck(),
    Zizmor(),
    Hadolint(),
)
NAMES: tuple[str, ...] = tuple(analyzer.name for analyzer in ANALYZERS)
