"""The routes of the protocol, by what they are about. Each is answered at its path and below ``/api``."""

from limner.server.comfy.routes import (
    client_files,
    editor,
    lists,
    machine,
    models,
    nodes,
    pictures,
    prompts,
    socket,
    steering,
    templates,
)
from limner.server.route import Route

ROUTES: tuple[Route, ...] = (
    *prompts.routes,
    *socket.routes,
    *lists.routes,
    *steering.routes,
    *nodes.routes,
    *machine.routes,
    *models.routes,
    *editor.routes,
    *templates.routes,
    *client_files.routes,
    *pictures.routes,
)
"""All of them."""
PREFIX = "/api"
"""Where each of them is, too."""
