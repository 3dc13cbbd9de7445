"""``limner replay``."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from limner.engine.context import Provenance
from limner.engine.document import Document
from limner.engine.errors import InputError
from limner.engine.plan import Plan
from limner.engine.registry import Registry
from limner.folders import cache_folder
from limner.interrupts import raised
from limner.options import DebugOption, DeviceOption, JsonOption, NodesOption
from limner.output import only_what_pictures_need
from limner.picture_graph import PICTURES, graph_inside
from limner.progress import Bars, Display, Lines
from limner.replay import Change, Comparison, changes, compare, here, read_pixels
from limner.request import Request, registry_with
from limner.running import exit_for, paths_of, print_paths, run_plan
from limner.session import Session
from limner.terminal import FAILED, err, friendly, out, printable


@friendly
def replay(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A picture that Limner made.")],
    check: Annotated[
        bool, typer.Option("--check", help="Make it anew, without the cache, and compare pixels.")
    ] = False,
    out_path: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="PATH", help="Where to save. Without it: beside IMAGE, replacing nothing."),
    ] = None,
    device: DeviceOption = "auto",
    nodes: NodesOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Run the graph inside a picture again, after saying what is not as it was.

    With --check, exit code 1 says that the pixels differ.
    """
    if check and out_path is not None:
        raise InputError("--check saves nothing, so it takes no --out", hint="leave one of them out")
    document, then = graph_inside(image)
    document = only_what_pictures_need(document)  # a picture of others must not write a model
    making = _Making(image, document, then, registry_with(nodes), device)
    if check:
        _check(making, as_json=as_json, debug=debug)
    else:
        _make_again(making, out_path or f"{image.parent}/", as_json=as_json, debug=debug)


@dataclass(frozen=True)
class _Making:
    """A picture, and what is needed to make it again."""

    image: Path
    document: Document
    then: Provenance
    registry: Registry
    device: str


def _make_again(making: _Making, out_path: str, *, as_json: bool, debug: bool) -> None:
    """Run the graph, from the cache where it can, and save what it gives."""
    with Session(registry=making.registry, cache_dir=cache_folder(), device=making.device) as session:
        plan = Request(session, making.document, out_path=out_path).plan()
        found = _say_what_changed(making.then, session, plan)
        result = run_plan(session, plan, _display())
        if as_json:
            print(json.dumps({"image": str(making.image), "changes": found, "paths": paths_of(result)}))
        else:
            print_paths(result)
        exit_for(result, is_kept=True, debug=debug)


def _check(making: _Making, *, as_json: bool, debug: bool) -> None:
    """Run the graph without the cache, compare, and keep nothing."""
    image, wanted = making.image, read_pixels(making.image)
    with (
        raised(),  # so that the folder goes with an interrupt
        tempfile.TemporaryDirectory() as folder,
        Session(registry=making.registry, device=making.device) as session,
    ):
        plan = Request(session, making.document, out_path=f"{folder}/").plan()
        found = _say_what_changed(making.then, session, plan)
        result = run_plan(session, plan, _display())
        exit_for(result, is_kept=False, debug=debug)
        made = [path for path in map(Path, paths_of(result)) if path.suffix.lower() in PICTURES]
        comparison = compare(wanted, made)
    if as_json:
        print(json.dumps({"image": str(image), "changes": found} | _as_data(comparison)))
    else:
        out.print(_verdict(image, comparison))
    if not comparison.is_same:
        raise typer.Exit(FAILED)


def _display() -> Display:
    return Bars(err) if err.is_terminal else Lines(err)


def _say_what_changed(then: Provenance, session: Session, plan: Plan) -> list[dict[str, str]]:
    """Name, before anything runs, what may make the pixels differ; the same as data."""
    found: Sequence[Change] = changes(then, here(session, plan))
    for change in found:
        err.print(Text.assemble(("! ", "yellow"), printable(str(change), one_line=True)))
    return [asdict(change) for change in found]


def _verdict(image: Path, comparison: Comparison) -> Text:
    name = printable(str(image), one_line=True)
    if comparison.is_same:
        return Text.assemble(("✓ ", "green"), f"{name}: the same pixels")
    if comparison.nearest is None:
        return Text.assemble(("✗ ", "red"), f"{name}: not the same pixels; {_sizes(image, comparison)}")
    detail = (
        f"{comparison.differing:.2%} of them differ, by up to {comparison.largest_difference} of 255 "
        f"(PSNR {comparison.psnr_db:.1f} dB)"
    )
    if comparison.nearest.suffix.lower() != image.suffix.lower():
        detail += f"; its graph saves {comparison.nearest.suffix}"
    return Text.assemble(("✗ ", "red"), f"{name}: not the same pixels; {detail}")


def _sizes(image: Path, comparison: Comparison) -> str:
    if comparison.other_size is None:
        return "its graph made no picture"
    height, width = read_pixels(image).shape[:2]
    return f"it is {width} x {height}, and its graph made {' x '.join(map(str, comparison.other_size))}"


def _as_data(comparison: Comparison) -> dict[str, Any]:
    if comparison.nearest is None:
        return {"is_same": False, "largest_difference": None, "psnr_db": None, "differing": None}
    return {
        "is_same": comparison.is_same,
        "largest_difference": comparison.largest_difference,
        "psnr_db": comparison.psnr_db if math.isfinite(comparison.psnr_db) else None,
        "differing": comparison.differing,
    }
