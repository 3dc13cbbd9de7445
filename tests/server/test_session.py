"""Logging in on the page, and its files."""

from __future__ import annotations

from typing import Any

from served import ANNA, clients

from limner.server.editor.package import editor_folder

HAS_EDITOR = editor_folder() is not None
TOKEN = {"token": ANNA}


def test_a_cookie_counts_for_our_own_page_only(serving: Any) -> None:
    """A token that was shown once is kept in a cookie that no script reads; pages of others gain nothing by it."""

    async def use(api: Any) -> None:
        assert (await api.ask("GET", "/v1/session")).status == 401
        answer = await api.ask("POST", "/v1/session", TOKEN)
        assert answer.json == {"client": "anna", "is_admin": False, "has_token": True, "has_editor": HAS_EDITOR}
        cookie = answer.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert ANNA not in cookie
        assert "Secure" not in cookie
        sent = {"Cookie": cookie.partition(";")[0]}
        assert (await api.ask("GET", "/v1/session", headers=sent)).json["client"] == "anna"
        assert (await api.ask("GET", "/v1/jobs", headers=sent | {"Sec-Fetch-Site": "same-origin"})).status == 200
        for site in ("cross-site", "same-site"):  # another port of this machine is the same site
            assert (await api.ask("GET", "/v1/jobs", headers=sent | {"Sec-Fetch-Site": site})).status == 401
        evil = {"Origin": "https://evil.test"}
        for path in ("/v1/session", "/v1/queue/pause", "/v1/session/end"):
            assert (await api.ask("POST", path, TOKEN, headers=sent | evil)).status == 403
        assert (
            (await api.ask("POST", "/v1/session/end", headers=sent))
            .headers["Set-Cookie"]
            .startswith(sent["Cookie"].partition("=")[0] + '="";')
        )

    serving(use, clients=clients())


def test_wrong_tokens_and_cookies(serving: Any) -> None:
    """A wrong token is refused and gets no cookie; a cookie that is none is no token."""

    async def use(api: Any) -> None:
        api.session.cookie_jar.clear()
        answer = await api.ask("POST", "/v1/session", {"token": "wrong"})
        assert (answer.status, "Set-Cookie" in answer.headers) == (401, False)
        assert (await api.ask("POST", "/v1/session", {})).faults == ["body.token"]
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await api.ask("POST", "/v1/session", data=b"token=1", headers=form)).status == 415
        good = (await api.ask("POST", "/v1/session", TOKEN)).headers["Set-Cookie"].partition("=")[0]
        api.session.cookie_jar.clear()
        for value in ("", "%%%", "é", "AAAA", "Zg==", '"' * 9, "/" * 5000):
            headers = {"Cookie": f"{good}={value}"}
            assert (await api.ask("GET", "/v1/jobs", headers=headers)).status == 401, value

    serving(use, clients=clients())


def test_without_tokens_there_is_no_cookie(serving: Any) -> None:
    async def use(api: Any) -> None:
        answer = await api.ask("POST", "/v1/session", TOKEN)
        assert answer.json == {"client": "local", "is_admin": True, "has_token": False, "has_editor": HAS_EDITOR}
        assert "Set-Cookie" not in answer.headers

    serving(use)


def test_over_https_the_cookie_stays_there(serving: Any) -> None:
    """Where our page came by HTTPS, through a server in front of ours, the cookie is never sent without it."""

    async def use(api: Any) -> None:
        origin = {"Origin": api.url.replace("http:", "https:")}
        assert "Secure" in (await api.ask("POST", "/v1/session", TOKEN, headers=origin)).headers["Set-Cookie"]

    serving(use, clients=clients())


def test_the_page_needs_no_token_and_asks_nobody_else(serving: Any) -> None:
    """Its files are sent to anybody, with the rule that nothing comes from elsewhere; no other file is."""

    async def use(api: Any) -> None:
        page = await api.ask("GET", "/run")
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert page.headers["Content-Security-Policy"].startswith("default-src 'self'; ")
        assert "unsafe" not in page.headers["Content-Security-Policy"]
        assert b"http" not in page.body.replace(b"http-equiv", b"")
        same = await api.ask("GET", "/run", headers={"If-None-Match": page.headers["ETag"]})
        assert (same.status, same.body) == (304, b"")
        script = await api.ask("GET", "/page/main.js")
        assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
        for path in ("/page/", "/page/nothing.js", "/page/..%2fguard.py", "/page/%2e%2e/guard.py", "/page/.hidden"):
            assert (await api.ask("GET", path)).status in (401, 404), path
        assert (await api.ask("POST", "/run", {})).status == 405

    serving(use, clients=clients())
