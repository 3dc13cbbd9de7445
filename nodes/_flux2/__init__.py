"""FLUX.2 itself: the only place where torch, diffusers and transformers are imported."""

import logging

# On a CPU, bitsandbytes says at each import that a kernel it can do without is missing: nothing a user could act on.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
