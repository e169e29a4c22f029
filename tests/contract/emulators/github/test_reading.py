"""Pull requests, files, commits and comparisons as the host answers them."""

from __future__ import annotations

from emulators.github import Limits
from tests.contract.emulators.github.conftest import Make
from tests.contract.emulators.github.support import SUBMODULE, Bench


async def test_pull_request_names_base_and_head(bench: Bench) -> None:
    answer = (await bench.client.get(bench.api)).json()
    assert (answer["head"]["sha"], answer["base"]["sha"]) == (bench.history.head, bench.history.main)
    assert (answer["title"], answer["draft"], answer["state"], answer["commits"]) == ("Tidy up", False, "open", 2)
    assert answer["changed_files"] == len((await bench.client.get(f"{bench.api}/files")).json())


async def test_files_show_each_kind_of_change(bench: Bench) -> None:
    files = {file["filename"]: file for file in (await bench.client.get(f"{bench.api}/files")).json()}
    assert "only-on-main.txt" not in files  # three-dot: what main did meanwhile is no part of it
    assert files["docs/new näme.md"]["previous_filename"] == "docs/pure name.md"
    pure, edited = files["docs/new näme.md"], files["renamed.py"]
    assert (pure["status"], pure["changes"], "patch" in pure) == ("renamed", 0, False)
    assert (edited["status"], edited["additions"], edited["previous_filename"]) == ("renamed", 1, "edited.py")
    assert files["gone.py"]["status"] == "removed"
    assert files["gone.py"]["patch"] == "@@ -1,2 +0,0 @@\n-one\n-two"
    assert (files["image.bin"]["status"], "patch" in files["image.bin"]) == ("modified", False)
    assert (files["script.sh"]["status"], files["script.sh"]["changes"]) == ("changed", 0)
    assert (files["becomes-link"]["status"], "patch" in files["becomes-link"]) == ("changed", False)
    assert files["lib"]["patch"].endswith(f"+Subproject commit {SUBMODULE[1]}")
    assert files["latin.txt"]["patch"] == "@@ -0,0 +1 @@\n+caf\ufffd"
    assert files["tricky.txt"]["patch"].endswith("\\ No newline at end of file")
    assert files["app.py"]["patch"].startswith("@@ -2,7 +2,7 @@")


async def test_a_file_may_come_without_sha(bench: Bench) -> None:
    bench.emulator.hide_sha("app.py")
    files = {file["filename"]: file["sha"] for file in (await bench.client.get(f"{bench.api}/files")).json()}
    assert files["app.py"] is None
    assert files["crlf.txt"] is not None


async def test_pages_are_linked_and_capped(make_bench: Make) -> None:
    bench = await make_bench(Limits(page=4))
    seen: list[str] = []
    url: str | None = f"{bench.api}/files?per_page=50"
    pages = 0
    while url is not None:
        answer = await bench.client.get(url)
        pages += 1
        assert len(answer.json()) <= 4
        seen += [file["filename"] for file in answer.json()]
        url = answer.links.get("next", {}).get("url")
        assert url is None or url.startswith(bench.emulator.url)
    assert pages == 3
    assert len(seen) == len(set(seen)) == len(bench.pull.state_now.files)
    assert set(answer.links) == {"prev", "first"}


async def test_page_size_defaults_to_thirty_and_is_never_zero(bench: Bench) -> None:
    for size in ("", "?per_page=0", "?per_page=-3", "?page=0"):
        answer = await bench.client.get(f"{bench.api}/files{size}")
        assert len(answer.json()) == len(bench.pull.state_now.files)
    assert (await bench.client.get(f"{bench.api}/files?page=9")).json() == []


async def test_files_stop_at_the_cap(make_bench: Make) -> None:
    bench = await make_bench(Limits(files=3, compare_files=2, commits=1))
    assert len((await bench.client.get(f"{bench.api}/files?per_page=100")).json()) == 3
    assert len((await bench.client.get(f"{bench.api}/commits")).json()) == 1
    compare = (await bench.client.get(f"{bench.repo}/compare/main...topic")).json()
    assert (len(compare["files"]), len(compare["commits"]), compare["total_commits"]) == (2, 1, 2)


async def test_a_large_file_has_no_patch(make_bench: Make) -> None:
    for limits in (Limits(file_lines=10), Limits(file_bytes=100)):
        bench = await make_bench(limits)
        files = {file["filename"]: file for file in (await bench.client.get(f"{bench.api}/files")).json()}
        assert "patch" not in files["app.py"]
        assert files["app.py"]["changes"] == 3
        assert "patch" in files["gone.py"]


async def test_patches_stop_when_the_whole_is_too_large(make_bench: Make) -> None:
    bench = await make_bench(Limits(diff_lines=25))
    with_patch = [file["filename"] for file in (await bench.client.get(f"{bench.api}/files")).json() if "patch" in file]
    assert with_patch == ["app.py", "crlf.txt", "gone.py"]


async def test_diff_is_git_s_own(bench: Bench) -> None:
    answer = await bench.client.get(bench.api, headers={"Accept": "application/vnd.github.diff"})
    expected = bench.history.repository.git("diff", "--full-index", "-M", bench.history.base, bench.history.head)
    assert answer.headers["content-type"].startswith("application/vnd.github.diff")
    assert answer.content.strip() == expected.encode("utf-8", "surrogateescape")


async def test_a_large_diff_is_not_acceptable(make_bench: Make) -> None:
    for limits in (Limits(diff_lines=10), Limits(diff_bytes=10), Limits(diff_files=2)):
        bench = await make_bench(limits)
        answer = await bench.client.get(bench.api, headers={"Accept": "application/vnd.github.diff"})
        assert answer.status_code == 406
        assert answer.json()["errors"][0]["code"] == "too_large"


async def test_commits_are_listed_oldest_first(bench: Bench) -> None:
    commits = (await bench.client.get(f"{bench.api}/commits")).json()
    assert [commit["sha"] for commit in commits] == [bench.history.first, bench.history.head]
    assert commits[0]["commit"]["message"] == "change line 5"


async def test_compare_knows_the_four_relations(bench: Bench) -> None:
    history = bench.history
    cases = {
        (history.first, history.head): ("ahead", 1, 0),
        (history.head, history.first): ("behind", 0, 1),
        (history.head, history.head): ("identical", 0, 0),
        (history.main, history.head): ("diverged", 2, 1),
    }
    for (base, head), expected in cases.items():
        answer = (await bench.client.get(f"{bench.repo}/compare/{base}...{head}")).json()
        assert (answer["status"], answer["ahead_by"], answer["behind_by"]) == expected
    assert answer["merge_base_commit"]["sha"] == history.base


async def test_compare_takes_owners_and_pages_commits_but_not_files(bench: Bench) -> None:
    url = f"{bench.repo}/compare/acme:main...acme:topic"
    first = await bench.client.get(f"{url}?per_page=1")
    second = await bench.client.get(first.links["next"]["url"])
    assert [first.json()["commits"][0]["sha"], second.json()["commits"][0]["sha"]] == [
        bench.history.first,
        bench.history.head,
    ]
    assert first.json()["files"]
    assert second.json()["files"] == []


async def test_compare_refuses_what_it_cannot_resolve(bench: Bench) -> None:
    for basehead in ("main...nowhere", "main", "main..topic", "stranger:main...topic", "main...--output=x", "...topic"):
        assert (await bench.client.get(f"{bench.repo}/compare/{basehead}")).status_code == 404


async def test_pull_requests_are_listed_by_state_and_head(bench: Bench) -> None:
    draft = await bench.emulator.open_pull(bench.history.first, bench.history.base, head_ref="early", draft=True)
    bench.emulator.close(bench.pull.number)

    async def listed(query: str) -> list[int]:
        return [pull["number"] for pull in (await bench.client.get(f"{bench.repo}/pulls{query}")).json()]

    assert await listed("") == [draft.number]
    assert await listed("?state=closed") == [bench.pull.number]
    assert sorted(await listed("?state=all")) == [bench.pull.number, draft.number]
    assert await listed("?state=all&head=acme:early") == [draft.number]
    assert await listed("?state=all&base=release") == []


async def test_pull_request_lives_through_pushes_and_states(bench: Bench) -> None:
    emulator, number = bench.emulator, bench.pull.number

    async def now() -> dict[str, object]:
        shape = (await bench.client.get(bench.api)).json()
        return {key: shape[key] for key in ("state", "draft", "merged", "title")} | {"head": shape["head"]["sha"]}

    await emulator.set_head(number, bench.history.later)
    assert (await now())["head"] == bench.history.later
    assert len((await bench.client.get(f"{bench.api}/commits")).json()) == 3
    emulator.set_draft(number, True)
    emulator.edit(number, title="Other")
    emulator.close(number)
    assert (await now()) == {
        "state": "closed",
        "draft": True,
        "merged": False,
        "title": "Other",
        "head": bench.history.later,
    }
    emulator.reopen(number)
    assert (await now())["state"] == "open"
    emulator.close(number, merged=True)
    assert (await now())["merged"] is True


async def test_another_base_gives_another_diff(bench: Bench) -> None:
    await bench.emulator.set_base(bench.pull.number, bench.history.first, "release")
    shape = (await bench.client.get(bench.api)).json()
    assert (shape["base"]["ref"], shape["base"]["sha"], shape["commits"]) == ("release", bench.history.first, 1)
    patch = (await bench.client.get(f"{bench.api}/files")).json()[0]["patch"]
    assert "five" not in patch.split("\n")[1]


async def test_the_empty_base_serves_the_whole_tree(bench: Bench) -> None:
    pull = await bench.emulator.open_pull(bench.history.head, None)
    api = f"{bench.repo}/pulls/{pull.number}"
    files = (await bench.client.get(f"{api}/files?per_page=100")).json()
    assert {file["status"] for file in files} == {"added"}
    base = (await bench.client.get(api)).json()["base"]["sha"]
    assert (await bench.client.get(f"{bench.repo}/git/trees/{base}")).json()["tree"] == []
    assert (await bench.client.get(f"{bench.repo}/contents/app.py?ref={base}")).status_code == 404
    compare = (await bench.client.get(f"{bench.repo}/compare/{base}...{pull.head_sha}")).json()
    assert (compare["status"], len(compare["files"])) == ("ahead", len(files))


async def test_a_fork_and_a_deleted_fork(bench: Bench) -> None:
    outsider = bench.emulator.add_user("outsider", access="read")
    fork = await bench.emulator.open_pull(bench.history.head, "main", author=outsider, head_repository="fork")
    gone = await bench.emulator.open_pull(bench.history.head, "main", author=outsider, head_repository="deleted")
    shape = (await bench.client.get(f"{bench.repo}/pulls/{fork.number}")).json()
    assert (shape["head"]["repo"]["full_name"], shape["head"]["label"]) == ("outsider/shop", "outsider:topic")
    assert (await bench.client.get(f"{bench.repo}/pulls/{gone.number}")).json()["head"]["repo"] is None
    ref = f"refs/pull/{gone.number}/head"
    assert (await bench.client.get(f"{bench.repo}/contents/app.py?ref={ref}")).status_code == 200


async def test_unknown_pull_request_is_not_found(bench: Bench) -> None:
    for path in ("", "/files", "/commits", "/reviews", "/comments"):
        assert (await bench.client.get(f"{bench.repo}/pulls/99{path}")).status_code == 404
