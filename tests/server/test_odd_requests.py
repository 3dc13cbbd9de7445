"""What is odd is said in our words, and never in those of the packages that found it."""

from __future__ import annotations

import io
from typing import Any

import PIL.Image

VALUES = [None, True, -1, 1.5, 1e300, "", "x", [], [1], {}, {"a": 1}]
FOREIGN = ("Input should", "String should", "Value error", "validation error", "unable to parse", "decoder", "(b'")
"""As pydantic and Pillow speak."""


def check(answer: Any) -> None:
    said = [answer.json.get("detail", ""), *(fault["message"] for fault in answer.json.get("faults", []))]
    assert not [message for message in said for words in FOREIGN if words in message], said


def test_bodies(serving: Any) -> None:
    """Wrong types in every field of a request, and of a graph."""

    async def use(api: Any) -> None:
        for value in VALUES:
            check(await api.ask("POST", "/v1/jobs", value))
            for name in ("graph", "template", "parameters", "priority"):
                asked = {"template": "text_to_image", "priority": 0} | {name: value}
                check(await api.ask("POST", "/v1/jobs", asked))
            node = {"type": "Integer", "settings": {}}
            graph = {"limner": 1, "name": "odd", "nodes": {"n": node}}
            for name in ("limner", "name", "description", "parameters", "outputs", "nodes"):
                check(await api.ask("POST", "/v1/validate", {"graph": graph | {name: value}}))
            for name in ("type", "settings", "wires", "device", "offload"):
                odd = graph | {"nodes": {"n": node | {name: value}}}
                check(await api.ask("POST", "/v1/validate", {"graph": odd}))

    serving(use)


def test_settings(serving: Any) -> None:
    """Wrong values of every setting of every node."""

    async def use(api: Any) -> None:
        for value in VALUES:
            nodes = {
                node["name"]: {"type": node["name"], "settings": dict.fromkeys(node["settings"], value)}
                for node in (await api.ask("GET", "/v1/nodes")).json["nodes"]
            }
            check(await api.ask("POST", "/v1/validate", {"graph": {"limner": 1, "name": "odd", "nodes": nodes}}))

    serving(use)


def test_queries_and_headers(serving: Any) -> None:
    """Numbers, ids and words that are none."""

    async def use(api: Any) -> None:
        job = await api.submit()
        for path in ("/v1/jobs?limit=x", "/v1/queue?after=x", "/v1/jobs?state=x", f"/v1/jobs/{job}/events?after=x"):
            check(await api.ask("GET", path))
        for query in ("wait=maybe", "timeout_s=x", "timeout_s=nan"):
            check(await api.ask("POST", f"/v1/run/text_to_image?{query}", {}))
        check(await api.ask("GET", f"/v1/jobs/{job}/events", headers={"Last-Event-ID": "x"}))
        check(await api.ask("POST", "/v1/jobs", {"template": "text_to_image"}, headers={"Idempotency-Key": "a b"}))

    serving(use)


def test_pictures(serving: Any) -> None:
    """Pictures that break off, or have a wrong byte, wherever that is."""

    async def use(api: Any) -> None:
        for kind in ("PNG", "JPEG", "WEBP"):
            buffer = io.BytesIO()
            PIL.Image.new("RGB", (80, 70), "red").save(buffer, kind)
            content = buffer.getvalue()
            places = (1, 8, 12, 20, 30, 60, len(content) // 2, len(content) - 1)
            broken = [content[:place] for place in places]
            broken += [content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :] for place in places]
            for picture in broken:
                for path in ("/v1/uploads", "/v1/form/picture"):
                    check(await api.ask("POST", path, data=picture, headers={"Content-Type": "image/png"}))

    serving(use)
