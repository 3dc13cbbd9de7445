"""Fetching the needed files of a hub repository, and saying in one line what to do where that fails."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from limner.engine.errors import Cancelled, ModelError

if TYPE_CHECKING:
    from huggingface_hub.utils.tqdm import tqdm

ReportBytes = Callable[[int, int], None]
"""Hears how many bytes are here, and of how many; raises Cancelled to stop."""

REPORT_EVERY_S: Final = 0.25
_COMMIT = re.compile(r"[0-9a-f]{40}")


def download(repo: str, revision: str | None, patterns: list[str], report: ReportBytes | None = None) -> Path:
    """The local snapshot with the files that match; what is there already is not fetched again.

    ``report`` hears of a download from its first byte on. Raises ModelError, and Cancelled where ``report`` does.
    """
    from huggingface_hub import snapshot_download

    fetch = partial(snapshot_download, repo, revision=revision, allow_patterns=patterns)
    with _explained(repo, revision):
        return Path(fetch() if report is None else _download_aloud(fetch, report))


def list_files(repo: str, revision: str | None) -> list[str]:
    """The paths of a repository's files; without the hub, of those on this machine. Raises ModelError."""
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_CACHE

    commit = known_commit(repo, revision) or revision
    try:
        with _explained(repo, revision):
            return HfApi().list_repo_files(repo, revision=commit)
    except ModelError:
        if commit is None or not _COMMIT.fullmatch(commit):
            raise
        folder = Path(HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}" / "snapshots" / commit
        if found := [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]:
            return found
        raise


@contextmanager
def _explained(repo: str, revision: str | None) -> Iterator[None]:
    """Say in one line what to do about what the hub answers. Raises ModelError, Cancelled."""
    from huggingface_hub import errors

    try:
        yield
    except Cancelled:
        raise
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{repo} asks you to accept its licence",
            hint=f"accept it at https://huggingface.co/{repo}, then run `hf auth login` or set HF_TOKEN",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(f"{repo} has no revision {revision}", hint="give a branch, a tag or a commit") from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"the hub has no model {repo}, or it is private",
            hint="check the name; for a private model run `hf auth login` or set HF_TOKEN",
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise ModelError(
            f"{repo} is not on this machine, and the hub cannot be reached",
            hint="connect once to download it, or give the folder of a copy",
        ) from error
    except Exception as error:  # the hub's client changes its HTTP library, and with it what a broken line raises
        raise ModelError(f"{repo} could not be downloaded: {_first_line(error)}") from error


def known_commit(repo: str, revision: str | None) -> str | None:
    """The commit that a branch or tag was at when it was last downloaded; None where it never was. Asks no network."""
    from huggingface_hub.constants import HF_HUB_CACHE

    refs = Path(HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}" / "refs"
    path = refs / (revision or "main")
    if ".." in path.parts or not path.is_relative_to(refs):  # a revision is a graph's word: it names nothing outside
        return None
    try:
        commit = path.read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    return commit if _COMMIT.fullmatch(commit) else None


class _Transfer:
    """What the threads of a download share with the one that waits for them."""

    def __init__(self) -> None:
        self.done_bytes = 0
        self.is_stopped = False
        self._lock = threading.Lock()

    def add(self, size_bytes: int) -> None:
        """Count; end the thread that calls where nobody waits any more."""
        if self.is_stopped:
            raise Cancelled
        with self._lock:
            self.done_bytes += size_bytes


def _download_aloud(fetch: Callable[..., Any], report: ReportBytes) -> str:
    """Download in a thread of its own, so that whoever waits can report, and can stop when the line stands still."""
    transfer = _Transfer()
    bar = _silent_bar(transfer)
    total_bytes = _missing_bytes(partial(fetch, tqdm_class=bar))
    if not total_bytes:
        return str(fetch(tqdm_class=bar))
    outcome: Future[str] = Future()
    threading.Thread(target=_settle, args=(outcome, partial(fetch, tqdm_class=bar)), daemon=True).start()
    try:
        while not outcome.done():
            report(min(transfer.done_bytes, total_bytes), total_bytes)
            wait([outcome], REPORT_EVERY_S)
    except BaseException:
        transfer.is_stopped = True
        _abort_xet()
        raise
    return outcome.result()


def _settle(outcome: Future[str], work: Callable[[], str]) -> None:
    try:
        outcome.set_result(work())
    except BaseException as error:  # it belongs to the thread that waits
        outcome.set_exception(error)


def _missing_bytes(fetch: Callable[..., Any]) -> int:
    """What is to be downloaded; 0 where that cannot be told: the download itself then says why."""
    with suppress(Exception):
        return sum(file.file_size or 0 for file in fetch(dry_run=True) if file.will_download)
    return 0


def _silent_bar(transfer: _Transfer) -> type[tqdm]:
    """The hub's seam for progress is the class of its bars. Only one of them counts the bytes on the disk."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, name: str | None = None, **settings: Any) -> None:
            super().__init__(*args, name=name, **settings | {"disable": True})  # type: ignore[no-untyped-call]  # theirs
            self._counts = name == "huggingface_hub.snapshot_download"

        def update(self, n: float | None = 1) -> None:
            transfer.add(int(n or 0) if self._counts else 0)

    return Bar


def _abort_xet() -> None:
    """End transfers that the hub's own client makes: they run outside Python, where no exception reaches them."""
    with suppress(Exception):  # not a public function, so it may go; the transfer then ends with its current files
        from huggingface_hub.utils._xet import abort_xet_session

        abort_xet_session()  # type: ignore[no-untyped-call]  # theirs


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
