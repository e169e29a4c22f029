"""`python -m emulators gitlab`: the emulator as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence

from emulators.github.git import GitError
from emulators.github.record import EmulatorDefectError
from emulators.gitlab.emulator import GitLabEmulator

_EPILOG = """
Once it listens, one line of JSON goes to standard output: url, project, id, number, base, head.
Ctrl-C or SIGTERM stops it.

example:
  python -m emulators gitlab --repo . --base HEAD~3 --head HEAD --token local-only
  curl -H 'PRIVATE-TOKEN: local-only' http://127.0.0.1:PORT/api/v4/projects/4711/merge_requests/1/diffs
"""


def parser() -> argparse.ArgumentParser:
    """Returns the command line's grammar."""
    found = argparse.ArgumentParser(
        prog="python -m emulators gitlab",
        description="A strict stand-in for a GitLab instance that serves one merge request of a local git repository.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--repo", required=True, metavar="PATH", help="the git repository; it is only read")
    found.add_argument("--base", default="HEAD~1", metavar="REV", help="base commit (default: HEAD~1)")
    found.add_argument("--head", default="HEAD", metavar="REV", help="head commit (default: HEAD)")
    found.add_argument("--token", help="the token clients must send (default: the environment's EMULATOR_TOKEN)")
    found.add_argument("--project", default="local/repository", help="path of the project (default: local/repository)")
    found.add_argument("--username", default="lintel-bot", help="account of the token (default: lintel-bot)")
    found.add_argument("--title", default="A change", help="title of the merge request")
    found.add_argument("--draft", action="store_true", help="open it as a draft")
    found.add_argument("--host", default="127.0.0.1", help="a loopback address (default: 127.0.0.1)")
    found.add_argument("--port", type=int, default=0, help="port (default: 0, a free one)")
    return found


async def _serve(arguments: argparse.Namespace, token: str) -> None:
    emulator = GitLabEmulator(arguments.repo, arguments.project, token, username=arguments.username)
    request = await emulator.open_pull(arguments.head, arguments.base, title=arguments.title, draft=arguments.draft)
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, done.set)
    url = await emulator.start(arguments.host, arguments.port)
    facts = {"url": url, "project": arguments.project, "id": emulator.project_id, "number": request.number}
    print(json.dumps(facts | {"base": request.now.base, "head": request.head_sha}), flush=True)
    await done.wait()
    await emulator.stop()


def main(argv: Sequence[str]) -> int:
    """Runs until a signal; returns 2 for bad arguments, 1 when the emulator found itself wrong."""
    arguments = parser().parse_args(argv)
    token = arguments.token or os.environ.get("EMULATOR_TOKEN", "")
    if not token:
        print("a token is needed: --token or EMULATOR_TOKEN", file=sys.stderr)
        return 2
    try:
        asyncio.run(_serve(arguments, token))
    except (GitError, ValueError, OSError, OverflowError) as error:
        print(f"the emulator can't start: {error}", file=sys.stderr)
        return 2
    except EmulatorDefectError as error:
        print(f"the emulator is defective: {error}", file=sys.stderr)
        return 1
    return 0
