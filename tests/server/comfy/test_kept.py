"""What is kept with a job that came by the protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest

from limner.server.comfy.kept import MAX_LABEL, Kept, prompt_id


def test_what_is_kept_comes_back() -> None:
    """Notes give back what was kept, through JSON too; notes of another way of handing in give nothing."""
    kept = Kept({"1": {"class_type": "A", "inputs": {}}}, ["1"], -3, {"extra_pnginfo": {"workflow": {}}}, "c", "p")
    assert Kept.of(json.loads(json.dumps(kept.notes))) == kept
    assert Kept.of({"template": "text_to_image"}) is None


def test_labels_are_what_a_job_is_found_by() -> None:
    """The ids that a client gave are labels, none is empty, and a long one is cut."""
    kept = Kept(client_id="c", prompt_id="p" * 500, extra_data={"extra_pnginfo": {"workflow": {"id": "w"}}})
    assert kept.labels == {"client": "c", "prompt": "p" * MAX_LABEL, "workflow": "w"}
    assert Kept().labels == {}
    assert Kept(extra_data={"preview_method": "auto"}).labels == {"previews": "auto"}
    assert Kept(extra_data={"preview_method": "none"}).labels == {}


@pytest.mark.parametrize("extra", [{}, {"extra_pnginfo": None}, {"extra_pnginfo": {"workflow": {"id": 3}}}])
def test_a_workflow_without_an_id_has_none(extra: dict[str, Any]) -> None:
    """Whatever stands where the editor's workflow would be, there is no id unless it is a text."""
    assert Kept(extra_data=extra).workflow_id is None


def test_a_job_is_known_by_its_clients_id_or_its_own() -> None:
    """A client's id is told to it again; without one the job's own id is told, as the UUID that it is."""
    assert prompt_id("0" * 32, {"prompt": "mine"}) == "mine"
    assert prompt_id("0" * 32, {}) == "00000000-0000-0000-0000-000000000000"
