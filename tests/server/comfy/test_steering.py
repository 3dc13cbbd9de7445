"""Ending jobs as the protocol's clients do."""

from __future__ import annotations

from typing import Any

import pytest
from queued import accept
from served import ANNA, BERT, ROOT, clients

from limner.server.comfy.kept import prompt_id


def state(api: Any, job: Any) -> tuple[str, str | None]:
    found = api.service.store.history.job(job.id)
    return found.state, found.wish


def test_the_queue_is_cleared_of_what_waits(serving: Any) -> None:
    """Everything that waits is cancelled, one job by its id; what runs goes on."""

    async def use(api: Any) -> None:
        jobs = [await accept(api, prompt_id=f"p{number}") for number in range(5)]
        api.claim()
        await api.ask("POST", "/queue", {"delete": ["p0", "p1", "unknown"]})
        assert [state(api, job)[0] for job in jobs] == ["in_progress", "cancelled", *["pending"] * 3]
        await api.ask("POST", "/api/queue", {"clear": True})
        assert [state(api, job)[0] for job in jobs] == ["in_progress", *["cancelled"] * 4]
        assert state(api, jobs[0])[1] is None

    serving(use)


def test_a_long_queue_is_cleared(serving: Any) -> None:
    """However many wait, all are cancelled, each with its last event."""

    async def use(api: Any) -> None:
        jobs = [await accept(api) for _ in range(450)]
        await api.ask("POST", "/queue", {"clear": True})
        assert api.service.store.history.counts() == {"cancelled": 450}
        assert api.service.store.history.events(jobs[-1].id)[-1].kind == "finished"

    serving(use)


@pytest.mark.parametrize("said", [{}, None, {"prompt_id": "p0"}])
def test_what_runs_is_interrupted(serving: Any, said: Any) -> None:
    """Without an id whatever runs of the client's, with one that job; an empty body is as good."""

    async def use(api: Any) -> None:
        job, waits = await accept(api, prompt_id="p0"), await accept(api, prompt_id="p1")
        api.claim()
        await api.ask("POST", "/interrupt", {"prompt_id": "p1"})
        assert state(api, waits)[0] == "pending"
        assert (await api.ask("POST", "/interrupt", said)).status == 200
        assert state(api, job) == ("in_progress", "cancel")
        assert state(api, waits) == ("pending", None)

    serving(use)


@pytest.mark.parametrize(
    "said", [{"prompt_id": {}}, {"prompt_id": 5}, {"prompt_id": ""}, {"prompt_id": None}, {"prompt_idd": "x"}]
)
def test_what_names_no_job_ends_none(serving: Any, said: Any) -> None:
    """A body that says something, but not which job, is refused; what runs goes on."""

    async def use(api: Any) -> None:
        job = await accept(api, prompt_id="p0")
        api.claim()
        assert (await api.ask("POST", "/interrupt", said)).status == 400
        assert state(api, job) == ("in_progress", None)

    serving(use)


def test_what_pythons_urllib_sends_is_taken(serving: Any) -> None:
    """JSON that is called a form is read where no browser sends it; where one does, it is refused."""

    async def use(api: Any) -> None:
        job = await accept(api)
        api.claim()
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        browser = form | {"Sec-Fetch-Site": "same-site"}
        assert (await api.ask("POST", "/interrupt", {}, headers=browser)).status == 403
        assert state(api, job)[1] is None
        assert (await api.ask("POST", "/interrupt", {}, headers=form)).status == 200
        assert state(api, job)[1] == "cancel"
        assert (await api.ask("POST", "/queue", [1])).status == 400
        assert (await api.ask("POST", "/queue", {"delete": "p"})).status == 400
        assert (await api.ask("POST", "/queue", {"delete": ["p"] * 1001})).status == 413

    serving(use)


def test_jobs_of_the_editors_list_are_cancelled(serving: Any) -> None:
    """One or several, waiting or running; the answer says whether there was anything to end."""

    async def use(api: Any) -> None:
        running, waiting, third = [await accept(api, prompt_id=name) for name in ("a", "b", "c")]
        api.claim()
        assert (await api.ask("POST", "/api/jobs/c/cancel")).json == {"cancelled": True}
        assert (await api.ask("POST", "/api/jobs/c/cancel")).json == {"cancelled": False}
        assert (await api.ask("POST", "/api/jobs/cancel", {"job_ids": ["a", "b", "x"]})).json == {"cancelled": True}
        assert (await api.ask("POST", "/jobs/x/cancel")).status == 404
        assert state(api, running) == ("in_progress", "cancel")
        assert state(api, waiting)[0] == state(api, third)[0] == "cancelled"

    serving(use)


def test_models_are_let_go(serving: Any) -> None:
    """Workers are asked to let their models go where that is what is wanted."""

    async def use(api: Any) -> None:
        await api.ask("POST", "/free", {"unload_models": False})
        assert api.crew.freed == 0
        await api.ask("POST", "/api/free", {"unload_models": True, "free_memory": True})
        assert api.crew.freed == 1

    serving(use)


def test_nobody_ends_anothers_jobs(serving: Any) -> None:
    """Another client's jobs are neither found by their id nor meant by all; an admin's clear is of its own, too."""

    async def use(api: Any) -> None:
        runs, waits = await accept(api, client="anna"), await accept(api, client="anna")
        api.claim()
        ids = [prompt_id(job.id, {}) for job in (runs, waits)]
        for token in (BERT, ROOT):
            api.token = token
            await api.ask("POST", "/queue", {"clear": True})
            await api.ask("POST", "/interrupt", {})
        api.token = BERT
        await api.ask("POST", "/queue", {"delete": ids})
        await api.ask("POST", "/interrupt", {"prompt_id": ids[0]})
        assert (await api.ask("POST", "/jobs/cancel", {"job_ids": ids})).json == {"cancelled": False}
        assert (state(api, runs), state(api, waits)) == (("in_progress", None), ("pending", None))
        api.token = ANNA
        await api.ask("POST", "/jobs/cancel", {"job_ids": ids})
        assert (state(api, runs), state(api, waits)) == (("in_progress", "cancel"), ("cancelled", None))

    serving(use, clients=clients())


def test_an_admin_means_its_own_job(serving: Any) -> None:
    """An id that another client gave to a job, even that of an admin's job, never stands for the admin's own."""

    async def use(api: Any) -> None:
        own, named = await accept(api, client="root"), await accept(api, client="root", prompt_id="mine")
        false = [await accept(api, client="anna", prompt_id=name) for name in (prompt_id(own.id, {}), "mine")]
        api.token = ROOT
        for name in (prompt_id(own.id, {}), "mine"):
            await api.ask("POST", "/queue", {"delete": [name]})
        assert [state(api, job)[0] for job in (own, named, *false)] == ["cancelled"] * 2 + ["pending"] * 2

    serving(use, clients=clients())


NASTY = [b"null", b"[]", b"3", b"{", b"{}" * 2, b"\xff", b"[" * 9999, b'{"delete": {}, "job_ids": 3}']
NASTY += [b'{"delete": [null]}', b'{"clear": "yes", "prompt_id": {}, "unload_models": []}']
NASTY += [b'{"delete": ["\\u0000"], "job_ids": ["\\ud800"]}']


@pytest.mark.parametrize("body", NASTY)
@pytest.mark.parametrize("path", ["/queue", "/history", "/interrupt", "/free", "/jobs/cancel", "/api/jobs/%00/cancel"])
def test_nonsense_changes_nothing(serving: Any, path: str, body: bytes) -> None:
    """Whatever is sent, it is refused or means nothing: never an error of the server's, never the end of a job."""

    async def use(api: Any) -> None:
        job = await accept(api)
        answer = await api.ask("POST", path, data=body, headers={"Content-Type": "application/json"})
        assert answer.status < 500
        assert state(api, job) == ("pending", None)
        assert api.crew.freed == 0

    serving(use)
