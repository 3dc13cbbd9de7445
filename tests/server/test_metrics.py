"""What Prometheus is told."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from served import Api

from limner.engine import events as ev
from limner.server.jobs.tally import Tally


def told(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """The samples by name and by the values of their labels."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram"), family
        for one in family.samples:
            found.setdefault(one.name, {})[tuple(one.labels.values())] = one.value
    return found


def a_tally() -> dict[str, Any]:
    tally = Tally(0.2)
    stream = ev.EventStream()
    reader = stream.reader()
    stream.emit(ev.NodeCached, "load", "key")
    for node, kind in (("a", "Denoise"), ("b", "Denoise"), ("c", "SaveImage")):
        stream.emit(ev.NodeStarted, node, kind, "cpu")
    stream.emit(ev.ModelLoaded, "a", "tiny", "cuda:0", 10, 2.5)
    stream.emit(ev.NodeFinished, "a", 1.5)
    stream.emit(ev.NodeFinished, "b", 0.25)
    stream.emit(ev.NodeFailed, "c", "as told")
    stream.close()
    for event in reader:
        tally.note(event)
    tally.end = "failed"
    return {"kind": "tally", **tally.as_data()}


def test_metrics_are_as_prometheus_reads_them(serving) -> None:  # type: ignore[no-untyped-def]  # a fixture
    """Its own parser reads the page; requests, jobs, what workers counted and what models take are in it."""

    async def use(api: Api) -> None:
        await api.submit()
        await api.submit()
        api.finish(api.claim())
        await api.ask("GET", "/nothing")
        for worker in ("w-1", "w-2"):
            models = [{"model": "tiny", "device": "cuda:0", "size_bytes": 10, "budget_bytes": 100}]
            api.service.hear(worker, {"kind": "models", "models": models}, b"")
            api.service.hear(worker, a_tally(), b"")
        api.service.hear("w-1", {"kind": "death"}, b"")
        found = told((await api.ask("GET", "/metrics")).body.decode())
        assert found["limner_requests_total"]["POST", "/v1/jobs", "201"] == 2
        assert found["limner_requests_total"]["GET", "other", "404"] == 1
        assert found["limner_jobs"]["pending",] == found["limner_jobs"]["completed",] == 1
        assert found["limner_queue_oldest_seconds"][()] > 0
        assert found["limner_queue_wait_seconds_bucket"]["0.3",] == found["limner_queue_wait_seconds_count"][()] == 2
        assert found["limner_job_attempts_total"] == {("failed",): 2}
        assert found["limner_node_runs_total"] == {("Denoise",): 4}
        assert found["limner_node_seconds_total"] == {("Denoise",): 3.5}
        assert found["limner_node_failures_total"] == {("SaveImage",): 2}
        assert found["limner_cache_hits_total"][()] == 2
        assert found["limner_model_loads_total"] == {("cuda:0",): 2}
        assert found["limner_model_load_seconds_total"] == {("cuda:0",): 5}
        assert found["limner_model_memory_bytes"] == {("cuda:0",): 20}
        assert found["limner_model_memory_budget_bytes"] == {("cuda:0",): 100}
        assert found["limner_worker_deaths_total"][()] == 1
        assert found["limner_followers"][()] == found["limner_queue_paused"][()] == 0

    serving(use)


def test_dropped_previews_are_counted(serving) -> None:  # type: ignore[no-untyped-def]  # a fixture
    """A preview that a later one replaced before its client took it is counted; a step is not."""

    async def use(api: Api) -> None:
        from limner.server.clients import LOCAL
        from limner.server.follower import Follower

        job, feed = await api.submit(), api.service.feed
        follower = Follower(LOCAL)
        with feed.joined(follower):
            await feed.follow(follower, job, 0)
            for step in (1, 2, 3):
                for kind in ("step", "preview"):
                    said = {"kind": kind, "job": job, "node": "denoise", "step": step, "total": 3}
                    api.service.hear("w-1", said, b"a picture" if kind == "preview" else b"")
        found = told((await api.ask("GET", "/metrics")).body.decode())
        assert found["limner_previews_dropped_total"][()] == 2

    serving(use)
