"""Whatever is sent, the answer is in the form that is described, and never a 500; what is accepted can be run."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from test_serve import served

from limner.graphs.library import GraphLibrary
from limner.session import Session

EXAMPLES = 10
"""For each operation, of right requests and of wrong ones; CI has the time of a coffee."""


def test_the_api_is_as_it_is_described(tmp_path: Path) -> None:
    """Requests made from the description, right and wrong ones, are answered as it says, and never with a 500."""
    schemathesis = pytest.importorskip("schemathesis", reason="it makes requests from the description")
    from schemathesis.checks import CHECKS, load_all_checks

    load_all_checks()
    # that a graph is right, or a body a picture, no schema can say
    semantic = [check for check in CHECKS.get_all() if check.__name__ == "positive_data_acceptance"]
    assert semantic
    quick = settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    with served(tmp_path, "--workers", "0") as (process, url):
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        for operation in [result.ok() for result in schema.get_all_operations()]:
            for mode in schemathesis.GenerationMode:

                @quick
                @given(case=operation.as_strategy(generation_mode=mode))
                def check(case: Any) -> None:
                    case.call_and_validate(timeout=60, excluded_checks=semantic)

                try:
                    check()
                except Unsatisfiable:  # what takes nothing cannot be asked wrongly
                    assert mode.value == "negative", operation.label
        assert process.poll() is None


NASTY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["../x.png", "/etc/passwd", "a\0b", "model.source", "Graph", "text_to_image", "tiny", ""]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)


@st.composite
def graphs(draw: Any) -> Any:
    """A template's graph with some of its parts replaced, taken away or doubled."""
    library = GraphLibrary()
    graph = json.loads(library.path(draw(st.sampled_from(library.names()))).read_text())
    for _ in range(draw(st.integers(1, 3))):
        place, part = graph, graph
        while isinstance(part, (dict, list)) and part:
            place = part
            key: Any = draw(st.sampled_from(list(part) if isinstance(part, dict) else range(len(part))))
            part = part[key]
            if draw(st.booleans()):
                break
        if isinstance(place, (dict, list)) and place:
            if draw(st.booleans()):
                place[key] = draw(NASTY)
            else:
                del place[key]
    return graph


def test_graphs_that_are_nearly_right(serving: Any) -> None:
    """A graph with parts replaced is refused in words or accepted; one that is accepted is right for a worker too."""
    statuses: set[int] = set()

    async def use(api: Any) -> None:
        loop = asyncio.get_running_loop()

        @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(graph=graphs())
        def check(graph: Any) -> None:
            asked = api.ask("POST", "/v1/jobs", {"graph": graph})
            answer = asyncio.run_coroutine_threadsafe(asked, loop).result(60)
            assert answer.status in (201, 400, 413, 422), answer.body
            statuses.add(answer.status)
            if answer.status == 201:
                Session().check(json.loads(api.service.store.history.graph(answer.json["id"])))

        await asyncio.to_thread(check)

    serving(use)
    assert {201, 422} <= statuses
