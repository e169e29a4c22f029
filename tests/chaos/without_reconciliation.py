"""The roles without reconciliation; see tests.chaos.sabotage."""

import sys

from tests.chaos.sabotage import run

if __name__ == "__main__":
    sys.exit(run("reconciliation"))
