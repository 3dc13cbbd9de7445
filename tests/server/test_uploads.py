"""Pictures that clients bring, and what browsers do with what jobs gave."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from served import png

from limner.server.limits import Limits

UPLOADS = [
    (b"", "picture"),
    (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "picture"),
    (b"<html><script>alert(1)</script></html>", "picture"),
    (b"GIF89a" + b"\0" * 100, "picture"),
    (b"%!PS-Adobe-3.0 EPSF-3.0", "picture"),
    (png(100_000, 100_000), "million pixels"),
    (png(100, 100, b"\0" * 30_100)[:60], ""),
    (png(100, 100, b"\0" * 30_100)[:-20], ""),
    (b"PK\x03\x04" + b"\0" * 100, "picture"),
    (b"\x80\x04\x95 a pickle", "picture"),
]


@pytest.mark.parametrize(("content", "said"), UPLOADS)
def test_uploads_that_are_no_pictures(serving: Any, content: bytes, said: str) -> None:
    """What is no picture, claims to be huge, or breaks off, is not taken, whatever it calls itself."""

    async def use(api: Any) -> None:
        answer = await api.ask("POST", "/v1/uploads", data=content, headers={"Content-Type": "image/png"})
        assert answer.status in (415, 422)
        assert said in answer.json["detail"]
        assert not list(Path("uploads").iterdir())

    serving(use)


def test_an_upload_to_a_full_disk(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is said in words, and the next upload finds its way when there is room."""

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def use(api: Any) -> None:
        headers = {"Content-Type": "image/png"}
        with monkeypatch.context() as patch:
            patch.setattr("limner.server.uploads.write_atomically", full)
            answer = await api.ask("POST", "/v1/uploads", data=png(4, 4, bytes(52)), headers=headers)
            assert (answer.status, answer.json["detail"]) == (507, "the disk of the server is full")
        assert (await api.ask("POST", "/v1/uploads", data=png(4, 4, bytes(52)), headers=headers)).status == 201

    serving(use)


def test_uploads_are_bounded(serving: Any) -> None:
    """One file has a limit, and all together have one."""

    async def use(api: Any) -> None:
        headers = {"Content-Type": "image/png"}
        assert (await api.ask("POST", "/v1/uploads", data=b"\x89PNG" * 5000, headers=headers)).status == 413
        picture = png(100, 100, b"\0" * 30_100)
        assert (await api.ask("POST", "/v1/uploads", data=picture, headers=headers)).status == 507

    serving(use, limits=Limits(upload_bytes=10_000, uploads_bytes=50))


@pytest.mark.parametrize(
    "name", ["page.html", "picture.svg", "x.png.html", 'a"b\r\n.html', "data.json", "m.safetensors"]
)
def test_what_is_no_picture_is_never_run(serving: Any, name: str) -> None:
    """A file that a browser could run is sent to be saved, without a type, in a sandbox."""

    async def use(api: Any) -> None:
        await api.submit()
        digest = api.finish(api.claim(), name, b"<script>alert(1)</script>")
        answer = await api.ask("GET", f"/v1/artifacts/{digest}")
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert "sandbox" in answer.headers["Content-Security-Policy"]

    serving(use)
