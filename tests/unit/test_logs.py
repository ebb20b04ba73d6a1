"""Logs: one safe line a record, ours or a library's, and levels that change while the process runs."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import threading
from collections.abc import Iterator

import pytest
import structlog

from services.errors import Invalid, Unavailable
from services.logs import configure_logging, get_logger, set_level
from services.settings import LOG_LEVELS, load_settings
from services.telemetry.context import Trace
from services.telemetry.tracer import NoTracer, within

Lines = list[dict[str, object]]


class Logs:
    """What the process wrote to stderr."""

    def __init__(self, stderr: io.StringIO) -> None:
        self._stderr = stderr

    @property
    def text(self) -> str:
        return self._stderr.getvalue()

    @property
    def lines(self) -> Lines:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def events(self) -> list[object]:
        return [line["event"] for line in self.lines]


@pytest.fixture
def stderr() -> Iterator[io.StringIO]:
    before = logging.root.handlers[:], logging.root.level, logging.raiseExceptions
    hooks = sys.excepthook, threading.excepthook
    yield io.StringIO()
    logging.root.handlers[:], logging.root.level, logging.raiseExceptions = before
    sys.excepthook, threading.excepthook = hooks


def configure(stderr: io.StringIO, log_format: str = "json", role: str = "worker") -> Logs:
    with contextlib.redirect_stderr(stderr):
        configure_logging(load_settings({"TURNWRIGHT_LOG_FORMAT": log_format}), role)
    return Logs(stderr)


@pytest.fixture
def logs(stderr: io.StringIO) -> Logs:
    return configure(stderr)


@pytest.fixture
def console(stderr: io.StringIO) -> Logs:
    return configure(stderr, "console")


def test_a_line_says_when_where_how_bad_and_what(logs: Logs) -> None:
    get_logger("jobs").info("claimed", job="j1", attempt=2)

    (line,) = logs.lines
    assert str(line.pop("at")).endswith("+00:00")
    assert line == {
        "level": "info",
        "component": "jobs",
        "role": "worker",
        "event": "claimed",
        "job": "j1",
        "attempt": 2,
    }


def test_facts_can_not_pretend_to_be_another_level_component_or_role(logs: Logs) -> None:
    get_logger("jobs").info("claimed", level="fatal", component="web", role="web")

    assert [logs.lines[0][key] for key in ("level", "component", "role")] == ["info", "jobs", "worker"]


@pytest.mark.parametrize("level", LOG_LEVELS)
def test_every_level_has_its_name_in_the_line(logs: Logs, level: str) -> None:
    set_level(None, "debug")

    getattr(get_logger("jobs"), level)("said")

    assert logs.lines[0]["level"] == level


def test_a_component_s_level_changes_at_run_time_for_loggers_that_exist(logs: Logs) -> None:
    jobs, streams = get_logger("jobs"), get_logger("streams.store")
    jobs.debug("too early")

    set_level("jobs", "debug")
    set_level("streams", "error")
    jobs.debug("seen")
    streams.warning("not seen: below error")
    streams.error("seen too")

    assert logs.events == ["seen", "seen too"]


def test_a_level_for_everything_ends_the_exceptions(logs: Logs) -> None:
    set_level("jobs", "debug")

    set_level(None, "warning")
    get_logger("jobs").info("not seen")
    get_logger("web").warning("seen")

    assert logs.events == ["seen"]


def test_an_unknown_level_or_a_strange_component_is_refused() -> None:
    with pytest.raises(Invalid, match="level: must be one of debug"):
        set_level("jobs", "loud")  # type: ignore[arg-type]  # that is what is tried
    with pytest.raises(Invalid, match="component"):
        set_level("a\nb", "info")


DROPPED = "token bot_token apiToken tokens Authorization x-signature clientSecret body rawBody text payload"
DROPPED += " system_prompt prompts password set-cookie api_key X-API-Key"


@pytest.mark.parametrize("key", DROPPED.split())
def test_content_and_secrets_are_dropped_by_name_at_any_depth(logs: Logs, key: str) -> None:
    get_logger("jobs").info("said", **{key: "canary"}, nested={"list": [{key: "canary", "id": 1}]})

    assert logs.lines[0]["nested"] == {"list": [{"id": 1}]}
    assert "canary" not in logs.text


def test_counts_and_innocent_names_stay(logs: Logs) -> None:
    kept = {"input_tokens": 12, "prompt_bytes": 3, "context": "c", "somebody": "s", "has_token": True}

    get_logger("jobs").info("said", **kept)

    assert logs.lines[0].items() >= kept.items()


def test_nothing_that_is_logged_can_raise_or_show_an_unknown_thing(logs: Logs) -> None:
    class Evil:
        def __repr__(self) -> str:
            raise RuntimeError("canary")

        __str__ = __repr__

    loop: list[object] = []
    loop.append(loop)
    log = get_logger("jobs")

    log.info("evil", thing=Evil(), loop=loop, number=float("nan"), pair={Evil(): Evil()}, data=b"canary")
    log.info("surrogate", name="\ud800", long="x" * 5000)
    log.info(Evil())  # type: ignore[arg-type]  # that is what is tried
    log.info("positional %s", "canary")
    logging.getLogger("lib").warning(Evil())
    logging.getLogger("lib").warning("%d %s", 1)

    assert len(logs.lines) == 6
    assert logs.lines[0]["thing"] == "<Evil>"
    assert "canary" not in logs.text


def test_an_error_shows_type_and_place_but_not_its_words(logs: Logs) -> None:
    def fail(local: str) -> None:
        try:
            raise KeyError(local)
        except KeyError as error:
            raise ValueError(f"bad {local}") from error

    try:
        fail("canary")
    except ValueError:
        get_logger("jobs").exception("failed", run="r1")

    (line,) = logs.lines
    assert line["error"] == "ValueError"
    assert str(line["error_at"]).startswith("['tests/unit/test_logs.py:")
    assert "in fail" in str(line["error_at"])
    assert "'error': 'KeyError'" in str(line["caused_by"])
    assert "canary" not in logs.text


def test_an_error_of_our_own_is_told_in_its_words(logs: Logs) -> None:
    get_logger("jobs").error("failed", exc_info=Unavailable("the log store does not answer"))
    get_logger("jobs").error("failed", exc_info=Invalid("text", "canary"))

    assert logs.lines[0]["error_says"] == "the log store does not answer"
    assert "canary" not in logs.text


def test_a_library_s_line_keeps_its_numbers_and_loses_its_texts(logs: Logs) -> None:
    library = logging.getLogger("celery.worker")
    try:
        raise ValueError("canary")
    except ValueError as error:
        library.error("Task %s raised %r after %d s (100%%)", "canary", error, 3, exc_info=True)
        library.error(f"oops: {error}", exc_info=True)
    library.warning("%(name)s took %(seconds)s", {"name": "canary", "seconds": 1.5})
    library.warning({"body": "canary"})

    assert logs.events == ["Task … raised … after 3 s (100%)", "oops: …", "… took 1.5", "<dict>"]
    assert logs.lines[0]["component"] == "celery.worker"
    assert logs.lines[0]["error"] == "ValueError"
    assert "canary" not in logs.text


def test_libraries_are_never_heard_at_debug(logs: Logs) -> None:
    library = logging.getLogger("httpx2")
    library.info("quiet at info")

    set_level(None, "debug")
    library.info("heard at debug")
    library.debug("never heard")

    assert logs.events == ["heard at debug"]


def test_a_framework_s_own_handlers_and_levels_are_replaced(stderr: io.StringIO) -> None:
    own = logging.getLogger("gunicorn.error")
    own.addHandler(logging.StreamHandler(stderr))
    own.propagate = False
    own.setLevel(logging.DEBUG)

    for _ in range(2):
        configure(stderr, role="web")
    own.debug("no")
    own.error("yes")

    assert Logs(stderr).events == ["yes"]


@pytest.mark.parametrize("sign", ["\n", "\r", "\x1b[31m", "\u2028", "\x85", "\0"])
def test_no_value_can_forge_a_line(console: Logs, sign: str) -> None:
    forged = f"a{sign}12:00:00.000 fatal   jobs: forged"
    log = get_logger("jobs")

    log.info("said", value=forged, listed=[forged], **{f"k{sign}": 1})
    log.info(forged)
    logging.getLogger(f"lib{sign}").warning(forged)

    assert len(console.text.splitlines()) == 3
    assert sign not in console.text.replace("\n", "") or sign == "\n"


def test_a_console_line_reads_from_left_to_right(console: Logs) -> None:
    get_logger("jobs").warning("claim refused", job="j1", why="lease over", attempt=2, extra=None)

    assert console.text[12:] == (
        ' warning jobs: claim refused role=worker job=j1 why="lease over" attempt=2 extra=null\n'
    )


def test_bound_context_is_part_of_every_line(logs: Logs) -> None:
    with structlog.contextvars.bound_contextvars(session="prompt:1", secret="canary"):
        get_logger("jobs").info("inside")
    get_logger("jobs").bind(run="r1").info("outside")

    assert logs.lines[0]["session"] == "prompt:1"
    assert "session" not in logs.lines[1]
    assert logs.lines[1]["run"] == "r1"
    assert "canary" not in logs.text


def test_a_line_says_whose_work_it_is_about(logs: Logs) -> None:
    trace = Trace("a" * 32, "b" * 16, 1, "gen_ai.agent.name=canary")
    with within(NoTracer().begin("append", parent=trace), "app:a"):
        get_logger("jobs").warning("late")
        logging.getLogger("library").warning("late too")
    get_logger("jobs").warning("for nobody")

    ours, theirs, nobodys = logs.lines
    placed = {"trace_id": "a" * 32, "span_id": "b" * 16, "session": "app:a"}
    assert placed.items() <= ours.items()
    assert placed.items() <= theirs.items()
    assert not placed.keys() & nobodys.keys()
    assert "canary" not in logs.text


def test_failing_exports_are_not_told_one_by_one(logs: Logs) -> None:
    logging.getLogger("opentelemetry.exporter.otlp").error("Transient error %s", "https://u:p@collector")
    logging.getLogger("opentelemetry.sdk").warning("Queue full, dropping %s.", "Span")

    assert logs.lines == []


def test_a_crash_nobody_handled_is_a_fatal_line(logs: Logs) -> None:
    def crash() -> None:
        raise ZeroDivisionError("canary")

    thread = threading.Thread(target=crash, name="renewal")
    thread.start()
    thread.join()
    try:
        crash()
    except ZeroDivisionError as error:
        sys.excepthook(type(error), error, error.__traceback__)

    assert [line["level"] for line in logs.lines] == ["fatal", "fatal"]
    assert logs.lines[0]["thread"] == "renewal"
    assert {line["error"] for line in logs.lines} == {"ZeroDivisionError"}
    assert "canary" not in logs.text


def test_a_closed_stderr_does_no_harm(stderr: io.StringIO) -> None:
    configure(stderr)
    stderr.close()

    get_logger("jobs").error("nobody hears this")
