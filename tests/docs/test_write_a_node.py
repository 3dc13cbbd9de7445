"""The tutorial's examples are run as a reader would run them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "write-a-node.md"
FILES = re.findall(r"^```\w+ file=(\S+)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tutorial")
    for name, content in FILES:
        (path / name).write_text(content)
    return path


def limner(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"LIMNER_CACHE_DIR": str(folder / "cache"), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "limner", *arguments, "--nodes", "invert.py"]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_page_has_its_files() -> None:
    """The page shows the node, the graph and the test, under the names that its commands use."""
    assert [name for name, _ in FILES] == ["invert.py", "negative.json", "test_invert.py"]


def test_the_node_is_listed_with_its_settings(folder: Path) -> None:
    """``limner nodes Invert`` shows what was read from the class."""
    shown = limner(folder, "nodes", "Invert")
    assert shown.returncode == 0, shown.stderr
    assert "number 0.0..1.0" in shown.stdout
    assert "0 leaves the picture as it is." in shown.stdout


def test_a_wrong_setting_is_found_before_running(folder: Path) -> None:
    """The fault on the page is the fault that is printed."""
    assert limner(folder, "validate", "negative.json").returncode == 0
    wrong = limner(folder, "validate", "negative.json", "--set", "strength=2")
    assert wrong.returncode == 2
    assert "✗ strength: at most 1.0 @ nodes.invert.settings.strength" in wrong.stderr
    assert "✗ strength: at most 1.0 @ nodes.invert.settings.strength" in PAGE.read_text()


def test_the_graph_draws_a_negative(folder: Path) -> None:
    """Yellow on black comes out as blue on white."""
    import numpy as np
    import PIL.Image

    made = limner(folder, "run", "negative.json")
    assert made.returncode == 0, made.stderr
    with PIL.Image.open(folder / "negative.png") as image:
        corner = np.asarray(image.convert("RGB"))[:8, :8].mean()
    assert corner > 200


def test_the_test_on_the_page_passes(folder: Path) -> None:
    """The unit test of the page is one."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_invert.py"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout
