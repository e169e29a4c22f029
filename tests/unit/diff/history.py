"""Check the parser over the whole history of a repository: `python -m tests.unit.diff.history PATH [--limit N]`.

Every commit is compared with its first parent; exit status 1 if anything disagrees with git.
"""

import argparse
import sys
import time
from pathlib import Path

from tests.unit.diff.oracle import check_history


def main() -> int:
    options = argparse.ArgumentParser(description="hold the diff parser against git over a whole history")
    options.add_argument("repository", type=Path)
    options.add_argument("--limit", type=int, help="only the newest N commits")
    options.add_argument("--plain-paths", action="store_true", help="with core.quotePath off")
    chosen = options.parse_args()
    start = time.monotonic()
    tally = check_history(chosen.repository, chosen.limit, quote_path=not chosen.plain_paths)
    for mismatch in tally.mismatches[:20]:
        print(mismatch, file=sys.stderr)
    print(f"{tally.commits} commits checked, {tally.left_out} left out for lack of their contents")
    print(f"{tally.files} files, {tally.hunks} hunks, {tally.lines} hunk lines, {time.monotonic() - start:.1f} s")
    print(f"{len(tally.mismatches)} mismatches")
    return 1 if tally.mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
