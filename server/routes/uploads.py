"""Pictures of clients, for graphs that refer to them."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web
from pydantic import BaseModel, Field

from limner.server.body import read_bytes
from limner.server.problem import Refused
from limner.server.route import Routes
from limner.server.service import Service

routes = Routes()


class UploadView(BaseModel):
    """A picture that was taken."""

    file: str = Field(description="What a graph calls it: in the setting files of LoadReferenceImages, for example.")
    sha256: str
    size_bytes: int
    width: int
    height: int


@routes.add(
    "POST",
    "/v1/uploads",
    status=HTTPStatus.CREATED,
    takes="image/*",
    refusals=[HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.INSUFFICIENT_STORAGE],
)
async def upload(service: Service, request: web.Request) -> UploadView:
    """Take a picture: the body is the file itself. PNG, JPEG and WebP are told apart by their content.

    It is known by its content, so that the same picture again is the same upload, whatever it is called.
    """
    if not request.content_type.startswith("image/") and request.content_type != "application/octet-stream":
        raise Refused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "send a picture",
            hint="curl --data-binary @photo.png -H 'Content-Type: image/png'",
        )
    async with service.large:
        content = await read_bytes(request, service.limits.upload_bytes)
        taken = await service.compute(lambda: service.uploads.put(content))
    return UploadView.model_validate(taken, from_attributes=True)
