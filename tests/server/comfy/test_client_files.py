"""The files that a client keeps."""

from __future__ import annotations

import asyncio
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served import ANNA, BERT, clients

from limner.server.clients import LOCAL, Client
from limner.server.comfy import own_files

TEXT = {"Content-Type": "text/plain;charset=UTF-8"}  # what a browser calls a string


def at(name: str, more: str = "") -> str:
    return f"/api/userdata/{quote(name, safe='')}{more}"


async def write(api: Any, name: str, content: bytes = b"{}", query: str = "") -> Any:
    return await api.ask("POST", at(name, query), data=BytesIO(content), headers=TEXT)


def test_files_are_kept_listed_moved_and_forgotten(serving: Any) -> None:
    """A workflow as the editor keeps it, from its first save to its end."""

    async def use(api: Any) -> None:
        assert (await api.ask("GET", "/api/userdata?dir=workflows")).json == []
        answer = await write(api, "workflows/day one.json", b'{"a": 1}', "?overwrite=false&full_info=true")
        assert (answer.json["path"], answer.json["size"]) == ("workflows/day one.json", 8)
        assert (await write(api, "workflows/deep/b.json")).json == "workflows/deep/b.json"
        assert (await write(api, "workflows/.index.json")).status == 200
        listed = "/userdata?dir=workflows&recurse=true"
        assert (await api.ask("GET", listed)).json == [".index.json", "day one.json", "deep/b.json"]
        split = (await api.ask("GET", f"{listed}&split=true")).json
        assert split[2] == ["deep/b.json", "deep", "b.json"]
        full = (await api.ask("GET", f"{listed}&full_info=true")).json
        assert [(one["path"], one["size"]) for one in full][1] == ("day one.json", 8)
        assert full[0]["modified"] > 1e12
        content = await api.ask("GET", at("workflows/day one.json"))
        assert (content.json, content.headers["Content-Type"]) == ({"a": 1}, "application/json")
        moved = await api.ask("POST", at("workflows/day one.json", f"/move/{quote('workflows/c.json', safe='')}"))
        assert moved.json == "workflows/c.json"
        assert (await api.ask("DELETE", at("workflows/c.json"))).status == 204
        assert (await api.ask("GET", at("workflows/c.json"))).status == 404
        entries = (await api.ask("GET", "/v2/userdata?path=workflows")).json
        assert [(one["name"], one["type"]) for one in entries] == [(".index.json", "file"), ("deep", "directory")]
        assert (await api.ask("GET", "/v2/userdata")).json[0]["path"] == "workflows"

    serving(use)


def test_a_file_is_replaced_only_where_that_was_said(serving: Any) -> None:
    """By writing and by moving; a folder never is, and no file becomes a folder."""

    async def use(api: Any) -> None:
        assert (await write(api, "a/b.json", b"1")).status == 200
        assert (await write(api, "a/b.json", b"2", "?overwrite=false")).status == 409
        assert (await write(api, "c.json", b"3")).status == 200
        move = f"/move/{quote('a/b.json', safe='')}"
        assert (await api.ask("POST", at("c.json", move + "?overwrite=false"))).status == 409
        assert (await write(api, "a")).status == 409
        assert (await write(api, "c.json/d")).status == 409
        assert (await api.ask("POST", at("c.json", f"/move/{quote('a/b.json/x', safe='')}"))).status == 409
        assert (await api.ask("POST", at("c.json", "/move/a"))).status == 409
        assert (await api.ask("DELETE", at("a"))).status == 404
        assert (await api.ask("GET", at("a/b.json"))).body == b"1"
        assert (await write(api, "a/b.json", b"2")).status == 200
        assert (await api.ask("GET", at("a/b.json"))).body == b"2"

    serving(use)


def test_folders_go_with_their_last_file(serving: Any) -> None:
    """Nothing is left of a file that was deleted or moved, however deep it was; so folders are as few as files."""

    async def use(api: Any) -> None:
        folder = api.service.comfy.files(LOCAL).folder
        assert (await write(api, "a/b/c/d.json")).status == 200
        assert (await write(api, "a/e.json")).status == 200
        for number in range(3):
            source = "a/b/c/d.json" if number == 0 else f"{number - 1}/x/y"
            assert (await api.ask("POST", at(source, f"/move/{quote(f'{number}/x/y', safe='')}"))).status == 200
        found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
        assert found == ["2", "2/x", "2/x/y", "a", "a/e.json"]
        assert (await api.ask("DELETE", at("2/x/y"))).status == 204
        assert (await api.ask("DELETE", at("a/e.json"))).status == 204
        assert list(folder.iterdir()) == []

    serving(use)


OUT = [
    "../x.json",
    "a/../../x.json",
    "..",
    ".",
    "/etc/passwd",
    "a//b",
    "..\\x.json",
    "a\\b",
    "C:/x",
    "a\x00b",
    "a\nb",
    "\\\\host\\share",
    "a/./b",
    "%2e%2e/x",
    "x" * 300,
    "a" * 390 + "/b" * 100,
]


@pytest.mark.parametrize("name", OUT)
def test_no_name_leads_out(serving: Any, name: str, tmp_path: Path) -> None:
    """Whatever the system would make of it: refused in every route, and nothing is written."""

    async def use(api: Any) -> None:
        before = sorted(tmp_path.rglob("*"))
        assert (await write(api, "kept.json")).status == 200
        if name == "%2e%2e/x":
            answer = await api.ask("GET", "/userdata/%2e%2e%2fx")  # as it is in the address
            assert answer.status in (403, 404)
            return
        for answer in (
            await write(api, name),
            await api.ask("GET", at(name)),
            await api.ask("DELETE", at(name)),
            await api.ask("POST", at(name, "/move/y.json")),
            await api.ask("POST", at("kept.json", f"/move/{quote(name, safe='')}")),
            await api.ask("GET", f"/userdata?dir={quote(name, safe='')}"),
            await api.ask("GET", f"/v2/userdata?path={quote(name, safe='')}"),
        ):
            assert answer.status in (400, 403, 404), answer.body
        own = tmp_path / "data" / "comfy"
        assert [path for path in sorted(tmp_path.rglob("*")) if path not in before and own not in path.parents] == [own]

    serving(use)


def test_a_link_leads_nowhere(serving: Any, tmp_path: Path) -> None:
    """A link in the folder that leads out of it is not followed, and not listed."""
    (tmp_path / "secret").write_text("secret")

    async def use(api: Any) -> None:
        assert (await write(api, "w/a.json")).status == 200
        folder = api.service.comfy.files(LOCAL).folder
        (folder / "w" / "link.json").symlink_to(tmp_path / "secret")
        (folder / "out").symlink_to(tmp_path)
        assert (await api.ask("GET", at("w/link.json"))).status == 403
        assert (await api.ask("GET", at("out/secret"))).status == 403
        assert (await write(api, "out/new")).status == 403
        assert (await api.ask("GET", "/userdata?dir=out")).status == 403
        assert (await api.ask("GET", "/userdata?dir=w")).json == ["a.json"]
        assert not (tmp_path / "new").exists()

    serving(use)


def test_what_is_read_never_runs(serving: Any) -> None:
    """A page that was kept is only ever saved."""

    async def use(api: Any) -> None:
        assert (await write(api, "x.html", b"<script>alert(1)</script>")).status == 200
        headers = (await api.ask("GET", at("x.html"))).headers
        assert headers["Content-Disposition"] == "attachment"
        assert headers["Content-Type"] == "application/octet-stream"
        assert "sandbox" in headers["Content-Security-Policy"]

    serving(use)


def test_each_client_has_its_own(serving: Any) -> None:
    """Files and settings of one are not those of another, also where a client is called as a way out."""

    async def use(api: Any) -> None:
        api.token = ANNA
        assert (await write(api, "a.json")).status == 200
        assert (await api.ask("POST", "/settings/x", 1)).status == 200
        api.token = BERT
        assert (await api.ask("GET", at("a.json"))).status == 404
        assert (await api.ask("GET", "/settings/x")).json is None
        odd = api.service.comfy.files(Client("..")).folder
        assert odd.parent.parent == api.service.comfy.files(Client("anna")).folder.parent.parent

    serving(use, clients=clients(), is_local=False)


def test_room_is_limited(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one file, of all, and in number; a page of others can write nothing."""
    monkeypatch.setattr(own_files, "MAX_FILES", 2)

    async def use(api: Any) -> None:
        assert (await write(api, "a", b"x" * (own_files.MAX_FILE_BYTES + 1))).status == 413
        assert (await write(api, "a")).status == 200
        assert (await write(api, "b")).status == 200
        assert (await write(api, "c")).status == 507
        assert (await write(api, "a", b"other")).status == 200
        cross = {"Sec-Fetch-Site": "cross-site"}
        assert (await api.ask("POST", at("a"), data=b"{}", headers=cross)).status == 403
        assert (await api.ask("POST", at("a", "/move/b"), headers=cross)).status == 403

    serving(use)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.lists(
    st.sampled_from(["..", ".", "a", "b.json", "", "~", "con", "a b", "é", "\x00", "\\", "*"]), max_size=5
).map("/".join)


def test_no_name_is_a_500(serving: Any, tmp_path: Path) -> None:
    """Whatever a file is called, and whatever is in it."""

    async def use(api: Any) -> None:
        loop = asyncio.get_running_loop()
        before = {path.name for path in (tmp_path / "data").iterdir()}

        async def ask(name: str, to: str, content: bytes) -> None:
            for answer in (
                await write(api, name, content),
                await api.ask("GET", at(name)),
                await api.ask("POST", at(name, f"/move/{quote(to, safe='')}")),
                await api.ask("GET", f"/userdata?dir={quote(name, safe='')}"),
                await api.ask("DELETE", at(to)),
            ):
                assert answer.status < 500 or answer.status == 507, answer.body

        @settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(NAMES, NAMES, st.binary(max_size=20))
        def fuzz(name: str, to: str, content: bytes) -> None:
            asyncio.run_coroutine_threadsafe(ask(name, to, content), loop).result(30)

        await asyncio.to_thread(fuzz)
        assert {path.name for path in (tmp_path / "data").iterdir()} == {*before, "comfy"}

    serving(use)
