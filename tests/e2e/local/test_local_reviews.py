"""Local reviews through the edge and every role: uploaded by REST or gRPC, reviewed, never posted anywhere."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

import grpc
import httpx2
import pytest
from lintel.review.v1 import local_review_service_pb2 as pb
from lintel.review.v1.local_review_service_pb2_grpc import LocalReviewServiceStub

from emulators.github import GitHubEmulator
from services.kit.errors import AppError, Reason
from services.kit.rpc.status import from_rpc_error
from tests.integration.local.conftest import EVIL, diff_of
from tests.support.postgres import Database
from tests.support.system import TOKEN, Repository, System, running_system, until

OPTIONS = pb.UploadSourceRequest(options=pb.LocalReviewOptions(repository="shop", base_sha="b" * 40, head_sha="a" * 40))


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[GitHubEmulator]:
    repository = Repository(tmp_path)
    repository.commit({"app.py": "x = 1\n"})
    async with GitHubEmulator(repository.path, "acme", "shop", TOKEN) as made:
        yield made
        made.check()


@pytest.fixture
async def system(database: Database, emulator: GitHubEmulator) -> AsyncIterator[System]:
    async with running_system(database, emulator) as made:
        yield made


async def create(system: System, body: Mapping[str, Any]) -> httpx2.Response:
    return await system.api.post("/codeReview/local", json=body)


async def done(system: System, review_id: str) -> Any:
    """Wait for the end of a review and answer it with its findings and receipt."""
    await system.settled()
    return (await system.api.get(f"/codeReview/{review_id}")).json()


def piece(**values: Any) -> pb.UploadSourceRequest:
    return pb.UploadSourceRequest(**values)


def file(path: str, data: bytes, *, base: bool = False) -> pb.UploadSourceRequest:
    return pb.UploadSourceRequest(file=pb.FilePiece(path=path.encode(), data=data, base=base))


async def upload(system: System, pieces: Iterable[pb.UploadSourceRequest], key: str | None = None) -> str:
    """Send pieces through the edge; answers the review's id. Raises AppError."""
    async with grpc.aio.insecure_channel(system.grpc_address) as channel:
        call = LocalReviewServiceStub(channel).UploadSource(
            iter(pieces), metadata=(("authorization", f"Bearer {key or system.key}"),), timeout=120
        )
        try:
            return str((await call).review.id)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None


async def test_a_change_given_by_rest_is_reviewed(system: System) -> None:
    answer = await create(
        system,
        {
            "diff": diff_of("tool.py", EVIL).decode(),
            "files": [{"path": "tool.py", "head": EVIL}],
            "options": {"repository": "shop", "headSha": "a" * 40},
        },
    )
    assert answer.status_code == 202
    begun = answer.json()["review"]
    assert (begun["state"], begun["host"], begun["pullRequestNumber"]) == ("queued", "", 0)
    found = await done(system, begun["id"])
    assert found["review"]["state"] == "completed"
    assert found["review"]["stateReason"] == ""
    assert found["review"]["repository"] == "shop"
    assert "tool.py" in found["review"]["summary"]
    assert [(f["path"], f["startLine"], f["quote"]) for f in found["findings"]] == [
        ("tool.py", 5, "    return eval(words)")
    ]
    assert [(f["path"], f["fate"]) for f in found["receipt"]["files"]] == [("tool.py", "reviewed")]
    listed = (await system.api.get("/codeReview", params={"repository": "shop"})).json()["reviews"]
    assert [(r["id"], r["host"]) for r in listed] == [(begun["id"], "")]
    events = (await system.api.get(f"/codeReview/{begun['id']}/events")).text
    assert '"completed"' in events
    for part in ("findings", "receipt"):
        assert (await system.api.get(f"/codeReview/{begun['id']}/{part}")).status_code == 200


async def test_a_change_sent_in_pieces_is_the_same_change(system: System) -> None:
    diff, head = diff_of("tool.py", EVIL), EVIL.encode()
    pieces = [piece(diff=diff[at : at + 7]) for at in range(0, len(diff), 7)]
    contents = [file("tool.py", head[at : at + 5]) for at in range(0, len(head), 5)]
    found = await done(system, await upload(system, [OPTIONS, *pieces, *contents, file("tool.py", b"", base=True)]))
    assert found["review"]["state"] == "completed"
    assert (found["review"]["baseSha"], found["review"]["headSha"]) == ("b" * 40, "a" * 40)
    assert [(f["path"], f["startLine"]) for f in found["findings"]] == [("tool.py", 5)]


async def test_twenty_megabytes_are_reviewed_and_then_forgotten(system: System) -> None:
    big = "".join(f"value_{number} = {number}\n" for number in range(180_000))
    files = {f"part{number}.py": big for number in range(3)} | {"tool.py": EVIL}
    diff = b"".join(diff_of(path, content) for path, content in files.items())
    pieces = [piece(diff=diff[at : at + 2**20]) for at in range(0, len(diff), 2**20)]
    pieces += [file(path, content.encode()) for path, content in files.items()]
    assert sum(p.ByteSize() for p in pieces) > 20_000_000
    found = await done(system, await upload(system, [OPTIONS, *pieces]))
    assert found["review"]["state"] == "completed", found["review"]
    assert "tool.py" in {f["path"] for f in found["findings"]}
    assert len(found["receipt"]["files"]) == 4
    await until(lambda: nothing_is_kept(system))


async def nothing_is_kept(system: System) -> bool:
    (row,) = await system.rows(
        "SELECT (SELECT count(*) FROM review.artefacts) + (SELECT count(*) FROM review.artefact_chunks) AS kept"
    )
    return bool(row["kept"] == 0)


HOSTILE = {
    "no diff": (b"hello\nworld\n", "this is no diff"),
    "a cut hunk": (b"--- a/x\n+++ b/x\n@@ -1,2 +1,9 @@\n a\n+b\n", "ends inside a hunk"),
    "a combined diff": (b"diff --cc x\nindex 1,2..3\n--- a/x\n+++ b/x\n@@@ -1,1 -1,1 +1,1 @@@\n", "combined diffs"),
    "a bomb of a header": (b"--- a/x\n+++ b/x\n@@ -1,1 +1,999999999999999999 @@\n+b\n", "ends inside a hunk"),
    "a long path": (diff_of("p" * 5000, "x\n"), "longer than 4,096 bytes"),
    "bytes of any kind": (bytes(range(256)) * 100, "this is no diff"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_is_no_diff_fails_with_the_reason(system: System, name: str) -> None:
    diff, words = HOSTILE[name]
    found = await done(system, await upload(system, [OPTIONS, piece(diff=diff)]))
    assert found["review"]["state"] == "failed"
    assert found["review"]["stateReason"].startswith("SOURCE_INVALID: ")
    assert words in found["review"]["stateReason"]
    assert (found["findings"], found["receipt"]) == ([], None)


async def test_too_many_files_fail_with_the_reason(system: System) -> None:
    diff = b"".join(b"diff --git a/%d b/%d\nnew file mode 100644\n" % (n, n) for n in range(10_001))
    found = await done(system, await upload(system, [OPTIONS, piece(diff=diff)]))
    assert found["review"]["stateReason"] == "SOURCE_INVALID: the diff names more than 10,000 files"


async def test_a_change_in_bytes_that_are_no_text_is_reviewed(system: System) -> None:
    diff = diff_of("tool.py", EVIL) + b'diff --git "a/\\377.txt" "b/\\377.txt"\nnew file mode 100644\n--- /dev/null\n'
    diff += b'+++ "b/\\377.txt"\n@@ -0,0 +1 @@\n+\xff\xfe\x00\n'
    found = await done(system, await upload(system, [OPTIONS, piece(diff=diff)]))
    assert found["review"]["state"] == "completed"
    assert [(f["path"], f["fate"]) for f in found["receipt"]["files"]] == [
        ("tool.py", "reviewed"),
        ("\ufffd.txt", "skipped"),
    ]


ORDERS: dict[str, tuple[list[pb.UploadSourceRequest], Reason, str]] = {
    "nothing": ([], Reason.INVALID_REQUEST, "first piece must be the options"),
    "no options": ([piece(diff=b"x")], Reason.INVALID_REQUEST, "first piece must be the options"),
    "options twice": ([OPTIONS, OPTIONS], Reason.INVALID_REQUEST, "options must be sent once"),
    "no diff": ([OPTIONS], Reason.INVALID_REQUEST, "no diff"),
    "an empty diff": ([OPTIONS, piece(diff=b"")], Reason.INVALID_REQUEST, "no diff"),
    "an empty piece": ([OPTIONS, pb.UploadSourceRequest()], Reason.INVALID_REQUEST, "A piece is empty"),
    "a file first": ([OPTIONS, file("a", b""), piece(diff=b"x")], Reason.INVALID_REQUEST, "Send the diff first"),
    "SARIF first": ([OPTIONS, piece(diff=b"x"), piece(sarif=b"{}"), file("a", b"")], Reason.INVALID_REQUEST, "first"),
    "a torn file": (
        [OPTIONS, piece(diff=b"x"), file("a", b"1"), file("b", b"2"), file("a", b"3")],
        Reason.INVALID_REQUEST,
        "must follow each other",
    ),
    "no path": ([OPTIONS, piece(diff=b"x"), file("", b"1")], Reason.INVALID_REQUEST, ""),
    "a long path": ([OPTIONS, piece(diff=b"x"), file("p" * 4097, b"1")], Reason.INVALID_REQUEST, ""),
    "long options": (
        [pb.UploadSourceRequest(options=pb.LocalReviewOptions(repository="r" * 301))],
        Reason.INVALID_REQUEST,
        "",
    ),
    "options of two lines": (
        [pb.UploadSourceRequest(options=pb.LocalReviewOptions(repository="a\nb"))],
        Reason.INVALID_REQUEST,
        "",
    ),
    "much SARIF": (
        [OPTIONS, piece(diff=b"x"), *[piece(sarif=bytes(2**20))] * 17],
        Reason.BODY_TOO_LARGE,
        "SARIF log may have at most 16,777,216 bytes",
    ),
    "too much": ([OPTIONS, *[piece(diff=bytes(2**21))] * 33], Reason.BODY_TOO_LARGE, "at most 67,108,864 bytes in all"),
}


@pytest.mark.parametrize("name", ORDERS)
async def test_a_bad_upload_is_refused_and_leaves_nothing(system: System, name: str) -> None:
    pieces, reason, words = ORDERS[name]
    with pytest.raises(AppError) as refused:
        await upload(system, pieces)
    assert refused.value.reason is reason
    assert words in refused.value.message
    assert await nothing_is_kept(system)
    assert await system.runs() == []


async def test_a_cancelled_upload_leaves_nothing(system: System) -> None:
    sent = asyncio.Event()

    async def pieces() -> AsyncIterator[pb.UploadSourceRequest]:
        yield OPTIONS
        for _ in range(4):
            yield piece(diff=bytes(2**20))
        sent.set()
        await asyncio.Event().wait()

    async with grpc.aio.insecure_channel(system.grpc_address) as channel:
        call = LocalReviewServiceStub(channel).UploadSource(
            pieces(), metadata=(("authorization", f"Bearer {system.key}"),)
        )
        await asyncio.wait_for(sent.wait(), 30)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    found = await done(system, await upload(system, [OPTIONS, piece(diff=diff_of("tool.py", EVIL))]))
    assert found["review"]["state"] == "completed"
    assert len(await system.runs()) == 1
    await until(lambda: nothing_is_kept(system))


async def test_what_a_rest_caller_gets_wrong_is_named(system: System) -> None:
    for body, status, words in (
        ({}, 400, "diff"),
        ({"diff": "x", "files": [{"path": ""}]}, 400, "path"),
        ({"diff": "x", "file": []}, 400, "file"),
        ({"diff": "x" * 2**20}, 413, "1,048,576"),
    ):
        answer = await create(system, body)
        assert answer.status_code == status
        assert words in answer.text


SARIF = {
    "version": "2.1.0",
    "runs": [
        {
            "tool": {
                "driver": {
                    "name": "semgrep",
                    "semanticVersion": "1.2.3",
                    "rules": [
                        {"id": "py/eval", "properties": {"security-severity": "9.1"}, "help": {"text": "Don't."}},
                    ],
                }
            },
            "results": [
                {
                    "ruleId": "py/eval",
                    "ruleIndex": 0,
                    "message": {"text": "eval of {0}", "arguments": ["words"]},
                    "locations": [
                        {
                            "physicalLocation": {
                                "artifactLocation": {"uri": "tool.py"},
                                "region": {"startLine": 5, "endLine": 5},
                            }
                        }
                    ],
                },
                {
                    "ruleId": "py/other",
                    "level": "note",
                    "message": {"text": "elsewhere"},
                    "locations": [
                        {
                            "physicalLocation": {
                                "artifactLocation": {"uri": "tool.py"},
                                "region": {"startLine": 500},
                            }
                        }
                    ],
                },
            ],
        }
    ],
}


async def test_results_of_another_tool_are_bound_to_the_change(system: System) -> None:
    pieces = [OPTIONS, piece(diff=diff_of("tool.py", EVIL)), file("tool.py", EVIL.encode())]
    found = await done(system, await upload(system, [*pieces, piece(sarif=json.dumps(SARIF).encode())]))
    assert found["review"]["state"] == "completed"
    (imported,) = [f for f in found["findings"] if f["source"]["kind"] == "import"]
    assert imported["source"] == {"kind": "import", "name": "semgrep", "ruleId": "py/eval", "model": ""}
    assert (imported["startLine"], imported["quote"]) == (5, "    return eval(words)")
    assert (imported["severity"], imported["category"], imported["title"]) == ("critical", "security", "eval of words")
    assert {"reason": "outside_diff", "count": 1} in found["receipt"]["droppedFindings"]
    (tool,) = [a for a in found["receipt"]["analyzers"] if a["name"] == "semgrep"]
    assert (tool["version"], tool["fate"]) == ("1.2.3", "ran")


async def test_sarif_that_is_none_fails_with_the_reason(system: System) -> None:
    pieces = [OPTIONS, piece(diff=diff_of("tool.py", EVIL)), piece(sarif=b'{"version": "1.0"}')]
    found = await done(system, await upload(system, pieces))
    assert found["review"]["stateReason"] == "SOURCE_INVALID: the SARIF log is not of version 2.1.0"


async def test_a_dry_run_says_what_would_be_sent(system: System) -> None:
    answer = await create(system, {"diff": diff_of("tool.py", EVIL).decode(), "options": {"dryRun": True}})
    found = await done(system, answer.json()["review"]["id"])
    assert found["review"]["state"] == "completed"
    assert found["receipt"]["models"] == []
    (note,) = found["receipt"]["notes"]
    assert note == "dry run: 1 file with about 22 tokens would be sent to a model, but none is asked"
    assert [f["fate"] for f in found["receipt"]["files"]] == ["reviewed"]
