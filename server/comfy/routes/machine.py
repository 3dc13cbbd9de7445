"""What the machine has: memory, devices, models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from limner.engine.device import Device
from limner.server.comfy.features import features
from limner.server.route import Routes
from limner.server.service import Service
from limner.versions import all_software

routes = Routes()

_MEMORY: Final = Path("/proc/meminfo")


@routes.add("GET", "/system_stats")
async def get_system(service: Service) -> web.StreamResponse:
    """Memory of the machine and of each device; what models take there is no longer free."""
    devices = await service.compute(lambda: service.comfy.session.devices)
    taken: dict[str, int] = {}
    for model in (model for models in service.models.values() for model in models):
        taken[model["device"]] = taken.get(model["device"], 0) + model["size_bytes"]
    versions = all_software()
    there = devices["cpu"].memory_bytes or 0
    system = {
        "os": sys.platform,
        "ram_total": there,
        "ram_free": await service.aside(lambda: _free_bytes(there)),
        "comfyui_version": versions["limner"],
        "python_version": versions["python"],
        "pytorch_version": versions["torch"],
        "embedded_python": False,
        "argv": ["limner", "serve", "--disable-api-nodes"],
    }
    told = [_told(number, device, taken.get(device.name, 0)) for number, device in enumerate(devices.values())]
    return web.json_response({"system": system, "devices": told})


def _free_bytes(there: int) -> int:
    """Bytes of RAM that programs can still have, as far as the system says."""
    try:
        lines = _MEMORY.read_text().splitlines()
    except OSError:  # no Linux
        return there
    found = (line.split() for line in lines if line.startswith("MemAvailable:"))
    return next((min(int(words[1]) * 1024, there) for words in found), there)


def _told(number: int, device: Device, taken_bytes: int) -> dict[str, Any]:
    kind, _, index = device.name.partition(":")
    there = device.memory_bytes or 0
    return {
        "name": f"{device.name} {device.model}".strip(),
        "type": kind,
        "index": int(index) if index else number,
        "vram_total": there,
        "vram_free": max(there - taken_bytes, 0),
        "torch_vram_total": taken_bytes,
        "torch_vram_free": 0,
    }


@routes.add("GET", "/features")
async def get_features(service: Service) -> web.StreamResponse:
    """What this server can do, for clients that ask before they connect."""
    return web.json_response(features(service.limits))


@routes.add("GET", "/embeddings")
async def list_embeddings() -> web.StreamResponse:
    """Textual inversions: FLUX.2 has none."""
    return web.json_response([])
