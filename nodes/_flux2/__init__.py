"""FLUX.2 itself: the only place that imports diffusers and transformers, and torch when a module is imported."""

import logging
import os

# Read by OpenMP when torch is first imported. By default its threads spin while they wait; beside any other program
# on the machine that made a picture of the embedded model take 12 s instead of 0.4 s.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of optional kernels whenever it is imported
