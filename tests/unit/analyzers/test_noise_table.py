"""The committed verdicts on real changes: well-formed, of enough projects, and mostly worth saying."""

import csv
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
COLUMNS = ["project", "commit", "where", "rule", "verdict", "reason"]


def rows(name: str) -> list[dict[str, str]]:
    with (ROOT / "docs" / "noise" / name).open(encoding="utf-8", newline="") as table:
        reader = csv.DictReader(table)
        assert reader.fieldnames is not None
        return list(reader)


def test_every_finding_has_a_verdict_with_a_reason_and_no_code() -> None:
    for row in rows("verdicts.csv") + rows("trees.csv"):
        assert list(row) == COLUMNS
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", row["project"])
        assert re.fullmatch(r"[0-9a-f]{12}", row["commit"])
        assert re.fullmatch(r"[a-z]+/[\w.-]+", row["rule"])
        assert row["verdict"] in ("keep", "noise")
        assert 10 <= len(row["reason"]) <= 160


def test_at_least_four_of_five_findings_are_worth_saying() -> None:
    verdicts = Counter(row["verdict"] for row in rows("verdicts.csv"))
    assert verdicts["keep"] >= 0.8 * verdicts.total() > 0


def test_enough_changes_of_enough_projects_in_enough_languages_were_read() -> None:
    projects = rows("projects.csv")
    assert len({row["project"] for row in projects}) == len(projects) >= 8
    assert len({row["language"] for row in projects}) >= 5
    assert sum(int(row["changes"]) for row in projects) >= 60
    counted = Counter(row["project"] for row in rows("verdicts.csv"))
    assert counted == Counter({row["project"]: int(row["findings"]) for row in projects if int(row["findings"])})


def test_what_the_rules_were_tuned_on_is_told_too() -> None:
    with (ROOT / "docs" / "noise" / "tuning.csv").open(encoding="utf-8", newline="") as table:
        tuning = list(csv.DictReader(table))
    assert {row["round"] for row in tuning} == {"1", "2", "3", "4", "5"}
    assert {row["verdict"] for row in tuning} == {"keep", "noise"}
    fresh = {row["project"] for row in rows("projects.csv") if row["part"] == "fresh"}
    told = Counter(row["verdict"] for row in rows("verdicts.csv") if row["project"] in fresh)
    assert told["keep"] >= 0.8 * told.total() > 0
