"""Content at a ref, trees and blobs."""

from __future__ import annotations

import base64

from emulators.github import Limits
from tests.contract.emulators.github.conftest import Make
from tests.contract.emulators.github.support import SUBMODULE, Bench

RAW = {"Accept": "application/vnd.github.raw+json"}
OBJECT = {"Accept": "application/vnd.github.object"}


async def test_a_file_comes_as_base64_and_raw(bench: Bench) -> None:
    url = f"{bench.repo}/contents/crlf.txt?ref={bench.history.head}"
    shape = (await bench.client.get(url)).json()
    expected = b"one\r\ntwo\rTHREE\x0cfour\r\nfive\r\n"
    assert (shape["type"], shape["encoding"], shape["size"]) == ("file", "base64", len(expected))
    assert base64.b64decode(shape["content"]) == expected
    raw = await bench.client.get(url, headers={"Accept": "application/vnd.github.raw"})
    assert (raw.content, raw.headers["content-type"]) == (expected, "application/vnd.github.raw; charset=utf-8")


async def test_raw_json_variant_is_raw_too(bench: Bench) -> None:
    answer = await bench.client.get(f"{bench.repo}/contents/script.sh?ref={bench.history.head}", headers=RAW)
    assert answer.content == b"#!/bin/sh\n"


async def test_paths_are_percent_decoded_as_bytes(bench: Bench) -> None:
    answer = await bench.client.get(f"{bench.repo}/contents/docs/new%20n%C3%A4me.md?ref={bench.history.head}")
    assert answer.json()["path"] == "docs/new näme.md"
    for path in ("docs/missing", "app.py/below", "..", "docs/../app.py", "%FF"):
        url = f"{bench.emulator.url}{bench.repo}/contents/{path.replace('..', '%2E%2E')}?ref={bench.history.head}"
        assert (await bench.client.get(url)).status_code == 404


async def test_refs_are_shas_branches_and_pull_refs_only(bench: Bench) -> None:
    good = (bench.history.head, "topic", "refs/heads/topic", "main", "refs/pull/1/head", "pull/1/head")
    bad = ("nowhere", "topic~1", "topic^{tree}", "--all", "main..topic", "@{upstream}", "refs/pull/9/head", "0" * 40)
    for ref in (*good, *bad):
        answer = await bench.client.get(f"{bench.repo}/contents/app.py", params={"ref": ref})
        assert answer.status_code == (200 if ref in good else 404), ref


async def test_without_ref_the_default_branch_is_read(bench: Bench) -> None:
    assert (await bench.client.get(f"{bench.repo}/contents/only-on-main.txt")).status_code == 200


async def test_large_files_need_another_media_type(make_bench: Make) -> None:
    bench = await make_bench(Limits(content_bytes=20, raw_bytes=200))
    url = f"{bench.repo}/contents/image.bin?ref={bench.history.head}"
    refused = await bench.client.get(url)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (403, "too_large")
    shape = (await bench.client.get(url, headers=OBJECT)).json()
    assert (shape["content"], shape["encoding"], shape["size"]) == ("", "none", 150)
    assert len((await bench.client.get(url, headers=RAW | {"Accept": "application/vnd.github.raw"})).content) == 150
    huge = f"{bench.repo}/contents/app.py?ref={bench.history.head}"
    assert (await bench.client.get(huge, headers={"Accept": "application/vnd.github.raw"})).status_code == 403


async def test_directories_list_their_entries(make_bench: Make) -> None:
    bench = await make_bench(Limits(directory_entries=5))
    listing = (await bench.client.get(f"{bench.repo}/contents/?ref={bench.history.head}")).json()
    assert [entry["name"] for entry in listing] == [".gitmodules", "app.py", "becomes-link", "crlf.txt", "dangling"]
    docs = f"{bench.repo}/contents/docs?ref={bench.history.head}"
    assert [entry["type"] for entry in (await bench.client.get(docs)).json()] == ["file"]
    assert (await bench.client.get(docs, headers=OBJECT)).json()["entries"][0]["name"] == "new näme.md"


async def test_links_are_followed_inside_the_repository_only(bench: Bench) -> None:
    async def at(name: str) -> dict[str, object]:
        shape = (await bench.client.get(f"{bench.repo}/contents/{name}?ref={bench.history.head}")).json()
        assert isinstance(shape, dict)
        return shape

    assert ((await at("link"))["type"], (await at("link"))["sha"]) == ("file", (await at("app.py"))["sha"])
    for name, target in (("dangling", "nowhere"), ("outside", "../secret"), ("to-dir", "docs")):
        shape = await at(name)
        assert (shape["type"], shape["target"]) == ("symlink", target)


async def test_a_submodule_is_an_entry_of_its_own(bench: Bench) -> None:
    shape = (await bench.client.get(f"{bench.repo}/contents/lib?ref={bench.history.head}")).json()
    assert (shape["type"], shape["sha"]) == ("submodule", SUBMODULE[1])
    assert shape["submodule_git_url"] == "https://example.org/lib.git"
    listing = (await bench.client.get(f"{bench.repo}/contents/?ref={bench.history.head}")).json()
    assert next(entry["type"] for entry in listing if entry["name"] == "lib") == "file"


async def test_trees_carry_modes(bench: Bench) -> None:
    for name in (bench.history.head, "topic"):
        answer = (await bench.client.get(f"{bench.repo}/git/trees/{name}?recursive=1")).json()
        modes = {entry["path"]: (entry["mode"], entry["type"]) for entry in answer["tree"]}
        assert modes["script.sh"] == ("100755", "blob")
        assert modes["link"] == ("120000", "blob")
        assert modes["lib"] == ("160000", "commit")
        assert modes["docs"] == ("040000", "tree")
        assert "docs/new näme.md" in modes
        assert answer["truncated"] is False
    flat = (await bench.client.get(f"{bench.repo}/git/trees/{answer['sha']}")).json()
    assert "docs/new näme.md" not in {entry["path"] for entry in flat["tree"]}
    assert (await bench.client.get(f"{bench.repo}/git/trees/{'0' * 40}")).status_code == 404


async def test_a_large_tree_is_truncated(make_bench: Make) -> None:
    for limits in (Limits(tree_entries=3), Limits(tree_bytes=500)):
        bench = await make_bench(limits)
        answer = (await bench.client.get(f"{bench.repo}/git/trees/topic?recursive=1")).json()
        assert (len(answer["tree"]), answer["truncated"]) == (3, True)


async def test_blobs(make_bench: Make) -> None:
    bench = await make_bench(Limits(raw_bytes=200))
    tree = (await bench.client.get(f"{bench.repo}/git/trees/topic")).json()["tree"]
    shas = {entry["path"]: entry["sha"] for entry in tree}
    shape = (await bench.client.get(f"{bench.repo}/git/blobs/{shas['latin.txt']}")).json()
    assert (base64.b64decode(shape["content"]), shape["size"]) == (b"caf\xe9\n", 5)
    raw = await bench.client.get(
        f"{bench.repo}/git/blobs/{shas['latin.txt']}", headers={"Accept": "application/vnd.github.raw"}
    )
    assert raw.content == b"caf\xe9\n"
    expected = {shas["app.py"]: 403, shas["docs"]: 404, "0" * 40: 404, "short": 422, "A" * 40: 422}
    for sha, status in expected.items():
        assert (await bench.client.get(f"{bench.repo}/git/blobs/{sha}")).status_code == status
