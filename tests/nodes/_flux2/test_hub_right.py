"""What graphs may name on the hub, where somebody says so."""

from __future__ import annotations

import pytest

from limner.engine.errors import InputError
from limner.engine.node import Node
from limner.nodes._flux2.catalog import _FOLDERS
from limner.nodes._flux2.hub_right import FLUX2, HUB_ENV, allow_hub, read_patterns, refuse_unlisted
from limner.nodes.apply_lora import ApplyLoRA
from limner.nodes.comfy.model_files import KNOWN
from limner.nodes.load_model import LoadModel
from limner.nodes.load_transformer import LoadTransformer
from limner.nodes.load_vae import LoadVAE


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HUB_ENV, "")  # so that what is set next is taken back
    monkeypatch.delenv(HUB_ENV)


@pytest.mark.parametrize(
    "node",
    [
        LoadModel(source="else/model"),
        ApplyLoRA(path="else/model"),
        ApplyLoRA(path="else/model/lora.safetensors"),
        LoadTransformer(file="else/model/dit.gguf", base="tiny"),
        LoadTransformer(file="team/model/dit.safetensors", base="else/model"),
        LoadVAE(file="else/model/vae.safetensors", base="tiny"),
    ],
)
def test_what_is_not_listed_is_a_fault(node: Node) -> None:
    """Every node that names the hub says of what it may not have that it may not, where the graph is checked."""
    assert not [message for _, message in node.problems() if "may not be had" in message]
    allow_hub(["team/*"])
    (message,) = [message for _, message in node.problems() if "may not be had" in message]
    assert "else/model may not be had from the hub: only team/* may" in message
    assert "limner serve --hub else/model" in message


def test_it_holds_where_a_wire_brings_the_name() -> None:
    """What only the run knows is refused when it runs, before anything is asked of the hub."""
    allow_hub([])
    with pytest.raises(InputError, match="nothing may"):
        LoadModel(source="black-forest-labs/FLUX.2-dev").fingerprint()
    assert LoadModel(source="tiny").fingerprint()


def test_patterns() -> None:
    """A pattern is of owner and name, however they are written; the hub does not tell cases apart either."""
    allow_hub(read_patterns(["black-forest-labs/FLUX.2-*", "Team/one"]))
    refuse_unlisted("Black-Forest-Labs/flux.2-dev")
    refuse_unlisted("team/One")
    for repo in ("black-forest-labs/FLUX.1-dev", "team/one-more", "x/team/one"):
        with pytest.raises(InputError):
            refuse_unlisted(repo)
    allow_hub(read_patterns(["*"]))
    refuse_unlisted("else/model")
    assert read_patterns(["none"]) == ()
    for wrong in ("none-such", "a/b/c", "a/b,c/d", "", "/"):
        with pytest.raises(InputError, match="is no hub id"):
            read_patterns([wrong])
    with pytest.raises(InputError):
        read_patterns(["none", "a/b"])


def test_flux2_is_what_is_known_by_name() -> None:
    """What clients without every right may name has all that is planned without a download, and ComfyUI's files."""
    allow_hub(FLUX2)
    for repo in _FOLDERS:
        refuse_unlisted(repo)
    for places in KNOWN.values():
        for place in places.values():
            for name in filter(None, (place.source, place.file)):
                refuse_unlisted("/".join(name.split("/")[:2]))
