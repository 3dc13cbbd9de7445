"""What is sent of a graph: a template's name with values, or the whole graph; and its pictures, which go ahead."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from limner.client.answers import NodeList, TemplateDetail, Upload
from limner.client.http import Http
from limner.engine.document import Document
from limner.engine.errors import Fault, GraphError, InputError, LimnerError
from limner.engine.expand import GRAPH_TYPE
from limner.engine.flat import flat_document
from limner.engine.user_path import user_path
from limner.nodes._user_pictures import content_of, named_files
from limner.picture_graph import PICTURES
from limner.session import GraphLike, Session

M = TypeVar("M", bound=BaseModel)
Schema = Mapping[str, Any]
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Outgoing:
    """Makes requests of graphs. A setting whose schema says that it names pictures has those that are here uploaded."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._uploads: dict[str, str] = {}
        """By SHA-256, what the server calls a picture."""
        self._names: dict[str, str] = {}
        """By what the server calls it, what it was called here."""
        self._settings: Mapping[str, Mapping[str, Schema]] | None = None
        """By node type of the server."""

    async def request(self, graph: GraphLike, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What ``POST /v1/jobs`` takes. Raises GraphError, InputError, RemoteError."""
        if isinstance(graph, str) and is_name(graph):
            try:
                return await self._of_template(graph, values or {})
            except InputError:
                if not is_here(graph):
                    raise
        return {"graph": await self._of_graph(graph, values)}

    async def ask(
        self,
        model: type[M],
        path: str,
        graph: GraphLike,
        values: Mapping[str, Any] | None,
        more: Mapping[str, Any] = NOTHING,
        *,
        key: str | None = None,
    ) -> M:
        """What a route answers about a graph. Raises GraphError, with the names that pictures have here."""
        body = await self.request(graph, values)
        try:
            return await self._http.ask(model, "POST", path, {**body, **more}, key=key)
        except GraphError as error:
            raise GraphError(self.said_here(error.faults)) from None

    def said_here(self, faults: Iterable[Fault]) -> list[Fault]:
        """Faults of the server, with the names that pictures have here."""
        return [Fault(self._said_here(fault.message), fault.path, fault.hint) for fault in faults]

    def _said_here(self, message: str) -> str:
        return re.sub(r"uploads/[0-9a-f]{64}\.\w+", lambda found: self._names.get(found[0], found[0]), message)

    async def template(self, name: str) -> TemplateDetail:
        """A template of the server. Raises InputError where it has none."""
        return await self._http.ask(TemplateDetail, "GET", f"/v1/templates/{name}")

    async def upload(self, content: bytes) -> Upload:
        """Bring a picture."""
        return await self._http.ask(Upload, "POST", "/v1/uploads", content)

    async def _of_template(self, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        template, sent = await self.template(name), {}
        for key, value in values.items():
            schema = await self._schema(template, key) if _may_name_files(value) else {}
            sent[key] = await self._brought(value, schema, ("parameters", key))
        return {"template": name} | ({"parameters": sent} if sent else {})

    async def _schema(self, template: TemplateDetail, key: str) -> Schema:
        """The JSON schema of a parameter, or of a setting named ``node.setting``; empty where it is not known."""
        if key in template.parameters:
            return template.parameters[key]
        node_id, _, setting = key.partition(".")
        node = template.graph.get("nodes", {}).get(node_id, {})
        return (await self._known_settings()).get(node.get("type", ""), {}).get(setting, {})

    async def _of_graph(self, graph: GraphLike, values: Mapping[str, Any] | None) -> dict[str, Any]:
        document = await asyncio.to_thread(_read, graph, values)
        nodes = dict(document.nodes)
        for node_id, node in nodes.items():
            if not any(map(_may_name_files, node.settings.values())):
                continue
            schemas = (await self._known_settings()).get(node.type, {})
            settings = {
                name: await self._brought(value, schemas.get(name, {}), ("nodes", node_id, "settings", name))
                for name, value in node.settings.items()
            }
            nodes[node_id] = node.model_copy(update={"settings": settings})
        raw: dict[str, Any] = json.loads(document.model_copy(update={"nodes": nodes}).to_json())
        return raw

    async def _known_settings(self) -> Mapping[str, Mapping[str, Schema]]:
        if self._settings is None:
            found = await self._http.ask(NodeList, "GET", "/v1/nodes")
            self._settings = {node.name: node.settings for node in found.nodes}
        return self._settings

    async def _brought(self, value: Any, schema: Schema, path: tuple[str, ...]) -> Any:
        """A value of a setting whose pictures are on the server; itself where it names none that are here."""
        if schema.get("format") != "picture":
            return value
        is_list = "items" in schema or isinstance(value, (list, tuple))
        given = value.split(",") if is_list and isinstance(value, str) else value if is_list else [value]
        brought: list[Any] = []
        for one in given:
            files = _here(one)
            brought += [await self._bring(name, path) for name in files] if files else [one]
        return brought if is_list else brought[0]

    async def _bring(self, name: str, path: tuple[str, ...]) -> str:
        """What the server calls a picture of this machine. Raises GraphError where it is none."""
        try:
            content = await asyncio.to_thread(content_of, name)
            digest = hashlib.sha256(content).hexdigest()
            if digest not in self._uploads:
                self._uploads[digest] = (await self.upload(content)).file
            self._names[self._uploads[digest]] = name
            return self._uploads[digest]
        except InputError as error:
            message = error.message.replace("the upload", name)
            named = message if name in message else f"{name}: {message}"
            raise GraphError([Fault(named, path, error.hint)]) from None


def is_name(graph: str) -> bool:
    """Whether this is how templates are called, and no path.

    >>> [is_name(graph) for graph in ("text_to_image", "mine.json", "a/mine", "star.png")]
    [True, False, False, False]
    """
    return not ("/" in graph or "\\" in graph or graph.endswith(".json") or Path(graph).suffix.lower() in PICTURES)


def is_here(name: str) -> bool:
    """Whether this machine has a template, or a graph's file, of that name."""
    try:
        Session().library.path(name)
    except LimnerError:
        return False
    return True


def _read(graph: GraphLike, values: Mapping[str, Any] | None) -> Document:
    session = Session()
    beside = str(graph) if isinstance(graph, (str, Path)) else None
    return self_contained(session, session.document(graph, values), beside)


def self_contained(session: Session, document: Document, beside: str | None) -> Document:
    """A document of this machine, with the files of graphs that it takes as nodes put in. Raises GraphError."""
    graphs = [str(node.settings.get("graph", "")) for node in document.nodes.values() if node.type == GRAPH_TYPE]
    return document if all(map(is_name, graphs)) else flat_document(session.check(document, beside=beside))


def _may_name_files(value: object) -> bool:
    return isinstance(value, (str, list, tuple))


def _here(name: object) -> list[str]:
    """The files of this machine that a name, or a pattern, stands for."""
    if not isinstance(name, (str, Path)) or not str(name):
        return []
    try:
        return [one for one in named_files(str(name)) if user_path(one).is_file()]
    except InputError:
        return []
