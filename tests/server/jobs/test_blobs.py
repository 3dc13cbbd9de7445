"""Files by their content."""

from __future__ import annotations

import os
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

import pytest
from hand_clock import HandClock

from limner.engine.errors import StoreError
from limner.server.jobs.blobs import GRACE_S, Blobs


@pytest.fixture
def blobs(tmp_path: Path, clock: HandClock) -> Blobs:
    return Blobs(tmp_path / "artifacts", clock)


def test_a_content_is_kept_once_under_its_hash(blobs: Blobs, tmp_path: Path) -> None:
    """Put or taken, the same content is one file, and what was taken is gone from where it was."""
    file = tmp_path / "a.png"
    file.write_bytes(b"content")
    digest = blobs.put(b"content")
    assert digest == sha256(b"content").hexdigest()
    assert blobs.take(file) == digest
    assert not file.exists()
    assert blobs.path(digest).read_bytes() == b"content"
    file.write_bytes(b"other")
    assert blobs.path(blobs.take(file)).read_bytes() == b"other"
    assert len([path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]) == 2


@pytest.mark.parametrize("name", ["..", "../../etc/passwd", "A" * 64, "f" * 63, "f" * 64 + "\n"])
def test_only_a_hash_names_a_file(blobs: Blobs, name: str) -> None:
    """No path can be made with what is no hash."""
    with pytest.raises(ValueError, match="no SHA-256"):
        blobs.path(name)


def test_the_sweep_takes_what_is_old_and_unused(blobs: Blobs, clock: HandClock) -> None:
    """What a job refers to stays; what is young stays, for its job may be about to; halves of files go too."""
    used, unused = blobs.put(b"used"), blobs.put(b"unused")
    half = blobs.path(unused).with_name(".half.part")
    half.write_bytes(b"ha")
    os.utime(half, (clock.now, clock.now))
    assert blobs.sweep({used}.intersection) == 0
    clock.now += GRACE_S + 1
    young = blobs.put(b"young")
    assert blobs.sweep({used}.intersection) == len(b"unused") + len(b"ha")
    assert [blobs.path(digest).exists() for digest in (used, unused, young)] == [True, False, True]


def test_the_sweep_lets_go_of_what_is_put_again_meanwhile(blobs: Blobs, clock: HandClock) -> None:
    """A content that a job gives while it is being swept is there afterwards."""
    digest = blobs.put(b"content")
    clock.now += GRACE_S + 1

    def give_it_again(swept: Collection[str]) -> set[str]:
        blobs.put(b"content")
        return set()

    assert blobs.sweep(give_it_again) == 0
    assert blobs.path(digest).read_bytes() == b"content"


def test_many_files_are_asked_about_in_few_questions(blobs: Blobs, clock: HandClock) -> None:
    """A store of many files is swept with a question for hundreds of them; one that is to stop asks nothing more."""
    for number in range(600):
        blobs.put(str(number).encode())
    clock.now += GRACE_S + 1
    asked: list[int] = []

    def all_are_used(digests: Collection[str]) -> Collection[str]:
        asked.append(len(digests))
        return digests

    assert blobs.sweep(all_are_used) == 0
    assert (len(asked), sum(asked)) == (2, 600)
    assert blobs.sweep(all_are_used, lambda: True) == 0
    assert len(asked) == 2


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, clock: HandClock) -> None:
    """A disk that does not take a file is an error with the reason."""
    (tmp_path / "artifacts").write_text("a file where the folder was to be")
    with pytest.raises(StoreError, match="cannot be written"):
        Blobs(tmp_path / "artifacts", clock).put(b"content")
