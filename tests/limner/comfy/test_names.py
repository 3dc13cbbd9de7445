"""Names of node types, and ids of nodes, in the protocol and in documents."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.comfy.names import ClassNames, client_id, document_id
from limner.engine.context import Context
from limner.engine.document import Document, NodeDocument
from limner.engine.errors import GraphError
from limner.engine.node import Node
from limner.engine.registry import Registry
from limner.nodes import VAEDecode


class ComfyVAEDecode(Node):
    """The thin node of the same name in ComfyUI."""

    category: ClassVar[str] = "comfyui"

    def run(self, ctx: Context) -> int:
        return 1


class ComfySwitchNode(ComfyVAEDecode):
    """Of ours, but for the category: its name alone makes no thin node."""

    category: ClassVar[str] = "other"


class ComfyComfySwitchNode(ComfyVAEDecode):
    """The thin node of a class that is called Comfy itself."""


class LimnerVAEDecode(ComfySwitchNode):
    """Of somebody who took the name that ours would have had."""


def test_a_thin_node_has_the_name_that_clients_know() -> None:
    """The protocol's name leads to the thin node, and ours is told apart by Limner in front."""
    names = ClassNames.of(Registry([VAEDecode, ComfyVAEDecode]))
    assert names.types == {"VAEDecode": "ComfyVAEDecode", "LimnerVAEDecode": "VAEDecode"}
    assert names.classes == {"ComfyVAEDecode": "VAEDecode", "VAEDecode": "LimnerVAEDecode"}


def test_a_node_that_no_thin_one_stands_beside_keeps_its_name() -> None:
    """Limner in front comes only where it must."""
    assert ClassNames.of(Registry([VAEDecode])).types == {"VAEDecode": "VAEDecode"}


def test_every_type_has_a_name_of_its_own() -> None:
    """Whatever nodes are called, no two of them are the same class of the protocol."""
    registry = Registry([VAEDecode, ComfyVAEDecode, LimnerVAEDecode, ComfySwitchNode, ComfyComfySwitchNode])
    names = ClassNames.of(registry)
    assert {names.types[names.classes[name]] for name in registry} == set(registry)
    assert names.types["ComfySwitchNode"] == "ComfyComfySwitchNode"


@pytest.mark.parametrize(
    ("client", "document"),
    [
        ("12", "12"),
        ("load_model", "load_model"),
        ("12:3", "12-x3a-3"),
        ("12:3:7", "12-x3a-3-x3a-7"),
        ("größe", "größe"),
        ("a b", "a-x20-b"),
        ("", "-x-"),
        ("12-x3a-3", "12-x2d-x3a-x2d-3"),
        ("123e4567-e89b-12d3", "123e4567-e89b-12d3"),
    ],
)
def test_an_id_stays_as_it_is_where_it_can(client: str, document: str) -> None:
    """An id that a document can hold is the same there; others are spelled so that people still see them."""
    assert document_id(client) == document
    assert client_id(document) == client


def _is_document_id(text: str) -> bool:
    try:
        Document(nodes={text: NodeDocument(type="Text")})
    except ValueError:
        return False
    return True


PARTS = st.sampled_from(["-", "x", "-x", "-x3a-", "-x2d-", "-x-", ":", "12", "é", " ", "\ud800", "-xffffff-", "-x3A-"])
IDS = st.lists(PARTS, max_size=12).map("".join) | st.text(max_size=20)


@given(IDS)
def test_no_client_loses_its_ids(client: str) -> None:
    """Every text becomes an id that documents take, and comes back as it was."""
    document = document_id(client)
    Document(nodes={document: NodeDocument(type="Text")})
    assert client_id(document) == client


@given(st.from_regex(r"[\w-]{1,30}", fullmatch=True).filter(_is_document_id))
def test_no_document_loses_its_ids(document: str) -> None:
    """A document's ids come back as they were after a client had them."""
    assert document_id(client_id(document)) == document


@pytest.mark.parametrize("client", ["a" * 201, ":" * 100, "-x3a-" * 1_000_000], ids=["plain", "spelled", "huge"])
def test_an_id_without_end_is_refused(client: str) -> None:
    """What would be too long for a document is a fault of the graph, said in few words."""
    with pytest.raises(GraphError, match="too long") as caught:
        document_id(client)
    assert len(str(caught.value)) < 200
