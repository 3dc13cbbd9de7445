"""Servers that share one PostgreSQL: what one takes in, another runs, and both tell of it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from process import served

STAR = {"prompt": "a blue star on a white background", "seed": 7, "steps": 2, "width": 64, "height": 64}


def ask(url: str, body: Any = None, accept: str = "application/json") -> bytes:
    headers = {"Content-Type": "application/json", "Accept": accept}
    content = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, content, headers), timeout=120) as answer:
        return bytes(answer.read())


def test_what_one_server_takes_in_another_runs(tmp_path: Path, postgres_url: Callable[[], str]) -> None:
    """An idle server with workers finds a job that was handed in elsewhere; who waits there gets its picture."""
    database = ("--database", postgres_url())
    with served(tmp_path, *database) as (_, running), served(tmp_path, *database, "--workers", "0") as (_, taking):
        picture = ask(taking + "/v1/run/text_to_image?wait=1", STAR, accept="image/png")
        assert picture.startswith(b"\x89PNG")
        (job,) = json.loads(ask(running + "/v1/jobs"))["jobs"]
        (artifact,) = json.loads(ask(f"{running}/v1/jobs/{job['id']}"))["artifacts"]
        assert ask(running + artifact["url"]) == picture
        kinds = ask(f"{taking}/v1/jobs/{job['id']}/events").decode()
        assert kinds.count("event: finished") == 1
