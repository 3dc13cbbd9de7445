"""The log: one form for every line, ids in it, and nothing that is secret."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import pytest
from served import ANNA, Api, clients

from limner.server.log import FORMATTERS, LogForm, LogSettings, saying


@pytest.fixture
def lines(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """What our loggers write, in the form that the test names."""
    written: list[str] = []

    class Writing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(self.format(record))

    handler = Writing()
    handler.setFormatter(FORMATTERS[getattr(request, "param", "json")]())
    root, ours = logging.getLogger(), logging.getLogger("limner")
    root.addHandler(handler)
    level = ours.level
    ours.setLevel(logging.DEBUG)
    yield written
    ours.setLevel(level)
    root.removeHandler(handler)


def say(message: str, **fields: object) -> None:
    logging.getLogger("limner.test").warning(message, extra=fields)


def test_lines_are_json(lines: list[str]) -> None:
    """Each line is one object with time, level and message, and what it is about; a line break is no new line."""
    say("two\nlines", node="denoise", seconds=0.5)
    try:
        raise ValueError("as told")
    except ValueError:
        logging.getLogger("limner.test").exception("it failed")
    first, second = (json.loads(line) for line in lines)
    assert (first["message"], first["node"], first["seconds"]) == ("two\nlines", "denoise", 0.5)
    assert (first["level"], first["time"][-1]) == ("warning", "Z")
    assert "ValueError: as told" in second["exception"]
    assert "node" not in second
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize("lines", ["logfmt"], indirect=True)
def test_lines_are_pairs(lines: list[str]) -> None:
    """Each line is key=value; what holds a blank, a quote or a line break is quoted, so that none can be made up."""
    say("done", node="a", said='x" level=error\n', seconds=1 / 3)
    (line,) = lines
    assert line.endswith(r'message=done node=a said="x\" level=error\n" seconds=0.333')


@pytest.mark.parametrize("lines", ["human"], indirect=True)
def test_lines_are_for_people(lines: list[str]) -> None:
    """The message first, then what it is about; nothing steers the terminal."""
    say("odd \x1b[31m", node="a")
    assert lines[0][9:] == r"warning: odd \x1b[31m  node=a"


def test_a_field_cannot_pass_for_another(lines: list[str]) -> None:
    """What a node calls level or time stands aside of the line's own."""
    say("done", level="error", time=0)
    said = json.loads(lines[0])
    assert (said["level"], said["message"]) == ("warning", "done")
    assert said["time"] != 0


def test_what_is_said_holds_for_every_thread(lines: list[str]) -> None:
    """Within, every line has the job, also those of frameworks and other threads; a line's own is kept."""
    import threading

    with saying(job="j1"):
        thread = threading.Thread(target=say, args=("from a lane",))
        thread.start()
        thread.join()
        say("own", job="j2")
    say("after")
    assert [json.loads(line).get("job") for line in lines] == ["j1", "j2", None]


def test_requests_are_logged_without_secrets(serving, lines: list[str]) -> None:  # type: ignore[no-untyped-def]  # a fixture
    """A request has its line with who, what, how long and an id, which the answer has too; no token is in it."""

    async def use(api: Api) -> None:
        answer = await api.ask("GET", "/v1/jobs", headers={"X-Request-ID": "from-the-proxy"})
        assert answer.headers["X-Request-ID"] == "from-the-proxy"
        assert len((await api.ask("GET", "/v1/jobs?token=" + ANNA)).headers["X-Request-ID"]) == 16
        odd = await api.ask(
            "GET", "/v1/jobs", headers={"X-Request-ID": "a b=c", "Authorization": "Bearer " + ANNA + "x"}
        )
        assert odd.headers["X-Request-ID"] != "a b=c"
        await api.ask("GET", "/healthz")

    serving(use, clients=clients(), token=ANNA)
    said = [json.loads(line) for line in lines if "requests" in line]
    assert [(one["status"], one.get("client"), one["path"], one["level"]) for one in said] == [
        (200, "anna", "/v1/jobs", "info"),
        (422, "anna", "/v1/jobs", "info"),
        (401, None, "/v1/jobs", "info"),
        (200, "local", "/healthz", "debug"),
    ]
    assert said[0]["request"] == "from-the-proxy"
    assert ANNA not in "".join(lines)


def test_a_terminal_is_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is said, the log is for people at a terminal and for programs elsewhere."""
    found: list[LogForm] = []
    for is_terminal in (True, False):
        monkeypatch.setattr(sys.stderr, "isatty", lambda is_terminal=is_terminal: is_terminal)
        found.append(LogSettings.chosen(None, "info").form)
    assert [*found, LogSettings.chosen("json", "info").form] == ["human", "logfmt", "json"]
