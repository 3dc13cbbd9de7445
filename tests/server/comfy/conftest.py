"""Where the tests of the protocol find what they share."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # pytest's importlib mode adds no folder by itself
