"""The log of the server and its workers: every line in one form, with the ids of what it is about.

A line says its fields as ``extra`` of the standard library: ``_log.info("job begun", extra={"job": job_id})``. What
users wrote (prompts, graphs, messages that may quote them) is for the level debug alone; tokens are for none.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

LogForm = Literal["human", "json", "logfmt"]
LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How a process writes its log."""

    form: LogForm = "human"
    level: LogLevel = "info"
    """Of our own lines. Those of other packages come from warnings on."""

    @classmethod
    def chosen(cls, form: LogForm | None, level: LogLevel) -> LogSettings:
        """``form``, or what suits where the log goes: people at a terminal, ``key=value`` elsewhere."""
        return cls(form or ("human" if sys.stderr.isatty() else "logfmt"), level)


def set_up_log(settings: LogSettings) -> None:
    """From now on this process writes its log to stderr, and so."""
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATTERS[settings.form]())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("limner").setLevel(settings.level.upper())


@contextmanager
def saying(**fields: str) -> Iterator[None]:
    """Within, every line of this process has these fields too, whatever thread writes it."""
    tag = _Tag(fields)
    handlers = list(logging.getLogger().handlers)
    for handler in handlers:
        handler.addFilter(tag)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(tag)


class _Tag(logging.Filter):
    """Puts fields into lines that lack them."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__()
        self._fields = fields

    def filter(self, record: logging.LogRecord) -> bool:
        """Every line passes."""
        for name, value in self._fields.items():
            vars(record).setdefault(name, value)
        return True


_STANDARD: Final = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What a line says beside its message: its ``extra``."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD and value is not None}


class JsonLine(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return json.dumps(_whole(self, record), default=str)


class LogfmtLine(logging.Formatter):
    """``key=value`` pairs; a value with blanks is quoted as in JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return " ".join(_pair(name, value) for name, value in _whole(self, record).items())


class HumanLine(logging.Formatter):
    """The time, the message, what it is about; a traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines."""
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")  # local, for people
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        fields = "".join(f"  {_pair(name, value)}" for name, value in fields_of(record).items())
        traceback = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return _escaped(f"{time} {level}{record.getMessage()}{fields}{traceback}")


FORMATTERS: Final[Mapping[LogForm, type[logging.Formatter]]] = {
    "human": HumanLine,
    "json": JsonLine,
    "logfmt": LogfmtLine,
}


def _whole(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, Any]:
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said = {"time": time, "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
    if record.exc_info:
        said["exception"] = formatter.formatException(record.exc_info)
    return {**fields_of(record), **said} if fields_of(record).keys() & said.keys() else said | fields_of(record)


def _pair(name: str, value: object) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return f"{name}={text if _PLAIN.fullmatch(text) else json.dumps(text)}"


_PLAIN: Final = re.compile(r"[!#-<>-~]+", re.ASCII)  # printable, and neither blank, quote nor equals sign
_UNSAFE: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def _escaped(text: str) -> str:
    """What would steer the terminal, or cannot be encoded, as an escape."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
