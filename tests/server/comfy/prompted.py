"""Prompts as clients of the protocol send them."""

from __future__ import annotations

import json
from typing import Any

from served import Answer


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def star(**changed: Any) -> dict[str, Any]:
    """A prompt that runs; ``changed`` are other nodes."""
    return {
        "1": node("LoadModel", source="tiny"),
        "2": node("TextEncode", text_encoder=["1", 0], prompt="a blue star on white"),
        "12:3": node("Denoise", transformer=["1", 1], conditioning=["2", 0], steps=4),
        "4": node("LimnerVAEDecode", vae=["1", 2], latent=["12:3", 0]),
        "9": node("LimnerSaveImage", images=["4", 0]),
        **changed,
    }


async def post(api: Any, body: Any, path: str = "/prompt", **headers: str) -> Answer:
    """Hand in a prompt; what is wrong with it is said in the protocol's form."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    token = {"Authorization": f"Bearer {api.token}"} if api.token else {}
    sent = {"Content-Type": "application/json"} | token | headers
    async with api.session.post(api.url + path, data=content, headers=sent) as response:
        answer = Answer(response.status, response.headers, await response.read())
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert b"Traceback" not in answer.body
    if answer.status in (400, 413, 429, 500, 503, 507):
        assert set(answer.json) == {"error", "node_errors"}
        assert set(answer.json["error"]) == {"type", "message", "details", "extra_info"}
    return answer
