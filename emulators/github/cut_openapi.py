"""Cuts the operations and webhooks that the emulator serves out of GitHub's published descriptions.

Run it again after an upgrade of the descriptions (npm packages `@octokit/openapi` and `@octokit/openapi-webhooks`):

    python -m emulators.github.cut_openapi --openapi api.github.com.json --webhooks webhooks/api.github.com.json

With `--check` nothing is written and the exit status says whether the vendored files are what the cut would give.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OPENAPI = HERE / "openapi.json"
WEBHOOKS = HERE / "webhooks.json"

_REPO = "/repos/{owner}/{repo}"
_PULL = _REPO + "/pulls/{pull_number}"
_REVIEW = _PULL + "/reviews/{review_id}"

OPERATIONS: dict[str, tuple[str, ...]] = {
    "/user": ("get",),
    "/rate_limit": ("get",),
    _REPO: ("get",),
    _REPO + "/pulls": ("get",),
    _PULL: ("get",),
    _PULL + "/files": ("get",),
    _PULL + "/commits": ("get",),
    _PULL + "/reviews": ("get", "post"),
    _REVIEW: ("get", "put", "delete"),
    _REVIEW + "/events": ("post",),
    _REVIEW + "/comments": ("get",),
    _PULL + "/comments": ("get", "post"),
    _PULL + "/comments/{comment_id}/replies": ("post",),
    _REPO + "/pulls/comments/{comment_id}": ("get", "patch", "delete"),
    _REPO + "/issues/{issue_number}/comments": ("get", "post"),
    _REPO + "/issues/comments/{comment_id}": ("get", "patch", "delete"),
    _REPO + "/contents/{path}": ("get",),
    _REPO + "/git/trees/{tree_sha}": ("get",),
    _REPO + "/git/blobs/{file_sha}": ("get",),
    _REPO + "/compare/{basehead}": ("get",),
}

ACTIONS = ("opened", "reopened", "synchronize", "closed", "edited", "ready-for-review", "converted-to-draft")

# Where the description is narrower than what the service is documented, or seen, to answer. Each path leads to a schema
# that becomes nullable.
AMENDMENTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("pull-request-review-comment", "properties", "line"), "null once the comment is outdated"),
    (("pull-request-review-comment", "properties", "position"), "null once the comment is outdated"),
    (("review-comment", "properties", "line"), "null once the comment is outdated"),
    (("pull-request", "properties", "head", "properties", "repo"), "null once the fork is deleted"),
    (("pull-request-simple", "properties", "head", "properties", "repo"), "null once the fork is deleted"),
)

_PROSE = ("description", "example", "examples", "summary", "externalDocs", "tags", "x-github", "headers")


def strip(node: Any) -> Any:
    """Returns the schema without prose and examples; keys under `properties` are names and stay."""
    if isinstance(node, list):
        return [strip(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties" and isinstance(value, dict):
            kept[key] = {name: strip(schema) for name, schema in value.items()}
        elif key not in _PROSE:
            kept[key] = strip(value)
    return kept


def references(node: Any) -> Iterator[str]:
    """Yields each local `$ref` below the node."""
    if isinstance(node, dict):
        ref = node.get("$ref")
        if isinstance(ref, str):
            yield ref
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def closure(document: dict[str, Any], roots: Any) -> dict[str, dict[str, Any]]:
    """Returns the components that the roots need, by kind and name; KeyError when a reference leads nowhere."""
    components: dict[str, dict[str, Any]] = {}
    waiting = list(references(roots))
    while waiting:
        _, _, kind, name = waiting.pop().split("/", 3)
        group = components.setdefault(kind, {})
        if name not in group:
            group[name] = strip(document["components"][kind][name])
            waiting.extend(references(group[name]))
    return components


def amend(components: dict[str, dict[str, Any]]) -> list[str]:
    """Applies AMENDMENTS in place and returns what was done, for the file's own record."""
    done = []
    for path, reason in AMENDMENTS:
        node: Any = components["schemas"]
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = {"nullable": True, "allOf": [node[path[-1]]]}
        done.append(f"{'.'.join(path)}: {reason}")
    return done


def cut_openapi(document: dict[str, Any], source: str) -> dict[str, Any]:
    """Returns the OpenAPI document reduced to OPERATIONS; KeyError when one of them is gone."""
    paths = {
        path: {method: strip(document["paths"][path][method]) for method in methods}
        for path, methods in OPERATIONS.items()
    }
    # The error shapes are used for statuses that the description leaves out for some operations.
    extra = {"$ref": "#/components/schemas/basic-error"}
    components = closure(document, [paths, extra])
    info = {"title": document["info"]["title"], "version": document["info"]["version"]}
    return {
        "openapi": document["openapi"],
        "info": info,
        "x-source": source,
        "x-amendments": amend(components),
        "paths": paths,
        "components": components,
    }


def cut_webhooks(document: dict[str, Any], source: str) -> dict[str, Any]:
    """Returns the description of webhooks reduced to ACTIONS of `pull_request`, and `ping`."""
    names = [f"pull-request-{action}" for action in ACTIONS] + ["ping"]
    webhooks = {name: {"post": strip(document["webhooks"][name]["post"])} for name in names}
    components = closure(document, webhooks)
    repo = components["schemas"]["pull-request"]["properties"]["head"]["properties"]
    repo["repo"] = {"anyOf": [{"type": "null"}, repo["repo"]]}
    return {
        "openapi": document["openapi"],
        "info": {"title": document["info"]["title"], "version": document["info"]["version"]},
        "x-source": source,
        "x-amendments": ["pull-request.properties.head.properties.repo: null once the fork is deleted"],
        "webhooks": webhooks,
        "components": components,
    }


def _load(path: Path, package: str) -> tuple[dict[str, Any], str]:
    data = path.read_bytes()
    return json.loads(data), f"{package}, generated/api.github.com.json, sha256 {hashlib.sha256(data).hexdigest()}"


def main(argv: list[str] | None = None) -> int:
    """Writes or checks the two vendored files; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m emulators.github.cut_openapi", description=__doc__)
    parser.add_argument("--openapi", type=Path, required=True, help="api.github.com.json of @octokit/openapi")
    parser.add_argument("--webhooks", type=Path, required=True, help="api.github.com.json of @octokit/openapi-webhooks")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args(argv)
    cuts = (
        (OPENAPI, cut_openapi(*_load(arguments.openapi, "@octokit/openapi"))),
        (WEBHOOKS, cut_webhooks(*_load(arguments.webhooks, "@octokit/openapi-webhooks"))),
    )
    stale = 0
    for target, document in cuts:
        text = json.dumps(document, indent=1, sort_keys=True) + "\n"
        if not arguments.check:
            target.write_text(text, encoding="utf-8")
        elif target.read_text(encoding="utf-8") != text:
            print(f"{target.name} is not what the cut gives", file=sys.stderr)
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
