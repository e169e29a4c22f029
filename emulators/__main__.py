"""`python -m emulators NAME …`: runs one stand-in for the outside world."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial

from emulators.github.cli import main as github
from emulators.gitlab.cli import main as gitlab
from emulators.models import cli as models

NAMES: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "github": (github, "api.github.com, serving a local git repository"),
    "gitlab": (gitlab, "a GitLab instance, serving a local git repository"),
    **{
        name: (partial(models.main, name), f"{what}, whose model finds a needle")
        for name, (_, what, _) in models.WIRES.items()
    },
}


def main(argv: Sequence[str]) -> int:
    """Runs the named emulator with the rest of the arguments; returns the exit status."""
    if argv and argv[0] in NAMES:
        return NAMES[argv[0]][0](argv[1:])
    listed = "\n".join(f"  {name:10} {what}" for name, (_, what) in NAMES.items())
    help_asked = bool(argv) and argv[0] in ("-h", "--help")
    usage = f"usage: python -m emulators NAME [options]\n\n{listed}\n\n`python -m emulators NAME --help` tells more."
    if help_asked:
        print(usage)
        return 0
    print(f"there is no emulator {argv[0]!r}\n{usage}" if argv else usage, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
