"""The launcher with a stand-in clone whose lock files need nothing from an index."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from cli.layout import ROOT

SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], sys.prefix, os.environ['PYTHONPATH'], sys.path[0]]))\n"


class Clone:
    """A directory that looks like a clone to the launcher."""

    def __init__(self, root: Path, path: str) -> None:
        self.root = root
        self.path = path
        self.environment = root / ".venv"
        (root / "cli").mkdir(parents=True)
        (root / "cli" / "__init__.py").touch()
        (root / "cli" / "__main__.py").write_text(SHOW)
        shutil.copy2(ROOT / "lintel", root)
        self.lock("embedded", "# nothing\n")
        self.lock("dev", "# nothing either\n")

    def lock(self, kind: str, text: str) -> None:
        (self.root / f"requirements-{kind}.lock").write_text(text)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(self.root / "lintel"), *arguments],
            env={"PATH": self.path, "HOME": str(self.root), "PIP_NO_INDEX": "1", "UV_OFFLINE": "1"},
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        with self.start(*arguments) as process:
            output, errors = process.communicate(timeout=100)
        return process.returncode, output, errors


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """One clone whose environment is made with venv and pip: there is no uv on its PATH."""
    tools = tmp_path_factory.mktemp("tools")
    yield Clone(tmp_path_factory.mktemp("clone") / "with space", f"{tools}{os.pathsep}{os.defpath}")


def test_two_at_once_make_one_environment_and_become_the_command_line(clone: Clone) -> None:
    both = [clone.start("status", "--x y") for _ in range(2)]
    ends = [process.communicate(timeout=100) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    for output, _ in ends:
        assert (
            f'[["status", "--x y"], "{clone.environment}", "{clone.root}{os.pathsep}{clone.root}/protos/gen"' in output
        )
    said = "".join(errors for _, errors in ends)
    assert said.count("making the Python environment") == 1
    assert "with venv and pip" in said


def test_later_runs_make_nothing_and_say_nothing(clone: Clone) -> None:
    before = (clone.environment / "install.log").stat().st_mtime_ns
    status, _, errors = clone.run("status")
    assert (status, errors) == (0, "")
    assert (clone.environment / "install.log").stat().st_mtime_ns == before


def test_developer_commands_and_changed_locks_renew_it(clone: Clone) -> None:
    assert "renewing" in clone.run("test", "-k", "x")[2]
    assert clone.run("up")[2] == ""
    clone.lock("embedded", "# changed\n")
    assert "renewing" in clone.run("up")[2]
    assert clone.run("dev")[2] == ""


def test_a_failed_renewal_says_why_and_is_done_again(clone: Clone) -> None:
    clone.lock("embedded", f"no-such-package==1 --hash=sha256:{'0' * 64}\n")
    clone.lock("dev", (clone.root / "requirements-embedded.lock").read_text())
    status, output, errors = clone.run("up")
    assert (status, output) == (1, "")
    assert "no-such-package" in errors
    assert "Traceback" not in errors
    clone.lock("embedded", "# back\n")
    clone.lock("dev", "# back\n")
    assert "making" in clone.run("up")[2]


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on PATH")
def test_uv_is_used_where_it_is_and_waits_for_no_lock_of_ours(tmp_path: Path) -> None:
    uv = shutil.which("uv")
    assert uv
    there = Clone(tmp_path / "clone", f"{Path(uv).parent}{os.pathsep}{os.defpath}")
    status, output, errors = there.run("up")
    assert status == 0, errors
    assert str(there.environment) in output
    assert "with uv" in errors
    assert "still installing" not in errors

    there.path = os.defpath  # and then uv is gone
    there.lock("embedded", "# changed\n")
    status, output, errors = there.run("up")
    assert status == 0, errors
    assert "with venv and pip" in errors


def test_the_directory_one_stands_in_is_not_imported_from(clone: Clone, tmp_path: Path) -> None:
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli" / "__main__.py").write_text("raise SystemExit('taken over')\n")
    (tmp_path / "json.py").write_text("raise SystemExit('taken over')\n")
    done = subprocess.run(
        [sys.executable, str(clone.root / "lintel"), "up"],
        env={"PATH": clone.path, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interrupt_while_python_starts_is_no_traceback(clone: Clone) -> None:
    clone.run("status")
    (packages,) = clone.environment.glob("lib/python*/site-packages")
    hook, program = packages / "interrupt.pth", clone.root / "cli" / "__main__.py"
    # Before any line of ours runs; a suite started in the background was told to ignore interrupts.
    heard = "signal.signal(signal.SIGINT, signal.default_int_handler)"
    hook.write_text(f"import os, signal; {heard}; os.kill(os.getpid(), signal.SIGINT)\n")
    shutil.copy2(ROOT / "cli" / "__main__.py", program)
    (clone.root / "cli" / "main.py").write_text("def main(): print('not stopped')\n")
    try:
        assert clone.run("status") == (130, "", "")
    finally:
        hook.unlink()
        program.write_text(SHOW)


def test_it_can_be_parsed_by_pythons_that_are_too_old() -> None:
    ast.parse((ROOT / "lintel").read_text(), feature_version=(3, 4))


def test_an_old_python_is_told_what_is_needed(tmp_path: Path) -> None:
    source = (ROOT / "lintel").read_text()
    old = source.replace("sys.version_info >= OLDEST", "False")
    assert old != source
    (tmp_path / "lintel").write_text(old)
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "lintel"), "up"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("lintel: needs Python 3.11 or newer; this is 3.")
    assert "apt install" in done.stderr


def load(root: Path) -> ModuleType:
    """The launcher of a stand-in clone as a module."""
    loader = SourceFileLoader("launcher", str(root / "lintel"))
    spec = spec_from_loader("launcher", loader)
    assert spec
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_an_environment_whose_python_is_gone_counts_as_none(clone: Clone, tmp_path: Path) -> None:
    launcher = load(clone.root)
    environment = tmp_path / "environment"
    (environment / "bin").mkdir(parents=True)
    (environment / "lintel-environment").write_text("embedded=1\n")
    (environment / "bin" / "python").symlink_to(sys.executable)
    assert launcher.read_marker(str(environment)) == {"embedded": "1"}
    (environment / "bin" / "python").unlink()
    (environment / "bin" / "python").symlink_to("/nowhere/python")
    assert launcher.read_marker(str(environment)) == {}


def test_an_unwritable_clone_gets_its_environment_in_the_cache(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(clone.root, tmp_path / "clone", ignore=shutil.ignore_patterns(".venv"))
    launcher = load(tmp_path / "clone")
    assert launcher.place() == str(tmp_path / "clone" / ".venv")
    read_only = str(tmp_path / "clone")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or not str(path).startswith(read_only))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert Path(launcher.place()).parent == tmp_path / "cache" / "lintel"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("LINTEL_STATE_DIR", str(tmp_path / "state"))
    assert Path(launcher.place()).parent == tmp_path / "state" / "lintel"
