"""What the editor asks of itself, and of the machine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from served import ANNA, clients

from limner.graphs.library import FIRST
from limner.server.comfy import own_settings


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_what_the_editor_needs_to_start_is_there(serving: Any, prefix: str) -> None:
    """At both paths, in the shapes that it reads."""

    async def use(api: Any) -> None:
        for path, expected in {
            "/users": {"storage": "server", "migrated": True},
            "/extensions": ["/extensions/limner/limner.js"],
            "/i18n": {},
            "/workflow_templates": {},
            "/global_subgraphs": {},
            "/embeddings": [],
        }.items():
            assert (await api.ask("GET", prefix + path)).json == expected, path
        for path in ("/user.css", "/userdata/user.css"):
            style = await api.ask("GET", prefix + path)
            assert style.headers["Content-Type"].startswith("text/css")
            assert style.body.startswith(b'[data-testid="login-button"]')
        assert (await api.ask("GET", f"{prefix}/features")).json["show_signin_button"] is False

    serving(use)


def test_settings_are_kept_over_those_that_keep_the_editor_at_home(serving: Any) -> None:
    """The editor asks no other host unless its user says so; what was set once stays."""

    async def use(api: Any) -> None:
        assert (await api.ask("GET", "/settings")).json["Comfy.Notification.ShowVersionUpdates"] is False
        text = {"Content-Type": "text/plain;charset=UTF-8"}
        assert (await api.ask("POST", "/api/settings/Comfy.Locale", data=b'"de"', headers=text)).status == 200
        many = json.dumps({"a": [1], "Comfy.TutorialCompleted": False}).encode()
        assert (await api.ask("POST", "/settings", data=many, headers=text)).status == 200
        found = (await api.ask("GET", "/api/settings")).json
        assert (found["Comfy.Locale"], found["a"], found["Comfy.TutorialCompleted"]) == ("de", [1], False)
        assert (await api.ask("GET", "/settings/Comfy.Locale")).json == "de"
        assert (await api.ask("GET", "/settings/none")).json is None

    serving(use)


@pytest.mark.parametrize("body", [b"[]", b"{", b"1", b'{"a": NaN}', b"\xff"])
def test_what_are_no_settings_is_refused(serving: Any, body: bytes) -> None:
    """With 400, and nothing is changed."""

    async def use(api: Any) -> None:
        before = (await api.ask("GET", "/settings")).json
        assert (await api.ask("POST", "/settings", data=body)).status == 400
        assert (await api.ask("GET", "/settings")).json == before

    serving(use)


def test_settings_take_little_room(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All together."""
    monkeypatch.setattr(own_settings, "MAX_BYTES", 50)

    async def use(api: Any) -> None:
        assert (await api.ask("POST", "/settings/a", "x" * 30)).status == 200
        assert (await api.ask("POST", "/settings/b", "x" * 30)).status == 413
        assert (await api.ask("GET", "/settings/b")).json is None

    serving(use)


def test_the_machine_is_told_of(serving: Any) -> None:
    """Memory of each device, less what models take there."""

    async def use(api: Any) -> None:
        api.service.models["w"] = [{"device": "cpu", "size_bytes": 1000, "model": "m"}]
        found = (await api.ask("GET", "/system_stats")).json
        assert 0 < found["system"]["ram_free"] <= found["system"]["ram_total"]
        (cpu,) = (one for one in found["devices"] if one["type"] == "cpu")
        assert cpu["vram_total"] - cpu["vram_free"] == cpu["torch_vram_total"] == 1000

    serving(use)


def test_nodes_are_told_of_as_they_are_now(serving: Any) -> None:
    """All of them or one, and a picture that was just brought is among the choices."""

    async def use(api: Any) -> None:
        found = (await api.ask("GET", "/object_info")).json
        assert found == (await api.ask("GET", "/api/object_info")).json
        one = (await api.ask("GET", "/object_info/Denoise")).json
        assert one == {"Denoise": found["Denoise"]}
        assert (await api.ask("GET", "/object_info/None")).json == {}

    serving(use)


def test_models_are_listed_by_folder(serving: Any) -> None:
    """By ComfyUI's names of folders, without where they are."""

    async def use(api: Any) -> None:
        folders = (await api.ask("GET", "/models")).json
        assert {"diffusion_models", "vae", "loras"} <= set(folders)
        assert [one["name"] for one in (await api.ask("GET", "/api/experiment/models")).json] == folders
        names = (await api.ask("GET", "/models/vae")).json
        assert "tiny" in names
        assert {one["name"] for one in (await api.ask("GET", "/experiment/models/vae")).json} == set(names)
        assert (await api.ask("GET", "/models/..%2f..")).status == 404

    serving(use)


def test_a_token_is_asked_for(serving: Any) -> None:
    """For every route of the protocol."""

    async def use(api: Any) -> None:
        paths = ["/users", "/settings", "/object_info", "/system_stats", "/models", "/userdata?dir=a", "/extensions"]
        for path in paths:
            assert (await api.ask("GET", path)).status == 401, path
        api.token = ANNA
        assert (await api.ask("GET", "/users")).status == 200

    serving(use, clients=clients(), is_local=False)


def test_a_client_may_have_a_style_of_its_own(serving: Any) -> None:
    """It comes after ours."""

    async def use(api: Any) -> None:
        assert (await api.ask("POST", "/userdata/user.css", data=b"body { color: red }")).status == 200
        for path in ("/user.css", "/api/userdata/user.css"):
            body = (await api.ask("GET", path)).body
            assert body.endswith(b"none !important; }\nbody { color: red }")

    serving(use)


def test_our_templates_are_opened_by_the_editor(serving: Any) -> None:
    """All that come with Limner are listed, each a workflow without graphs in it, with a picture that it drew."""

    async def use(api: Any) -> None:
        library = api.service.comfy.session.library
        (category,) = (await api.ask("GET", "/templates/index.json")).json
        names = [one["name"] for one in category["templates"]]
        assert sorted(names) == library.names()
        assert tuple(names[: len(FIRST)]) == FIRST
        assert all(one["title"] and one["description"] for one in category["templates"])
        for one in category["templates"]:
            workflow = (await api.ask("GET", f"/templates/{one['name']}.json")).json
            assert workflow["nodes"]
            assert all(node["type"] != "Graph" for node in workflow["nodes"])
        drawn = await api.ask("GET", "/api/templates/text_to_image-1.webp")
        assert drawn.headers["Content-Type"] == "image/webp"
        assert drawn.body == next(one.picture for one in library.templates() if one.name == "text_to_image")
        for path in ("nothing.json", "nothing-1.webp", "..%2f..%2fetc%2fpasswd.json", "index.fr.json"):
            assert (await api.ask("GET", f"/templates/{path}")).status == 404

    serving(use)
