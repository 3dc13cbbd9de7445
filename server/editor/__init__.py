"""The editor at ``/``: the web editor that FLUX.2 users know, as it is published, and what we add to it."""
