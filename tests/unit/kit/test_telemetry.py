"""Logs: one JSON object a line, secrets masked wherever they stand, ids from the context; metrics as text."""

import json
import logging
import urllib.request
from collections.abc import Iterator

import pytest
import structlog
from opentelemetry import trace as otel

from services.kit.telemetry import log, metrics, trace

SECRET = "ghp_" + "a1B2" * 9


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, config = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("lintel").setLevel(logging.NOTSET)
    structlog.configure(**config)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_an_event_is_one_json_object_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup()
    log.get("x").info("two\nlines \x1b[31m and \u2028 more", number=1, path="/srv", none=None, ok=True)
    (line,) = lines(capsys)
    assert line["event"] == "two\nlines \x1b[31m and \u2028 more"
    assert (line["number"], line["path"], line["none"], line["ok"]) == (1, "/srv", None, True)
    assert line["level"] == "info"
    assert str(line["timestamp"]).endswith("Z")


def test_what_can_not_be_json_is_logged_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup()
    log.get("x").info("odd", thing={1, 2}, error=ValueError("no"), raw=b"\xff")
    (line,) = lines(capsys)
    assert line["thing"] == [1, 2]
    assert line["error"] == "no"


def test_secrets_are_masked_wherever_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup()
    log.get("x").info(f"got {SECRET}", plain=SECRET, nested={"a": [SECRET, (SECRET,)]}, error=OSError(SECRET))
    try:
        raise ValueError(f"dsn postgres://lintel:hunter2@db and {SECRET}")
    except ValueError:
        log.get("x").exception("failed")
    logging.getLogger("some.library").warning("they say %s", SECRET)
    captured = capsys.readouterr().err
    assert SECRET not in captured
    assert "hunter2" not in captured
    assert captured.count("[masked:github-token]") == 7
    assert "Traceback" in captured  # the trace itself is there
    assert len(captured.splitlines()) == 3


def test_ids_of_request_and_trace_stand_in_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup()
    trace.setup("tests")
    with (
        structlog.contextvars.bound_contextvars(request_id="r-1"),
        trace.span("work", parent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ):
        log.get("x").info("ours")
        logging.getLogger("some.library").warning("theirs")
    log.get("x").info("outside")
    told = {line["event"]: line for line in lines(capsys)}  # OpenTelemetry says so when another test set it up before
    ours, theirs, outside = (told[event] for event in ("ours", "theirs", "outside"))
    for line in (ours, theirs):
        assert (line["request_id"], line["trace_id"]) == ("r-1", "0af7651916cd43dd8448eb211c80319c")
        assert line["span_id"] != "b7ad6b7169203331"
    assert not {"request_id", "trace_id"} & outside.keys()


@pytest.mark.parametrize(("level", "shown"), [("debug", 4), ("info", 3), ("warn", 2), ("error", 1), ("fatal", 0)])
def test_the_level_holds_for_our_own_events(capsys: pytest.CaptureFixture[str], level: str, shown: int) -> None:
    log.setup(level)
    logger = log.get("x")
    logger.debug("d")
    logger.info("i")
    logger.warning("w")
    logger.error("e")
    assert len(lines(capsys)) == shown


def test_libraries_do_not_debug(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("debug")
    logging.getLogger("some.library").debug("a secret, perhaps")
    assert lines(capsys) == []


def test_pretty_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup(pretty=True)
    log.get("x").info("started", role="auth", token=SECRET)
    captured = capsys.readouterr().err
    assert "started" in captured
    assert "role=auth" in captured
    assert SECRET not in captured


def test_a_span_says_the_type_of_its_error_and_not_its_text() -> None:
    trace.setup("tests")
    seen: list[otel.Span] = []
    with pytest.raises(ValueError, match="hunter2"), trace.span("work") as span:
        seen.append(span)
        raise ValueError("hunter2")
    assert "hunter2" not in str(vars(seen[0]))
    assert "ValueError" in str(vars(seen[0].status))  # type: ignore[attr-defined]


def test_metrics_are_served_as_text_until_stopped(unused_tcp_port: int) -> None:
    stop = metrics.serve(unused_tcp_port)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{unused_tcp_port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        with pytest.raises(OSError, match="in use"):
            metrics.serve(unused_tcp_port)
    finally:
        stop()
    assert "# TYPE lintel_rpc_server_duration_seconds histogram" in text
    assert "lintel_queue_oldest_seconds" in text
