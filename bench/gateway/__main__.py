"""What the gateway adds to a completion: `python -m bench.gateway [--seconds N] [--rounds N] [--no-litellm]`.

The same call, to the same stand-in for a provider, by the bare OpenAI SDK, through our gateway (gRPC in, Postgres, SDK
out) and through LiteLLM's proxy (one worker, master key, no database, opentelemetry-sdk installed, without which it
fails an import at every request). Rounds are interleaved. Each side's load comes from a process of its own; LiteLLM's
from aiohttp, which is cheaper than the SDK. Added latency is the difference of medians to `direct`: for the gateway to
the bare SDK, which is inside it; for LiteLLM to aiohttp calling the stand-in directly.
"""

import argparse
import json
import os
import secrets
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.gateway.load import KEY
from cli.engines.postgres import PostgresEngine

ROOT = Path(__file__).resolve().parents[2]
CONCURRENCIES = (1, 16, 64)
STREAMS = 1000
LITELLM = """
model_list:
  - model_name: bench-model
    litellm_params: {{model: openai/bench-model, api_base: "{url}", api_key: "{key}"}}
litellm_settings: {{telemetry: false, num_retries: 0}}
general_settings: {{master_key: "{key}"}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=dict(environment), cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(url: str, seconds: float, log: Path) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    raise SystemExit(f"{url} did not answer; the end of its log:\n{log.read_text()[-2000:]}")


def python_environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos' / 'gen'}"}


def start_provider(stack: ExitStack, directory: Path) -> str:
    port = free_port()
    log = directory / "provider.log"
    stack.enter_context(running([sys.executable, "-m", "bench.gateway.provider", str(port)], python_environment(), log))
    wait_for(f"http://127.0.0.1:{port}/v1/models", 20, log)
    return f"http://127.0.0.1:{port}/v1"


def start_gateway(stack: ExitStack, directory: Path, provider: str) -> tuple[int, str, str]:
    """Start Postgres (syncing to disk as in production) and the roles; answers process, address and organisation."""
    engine = PostgresEngine(directory / "postgres", {})
    engine.start()
    stack.callback(engine.stop)
    environment = python_environment()
    owner, database = engine.dsn(), engine.dsn(user="lintel")
    subprocess.run(
        [sys.executable, "-m", "migrations", "run"],
        env=environment | {"LINTEL_MIGRATIONS_URL": owner},
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    run_dir = directory / "run"
    run_dir.mkdir(mode=0o700)
    environment |= {
        "DATABASE_URL": database,
        "API_CRYPTO_KEY": secrets.token_hex(32),
        "API_JWT_SECRET": secrets.token_hex(32),
        "LINTEL_RUN_DIR": str(run_dir),
        "LINTEL_STATE_DIR": str(directory),
        "API_LOG_LEVEL": "warning",
        "API_OPENAI_FORCE_BASE_URL": provider,
        "API_OPEN_AI_API_KEY": KEY,
        "API_LLM_PROVIDER_MODEL": "bench-model",
        "LINTEL_MODEL_PRICES": '{"bench-model": {"input": 1, "output": 2}}',
    }
    boot = subprocess.run(
        [sys.executable, "-m", "services.bootstrap"], env=environment, cwd=ROOT, check=False, capture_output=True
    )
    if boot.returncode:
        raise SystemExit(boot.stderr.decode())
    log = directory / "gateway.log"
    # A process of its own, as a role is in production; the directory of organisations beside it.
    stack.enter_context(running([sys.executable, "-m", "services", "auth", "orgs"], environment, directory / "o.log"))
    process = stack.enter_context(running([sys.executable, "-m", "services", "llm_gateway"], environment, log))
    until = time.monotonic() + 60
    while not all((run_dir / f"{role}.sock").exists() for role in ("orgs", "llm_gateway")):
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(log.read_text()[-3000:] + (directory / "o.log").read_text()[-2000:])
        time.sleep(0.2)
    organization = "0190a1b2-0000-7000-8000-00000000beac"
    return process.pid, f"unix:{run_dir / 'llm_gateway'}.sock", organization


def start_litellm(stack: ExitStack, directory: Path, provider: str) -> str:
    """Make an environment for LiteLLM, which pins another SDK than ours, and start its proxy."""
    home = directory / "litellm"
    tool = shutil.which("uv")
    packages = ["litellm[proxy]", "opentelemetry-sdk", "uvloop", "httptools"]
    print("making LiteLLM's environment …", file=sys.stderr, flush=True)
    if tool:
        subprocess.run([tool, "venv", "-q", "--python", sys.executable, str(home)], check=True)
        subprocess.run([tool, "pip", "install", "-q", "--python", str(home / "bin/python"), *packages], check=True)
    else:
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(home / "bin/pip"), "install", "-q", *packages], check=True)
    config = directory / "litellm.yaml"
    config.write_text(LITELLM.format(url=provider, key=KEY))
    port = free_port()
    log = directory / "litellm.log"
    environment = {k: v for k, v in python_environment().items() if k != "PYTHONPATH"}
    environment |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False"}
    command = [str(home / "bin/litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    stack.enter_context(running([*command, "--num_workers", "1"], environment, log))
    wait_for(f"http://127.0.0.1:{port}/health/liveliness", 180, log)
    return f"http://127.0.0.1:{port}/v1"


def cell(kind: str, concurrency: int, seconds: float, *where: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.gateway.load", kind, str(concurrency), str(seconds), *where],
        env=python_environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds * 10 + 120,
    )
    if done.returncode:
        raise SystemExit(f"{kind}: {done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def resident(pid: int) -> float:
    """Answer the resident memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def streams(pid: int, address: str, organization: str) -> dict[str, float]:
    """Hold 1,000 streams open and answer what they take of the gateway's memory."""
    before = resident(pid)
    command = [sys.executable, "-m", "bench.gateway.load", "streams", str(STREAMS), "5", address, organization]
    with subprocess.Popen(command, env=python_environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdout is not None
        opened = json.loads(load.stdout.readline())["open"]
        time.sleep(2)
        during = resident(pid)
        load.wait(120)
    time.sleep(3)
    return {"open": opened, "before_mb": before, "during_mb": during, "after_mb": resident(pid)}


def table(results: Mapping[str, Mapping[int, list[dict[str, float]]]]) -> list[str]:
    lines = ["| path | concurrency | calls/s | p50 ms | p99 ms | failures |", "|---|---|---|---|---|---|"]
    for name, cells in results.items():
        for concurrency, rounds in cells.items():
            rps, p50, p99 = (statistics.median(r[k] for r in rounds) for k in ("rps", "p50", "p99"))
            failures = int(sum(r["failures"] for r in rounds))
            lines.append(f"| {name} | {concurrency} | {rps:.0f} | {p50:.2f} | {p99:.2f} | {failures} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each cell (default 4)")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds, of which the median is told (3)")
    parser.add_argument("--no-litellm", action="store_true", help="leave LiteLLM out")
    parser.add_argument("--no-streams", action="store_true", help="leave the memory of streams out")
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lgb")))
        provider = start_provider(stack, directory)
        pid, address, organization = start_gateway(stack, directory, provider)
        ways: dict[str, tuple[str, ...]] = {
            "bare SDK": ("sdk", provider),
            "gateway": ("gateway", address, organization),
            "aiohttp, direct": ("http", provider),
        }
        if not options.no_litellm:
            ways["LiteLLM proxy"] = ("http", start_litellm(stack, directory, provider))
        results: dict[str, dict[int, list[Any]]] = {name: {c: [] for c in CONCURRENCIES} for name in ways}
        for number in range(options.rounds):
            for concurrency in CONCURRENCIES:
                for name, (kind, *where) in ways.items():
                    print(f"round {number + 1}, {name}, {concurrency} at once …", file=sys.stderr, flush=True)
                    results[name][concurrency].append(cell(kind, concurrency, options.seconds, *where))
        print("\n".join(table(results)))
        if not options.no_streams:
            print(json.dumps(streams(pid, address, organization)))


if __name__ == "__main__":
    main()
