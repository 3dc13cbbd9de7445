"""Fetching the needed files of a hub repository, and saying in one line what to do where that fails."""

from __future__ import annotations

from pathlib import Path

from limner.engine.errors import ModelError


def download(repo: str, revision: str | None, patterns: list[str]) -> Path:
    """The local snapshot with the files that match; what is there already is not fetched again. Raises ModelError."""
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=patterns))
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


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
