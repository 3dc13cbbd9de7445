"""Handing in a prompt, and how many wait."""

from __future__ import annotations

import json
from http import HTTPStatus

from aiohttp import web

from limner.engine.errors import GraphError
from limner.server.body import read_model
from limner.server.clients import Client
from limner.server.comfy.hub import HUB
from limner.server.comfy.said import ANYTHING, read_json_said
from limner.server.comfy.submit import PromptRefused, PromptRequest, of_request, refused, submit
from limner.server.problem import Refused, answer_to
from limner.server.request_log import REQUEST_ID
from limner.server.route import Routes
from limner.server.service import Service

routes = Routes()


@routes.add("GET", "/prompt")
async def get_prompt(client: Client, request: web.Request) -> web.StreamResponse:
    """How many jobs wait or run."""
    return web.json_response({"exec_info": {"queue_remaining": await request.app[HUB].waiting(client)}})


@routes.add("POST", "/prompt", takes=ANYTHING)
async def post_prompt(service: Service, client: Client, request: web.Request) -> web.StreamResponse:
    """Check a prompt and queue it. All that is wrong is said at once, each at its node and input."""
    try:
        return web.json_response(await submit(service, client, await _read(service, request)))
    except PromptRefused as error:
        return web.json_response(error.answer, status=error.status)
    except Exception as error:  # also of a full disk clients read in this form alone
        return _in_form(answer_to(error, request[REQUEST_ID]))


def _in_form(answer: web.Response) -> web.Response:
    """What our own API would answer, as the protocol says it."""
    problem, status = json.loads(answer.text or "{}"), HTTPStatus(answer.status)
    kind = "failed" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "refused"
    said = refused(kind, problem["detail"], problem.get("hint", ""), status)
    kept = {name: value for name, value in answer.headers.items() if name == "Retry-After"}
    return web.json_response(said.answer, status=status, headers=kept)


async def _read(service: Service, request: web.Request) -> PromptRequest:
    try:
        return read_model(PromptRequest, await read_json_said(service, request))
    except GraphError as error:
        raise of_request(error.faults[0]) from None
    except Refused as error:
        if error.status is HTTPStatus.BAD_REQUEST:
            raise refused("invalid_prompt", "Invalid request", error.detail) from None
        raise
