"""Our extension of the editor: modules of our own, which the editor loads besides its files."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from limner.server.page_files import add_files

PATH: Final = "/extensions/limner/"
MAIN: Final = "limner.js"


def add_extension(app: web.Application) -> None:
    """Answer for its modules."""
    add_files(app, PATH, "limner.server.editor", "extension")
