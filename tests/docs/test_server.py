"""The page about the server says what there is."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from limner.commands import app
from limner.server.limits import Limits
from limner.server.routes import ROUTES

PAGE = (Path(__file__).parents[2] / "docs" / "server.md").read_text()


def test_every_route_is_on_the_page() -> None:
    """The table of the API names each path, or its last part beside it."""
    for route in ROUTES:
        path = re.sub(r"{job_id}", "{id}", route.path).replace("{template}", "{name}").replace("{type_name}", "{type}")
        known = route.path.replace("{template}", "{template}") in PAGE or path in PAGE
        assert known or f"/{path.rsplit('/', 1)[1]}`" in PAGE, route.path


def test_every_option_is_on_the_page() -> None:
    """The last table has each option of ``limner serve``."""
    for parameter in get_command(app).commands["serve"].params:  # type: ignore[attr-defined]  # it is a group
        for option in parameter.opts:
            if option.startswith("--") and option not in ("--help", "--debug"):
                assert f"`{option}" in PAGE, option


def test_the_limits_are_those_of_the_server() -> None:
    """The numbers of the table are the ones that hold."""
    limits = Limits()
    for number in (
        limits.waiting,
        limits.nodes,
        limits.graph_nodes,
        limits.connections,
        limits.streams,
        limits.streams_of_client,
        limits.followed,
    ):
        assert f"{number:,}" in PAGE
    assert f"{limits.upload_bytes >> 20} MiB" in PAGE
    assert f"{limits.uploads_bytes >> 30} GiB" in PAGE
    assert f"{limits.request_s:g} s" in PAGE
