"""The routes of the protocol, by what they are about. Each is answered at its path and below ``/api``."""

from limner.server.comfy.routes import lists, socket, steering
from limner.server.route import Route

ROUTES: tuple[Route, ...] = (
    *socket.routes,
    *lists.routes,
    *steering.routes,
)
"""All of them."""
PREFIX = "/api"
"""Where each of them is, too."""
