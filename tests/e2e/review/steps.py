"""What the end-to-end tests do again and again: a pull request, and a webhook about it."""

import pytest

from emulators.github import GitHubEmulator, deliver
from tests.support.system import SECRET, Repository, System

# The same test over each way from the outbox to the inbox.
EVERY_BUS = pytest.mark.parametrize("bus", ["in_process", "rabbitmq", "malicious-1", "malicious-2"], indirect=True)
CLEAN = "def add(a, b):\n    return a + b\n"
BAD = "import subprocess\n\n\ndef run(name):\n    subprocess.run('ls ' + name, shell=True)\n"


async def open_pull(emulator: GitHubEmulator, repository: Repository, files: dict[str, str | None]) -> int:
    base = repository.git("rev-parse", "HEAD")
    head = repository.commit(files)
    return (await emulator.open_pull(head=head, base=base)).number


async def send(system: System, emulator: GitHubEmulator, action: str, number: int) -> int:
    return (await deliver(system.github_webhook, emulator.webhook(action, number, secret=SECRET))).status
