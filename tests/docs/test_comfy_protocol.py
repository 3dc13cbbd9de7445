"""The page about ComfyUI's protocol says what there is."""

from __future__ import annotations

import re
from pathlib import Path

from limner.comfy.faults import TYPES
from limner.server.comfy import own_files, own_pictures, own_settings
from limner.server.comfy.form import MAX_PARTS
from limner.server.comfy.routes import ROUTES
from limner.server.uploads import KEPT_S

PAGE = (Path(__file__).parents[2] / "docs" / "comfy-protocol.md").read_text()


def test_every_route_is_on_the_page_and_no_other() -> None:
    """The table has each method of each path."""
    table = PAGE.partition("## The routes")[2].partition("\n## ")[0]
    said = set()
    for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE):
        methods: list[str] = []
        for part in re.findall(r"`(.*?)`", row):
            method, _, path = part.partition(" ")
            methods.append(method)
            if path:
                said |= {(one, path.partition("?")[0]) for one in methods}
                methods = []
    assert said == {(route.method, route.path) for route in ROUTES}


def test_every_type_of_fault_is_on_the_page() -> None:
    """The second table has them all."""
    for kind, _ in TYPES.values():
        assert f"`{kind}`" in PAGE, kind


def test_the_limits_are_those_that_hold() -> None:
    """The numbers at the end."""
    assert f"{own_files.MAX_FILE_BYTES >> 20} MiB for one" in PAGE
    assert f"{own_files.MAX_FILES:,} files and {own_files.MAX_BYTES >> 20} MiB" in PAGE
    assert f"{own_settings.MAX_BYTES >> 20} MiB for its" in PAGE
    assert f"{own_pictures.MAX_NAMES:,} names" in PAGE
    assert f"{MAX_PARTS} parts" in PAGE
    assert f"{own_files.MAX_NAME} characters" in PAGE
    assert f"{KEPT_S / 86400:g} days" in PAGE
