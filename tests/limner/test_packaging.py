"""What is installed is what is here: packages, templates, weights, types, and the links for type checkers."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PLACES = PROJECT["tool"]["setuptools"]["package-dir"]
NOT_SHIPPED = {"benchmarks", "docs", "tests", "typings"}


def source_folders() -> dict[str, Path]:
    """Every folder with Python files that belongs to the package, by its dotted name."""
    found = {}
    for top, place in PLACES.items():
        for folder in [ROOT / place, *(p for p in (ROOT / place).rglob("*") if p.is_dir())]:
            if any(folder.glob("*.py")):
                found[".".join([top, *folder.relative_to(ROOT / place).parts])] = folder
    return found


def test_every_folder_is_a_package() -> None:
    """pyproject.toml lists exactly the folders that hold modules."""
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == set(source_folders())


def test_type_checkers_see_every_module() -> None:
    """typings/limner links every module and package of limner/ and every folder of the package, and nothing else."""
    links = {path.name: path.resolve() for path in (ROOT / "typings" / "limner").iterdir()}
    modules = {
        path.name: path
        for path in (ROOT / "limner").iterdir()
        if path.suffix == ".py" or path.name == "py.typed" or (path / "__init__.py").is_file()
    }
    folders = {name.partition(".")[2]: ROOT / place for name, place in PLACES.items() if "." in name}
    assert links == {name: path.resolve() for name, path in (modules | folders).items()}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names inside a wheel that was built from a copy of the sources."""
    copy, out = tmp_path_factory.mktemp("sources") / "limner", tmp_path_factory.mktemp("wheel")
    keep = {*PLACES.values(), "pyproject.toml", "README.md", "LICENSE"}
    copy.mkdir()
    for name in keep:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, copy / name)
    subprocess.run(
        [sys.executable, "-c", f"from setuptools.build_meta import build_wheel; build_wheel({str(out)!r})"],
        cwd=copy,
        check=True,
        capture_output=True,
    )
    (name,) = out.glob("*.whl")
    with zipfile.ZipFile(name) as archive:
        return set(archive.namelist())


def test_the_wheel_is_whole(wheel: set[str]) -> None:
    """A wheel holds every module, the templates, the page, the embedded model and the marker for types."""
    for name, folder in source_folders().items():
        for path in folder.glob("*.py"):
            assert f"{name.replace('.', '/')}/{path.name}" in wheel
    for template in (ROOT / "graphs").glob("*.json"):
        assert f"limner/graphs/{template.name}" in wheel
    for path in (ROOT / "server" / "page").iterdir():
        assert f"limner/server/page/{path.name}" in wheel
    for path in (ROOT / "tiny" / "weights").rglob("*"):
        if path.is_file():
            assert f"limner/tiny/{path.relative_to(ROOT / 'tiny').as_posix()}" in wheel
    assert "limner/py.typed" in wheel
    assert not [name for name in wheel if name.split("/")[0] in NOT_SHIPPED]
