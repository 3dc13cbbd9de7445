"""What this server can do beyond the oldest form of the protocol, as the editor asks for it."""

from __future__ import annotations

from typing import Any

from limner.server.limits import Limits


def features(limits: Limits) -> dict[str, Any]:
    """What is told to clients that tell what they can."""
    return {
        "supports_preview_metadata": True,
        "supports_progress_text_metadata": True,
        "max_upload_size": limits.upload_bytes,
        "node_replacements": False,
        "show_signin_button": False,
        "partner_run_gate_enabled": False,
        "assets": False,
    }
