"""ComfyUI's own templates for FLUX.2: unmodified they run on the embedded model, are planned, and have native forms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from limner.comfy.imported import Imported, import_graph
from limner.comfy.native import to_native
from limner.engine.device import Device, DeviceTable
from limner.engine.document import Document
from limner.engine.registry import Registry
from limner.nodes.values import Files
from limner.session import Session

PACKAGE = find_spec("comfyui_workflow_templates_json")
FOLDER = Path(str(PACKAGE.origin)).parent / "templates" if PACKAGE is not None else Path()
NAMES = (
    "image_flux2",
    "image_flux2_fp8",
    "image_flux2_klein_9b_kv_image_edit",
    "image_flux2_klein_image_edit_4b_base",
    "image_flux2_klein_image_edit_4b_distilled",
    "image_flux2_klein_image_edit_9b_base",
    "image_flux2_klein_image_edit_9b_distilled",
    "image_flux2_klein_text_to_image",
    "image_flux2_text_to_image",
    "image_flux2_text_to_image_9b",
)
QUICK = {"model": "tiny", "steps": 2, "width": 128, "height": 128, "megapixels": 128 * 128 / 1024**2}
"""What the embedded model was made for: no workflow asks for so little."""
LOADERS = ("LoadModel", "LoadTransformer", "LoadTextEncoder", "LoadVAE")

pytestmark = pytest.mark.skipif(PACKAGE is None, reason="needs comfyui-workflow-templates-json, of the extra dev")
every_template = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Session(cache_dir=tmp_path_factory.mktemp("cache"), device="cpu") as found:
        yield found


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A circle, in the place of every picture that a template names."""
    rows, columns = np.mgrid[:128, :128]
    inside = (rows - 64) ** 2 + (columns - 64) ** 2 < 40**2
    pixels = np.where(inside[..., None], (220, 30, 30), (32, 48, 64)).astype(np.uint8)
    path = tmp_path_factory.mktemp("pictures") / "circle.png"
    PIL.Image.fromarray(pixels).save(path)
    return str(path)


@pytest.fixture
def imported(picture: str) -> Any:
    def read(name: str) -> Imported:
        raw = json.loads((FOLDER / f"{name}.json").read_text())
        return import_graph(raw, Registry.installed(), name=name, pictures=lambda _: picture)

    return read


def quick(document: Document) -> dict[str, Any]:
    """Values for those of the parameters that a template has; sizes that follow a reference stay with it."""
    has_references = "megapixels" in document.parameters or "image" in document.parameters
    return {
        name: value
        for name, value in QUICK.items()
        if name in document.parameters and not (has_references and name in ("width", "height"))
    }


def drawn(session: Session, document: Document, folder: Path, values: dict[str, Any]) -> list[Any]:
    """The pixels of every picture that a run writes."""
    savers = [node_id for node_id, node in document.nodes.items() if node.type == "SaveImage"]
    result = session.run(document, **values, **{f"{saver}.path": str(folder / f"{saver}.png") for saver in savers})
    return [_pixels(path) for files in result.values(Files) for path in files.paths]


def _pixels(path: str) -> Any:
    with PIL.Image.open(path) as image:
        return np.asarray(image)


def test_these_are_all_of_them() -> None:
    """No template for FLUX.2 that runs without a service is left out."""
    assert sorted(path.stem for path in FOLDER.glob("image_flux2*.json")) == sorted(NAMES)


@every_template
def test_it_runs_on_the_embedded_model_and_its_native_form_draws_the_same(
    imported: Any, session: Session, name: str, tmp_path: Path
) -> None:
    """Thin nodes and our own give the same pixels; only what scales pictures has no match."""
    document = session.document(imported(name).document, quick(imported(name).document))
    native, stayed = to_native(document)
    assert not [line for line in stayed if "ImageScaleToTotalPixels" not in line]
    (pixels,) = drawn(session, document, tmp_path / "thin", {})
    (others,) = drawn(session, native, tmp_path / "native", {})
    assert pixels.shape == (128, 128, 3)
    assert np.array_equal(pixels, others)


@every_template
def test_the_parameters_of_its_native_form_reach_as_far(imported: Any, session: Session, name: str) -> None:
    """Another model or size is set by the same parameters as without a rewriting, in files of their own too."""
    document = imported(name).document
    before, _ = to_native(session.document(document, quick(document)))
    after = session.document(to_native(document)[0], quick(document))
    assert _loaded(before) == {"tiny"}
    assert _loaded(after) == {"tiny"}
    scaled = [node.settings for node in after.nodes.values() if node.type == "ComfyImageScaleToTotalPixels"]
    assert scaled == [node.settings for node in before.nodes.values() if node.type == "ComfyImageScaleToTotalPixels"]
    session.check(after)


def _loaded(document: Document) -> set[Any]:
    """All that models and files are named by."""
    loaders = [node.settings for node in document.nodes.values() if node.type in LOADERS]
    return {settings[name] for settings in loaders for name in ("source", "base", "file") if name in settings}


@every_template
def test_it_is_planned_for_its_real_model(imported: Any, name: str) -> None:
    """Every node that computes says what it needs, with nothing downloaded, and the native form needs as much."""
    gigabyte = 10**9
    memory = {"cuda:0": 141 * gigabyte, "cpu": 256 * gigabyte}
    devices = DeviceTable([Device(device, size) for device, size in memory.items()])
    session = Session(devices=devices, budget_bytes=memory)
    document = imported(name).document
    plan, native = session.plan(document).memory, session.plan(to_native(document)[0]).memory
    assert plan is not None
    assert native is not None
    assert [step.unknown for step in plan.steps if step.unknown] == []
    assert plan.fits
    assert plan.peak_bytes["cuda:0"] > 8 * gigabyte
    assert native.peak_bytes == plan.peak_bytes


@every_template
def test_its_parameters_are_those_of_our_templates(imported: Any, name: str) -> None:
    """Whatever its nodes are called, what people set has the names that they know."""
    parameters = imported(name).document.parameters
    assert {"prompt", "seed", "steps", "model"} <= parameters.keys()
    assert ("image" in parameters) == ("ReferenceLatent" in (FOLDER / f"{name}.json").read_text())
