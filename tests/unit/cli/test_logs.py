"""Log files that rotate, and reading every format as one."""

import json
from datetime import UTC, datetime
from pathlib import Path

from cli.commands.logs import Follower
from cli.layout import Layout
from cli.logs import parse, tail
from cli.supervisor.logfile import KEPT, RotatingLog

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_rotation_keeps_whole_lines_and_a_bounded_number_of_files(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "x.log", max_bytes=100)
    lines = [f"line {number:03}" for number in range(200)]
    text = "\n".join(lines) + "\n"
    for start in range(0, len(text), 7):  # pieces that tear lines, as a pipe does
        log.write(text[start : start + 7].encode())
    log.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) == KEPT + 1
    for file in files:
        content = file.read_text()
        assert content == "" or content.endswith("\n")
        assert all(line in lines for line in content.splitlines())
        assert len(content) < 130
    assert tail(tmp_path / "x.log", 15) == lines[-15:]


def test_a_full_disk_drops_lines_and_raises_nothing() -> None:
    log = RotatingLog(Path("/dev/full"))
    log.write(b"lost\n")
    log.write(b"lost too\n")
    log.close()
    assert log.lost_bytes == len(b"lost\nlost too\n")


def test_every_format_is_read() -> None:
    ours = parse(
        "application",
        json.dumps({"event": "run claimed", "level": "warning", "timestamp": "2026-01-01T00:00:00.5Z", "run": "r 1"}),
        NOW,
    )
    assert (ours.level, ours.text, ours.fields) == ("warning", "run claimed", {"run": "r 1"})
    assert ours.time == datetime(2026, 1, 1, 0, 0, 0, 500000, UTC)
    assert ours.pretty(colour=False).endswith('warning  application run claimed  run="r 1"')

    postgres = parse("postgres", "2026-11-22 20:14:11.610 UTC [77] FATAL:  no such role", NOW)
    assert (postgres.level, postgres.text, postgres.time.hour) == ("critical", "no such role", 20)

    envoy = parse("envoy", "[2026-11-22 20:14:12.450][20673][warning][main] [source/a.cc:1] careful", NOW)
    assert (envoy.level, envoy.text) == ("warning", "[source/a.cc:1] careful")

    access = parse(
        "envoy", '{"method":"GET","path":"/health","status":200,"time":"2026-01-01T00:00:00Z","flags":"-"}', NOW
    )
    assert (access.text, access.fields) == ("GET /health 200", {"flags": "-"})

    plain = parse("application", "{not json", NOW)
    assert (plain.level, plain.text, plain.time) == ("info", "{not json", NOW)
    assert plain.at_least("info")
    assert not plain.at_least("warning")


def test_a_role_is_known_by_its_field_or_its_logger() -> None:
    def line(**fields: object) -> bool:
        return parse("application", json.dumps({"event": "x", **fields}), NOW).concerns("review_worker")

    assert line(role="review_worker")
    assert line(logger="services.review.worker")
    assert not line(role="auth")
    assert not line()


def test_following_gives_each_line_once_through_a_rotation(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.make()
    log = RotatingLog(layout.logs / "envoy.log", max_bytes=40)
    log.write(b"before\n")
    follower = Follower(layout, at_end=True)
    assert follower.read() == []
    seen = []
    for number in range(12):
        log.write(f"line {number}".encode())
        seen += [line.text for line in follower.read()]
        log.write(b"\n")
        seen += [line.text for line in follower.read()]
    log.close()
    follower.close()
    assert seen == [f"line {number}" for number in range(12)]
