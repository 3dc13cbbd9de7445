"""Bringing pictures, and looking at them."""

from __future__ import annotations

import asyncio
import json
import struct
import time
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import FormData
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from served import ANNA, BERT, clients

from limner.server.comfy.pixels import smaller
from limner.server.limits import Limits


def picture(color: Any = (255, 0, 0), mode: str = "RGB", kind: str = "PNG", size: tuple[int, int] = (64, 48)) -> bytes:
    out = BytesIO()
    Image.new(mode, size, color).save(out, kind)
    return out.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content))


async def bring(api: Any, content: bytes, name: str = "photo.png", path: str = "/upload/image", **fields: str) -> Any:
    form = FormData(quote_fields=False)
    form.add_field("image", content, filename=name, content_type="image/png")
    for key, value in fields.items():
        form.add_field(key, value)
    return await api.ask("POST", path, data=form)


async def view(api: Any, **query: str) -> Any:
    return await api.ask("GET", "/api/view?" + "&".join(f"{key}={quote(value)}" for key, value in query.items()))


def test_a_picture_is_kept_under_its_name(serving: Any) -> None:
    """It is a choice of LoadImage from then on, can be looked at, and is the same file as for our own API."""

    async def use(api: Any) -> None:
        content = picture()
        answer = await bring(api, content)
        assert answer.json == {"name": "photo.png", "subfolder": "", "type": "input"}
        assert (await bring(api, content, subfolder="a/b")).json["subfolder"] == "a/b"
        info = (await api.ask("GET", "/object_info/LimnerLoadImage")).json
        assert info["LimnerLoadImage"]["input"]["required"]["file"][0] == ["a/b/photo.png", "photo.png"]
        assert (await api.ask("GET", "/internal/files/input")).json == ["a/b/photo.png", "photo.png"]
        assert (await api.ask("GET", "/internal/files/output")).json == []
        found = await view(api, filename="photo.png", type="input")
        assert (found.body, found.headers["Content-Type"]) == (content, "image/png")
        own = await api.ask("POST", "/v1/uploads", data=content, headers={"Content-Type": "image/png"})
        name = own.json["file"].removeprefix("uploads/")
        assert (await view(api, filename=name, subfolder="uploads", type="input")).body == content
        assert (await view(api, filename="photo.png [input]", subfolder="a/b")).body == content

    serving(use)


def test_a_graph_is_opened_with_the_names_that_its_pictures_were_brought_under(serving: Any) -> None:
    """As choices of their nodes, also in lists; what another client brought keeps the name that the graph has."""

    async def use(api: Any) -> None:
        await bring(api, picture(), "before.png")
        await bring(api, picture(), "photo.png")
        file = (await api.ask("POST", "/v1/uploads", data=picture(), headers={"Content-Type": "image/png"})).json[
            "file"
        ]
        other = "uploads/" + "0" * 64 + ".png"
        nodes = {
            "one": {"type": "ComfyLoadImage", "settings": {"image": file}},
            "some": {"type": "LoadReferenceImages", "settings": {"files": [file, other]}},
            "text": {"type": "Text", "settings": {"value": file}},
        }
        answer = await api.ask("POST", "/v1/editor/workflow", {"graph": {"limner": 1, "nodes": nodes}})
        shown = [one["widgets_values"][0] for one in answer.json["workflow"]["nodes"]]
        assert shown == ["photo.png", f"photo.png\n{other}", file]

    serving(use)


def test_a_graph_that_cannot_be_opened_is_refused_with_the_reason(serving: Any) -> None:
    """An unknown type with the nearest one that is known, and wires from nowhere, to nowhere and without an end."""
    decode = {"type": "VAEDecode"}

    async def use(api: Any) -> None:
        for node, said in (
            ({"type": "Denois"}, ("unknown node type Denois", "did you mean Denoise?")),
            (decode | {"wires": {"vae": "x.vae"}}, ("vae: 'x.vae' leads to no output of a node", None)),
            (decode | {"wires": {"vae": "model.vea"}}, ("vae: 'model.vea' leads to no output of a node", None)),
            (decode | {"wires": {"vae": []}}, ("vae: [] leads to no output of a node", None)),
            (decode | {"wires": {"vea": "model.vae"}}, ("vea: VAEDecode has no such input", None)),
        ):
            nodes = {"one": node, "model": {"type": "LoadModel"}}
            answer = await api.ask("POST", "/v1/editor/workflow", {"graph": {"limner": 1, "nodes": nodes}})
            assert answer.status == 422
            [fault] = answer.json["faults"]
            assert (fault["message"], fault.get("hint")) == said

    serving(use)


def test_a_name_that_is_taken_gets_a_number(serving: Any) -> None:
    """Unless it is the same picture, or the client says that it may be replaced."""

    async def use(api: Any) -> None:
        red, blue = picture(), picture((0, 0, 255))
        names = [(await bring(api, content)).json["name"] for content in (red, blue, red, blue)]
        assert names == ["photo.png", "photo (1).png", "photo.png", "photo (1).png"]
        assert (await bring(api, blue, overwrite="true")).json["name"] == "photo.png"
        answer = await view(api, filename="photo.png", type="input")
        assert answer.body == blue
        again = await api.ask(
            "GET", "/view?filename=photo.png&type=input", headers={"If-None-Match": answer.headers["ETag"]}
        )
        assert again.status == 304

    serving(use)


@pytest.mark.parametrize(
    "content", [b"<svg onload=alert(1)>", b"<html>", b"", b"\x89PNG\r\n\x1a\n", picture(kind="GIF")]
)
def test_only_pictures_are_taken(serving: Any, content: bytes) -> None:
    """By their content, whatever they are called."""

    async def use(api: Any) -> None:
        assert (await bring(api, content)).status == 422
        assert (await view(api, filename="photo.png", type="input")).status == 404

    serving(use)


def bomb() -> bytes:
    """A small PNG that says it is very large."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_a_bomb_is_not_decoded(serving: Any) -> None:
    """Neither as a picture, nor as a mask of one; what has too many bytes is not even read."""

    async def use(api: Any) -> None:
        assert (await bring(api, picture())).status == 200
        reference = json.dumps({"filename": "photo.png"})
        assert (await bring(api, bomb())).status == 422
        assert (await bring(api, bomb(), path="/upload/mask", original_ref=reference)).status == 422
        assert (await bring(api, picture() + b"x" * 20_000)).status == 413

    serving(use, limits=Limits(upload_bytes=10_000))


@pytest.mark.parametrize(
    ("name", "subfolder"),
    [("x.png", ".."), ("x.png", "a/../.."), ("x.png", "a\\b"), ("..", ""), ("x.png", "\x00"), ("x" * 300 + ".png", "")],
)
def test_no_name_leads_out(serving: Any, name: str, subfolder: str) -> None:
    """Nothing is kept under a name that is none."""

    async def use(api: Any) -> None:
        answer = await bring(api, picture(), name, subfolder=subfolder)
        assert answer.status in (400, 403), answer.body
        found = await view(api, filename=name, subfolder=subfolder, type="input")
        assert found.status in (400, 404)

    serving(use)


def test_a_path_before_a_name_is_left_out(serving: Any) -> None:
    """Some browsers send it."""

    async def use(api: Any) -> None:
        assert (await bring(api, picture(), "C:\\Users\\me\\photo.png")).json["name"] == "photo.png"
        html = await bring(api, picture(), "evil.html")
        found = await view(api, filename=html.json["name"], type="input")
        assert found.headers["Content-Type"] == "image/png"
        assert "evil.png" in found.headers["Content-Disposition"]

    serving(use)


def test_a_mask_is_put_into_its_picture(serving: Any) -> None:
    """The picture stays; what the mask leaves out is transparent. Both can be looked at alone."""

    async def use(api: Any) -> None:
        await bring(api, picture((10, 200, 30)))
        mask = Image.new("RGBA", (128, 96), (0, 0, 0, 255))
        mask.paste((0, 0, 0, 0), (0, 0, 64, 96))
        out = BytesIO()
        mask.save(out, "PNG")
        reference = json.dumps({"filename": "photo.png", "subfolder": "", "type": "input"})
        answer = await bring(
            api, out.getvalue(), "clip.png", "/upload/mask", original_ref=reference, subfolder="clipspace"
        )
        assert answer.json == {"name": "clip.png", "subfolder": "clipspace", "type": "input"}
        place = {"filename": "clip.png", "subfolder": "clipspace", "type": "input"}
        whole = opened((await view(api, **place)).body)
        assert (whole.mode, whole.size, whole.getpixel((60, 5)), whole.getpixel((5, 5))[3]) == (
            "RGBA",
            (64, 48),
            (10, 200, 30, 255),
            0,
        )
        colors = opened((await view(api, **place, channel="rgb")).body).convert("RGBA")
        assert colors.getpixel((5, 5)) == (10, 200, 30, 255)
        alone = opened((await view(api, **place, channel="a")).body)
        assert (alone.getpixel((5, 5))[3], alone.getpixel((60, 5))[3]) == (0, 255)

    serving(use)


@pytest.mark.parametrize("reference", ["", "{", "[]", "1", "{}", '{"filename": 1}', '{"filename": "none.png"}'])
def test_a_mask_without_its_picture_is_refused(serving: Any, reference: str) -> None:
    """With what is missing."""

    async def use(api: Any) -> None:
        answer = await bring(api, picture(mode="RGBA", color=(0, 0, 0, 0)), path="/upload/mask", original_ref=reference)
        assert answer.status in (400, 404)

    serving(use)


def test_pictures_are_changed_one_at_a_time(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever many ask for: the memory is that of one, and prompts are checked meanwhile."""
    running: list[str] = []
    together: list[int] = []

    def slowly(content: bytes, how: str) -> tuple[bytes, str]:
        running.append(how)
        together.append(len(running))
        time.sleep(0.05)
        running.pop()
        return content, ".webp"

    monkeypatch.setattr("limner.server.comfy.routes.pictures.smaller", slowly)

    async def use(api: Any) -> None:
        await bring(api, picture())
        await asyncio.gather(*(view(api, filename="photo.png", preview="webp") for _ in range(5)))
        assert together == [1] * 5

    serving(use)


def test_what_a_job_gave_is_seen_by_its_client_only(serving: Any) -> None:
    """Pictures are shown, anything else is only saved, and to others there is nothing."""

    async def use(api: Any) -> None:
        api.token = ANNA
        await api.submit()
        claim = api.claim()
        content = picture()
        api.finish(claim, "outputs/evil.html", b"<script>")
        await api.submit()
        other = api.claim()
        api.finish(other, "outputs/a.png", content)
        html = await view(api, filename="evil.html", subfolder=f"{claim.job_id}/outputs")
        assert html.headers["Content-Disposition"].startswith("attachment")
        place = {"filename": "a.png", "subfolder": f"{other.job_id}/outputs", "type": "output"}
        found = await view(api, **place)
        assert (found.body, found.headers["Content-Type"]) == (content, "image/png")
        small = await view(api, **place, preview="webp;50")
        assert (small.headers["Content-Type"], opened(small.body).format) == ("image/webp", "WEBP")
        jpeg = await view(api, **place, preview="jpeg")
        assert (jpeg.headers["Content-Type"], opened(jpeg.body).format) == ("image/jpeg", "JPEG")
        head = await api.ask("HEAD", f"/view?filename=a.png&subfolder={other.job_id}/outputs")
        assert head.status == 200
        assert (
            await view(api, filename="evil.html", subfolder=f"{claim.job_id}/outputs", preview="webp")
        ).status == 422
        api.token = BERT
        assert (await view(api, **place)).status == 404

    serving(use, clients=clients(), is_local=False)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "filename=",
        "filename=a&type=secret",
        "filename=a&channel=b",
        "filename=../../etc/passwd&type=input",
        "filename=%2fetc%2fpasswd",
        "filename=passwd&subfolder=%2fetc",
        "filename=a%00.png",
        "filename=a&filename=b",
    ],
)
def test_what_is_no_picture_is_not_shown(serving: Any, query: str) -> None:
    """Whatever is asked for, nothing outside is read."""

    async def use(api: Any) -> None:
        assert (await api.ask("GET", f"/view?{query}")).status in (400, 404, 422)

    serving(use)


BOUNDARY = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {"Content-Type": "application/json"}, 415),
        (b"", BOUNDARY, 400),
        (b"--b", BOUNDARY, 400),
        (b"garbage", BOUNDARY, 400),
        (b"--b\r\n\r\nx\r\n--b--", BOUNDARY, 400),
        (b"--b\r\nContent-Disposition: form-data; name=image\r\n", BOUNDARY, 400),
        (b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\xff\r\n--b--\r\n', BOUNDARY, 400),
        (b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n--b--\r\n", BOUNDARY, 400),
        (b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n' + b"x" * 20_000 + b"\r\n--b--\r\n", BOUNDARY, 413),
        (b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n' * 30 + b"--b--\r\n", BOUNDARY, 400),
        (b"", {"Content-Type": "multipart/form-data"}, 400),
    ],
)
def test_broken_forms_are_refused(
    serving: Any, body: bytes, headers: dict[str, str], status: int, tmp_path: Path
) -> None:
    """With words, and nothing is kept."""

    async def use(api: Any) -> None:
        assert (await api.ask("POST", "/upload/image", data=body, headers=headers)).status == status
        assert not (tmp_path / "data" / "comfy").exists()

    serving(use)


ODD = st.text(st.characters(exclude_categories=["Cs"]), max_size=10) | st.sampled_from(
    ["photo.png", "..", "uploads", "clip [input]", "a/b", "0" * 32, "\x00"]
)
PART = st.sampled_from(
    [b"--b\r\n", b"--b--", b"\r\n", b"\r\n\r\n", b'Content-Disposition: form-data; name="image"', b"x"]
)
PARTS = PART | st.sampled_from([b'; filename="a.png"', b"Content-Length: 5", b"Content-Encoding: gzip", b"\xff", b":"])


@pytest.mark.parametrize(("how", "side"), [("webp", 16_383), ("jpeg;90", 65_500)])
def test_a_picture_that_is_too_long_for_its_kind_is_scaled(how: str, side: int) -> None:
    """PNG has longer sides than what is made of it to look at."""
    for size in ((side, 2), (side + 1, 2), (2, side + 1)):
        body, _ = smaller(picture(size=size), how)
        assert max(opened(body).size) == side


@pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionHeader")
@pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionParam")
def test_no_request_is_a_500(serving: Any) -> None:
    """Whatever file is asked for, and whatever form is sent."""

    async def use(api: Any) -> None:
        loop = asyncio.get_running_loop()
        await bring(api, picture())

        async def ask(query: dict[str, str], body: bytes, path: str) -> None:
            assert (await view(api, **query)).status < 500
            assert (await api.ask("POST", path, data=body, headers=BOUNDARY)).status < 500

        @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(
            st.dictionaries(st.sampled_from(["filename", "subfolder", "type", "channel", "preview"]), ODD),
            st.lists(PARTS, max_size=12).map(b"".join),
            st.sampled_from(["/upload/image", "/upload/mask"]),
        )
        def fuzz(query: dict[str, str], body: bytes, path: str) -> None:
            asyncio.run_coroutine_threadsafe(ask(query, body, path), loop).result(30)

        await asyncio.to_thread(fuzz)

    serving(use)
