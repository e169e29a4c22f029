"""A receipt on its way from the domain through the table to the API."""

import json
from typing import cast

import pytest
from lintel.review.v1 import review_pb2

from services.kit.postgres.pool import Row
from services.review import messages
from services.review.domain import Analysis, AnalyzerReport, Fate, FileReport, Report
from services.review.receipts import receipt


def told(*, files: tuple[FileReport, ...] = (), analyzers: tuple[AnalyzerReport, ...] = ()) -> review_pb2.Receipt:
    stored = receipt(Report("b" * 40, Analysis((), files, analyzers), (), "summary"))
    return messages.receipt(cast("Row", {"receipt": json.dumps(stored)}))


@pytest.mark.parametrize("fate", [Fate.RAN, Fate.PARTIAL, Fate.SKIPPED, Fate.FAILED])
def test_each_fate_of_an_analyzer_can_be_told(fate: Fate) -> None:
    (line,) = told(analyzers=(AnalyzerReport("ruff", "0.17.6", fate, "why", 5),)).analyzers
    assert review_pb2.AnalyzerFate.Name(line.fate) == f"ANALYZER_FATE_{fate.name}"
    assert line.reason == "why"


@pytest.mark.parametrize("fate", [Fate.REVIEWED, Fate.PARTIAL, Fate.SKIPPED])
def test_each_fate_of_a_file_can_be_told(fate: Fate) -> None:
    (line,) = told(files=(FileReport("a\n.py", "added", fate, None, 2, 1, ("a note",)),)).files
    assert review_pb2.FileFate.Name(line.fate) == f"FILE_FATE_{fate.name}"
    assert (line.path, list(line.notes)) == ("a\n.py", ["a note"])
