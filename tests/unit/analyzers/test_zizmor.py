from pathlib import Path

import pytest

from services.review.analyzers.target import MAX_TITLE, Deadline, Outcome
from services.review.analyzers.tools import installed
from services.review.analyzers.zizmor import RULES, Zizmor
from services.review.domain import Fate
from tests.unit.analyzers.support import target

WORKFLOW = ".github/workflows/ci.yml"


CHECKOUT = (
    "      - uses: actions/checkout@v4\n        with:\n          ref: ${{ github.event.pull_request.head.sha }}\n"
)


def check(folder: Path, source: str, path: str = WORKFLOW) -> Outcome:
    return Zizmor().run([target(path, source, copy="f00000.yml")], folder, Deadline(30))


def found(outcome: Outcome) -> list[tuple[int | None, str | None]]:
    return [(claim.near_line, claim.source.rule_id) for claim in outcome.claims]


def workflow(step: str, on: str = "push", job: str = "") -> str:
    return f"on: {on}\njobs:\n  a:\n    runs-on: ubuntu-latest\n{job}    steps:\n{step}"


@pytest.mark.parametrize(
    ("rule", "line", "source"),
    [
        ("template-injection", 6, workflow('      - run: echo "${{ github.event.pull_request.title }}"\n')),
        ("dangerous-triggers", 1, workflow(CHECKOUT, on="pull_request_target")),
        (
            "bot-conditions",
            6,
            workflow("      - if: github.actor == 'dependabot[bot]'\n        run: x\n", on="pull_request_target"),
        ),
        (
            "insecure-commands",
            7,
            workflow("      - run: x\n        env:\n          ACTIONS_ALLOW_UNSECURE_COMMANDS: true\n"),
        ),
        (
            "hardcoded-container-credentials",
            7,
            workflow(
                "      - run: x\n",
                job="    container:\n      image: a/b\n      credentials:\n        username: u\n"
                "        password: hunter2\n",
            ),
        ),
        (
            "overprovisioned-secrets",
            8,
            workflow("      - run: x\n        env:\n          ALL: ${{ toJSON(secrets) }}\n"),
        ),
        ("unsound-condition", 6, workflow("      - if: |\n          ${{ github.ref == 'x' }}\n        run: x\n")),
        (
            "unsound-contains",
            6,
            workflow("      - if: contains('refs/heads/main refs/heads/dev', github.ref)\n        run: x\n"),
        ),
    ],
)
def test_a_fault_is_found_at_its_line(rule: str, line: int, source: str, tmp_path: Path) -> None:
    outcome = check(tmp_path, source)
    assert outcome.fate is Fate.RAN
    assert rule in [name for _, name in found(outcome)]
    assert line in [number for number, name in found(outcome) if name == rule]


def test_policy_is_left_alone(tmp_path: Path) -> None:
    source = workflow("      - uses: actions/checkout@v4\n      - run: make\n", on="[push, pull_request]")
    assert check(tmp_path, source).claims == ()


def test_a_workflow_that_takes_nothing_from_strangers_may_run_for_them(tmp_path: Path) -> None:
    labels = workflow("      - uses: actions/labeler@v5\n", on="pull_request_target")
    assert check(tmp_path, labels).claims == ()


def test_whoever_starts_a_workflow_or_pushes_a_tag_may_write_anyway(tmp_path: Path) -> None:
    source = workflow(
        "      - run: release ${{ github.event.inputs.to }} ${{ github.event.release.name }} ${{ github.ref_name }}\n"
    )
    assert check(tmp_path, source).claims == ()


def test_one_script_is_told_once(tmp_path: Path) -> None:
    source = workflow(
        "      - run: |\n          echo ${{ github.event.issue.title }}\n"
        "          echo ${{ github.event.issue.body }}\n"
    )
    assert found(check(tmp_path, source)) == [(7, "template-injection")]


def test_nothing_in_the_change_silences_it(tmp_path: Path) -> None:
    (tmp_path / "zizmor.yml").write_text("rules:\n  template-injection:\n    disable: true\n")
    source = workflow("      - run: echo ${{ github.event.issue.title }} # zizmor: ignore[template-injection]\n")
    assert found(check(tmp_path, source)) == [(6, "template-injection")]


def test_only_workflows_and_actions_are_read(tmp_path: Path) -> None:
    source = workflow('      - run: echo "${{ github.event.pull_request.title }}"\n')
    assert check(tmp_path, source, "config/ci.yml").claims == ()
    action = "runs:\n  using: composite\n  steps:\n    - run: echo ${{ github.event.issue.title }}\n      shell: bash\n"
    assert found(check(tmp_path, action, "build/action.yaml")) == [(4, "template-injection")]


def test_a_file_that_is_no_workflow_is_said_and_hides_no_other(tmp_path: Path) -> None:
    outcome = check(tmp_path, "on: [\n")
    assert (outcome.fate, outcome.reason) == (Fate.PARTIAL, "1 workflows are none that zizmor can read")
    good = workflow('      - run: echo "${{ github.event.pull_request.title }}"\n')
    folder = tmp_path / "second"
    folder.mkdir()
    both = [target(".github/workflows/a.yml", "on: [\n", copy="a"), target(".github/workflows/b.yml", good, copy="b")]
    outcome = Zizmor().run(both, folder, Deadline(30))
    assert [claim.path for claim in outcome.claims] == [".github/workflows/b.yml"]


def test_every_rule_is_known_to_the_installed_program_and_has_texts() -> None:
    program = installed("zizmor")
    assert program is not None
    known = program.read_bytes()  # it has no list of its audits but holds the address of each one's page
    for rule, advice in RULES.items():
        assert f"docs.zizmor.sh/audits/#{rule}".encode() in known
        assert len(advice.title) <= MAX_TITLE
        assert advice.body.endswith(".")


def test_a_missing_tool_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    outcome = check(tmp_path, workflow("      - run: x\n"))
    assert (outcome.fate, outcome.reason) == (Fate.SKIPPED, "zizmor is not installed")
