"""What graphs of clients reach: files of few folders, their own folder to write into, and no private network."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from served import ANNA, BERT, clients, png

from limner.engine.registry import Registry

FILES = [
    "/etc/passwd",
    "../secret.png",
    "uploads/../../secret.png",
    "~/secret.png",
    "~root/secret.png",
    "..\\secret.png",
    "C:\\secret.png",
    "\\\\host\\share\\secret.png",
    "//host/share/secret.png",
    "secret.png\0",
    "file:///etc/passwd",
    "http://127.0.0.1/secret.png",
    "link.png",
    "jobs.db",
    "uploads/link.png",
    "uploads/*.png/../../../secret.png",
    "/proc/self/environ",
    "/../" * 30 + "etc/passwd",
    "a" * 5000,
]


@pytest.mark.parametrize("file", FILES)
def test_files_outside_are_never_opened(serving: Any, file: str, tmp_path: Path) -> None:
    """No setting of any node reaches a file outside, however it is written; it is not said whether it is there."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)

    async def use(api: Any) -> None:
        for link in (Path("link.png"), Path("uploads/link.png")):
            link.symlink_to(secret)
        Path("jobs.db").touch()
        for node in Registry.installed().values():
            for name, schema in node.settings_schema.get("properties", {}).items():
                value = [file] if "array" in str(schema) else file
                if "string" not in str(schema) or "enum" in schema or name in ("prompt", "text", "negative_prompt"):
                    continue
                graph = {"limner": 1, "nodes": {"n": {"type": node.name, "settings": {name: value}}}}
                there = await api.ask("POST", "/v1/validate", {"graph": graph})
                text = json.dumps(graph).replace("secret", "absent")
                absent = await api.ask("POST", "/v1/validate", {"graph": json.loads(text)})
                assert there.body.replace(b"secret", b"absent") == absent.body
        graph = {"limner": 1, "nodes": {"n": {"type": "Graph", "settings": {"graph": file}}}}
        assert not (await api.ask("POST", "/v1/validate", {"graph": graph})).json["is_right"]
        graph = {"limner": 1, "nodes": {"n": {"type": "LoadReferenceImages", "settings": {"files": [file]}}}}
        answer = await api.ask("POST", "/v1/jobs", {"graph": graph})
        assert (answer.status, answer.faults) == (422, ["nodes.n.settings.files"])

    serving(use)
    assert not [name for name in opened if "secret.png" in name or "passwd" in name or "environ" in name]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../a.png", "~/a.png", "a\\b.png", "C:a.png", "\\\\h\\a.png", "a\0.png"]
)
def test_nothing_is_written_outside(serving: Any, path: str) -> None:
    """A graph that writes outside its job's folder is refused."""

    async def use(api: Any) -> None:
        answer = await api.ask("POST", "/v1/jobs", {"template": "text_to_image", "parameters": {"save.path": path}})
        assert answer.status == 422
        disk = {"mode": "group", "disk": "/tmp/weights"}
        graph = (await api.ask("GET", "/v1/templates/text_to_image")).json["graph"]
        graph["nodes"]["denoise"]["offload"] = disk
        answer = await api.ask("POST", "/v1/jobs", {"graph": graph})
        assert answer.faults == ["nodes.denoise.offload.disk"]

    serving(use)


PATTERNS = [
    "uploads/*",
    "[u]ploads/*.png",
    "running/*/*/*.png",
    "*/*/*/*.png",
    "[j]obs.*",
    "artif[a]cts/*/*",
    "*",
    "*/*",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_pattern_finds_what_others_brought_or_made(serving: Any, pattern: str) -> None:
    """What lies in the server's folder is only for who knows its name: no pattern matches, and none tells a name."""

    async def use(api: Any) -> None:
        api.token = ANNA
        made = png(64, 64, b"\0" * 64 * 193)
        taken = await api.ask("POST", "/v1/uploads", data=made, headers={"Content-Type": "image/png"})
        assert taken.status == 201, taken.body
        running = Path("running/0123/1/drawn.png")
        running.parent.mkdir(parents=True)
        running.write_bytes(made)
        kept = api.service.store.blobs.put(made)
        api.token = BERT
        graph = {"limner": 1, "nodes": {"n": {"type": "LoadReferenceImages", "settings": {"files": [pattern]}}}}
        answer = await api.ask("POST", "/v1/jobs", {"graph": graph})
        assert (answer.status, answer.faults) == (422, ["nodes.n.settings.files"])
        assert "patterns match nothing here" in answer.json["detail"]
        assert not [name for name in (kept, "jobs.db", "drawn") if name in answer.body.decode()]
        named = {**graph["nodes"]["n"], "settings": {"files": [taken.json["file"]]}}
        assert (await api.ask("POST", "/v1/jobs", {"graph": {"limner": 1, "nodes": {"n": named}}})).status == 201

    serving(use, clients=clients())


ADDRESSES = [
    "http://127.0.0.1:1",
    "http://169.254.169.254",
    "http://[::1]:1",
    "http://[::ffff:127.0.0.1]",
    "http://%6cocalhost",
    "http://10.0.0.1",
    "https://localhost",
    "http://2130706433",
]


@pytest.mark.parametrize("url", ADDRESSES)
def test_a_graph_does_not_reach_into_the_network(serving: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No graph of a client asks this machine or private networks, even if it says that it may."""

    async def use(api: Any) -> None:
        values = {"url": url, "allow_private": True}
        asked = {"template": "remote_encoder_nf4_18gb", "parameters": values}
        answer = await api.ask("POST", "/v1/jobs", asked)
        assert answer.status == 422
        assert "nodes.encode.settings" in "".join(answer.faults)
        named = asked | {"parameters": {"url": "https://example.org", "encode.token_env": "LIMNER_TOKEN_X"}}
        assert "nodes.encode.settings.token_env" in (await api.ask("POST", "/v1/jobs", named)).faults

    serving(use)


def test_a_listed_host_may_be_private(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the server says which hosts of its network are asked."""
    monkeypatch.setenv("LIMNER_ENCODERS", "127.0.0.1")

    async def use(api: Any) -> None:
        asked = {"template": "remote_encoder_nf4_18gb", "parameters": {"url": "http://127.0.0.1:1"}}
        assert (await api.ask("POST", "/v1/validate", asked)).json["is_right"]

    serving(use)
