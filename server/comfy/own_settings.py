"""The editor's settings of a client, over those that keep the editor on this machine."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Any, Final

from limner.engine.write import write_atomically
from limner.server.problem import Refused

MAX_BYTES: Final = 1 << 20
DEFAULTS: Final[Mapping[str, Any]] = {
    "Comfy.Notification.ShowVersionUpdates": False,  # or it asks another host
    "Comfy.TutorialCompleted": True,
    "Comfy.Workflow.ShowMissingModelsWarning": False,
    "Comfy.NodeBadge.ShowApiPricing": False,
}
_log = logging.getLogger("limner.server")
_changing: Final = Lock()  # a file is read, changed and written: one at a time


@dataclass(frozen=True)
class OwnSettings:
    """A file of one client. Methods block, and raise Refused. A damaged one is put aside before it is replaced."""

    path: Path

    def all(self) -> dict[str, Any]:
        """Every setting by its id."""
        return {**DEFAULTS, **(self._own() or {})}

    def change(self, values: Mapping[str, Any]) -> None:
        """Keep other values of some settings."""
        with _changing:
            own = self._own()
            content = json.dumps({**(own or {}), **values}).encode()
            if len(content) > MAX_BYTES:
                raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"settings take at most {MAX_BYTES} bytes")
            if own is None:
                aside = self.path.with_suffix(".damaged.json")
                self.path.replace(aside)
                _log.warning("settings of the editor begin anew: these are not a JSON object: %s", aside)
            write_atomically(self.path, content)

    def _own(self) -> dict[str, Any] | None:
        """What the file holds; None where it is damaged."""
        try:
            found = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError:
            return None
        return found if isinstance(found, dict) else None
