"""What graphs ask to be told: those of earlier jobs, and those that pictures carry."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from PIL.PngImagePlugin import PngInfo

GRAPH = {
    "limner": 1,
    "name": "sum",
    "nodes": {"n": {"type": "Integer", "settings": {"value": 2**60 + 1}}, "t": {"type": "Text"}},
}
PICTURE = {"headers": {"Content-Type": "image/png"}}


def png(text: str | None) -> bytes:
    info, buffer = PngInfo(), io.BytesIO()
    if text is not None:
        info.add_itxt("limner", text)
    PIL.Image.new("RGB", (64, 64)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def test_the_form_of_a_graph(serving: Any) -> None:
    """A graph with parameters shows these, as a template does; one without shows what is set in it."""

    async def use(api: Any) -> None:
        template = (await api.ask("GET", "/v1/templates/text_to_image")).json
        form = (await api.ask("POST", "/v1/form", {"graph": template["graph"]})).json
        assert form["parameters"] == template["parameters"]
        form = (await api.ask("POST", "/v1/form", {"graph": GRAPH})).json
        assert list(form["parameters"]) == ["n.value"]
        assert form["parameters"]["n.value"]["default"] == 2**60 + 1
        asked = {"graph": GRAPH, "parameters": {"n.value": 3}}  # what it is called can be set
        assert (await api.ask("POST", "/v1/validate", asked)).json["is_right"]

    serving(use)


def test_the_form_of_a_picture(serving: Any) -> None:
    """The graph that a picture carries comes back with its form; nothing of it is queued."""

    async def use(api: Any) -> None:
        content = png(json.dumps({"graph": GRAPH, "keys": {}, "software": {}}))
        answer = await api.ask("POST", "/v1/form/picture", data=content, **PICTURE)
        assert (answer.json["name"], answer.json["graph"]) == ("sum", GRAPH)
        assert (await api.ask("GET", "/v1/jobs")).json == {"jobs": []}

    serving(use)


def test_an_uploaded_picture_with_a_graph_is_only_a_picture(serving: Any) -> None:
    """What it carries is neither looked at nor run, right or not; its bytes are kept as they came."""

    async def use(api: Any) -> None:
        right, wrong = json.dumps({"graph": GRAPH, "keys": {}, "software": {}}), '{"graph": {"nodes": {'
        for content in (png(right), png(wrong)):
            answer = await api.ask("POST", "/v1/uploads", data=content, **PICTURE)
            assert answer.status == 201
            assert Path(answer.json["file"]).read_bytes() == content
        assert (await api.ask("GET", "/v1/jobs")).json == {"jobs": []}
        assert api.crew.asked == 0

    serving(use)


RECORD = {"keys": {}, "software": {}}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "picture"),
        (b"no picture", "picture"),
        (png(None), "carries no graph"),
        (png(None)[:60], "picture"),
        (png("{"), "cannot be read"),
        (png("[" * 5000), "cannot be read"),
        (png(json.dumps(RECORD | {"graph": None})), "graph"),
        (png(json.dumps(RECORD | {"graph": {"limner": 1, "name": "\ud800", "nodes": {}}})), "cannot be read"),
        (png('{"keys": {}, "software": {}, "graph": {"nodes": ' + "[" * 99 + "]" * 99 + "}}"), "cannot be read"),
        (png(json.dumps(RECORD | {"graph": {"limner": 1, "nodes": {"a": 1}}})), "nodes"),
        (png(json.dumps(RECORD | {"graph": {"limner": 99, "nodes": {}}})), "version"),
    ],
)
def test_pictures_that_carry_no_form(serving: Any, content: bytes, said: str) -> None:
    """Each is refused with words, which do not say where the server put it meanwhile."""

    async def use(api: Any) -> None:
        answer = await api.ask("POST", "/v1/form/picture", data=content, **PICTURE)
        assert answer.status == 422
        assert said in answer.body.decode()
        assert b"/tmp" not in answer.body
        assert b"limner-picture" not in answer.body

    serving(use)
