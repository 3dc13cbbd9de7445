"""``limner cache``: what finished runs keep on disk."""

from __future__ import annotations

from pathlib import Path

import typer

from limner.engine.errors import InputError
from limner.engine.store import Store
from limner.folders import cache_folder
from limner.options import CacheDirOption, DebugOption, JsonOption
from limner.terminal import friendly, out, size

app = typer.Typer(no_args_is_help=True, help="Look at or clear what finished runs keep on disk.")


@app.command("info")
@friendly
def cache_info(cache_dir: CacheDirOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Say where the cache is and how much it holds."""
    store = Store(_folder(cache_dir))
    found = {"folder": str(store.folder), "results": store.count(), "bytes": store.size_bytes()}
    if as_json:
        out.print_json(data=found)
    else:
        out.print(f"{store.folder}: {found['results']} results, {size(store.size_bytes())}")


@app.command("clear")
@friendly
def cache_clear(cache_dir: CacheDirOption = None, debug: DebugOption = False) -> None:
    """Delete everything in the cache. Pictures that were saved stay."""
    store = Store(_folder(cache_dir))
    freed = store.size_bytes()
    store.clear()
    out.print(f"{store.folder}: cleared, {size(freed)} freed")


def _folder(named: Path | None) -> Path:
    """Where the cache is. Raises InputError for a file."""
    folder = named or cache_folder()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"the cache {folder} is not a folder", hint="name one with --cache-dir or LIMNER_CACHE_DIR")
    return folder
