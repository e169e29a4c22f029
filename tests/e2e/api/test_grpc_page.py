"""docs/grpc.md: its `buf curl` lines are run as they stand there, and its Python too."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from google.rpc.error_details_pb2 import BadRequest, ErrorInfo

from tests.e2e.api.conftest import Api

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "grpc.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S)
    for line in block.splitlines()
    if line.startswith("$BUF")
]
BUF = "buf curl --protocol grpc --http2-prior-knowledge"


def run(command: str, api: Api) -> str:
    tools = str(Path(sys.executable).parent)
    environment = {**os.environ, "URL": api.url, "KEY": api.key, "BUF": BUF}
    environment["PATH"] = os.pathsep.join([tools, environment.get("PATH", os.defpath)])
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_every_command_of_the_page_works(api: Api) -> None:
    assert f'BUF="{BUF}"' in PAGE
    assert len(COMMANDS) >= 9
    answers = [run(command, api) for command in COMMANDS]
    assert "lintel.review.v1.CodeReviewService" in answers[0]
    assert "CredentialService" not in answers[0] + answers[1]
    made = [
        json.loads(answer)["review"]["id"]
        for command, answer in zip(COMMANDS, answers, strict=True)
        if "first-try" in command
    ]
    assert len(made) == 2
    assert made[0] == made[1]
    assert json.loads(answers[-1])["status"] == "SERVING"


def test_a_failure_is_told_whole(api: Api) -> None:
    command = [str(Path(sys.executable).parent / "buf"), *BUF.split()[1:], "-H", f"authorization: Bearer {api.key}"]
    command += ["-d", '{"id": "x"}', f"{api.url}/lintel.review.v1.CodeReviewService/GetReview"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 8 * 3
    details = json.loads(done.stderr)["details"]
    info, request = (base64.b64decode(detail["value"] + "==") for detail in details)
    assert ErrorInfo.FromString(info).reason == "INVALID_REQUEST"
    assert BadRequest.FromString(request).field_violations[0].field == "id"


def test_the_python_of_the_page_works(api: Api) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    program = program.replace('"http://127.0.0.1:3001"', f'"{api.url}"')
    names: dict[str, object] = {"key": api.key}
    exec(compile(program, "docs/grpc.md", "exec"), names)
    assert hasattr(names["answer"], "reviews")
