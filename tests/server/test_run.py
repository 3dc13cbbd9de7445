"""A prompt in, a picture out; and the files of jobs."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from aiohttp import ClientTimeout
from served import STAR

RUN = "/v1/run/text_to_image"


async def run_beside(api: Any, path: str = RUN + "?wait=1", end: Any = None, **headers: str) -> Any:
    """Ask, play the worker, and give the answer."""
    asked = asyncio.ensure_future(api.ask("POST", path, STAR, headers=headers))
    while not (await api.ask("GET", "/v1/queue")).json["jobs"]:
        await asyncio.sleep(0.02)
    (end or (lambda claim: api.finish(claim)))(api.claim())
    return await asked


def test_the_picture_itself_comes_back(serving: Any) -> None:
    """With ``wait`` the answer is the picture; with JSON accepted it is the job."""

    async def use(api: Any) -> None:
        answer = await run_beside(api)
        assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "image/png", b"a picture")
        assert (await api.ask("GET", answer.headers["Location"])).json["state"] == "completed"
        answer = await run_beside(api, Accept="application/json")
        assert answer.json["artifacts"][0]["media_type"] == "image/png"
        assert answer.json["parameters"] == STAR

    serving(use)


def test_what_is_not_waited_for_is_said_where_it_is(serving: Any) -> None:
    """Without ``wait``, and when the time is over, the answer is 202 with the job's address; the job goes on."""

    async def use(api: Any) -> None:
        for path in (RUN, RUN + "?wait=1&timeout_s=0.2"):
            answer = await api.ask("POST", path, STAR)
            assert (answer.status, answer.headers["Location"]) == (202, f"/v1/jobs/{answer.json['id']}")
            assert (await api.ask("GET", answer.headers["Location"])).json["state"] == "pending"

    serving(use)


def test_a_client_that_goes_leaves_its_job(serving: Any) -> None:
    """When whoever waits is gone, the job is still there."""

    async def use(api: Any) -> None:
        with pytest.raises(TimeoutError):
            await api.ask("POST", RUN + "?wait=1", STAR, timeout=ClientTimeout(total=1.0))
        (job,) = (await api.ask("GET", "/v1/queue")).json["jobs"]
        assert job["state"] == "pending"

    serving(use)


def test_a_job_that_fails_says_why(serving: Any) -> None:
    """Who waits for a picture hears why there is none."""
    from limner.server.jobs.leases import Ending

    async def use(api: Any) -> None:
        leases = api.service.store.leases
        answer = await run_beside(api, end=lambda claim: leases.finish(claim, Ending("failed", "no room", "take less")))
        assert (answer.status, answer.json["detail"], answer.json["hint"]) == (422, "no room", "take less")
        answer = await run_beside(api, end=lambda claim: leases.finish(claim, Ending("cancelled")))
        assert answer.status == 409

    serving(use)


def test_wrong_templates_and_values(serving: Any) -> None:
    """An unknown template is not found; unknown and wrong values are all said."""

    async def use(api: Any) -> None:
        assert (await api.ask("POST", "/v1/run/nothing", STAR)).status == 404
        answer = await api.ask("POST", RUN, {"sed": 1, "steps": 0})
        assert (answer.status, answer.faults) == (422, ["parameters.sed", "nodes.denoise.settings.steps"])
        assert (await api.ask("POST", RUN + "?wait=maybe", STAR)).status == 422
        assert (await api.ask("POST", RUN + "?wait=1&wait=0", STAR)).status == 422

    serving(use)


def test_files_are_asked_for_in_parts_and_kept(serving: Any) -> None:
    """A file never changes: browsers keep it, ask whether it is the same, and for parts."""

    async def use(api: Any) -> None:
        await api.submit()
        digest = api.finish(api.claim(), content=b"0123456789")
        path = f"/v1/artifacts/{digest}"
        answer = await api.ask("GET", path)
        assert (answer.body, answer.headers["ETag"]) == (b"0123456789", f'"{digest}"')
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["Content-Disposition"].startswith("inline")
        part = await api.ask("GET", path, headers={"Range": "bytes=2-4"})
        assert (part.status, part.body) == (206, b"234")
        assert (await api.ask("GET", path, headers={"If-None-Match": f'"{digest}"'})).status == 304
        assert (await api.ask("GET", path, headers={"Range": "bytes=50-"}, allow_redirects=False)).status == 416
        asked = await api.ask("HEAD", path)
        assert (asked.status, asked.headers["Content-Length"], asked.body) == (200, "10", b"")
        api.service.store.blobs.path(digest).unlink()
        assert (await api.ask("GET", path)).status == 410

    serving(use)


def test_an_upload_can_be_referred_to(serving: Any) -> None:
    """What an upload answers is what a graph names; the same picture is the same upload."""
    import PIL.Image

    buffer = io.BytesIO()
    PIL.Image.new("RGB", (80, 70), "red").save(buffer, "WEBP")

    async def use(api: Any) -> None:
        headers = {"Content-Type": "image/png"}  # what it calls itself does not count
        upload = (await api.ask("POST", "/v1/uploads", data=buffer.getvalue(), headers=headers)).json
        assert (upload["width"], upload["height"], upload["file"]) == (80, 70, f"uploads/{upload['sha256']}.webp")
        assert (await api.ask("POST", "/v1/uploads", data=buffer.getvalue(), headers=headers)).json == upload
        graph = {"limner": 1, "nodes": {"n": {"type": "LoadReferenceImages", "settings": {"files": [upload["file"]]}}}}
        assert (await api.ask("POST", "/v1/jobs", {"graph": graph})).status == 201
        graph["nodes"]["n"]["settings"]["files"] = ["uploads/" + "0" * 64 + ".png"]  # type: ignore[index]  # JSON
        assert "there is no file" in (await api.ask("POST", "/v1/jobs", {"graph": graph})).body.decode()

    serving(use)
