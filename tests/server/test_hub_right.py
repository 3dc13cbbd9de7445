"""What clients may have the server download."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from process import served
from served import ANNA, ROOT

from limner.nodes._flux2.hub_right import HUB_ENV, allow_hub
from limner.server.clients import Client, client_line


def test_a_model_that_is_not_listed_is_a_fault_of_its_node(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said before anything is queued, with what may be named instead."""
    monkeypatch.setenv(HUB_ENV, "")
    allow_hub(["team/model"])

    async def use(api: Any) -> None:
        asked = {"template": "text_to_image", "parameters": {"model": "else/model"}}
        answer = await api.ask("POST", "/v1/jobs", asked)
        assert (answer.status, answer.faults) == (422, ["nodes.model.settings.source"])
        assert "only team/model may" in answer.json["detail"]
        asked["parameters"] = {"model": "team/model"}
        assert (await api.ask("POST", "/v1/jobs", asked)).status == 201

    serving(use)


@pytest.mark.parametrize(
    ("clients", "options", "refused"),
    [
        ([Client("anna"), Client("root", is_admin=True)], [], ["else/model"]),
        ([Client("anna", is_admin=True), Client("root", is_admin=True)], [], []),
        ([Client("anna"), Client("root", is_admin=True)], ["--hub", "*"], []),
        ([], ["--hub", "else/*"], ["black-forest-labs/FLUX.2-dev"]),
    ],
)
def test_who_may_name_what(tmp_path: Path, clients: list[Client], options: list[str], refused: list[str]) -> None:
    """Any model where each client has every right, FLUX.2's own where one has not, and otherwise what is said."""
    tokens = tmp_path / "tokens"
    if clients:
        lines = [client_line(client, token) for client, token in zip(clients, (ANNA, ROOT), strict=True)]
        tokens.write_text("\n".join(lines))
        options = [*options, "--token-file", str(tokens)]

    async def ask(url: str) -> list[str]:
        found = []
        async with ClientSession(headers={"Authorization": f"Bearer {ANNA}"}) as session:
            for model in ("else/model", "black-forest-labs/FLUX.2-dev"):
                asked = {"template": "text_to_image", "parameters": {"model": model}}
                async with session.post(f"{url}/v1/validate", json=asked) as response:
                    if not (await response.json())["is_right"]:
                        found.append(model)
        return found

    with served(tmp_path / "data", *options, LIMNER_TOKEN="") as (_, url):
        assert asyncio.run(ask(url)) == refused
