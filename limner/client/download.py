"""A file of a job, whole and with the content that its name promises."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from limner.client.answers import File
from limner.client.http import Http
from limner.engine.errors import RemoteError
from limner.engine.output_folder import leads_out


async def download(http: Http, file: File, to: BinaryIO) -> None:
    """Write a file's content. Raises RemoteError where it is another one, InputError where the server forgot it."""
    start = to.tell()

    async def once() -> None:
        to.seek(start)
        to.truncate()
        digest, size_bytes = hashlib.sha256(), 0
        async with http.open("GET", f"/v1/artifacts/{file.sha256}") as response:
            async for chunk in response.content.iter_any():
                size_bytes += len(chunk)
                if size_bytes > file.size_bytes:
                    break
                digest.update(chunk)
                to.write(chunk)
        if size_bytes != file.size_bytes or digest.hexdigest() != file.sha256:
            raise RemoteError(f"{file.name} is not what it should be: its content does not have the hash {file.sha256}")

    await http.retried(once)


def safe_name(file: File) -> str:
    """The file's relative path. Raises RemoteError for one that leads elsewhere."""
    if not file.name or leads_out(file.name):
        raise RemoteError(f"the server calls a file {file.name!r}, which leads out of the folder")
    return file.name
