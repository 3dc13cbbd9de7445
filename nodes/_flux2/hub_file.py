"""Single files that users name: on this machine, or in a repository of the hub as ``owner/name/file``."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from limner.engine.errors import ModelError
from limner.engine.user_path import user_path
from limner.nodes._flux2.content import content_of, portable_content_of
from limner.nodes._flux2.hub_right import refuse_unlisted
from limner.nodes._flux2.weights import shorten

if TYPE_CHECKING:
    from limner.nodes._flux2.hub import ReportBytes

_ON_HUB: Final = re.compile(r"([A-Za-z0-9][\w.-]*/[\w.-]+?)(?:/([^/].*))?", re.ASCII)
_COMMIT: Final = re.compile(r"hub:.*@([0-9a-f]{40})")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository; ``path`` is empty for the only one of its kind there."""

    repo: str
    path: str

    def __str__(self) -> str:
        return f"{self.repo}/{self.path}" if self.path else self.repo


def locate(name: str, endings: Collection[str]) -> Path | HubFile:
    """What a user named, without asking the network. Raises InputError where it can be neither, or may not
    be named here.

    What exists here, or would lie in a folder that exists here, is a local file.
    """
    path = user_path(name)
    found = _ON_HUB.fullmatch(name)
    is_local = path.exists() or found is None or Path(name.split("/")[0]).is_dir()
    if found is not None and not is_local and (found[2] is not None or Path(name).suffix not in endings):
        file = found[2] or ""
        if file and (Path(file).suffix not in endings or ".." in Path(file).parts):
            raise ModelError(f"{name} is not a file that is read", hint=f"give one that ends in {_either(endings)}")
        refuse_unlisted(found[1])
        return HubFile(found[1], file)
    if not path.exists():
        raise ModelError(f"there is no file {name}")
    if not path.is_file():
        raise ModelError(f"{name} is not a file", hint=f"give the file itself, which ends in {_either(endings)}")
    if path.suffix not in endings:
        raise ModelError(f"{name} is not a {_either(endings)} file", hint="no format is read that runs code")
    return path


def identify_file(source: Path | HubFile, revision: str | None) -> str:
    """What a file holds, as text: by content where it is small, by commit where it is on the hub. Raises ModelError."""
    return content_of(source) if isinstance(source, Path) else _at_commit(source, revision)


def describe_file(source: Path | HubFile, revision: str | None) -> str:
    """What a file holds, as text: the same for equal files wherever they lie. Raises ModelError."""
    return portable_content_of(source) if isinstance(source, Path) else _at_commit(source, revision)


def _at_commit(source: HubFile, revision: str | None) -> str:
    from limner.nodes._flux2.hub import known_commit

    return f"hub:{source}@{known_commit(source.repo, revision) or revision or 'main'}"


def here(source: Path | HubFile, revision: str | None) -> Path | None:
    """The file, if it is on this machine; asks no network."""
    if isinstance(source, Path):
        return source
    from huggingface_hub import try_to_load_from_cache

    from limner.nodes._flux2.hub import known_commit

    commit = known_commit(source.repo, revision) or revision
    found = try_to_load_from_cache(source.repo, source.path, revision=commit) if source.path else None
    return Path(found) if isinstance(found, str) else None


def fetch(
    source: Path | HubFile, revision: str | None, endings: Collection[str], report: ReportBytes | None = None
) -> Path:
    """The file, downloaded where it is not here yet. Raises ModelError, Cancelled.

    As for models, a branch stays at the commit that it was first downloaded at.
    """
    if isinstance(source, Path):
        return source
    from limner.nodes._flux2.hub import download, known_commit

    path = source.path or _only_file(source.repo, revision, tuple(endings))
    commit = known_commit(source.repo, revision) or revision
    found = download(source.repo, commit, [path], report) / path
    if not found.is_file():
        raise ModelError(f"{source.repo} has no file {path}")
    return found


def commit_of(identity: str) -> str | None:
    """The commit that an identity names."""
    found = _COMMIT.fullmatch(identity)
    return found[1] if found else None


@lru_cache(maxsize=64)
def _only_file(repo: str, revision: str | None, endings: tuple[str, ...]) -> str:
    from limner.nodes._flux2.hub import list_files

    found = [path for path in list_files(repo, revision) if Path(path).suffix in endings]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ModelError(f"{repo} has no {_either(endings)} file")
    raise ModelError(f"{repo} has several files: {shorten(found)}", hint=f"name one: {repo}/{min(found)}")


def _either(endings: Collection[str]) -> str:
    return " or ".join(sorted(endings))
