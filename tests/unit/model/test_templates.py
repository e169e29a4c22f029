import hashlib
import json

import pytest

from emulators.openai.shapes import schema_problem
from services.review.model.templates import (
    CATEGORIES,
    FINDINGS_SCHEMA,
    FOLDER,
    REVIEW,
    VERDICTS_SCHEMA,
    VERIFY,
    Instructions,
)


@pytest.mark.parametrize("instructions", [REVIEW, VERIFY], ids=lambda i: i.name)
def test_a_prompt_is_rendered_whole_and_known_by_its_file(instructions: Instructions) -> None:
    assert instructions.hash == hashlib.sha256((FOLDER / instructions.name).read_bytes()).hexdigest()
    assert "$" not in instructions.text
    assert "JSON" in instructions.text  # json_object mode wants the word
    assert "BEGIN" in instructions.text and "END" in instructions.text


def test_the_review_prompt_names_every_field_and_value() -> None:
    words = json.loads(REVIEW.json_schema)["properties"]["findings"]["items"]["properties"]
    for word in (*words, *CATEGORIES, "RIGHT", "LEFT", "low", "medium", "high", "critical"):
        assert word in REVIEW.text
    for word in ("index", "keep", "reason"):
        assert word in VERIFY.text


@pytest.mark.parametrize("schema", [FINDINGS_SCHEMA, VERDICTS_SCHEMA])
def test_the_schemas_are_what_strict_mode_takes(schema: object) -> None:
    assert schema_problem(schema) is None
