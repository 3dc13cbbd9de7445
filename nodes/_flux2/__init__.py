"""FLUX.2 itself: the only place where torch, diffusers and transformers are imported."""

import logging

# On a CPU, bitsandbytes says at each import that a kernel it can do without is missing, and at each int8 layer that it
# computes in half precision: nothing a user could act on.
for _name in ("bitsandbytes.backends.cpu.ops", "bitsandbytes.autograd._functions"):
    logging.getLogger(_name).setLevel(logging.ERROR)
