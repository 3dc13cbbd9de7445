"""What the protocol needs besides the service: the node types under its names, and what its clients keep here."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from limner.comfy.class_info import Here
from limner.comfy.classes import Classes
from limner.server.clients import Client
from limner.server.comfy.own_files import OwnFiles
from limner.server.comfy.own_pictures import OwnPictures
from limner.server.comfy.own_settings import OwnSettings
from limner.server.uploads import Uploads
from limner.session import Session

FOLDER: Final = "comfy"
"""Below the server's: for each client, what it keeps here."""


@dataclass
class Adapter:
    """The parts, made once. What belongs to a client blocks: it is asked for in a thread."""

    session: Session
    uploads: Uploads
    folder: Path
    """The server's."""
    extensions: list[str] = field(default_factory=list)
    """Paths of the scripts that the editor loads besides its own."""
    runs_here: bool = True
    """Whether workers of this machine run the jobs, so that its devices are those that there are."""
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    """For prompts, in the order in which they come."""

    changing_pictures: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One at a time: a large picture takes up to a gigabyte, and one of the threads in which prompts are checked."""

    @cached_property
    def classes(self) -> Classes:
        """All node types, as the protocol knows them."""
        return Classes(self.session.registry)

    def files(self, client: Client) -> OwnFiles:
        """The files that a client keeps: its workflows."""
        return OwnFiles(self._of(client) / "files")

    def settings(self, client: Client) -> OwnSettings:
        """The editor's settings of a client."""
        return OwnSettings(self._of(client) / "settings.json")

    def pictures(self, client: Client) -> OwnPictures:
        """The pictures that a client brought, by the names that it gave them."""
        return OwnPictures(self._of(client) / "pictures.json", self.uploads)

    def here(self, client: Client) -> Here:
        """What this machine has for the inputs of nodes. Raises DeviceError."""
        return Here(list(self.session.devices), self.pictures(client).names())

    def _of(self, client: Client) -> Path:
        return self.folder / FOLDER / f"client-{client.name}"  # with a word in front, for a name may be ..
