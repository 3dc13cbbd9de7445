"""``limner replay``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from limner.engine.context import Provenance
from limner.engine.plan import Plan
from limner.folders import cache_folder
from limner.interrupts import raised
from limner.nodes.save_image import SUFFIXES
from limner.options import DebugOption, DeviceOption, NodesOption
from limner.progress import Bars, Display, Lines
from limner.request import Request, registry_with
from limner.running import exit_for, paths_of, print_paths, run_plan
from limner.session import Session, software
from limner.terminal import FAILED, err, friendly, out


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
    debug: DebugOption = False,
) -> None:
    """Run the graph inside a picture again. With --check, exit code 1 says that the pixels differ."""
    from limner.replay import compare, graph_inside

    document, provenance = graph_inside(image)
    display: Display = Bars(err) if err.is_terminal else Lines(err)
    registry = registry_with(nodes)
    if not check:
        with Session(registry=registry, cache_dir=cache_folder(), device=device) as session:
            plan = Request(session, document, out_path=out_path or f"{image.parent}/").plan()
            _say_what_changed(provenance, session, plan)
            result = run_plan(session, plan, display)
            print_paths(result)
            exit_for(result, is_kept=True, debug=debug)
        return
    with (
        raised(),  # so that the folder goes with an interrupt
        tempfile.TemporaryDirectory() as folder,
        Session(registry=registry, device=device) as session,
    ):
        plan = Request(session, document, out_path=f"{folder}/").plan()
        _say_what_changed(provenance, session, plan)
        result = run_plan(session, plan, display)
        exit_for(result, is_kept=False, debug=debug)
        made = [path for path in map(Path, paths_of(result)) if path.suffix.lower() in SUFFIXES]
        comparison = compare(image, made)
    if comparison.same_as is not None:
        out.print(Text.assemble(("✓ ", "green"), f"{image}: the same pixels"))
        return
    far = comparison.largest_difference
    detail = "another size" if far is None else f"they differ by up to {far} of 255"
    out.print(Text.assemble(("✗ ", "red"), f"{image}: not the same pixels; {detail}"))
    raise typer.Exit(FAILED)


def _say_what_changed(then: Provenance, session: Session, plan: Plan) -> None:
    """Name, before anything runs, what may make the pixels differ."""
    from limner.replay import changed_devices, changed_files, changed_software

    changes = [f"made with another version: {change}" for change in changed_software(then, software())]
    changes += [f"made on another device: {change}" for change in changed_devices(then, plan)]
    changes += [f"{node}: what it reads has changed" for node in changed_files(then, plan, session.executor.keys(plan))]
    for change in changes:
        err.print(Text.assemble(("! ", "yellow"), change))
