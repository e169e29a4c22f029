"""The operations that read content: files at a ref, trees and blobs."""

from __future__ import annotations

import posixpath
import re
from typing import Any
from urllib.parse import quote

from emulators.github.answers import Answer, Call, RefusedError, json_answer, not_found
from emulators.github.git import TreeEntry
from emulators.github.host import Host
from emulators.github.reading import encoded
from emulators.github.repository_shapes import node_id

_RAW = "application/vnd.github.raw"
_OBJECT = "application/vnd.github.object"


def _too_large(limit: int) -> RefusedError:
    error = {"resource": "Blob", "field": "data", "code": "too_large"}
    return RefusedError(403, f"The requested blob is larger than the {limit} bytes this form may have.", [error])


class Content:
    """Handlers of contents, trees and blobs."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def contents(self, call: Call) -> Answer:
        """Answers what is at a path of a ref: a file, a directory, a symbolic link or a submodule."""
        ref = call.query.get("ref") or self._host.default_branch
        commit = await self._host.commit_of(ref)
        if commit is None and "ref" not in call.given:
            commit = await self._host.commit_of("HEAD")
        if commit is None:
            raise RefusedError(404, f"No commit found for the ref {ref}")
        tree = await self._host.repository.tree_of(commit)
        path = call.parameters["path"].encode("utf-8", "surrogateescape").strip(b"/")
        if not path:
            return await self._directory(call, path, tree, ref)
        entry = await self._host.repository.entry(tree, path)
        if entry is None:
            raise not_found()
        if entry.kind == "tree":
            return await self._directory(call, path, entry.sha, ref)
        if entry.kind == "commit":
            return json_answer(await self._submodule(path, entry, tree, ref))
        if entry.mode == "120000":
            target = await self._link_target(tree, path, entry)
            if target is None:
                text = (await self._host.repository.blob(entry.sha)).decode("utf-8", "replace")
                return json_answer(self._item(path, entry, ref, "symlink") | {"target": text})
            entry = target
        return await self._file(call, path, entry, ref)

    async def _link_target(self, tree: str, path: bytes, link: TreeEntry) -> TreeEntry | None:
        """Returns the normal file a link leads to inside the repository; None otherwise."""
        for _ in range(8):
            target = await self._host.repository.blob(link.sha)
            # What leads out of the repository stays a path with `..` or `/` in front, which no tree has.
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
            found = await self._host.repository.entry(tree, path)
            if found is None or found.kind != "blob":
                return None
            if found.mode != "120000":
                return found
            link = found
        return None

    async def _file(self, call: Call, path: bytes, entry: TreeEntry, ref: str) -> Answer:
        limits, size = self._host.limits, entry.size or 0
        if size > limits.raw_bytes:
            raise _too_large(limits.raw_bytes)
        if call.wants("raw"):
            return Answer(200, await self._host.repository.blob(entry.sha), _RAW)
        shape = self._item(path, entry, ref, "file") | {"encoding": "base64"}
        if size <= limits.content_bytes:
            shape["content"] = encoded(await self._host.repository.blob(entry.sha))
        elif call.wants("object"):
            shape |= {"content": "", "encoding": "none"}
        else:
            raise _too_large(limits.content_bytes)
        return self._shaped(call, shape)

    def _shaped(self, call: Call, shape: Any) -> Answer:
        answer = json_answer(shape)
        if call.wants("object"):
            answer.media = _OBJECT
        return answer

    async def _directory(self, call: Call, path: bytes, tree: str, ref: str) -> Answer:
        entries = (await self._host.repository.tree(tree))[: self._host.limits.directory_entries]
        prefix = path + b"/" if path else b""
        items = [self._item(prefix + entry.path, entry, ref, _listed_kind(entry)) for entry in entries]
        if not call.wants("object"):
            return json_answer(items)
        whole = TreeEntry("040000", "tree", tree, None, path)
        return self._shaped(call, self._item(path, whole, ref, "dir") | {"entries": items})

    async def _submodule(self, path: bytes, entry: TreeEntry, tree: str, ref: str) -> dict[str, Any]:
        modules = await self._host.repository.entry(tree, b".gitmodules")
        text = await self._host.repository.blob(modules.sha) if modules and modules.kind == "blob" else b""
        url = submodule_url(text, path) or f"{self._host.render.web}/unknown/unknown.git"
        return self._item(path, entry, ref, "submodule") | {"submodule_git_url": url}

    def _item(self, path: bytes, entry: TreeEntry, ref: str, kind: str) -> dict[str, Any]:
        render, place = self._host.render, quote(path)
        api = f"{render.repo_api}/contents/{place}?ref={quote(ref)}"
        noun = "trees" if kind in ("dir", "submodule") else "blobs"
        page = f"{render.repo_web}/{'tree' if kind == 'dir' else 'blob'}/{quote(ref)}/{place}"
        git: str | None = f"{render.repo_api}/git/{noun}/{entry.sha}"
        raw = f"https://raw.githubusercontent.com/{render.full_name}/{quote(ref)}/{place}"
        text = path.decode("utf-8", "replace")
        return {
            "name": text.rpartition("/")[2],
            "path": text,
            "sha": entry.sha,
            "size": entry.size or 0,
            "url": api,
            "html_url": page,
            "git_url": git,
            "download_url": raw if kind in ("file", "symlink") and entry.kind == "blob" else None,
            "type": kind,
            "_links": {"self": api, "git": git, "html": page},
        }

    async def tree(self, call: Call) -> Answer:
        """Answers a tree, named by tree, commit or ref; says `truncated` beyond the host's limits."""
        name, limits = call.parameters["tree_sha"], self._host.limits
        kind = await self._host.repository.object_kind(name)
        commit = None if kind and kind[0] == "tree" else await self._host.commit_of(name)
        if commit is None and (kind is None or kind[0] != "tree"):
            raise not_found()
        sha = name if commit is None else await self._host.repository.tree_of(commit)
        entries = await self._host.repository.tree(sha, recursive="recursive" in call.query)
        items: list[dict[str, Any]] = []
        size, truncated = 0, False
        for entry in entries:
            size += len(entry.path) + 150
            if len(items) >= limits.tree_entries or size > limits.tree_bytes:
                truncated = True
                break
            items.append(self._tree_item(entry))
        url = f"{self._host.render.repo_api}/git/trees/{sha}"
        return json_answer({"sha": sha, "url": url, "tree": items, "truncated": truncated})

    def _tree_item(self, entry: TreeEntry) -> dict[str, Any]:
        path = entry.path.decode("utf-8", "replace")
        item: dict[str, Any] = {"path": path, "mode": entry.mode, "type": entry.kind, "sha": entry.sha}
        if entry.size is not None:
            item["size"] = entry.size
        if entry.kind != "commit":
            item["url"] = f"{self._host.render.repo_api}/git/{entry.kind}s/{entry.sha}"
        return item

    async def blob(self, call: Call) -> Answer:
        """Answers a blob by its sha."""
        sha = call.parameters["file_sha"]
        if not re.fullmatch(r"[0-9a-f]{40}", sha):
            raise RefusedError(
                422,
                "The sha parameter must be exactly 40 characters and contain only [0-9a-f].",
            )
        kind = await self._host.repository.object_kind(sha)
        if kind is None or kind[0] != "blob":
            raise not_found()
        if kind[1] > self._host.limits.raw_bytes:
            raise _too_large(self._host.limits.raw_bytes)
        content = await self._host.repository.blob(sha)
        if call.wants("raw"):
            return Answer(200, content, _RAW)
        url = f"{self._host.render.repo_api}/git/blobs/{sha}"
        shape = {"sha": sha, "node_id": node_id("Blob", 0) + sha, "size": len(content), "url": url}
        return json_answer(shape | {"content": encoded(content), "encoding": "base64"})


def _listed_kind(entry: TreeEntry) -> str:
    """Returns the kind in a listing; up to the version of 2022-11-28 a submodule is listed as a file."""
    if entry.mode == "120000":
        return "symlink"
    return "dir" if entry.kind == "tree" else "file"


def submodule_url(modules: bytes, path: bytes) -> str | None:
    """Returns the absolute url that a `.gitmodules` text gives for a path, or None."""
    section: dict[bytes, bytes] = {}
    for line in [*modules.split(b"\n"), b"[end]"]:
        text = line.strip()
        if text.startswith(b"["):
            if section.get(b"path") == path and b"url" in section:
                url = section[b"url"].decode("utf-8", "replace")
                return url if re.match(r"[a-z+]+://[^\s]+$", url) else None
            section = {}
        elif b"=" in text:
            key, _, value = text.partition(b"=")
            section[key.strip()] = value.strip()
    return None
