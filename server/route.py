"""A route is a function: what it takes and gives is read from its signature, once, for aiohttp and for OpenAPI."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from pydantic import BaseModel

from limner.server.body import read_body, read_model, read_strings
from limner.server.clients import Client
from limner.server.problem import Refused

if TYPE_CHECKING:
    from limner.server.service import Service

Run = Callable[..., Awaitable[Any]]

PATTERNS: Final[Mapping[str, str]] = {
    "job_id": "[0-9a-f]{32}",
    "sha256": "[0-9a-f]{64}",
    "prompt_id": r"[^/]{1,1000}",
    "template": r"[^/\s]{1,200}",
    "type_name": r"\w{1,200}",
    "class_name": r"[^/]{1,200}",
    "setting_id": r"[^/]{1,200}",
    "folder": r"[^/]{1,200}",
    "user_file": r"[^/]{1,1000}",
    "destination": r"[^/]{1,1000}",
}
"""What may stand in a path, by the name of the argument."""


@dataclass(frozen=True)
class Route:
    """One method of one path. ``run`` is called with what its parameters name:

    ``service``; ``client`` (who asks); ``request``; ``query``, ``headers`` and ``body``, each a pydantic model; and the
    names in the path, which are texts. It gives a pydantic model, None for no content, or a whole response, annotated
    with the model that it holds.
    """

    method: str
    path: str
    run: Run
    status: HTTPStatus
    produces: Mapping[HTTPStatus, str]
    """Of what is no JSON: the media type of each status."""
    also: Mapping[HTTPStatus, type[BaseModel]]
    """What comes as JSON with other statuses."""
    refusals: Sequence[HTTPStatus]
    needs_admin: bool
    takes: str | None
    """The media type of a body that is no JSON; ``run`` reads it from the request."""
    hints: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What OpenAPI calls it."""
        return self.run.__name__

    @property
    def path_names(self) -> list[str]:
        """The arguments that the path holds."""
        return re.findall(r"{(\w+)}", self.path)

    @property
    def answer(self) -> type[BaseModel] | None:
        """What comes back as JSON."""
        return _model(self.hints.get("return"))

    def model(self, part: str) -> type[BaseModel] | None:
        """What ``query``, ``headers`` or ``body`` must be like."""
        return _model(self.hints.get(part))

    @property
    def aiohttp_path(self) -> str:
        """The path with its patterns."""
        return re.sub(r"{(\w+)}", lambda found: f"{{{found[1]}:{PATTERNS[found[1]]}}}", self.path)

    async def handle(self, service: Service, client: Client, request: web.Request) -> web.StreamResponse:
        """Answer a request. Raises Refused and LimnerError."""
        if self.needs_admin and not client.is_admin:
            raise Refused(HTTPStatus.FORBIDDEN, "this needs the right admin")
        known = {"service": service, "client": client, "request": request} | dict(request.match_info)
        arguments = {name: known[name] for name in self.hints if name in known}
        if (model := self.model("query")) is not None:
            arguments["query"] = read_strings(model, list(request.query.items()), "query")
        if (model := self.model("headers")) is not None:
            arguments["headers"] = read_strings(model, _headers(model, request), "headers")
        if (model := self.model("body")) is not None:
            arguments["body"] = read_model(model, await read_body(service, request))
        elif request.method == "POST" and self.takes is None:
            await read_body(service, request)  # which refuses what a page of others could send
        return _response(await self.run(**arguments), self.status)


class Routes(list[Route]):
    """The routes of one module, in order."""

    def add(
        self,
        method: str,
        path: str,
        *,
        status: HTTPStatus = HTTPStatus.OK,
        produces: Mapping[HTTPStatus, str] | None = None,
        also: Mapping[HTTPStatus, type[BaseModel]] | None = None,
        refusals: Sequence[HTTPStatus] = (),
        needs_admin: bool = False,
        takes: str | None = None,
    ) -> Callable[[Run], Run]:
        """Make a function a route. ``refusals`` are the statuses of problems that are its own."""

        def put(run: Run) -> Run:
            names = inspect.signature(run).parameters
            hints = typing.get_type_hints(run, include_extras=True)
            known = {name: hint for name, hint in hints.items() if name in (*names, "return")}
            self.append(
                Route(method, path, run, status, produces or {}, also or {}, refusals, needs_admin, takes, known)
            )
            return run

        return put


def json_response(answer: BaseModel, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> web.Response:
    """A model as JSON; what is None is left out."""
    text = answer.model_dump_json(exclude_none=True, by_alias=True)
    return web.Response(text=text, status=status, content_type="application/json", headers=headers)


def _response(given: Any, status: HTTPStatus) -> web.StreamResponse:
    if isinstance(given, web.StreamResponse):
        return given
    if given is None:
        return web.Response(status=HTTPStatus.NO_CONTENT)
    return json_response(given, status)


def _model(hint: Any) -> type[BaseModel] | None:
    kinds = (hint, *getattr(hint, "__metadata__", ()))  # those of Annotated, where a whole response is given
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _headers(model: type[BaseModel], request: web.Request) -> list[tuple[str, str]]:
    names = [field.alias or name for name, field in model.model_fields.items()]
    return [(name, value) for name in names for value in request.headers.getall(name, [])]
