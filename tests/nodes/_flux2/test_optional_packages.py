"""What is optional stays optional: without it, everything else works."""

from __future__ import annotations

import subprocess
import sys

OPTIONAL = ("gguf", "torchao", "optimum", "kernels", "flash_attn", "sageattention", "xformers")

SCRIPT = f"""
import sys
sys.modules.update(dict.fromkeys({OPTIONAL!r}, None))  # as if they were not installed
import limner
print(limner.Session().run("text_to_image", steps=1, **{{"save.path": sys.argv[1]}}).status)
"""


def test_a_picture_is_drawn_with_nothing_but_what_limner_requires(tmp_path: object) -> None:
    """None of the packages that extras bring is imported before something needs it."""
    command = [sys.executable, "-c", SCRIPT, f"{tmp_path}/a.png"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "completed"
