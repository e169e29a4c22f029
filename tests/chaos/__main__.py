"""`./lintel dev chaos`: the long form of the chaos suite, seed after seed; docs/chaos.md tells more."""

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.layout import ROOT
from tests.chaos.sabotage import FAULTS
from tests.chaos.scenario import LONG, SHORT, run_seed

RESULTS = ROOT / "docs" / "measurements" / "chaos.jsonl"
_FORMS = {form.name: form for form in (SHORT, LONG)}


def rows(path: Path) -> list[dict[str, Any]]:
    """Answer the results so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(results: Sequence[dict[str, Any]]) -> str:
    """Answer the results as a table of Markdown."""
    kinds = sorted({kind for row in results for kind in row["hit of done"] if kind.startswith(("kill", "pause"))})
    lines = [
        "| seed | deliveries (2xx) | requests | redelivered | errors/crashes/waits | rest, s | violations |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in results:
        retries = f"{row['errors']}/{row['crashes']}/{row['waits']}"
        stored = f"{row['deliveries']} ({row['deliveries answered 2xx']})"
        rest = row["seconds of start, chaos, rest"][2]
        broken = len(row["violations"])
        lines.append(
            f"| {row['seed']} | {stored} | {row['requests']} | {row['redeliveries']} | {retries} | {rest} | {broken} |"
        )
    lines += ["", "| kind | hit work in flight | done |", "|---|---|---|"]
    for kind in kinds:
        counts = [row["hit of done"].get(kind, "0/0").split("/") for row in results]
        lines.append(f"| {kind} | {sum(int(hit) for hit, _ in counts)} | {sum(int(done) for _, done in counts)} |")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Run the seeds that have no result yet; answers 1 if a promise was broken in any of them."""
    parser = argparse.ArgumentParser(
        prog="./lintel dev chaos",
        description="Kill, pause and cut everything while webhooks arrive; then check that nothing is lost or doubled.",
    )
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="how many, from --first on (default: 1)")
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="the first seed (default: 1)")
    parser.add_argument("--form", choices=sorted(_FORMS), default="long", help="how much of everything (default: long)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where to append (default: %(default)s)")
    parser.add_argument("--again", action="store_true", help="also run seeds that have a result")
    parser.add_argument(
        "--without", choices=sorted(FAULTS), help="run a system without this protection; nothing is kept"
    )
    parser.add_argument("--logs", type=Path, help="a directory for the logs of every process, one per seed")
    parser.add_argument("--table", action="store_true", help="print the results so far as Markdown, and run nothing")
    given = parser.parse_args(argv)
    if given.table:
        print(table([row for row in rows(given.results) if row["form"] == given.form]))
        return 0
    done = {row["seed"] for row in rows(given.results) if row["form"] == given.form and not given.again}
    broken = False
    for seed in range(given.first, given.first + given.seeds):
        if seed in done and not given.without:
            print(f"seed {seed} has a result", file=sys.stderr)
            continue
        module = f"tests.chaos.without_{given.without}" if given.without else "services"
        logs = given.logs / str(seed) if given.logs else None
        row = asyncio.run(run_seed(seed, _FORMS[given.form], module=module, keep_logs=logs))
        row["commit"] = _commit()
        broken = broken or bool(row["violations"])
        print(json.dumps(row, indent=1))
        if not given.without:
            given.results.parent.mkdir(parents=True, exist_ok=True)
            with given.results.open("a") as results:
                results.write(json.dumps(row) + "\n")
    return 1 if broken else 0


def _commit() -> str:
    done = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
