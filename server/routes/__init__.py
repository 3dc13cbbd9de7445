"""The routes of the API, by what they are about."""

from limner.server.route import Route
from limner.server.routes import (
    artifacts,
    editor,
    events,
    forms,
    graphs,
    jobs,
    models,
    nodes,
    operations,
    queue,
    run,
    session,
    templates,
    uploads,
)

ROUTES: tuple[Route, ...] = (
    *jobs.routes,
    *events.routes,
    *queue.routes,
    *run.routes,
    *templates.routes,
    *nodes.routes,
    *models.routes,
    *graphs.routes,
    *forms.routes,
    *editor.routes,
    *artifacts.routes,
    *uploads.routes,
    *session.routes,
    *operations.routes,
)
"""All of them, in the order in which the description lists them."""
