"""The analyzers, in the order in which they run: what is cheap and certain first."""

from services.review.analyzers.ruff import Ruff
from services.review.analyzers.secrets import Secrets
from services.review.analyzers.structural import Structural
from services.review.analyzers.target import Analyzer
from services.review.analyzers.unicode import HiddenUnicode

ANALYZERS: tuple[Analyzer, ...] = (Secrets(), HiddenUnicode(), Structural(), Ruff())
NAMES: tuple[str, ...] = tuple(analyzer.name for analyzer in ANALYZERS)
