"""The command ``limner``: one function a command; what they say is in the modules beside this one."""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from limner.engine import events as ev
from limner.engine.document import Document, schema
from limner.engine.errors import Cancelled, GraphError, InputError, suggest
from limner.engine.parameters import describe, read_values
from limner.engine.registry import Registry
from limner.engine.result import Result
from limner.engine.store import Store
from limner.engine.trace import chrome_trace
from limner.engine.write import write_atomically
from limner.folders import cache_folder
from limner.output import redirect
from limner.progress import Bars, Display, JsonLines, Lines, Silent
from limner.session import Session, software
from limner.terminal import FAILED, WRONG_INPUT, err, friendly, out, report, show, size

app = typer.Typer(
    name="limner",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""A typed node-graph engine for FLUX.2: prompt in, picture out.

Graphs are small JSON files. They are checked before anything loads, and nothing is computed twice.""",
    epilog="""Begin with:

  limner run text_to_image --set "prompt=a red circle on a #203040 background"

  limner templates

Exit codes: 0 done, 1 a node failed, 2 the graph or an option is wrong, 130 interrupted.""",
)
cache_app = typer.Typer(no_args_is_help=True, help="Look at or clear what finished runs keep on disk.")
app.add_typer(cache_app, name="cache")

GraphArg = Annotated[str, typer.Argument(metavar="GRAPH", help="A graph file, or the name of a template.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="NAME=VALUE", help="A parameter, or any setting as [cyan]node.setting[/]."),
]
NodesOption = Annotated[
    list[Path] | None, typer.Option("--nodes", metavar="FILE.py", help="More nodes, from a Python file.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs: JSON on stdout.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
CacheDirOption = Annotated[
    Path | None,
    typer.Option("--cache-dir", metavar="DIR", envvar="LIMNER_CACHE_DIR", help="Where finished nodes are kept."),
]
NoCacheOption = Annotated[bool, typer.Option("--no-cache", help="Keep nothing on disk, and read nothing from it.")]
DeviceOption = Annotated[
    str, typer.Option("--device", "-d", metavar="NAME", help="For nodes that name none: cpu, cuda:0, mps.")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"limner {package_version('limner')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command(epilog='Example:  limner run text_to_image -s "prompt=a blue star on white" -s seed=7 --out star.png')
@friendly
def run(
    graph: GraphArg,
    values: SetOption = None,
    out_path: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="PATH", help="Where to save: a file (replaced), or a folder ending in /."),
    ] = None,
    device: DeviceOption = "auto",
    as_json: Annotated[
        bool,
        typer.Option("--json", help="One event a line on stdout, as JSON; the last one says where the pictures are."),
    ] = False,
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a Chrome trace of the run, for Perfetto.")
    ] = None,
    nodes: NodesOption = None,
    cache_dir: CacheDirOption = None,
    no_cache: NoCacheOption = False,
    checkpoint_every: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            envvar="LIMNER_CHECKPOINT_EVERY",
            help="How much denoising a crash may cost; 0 keeps every step.",
        ),
    ] = 2.0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the pictures' paths only.")] = False,
    debug: DebugOption = False,
) -> None:
    """Run a graph. Pictures' paths go to stdout, progress to stderr."""
    with _session(nodes, _cache_dir(cache_dir, no_cache), device, checkpoint_every) as session:
        document = _document(session, graph, values)
        if out_path is not None:
            document = redirect(document, out_path)
        display: Display = (
            JsonLines() if as_json else Silent() if quiet else Bars(err) if err.is_terminal else Lines(err)
        )
        result = _run(session, document, graph, display, trace)
        if as_json:
            print(json.dumps({"event": "files", "paths": _paths(result)}))
        else:
            _print_paths(result)
        _exit_for(result, debug)


@app.command()
@friendly
def validate(
    graph: GraphArg,
    values: SetOption = None,
    nodes: NodesOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Check a graph without loading anything. Every fault is reported at once."""
    session = _session(nodes)
    try:
        document = _document(session, graph, values)
        checked = session.check(document, beside=graph)
    except GraphError as error:
        if as_json:
            faults = [{"message": f.message, "path": f.path, "hint": f.hint} for f in error.faults]
            out.print_json(data={"graph": graph, "faults": faults})
        raise
    if as_json:
        out.print_json(data={"graph": graph, "name": document.name, "nodes": len(checked.nodes), "faults": []})
    else:
        out.print(Text.assemble(("✓ ", "green"), (document.name, "bold"), f": {len(checked.nodes)} nodes, no faults"))


@app.command()
@friendly
def plan(
    graph: GraphArg,
    values: SetOption = None,
    device: DeviceOption = "auto",
    nodes: NodesOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show where each node will run and when values can be forgotten."""
    from limner.tables import plan_table

    session = _session(nodes, device=device)
    document = _document(session, graph, values)
    made = session.plan(document, beside=graph)
    if as_json:
        names = [step.node.id for step in made.steps]
        steps = [
            {
                "node": step.node.id,
                "type": step.node.type.name,
                "lane": step.lane,
                "needs": [names[i] for i in step.needs],
                "frees": [names[i] for i in step.frees],
            }
            for step in made.steps
        ]
        out.print_json(data={"graph": document.name, "steps": steps})
    else:
        show(plan_table(made))


@app.command()
@friendly
def templates(as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """List the templates: graphs with parameters, ready to run."""
    from limner.tables import templates_table

    session = _session(None)
    found = []
    for name in session.library.names():
        document = session.document(name)
        found.append((name, document.description, describe(document, session.registry, session.library)))
    if as_json:
        out.print_json(
            data=[
                {"name": n, "description": d, "parameters": {p.name: {**p.schema, "default": p.default} for p in ps}}
                for n, d, ps in found
            ]
        )
    else:
        show(templates_table(found))


@app.command("nodes")
@friendly
def list_nodes(
    type_name: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="Show one node in full.")] = None,
    nodes: NodesOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """List the nodes, or show one: its inputs, outputs and settings."""
    from limner.tables import node_page, nodes_table

    registry = _registry(nodes)
    if type_name is not None and type_name not in registry:
        raise InputError(f"there is no node type {type_name}", hint=suggest(type_name, registry))
    chosen = list(registry.values()) if type_name is None else [registry[type_name]]
    if as_json:
        described = [node.describe() for node in chosen]
        out.print_json(data=described if type_name is None else described[0])
    else:
        show(nodes_table(chosen) if type_name is None else node_page(chosen[0]))


@app.command("schema")
@friendly
def print_schema(debug: DebugOption = False) -> None:
    """Print the JSON schema of graph files."""
    out.print_json(data=schema())


@app.command()
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
    from limner.replay import changed_software, compare, graph_inside

    document, provenance = graph_inside(image)
    for change in changed_software(provenance, software()):
        err.print(Text.assemble(("! ", "yellow"), f"made with another version: {change}"))
    display: Display = Bars(err) if err.is_terminal else Lines(err)
    if not check:
        with _session(nodes, _cache_dir(None, False), device) as session:
            session.check(document)
            result = _run(session, redirect(document, out_path or f"{image.parent}/"), None, display)
            _print_paths(result)
            _exit_for(result, debug)
        return
    with tempfile.TemporaryDirectory() as folder, _session(nodes, None, device) as session:
        session.check(document)
        result = _run(session, redirect(document, f"{folder}/"), None, display)
        _exit_for(result, debug)
        comparison = compare(image, [Path(path) for path in _paths(result)])
    if comparison.same_as is not None:
        out.print(Text.assemble(("✓ ", "green"), f"{image}: the same pixels"))
        return
    far = comparison.largest_difference
    detail = "another size" if far is None else f"they differ by up to {far} of 255"
    out.print(Text.assemble(("✗ ", "red"), f"{image}: not the same pixels; {detail}"))
    raise typer.Exit(FAILED)


@cache_app.command("info")
@friendly
def cache_info(cache_dir: CacheDirOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Say where the cache is and how much it holds."""
    store = Store(cache_dir or cache_folder())
    found = {"folder": str(store.folder), "nodes": store.count(), "bytes": store.size_bytes()}
    if as_json:
        out.print_json(data=found)
    else:
        out.print(f"{store.folder}: {found['nodes']} finished nodes, {size(store.size_bytes())}")


@cache_app.command("clear")
@friendly
def cache_clear(cache_dir: CacheDirOption = None, debug: DebugOption = False) -> None:
    """Delete everything in the cache. Pictures that were saved stay."""
    store = Store(cache_dir or cache_folder())
    freed = store.size_bytes()
    store.clear()
    out.print(f"{store.folder}: cleared, {size(freed)} freed")


def _registry(nodes: list[Path] | None) -> Registry:
    registry = Registry.installed()
    for file in nodes or ():
        registry.add_file(file)
    return registry


def _session(
    nodes: list[Path] | None, cache_dir: Path | None = None, device: str = "auto", checkpoint_every: float = 2.0
) -> Session:
    return Session(
        registry=_registry(nodes), cache_dir=cache_dir, device=device, checkpoint_interval_s=checkpoint_every
    )


def _cache_dir(named: Path | None, is_off: bool) -> Path | None:
    return None if is_off else named or cache_folder()


def _document(session: Session, graph: str, values: list[str] | None) -> Document:
    document = session.document(graph)
    library = session.library.beside(graph)
    return session.document(document, read_values(values or (), document, session.registry, library))


def _run(
    session: Session, document: Document, graph: str | None, display: Display, trace: Path | None = None
) -> Result:
    """Run a document, showing what happens. An interrupt stops it in order; a second one at once."""
    stream = ev.EventStream()
    reader = stream.reader()
    record = stream.reader(limit=sys.maxsize) if trace is not None else None
    handle = session.start(document, beside=graph, events=stream)
    with display:
        while not reader.is_over:
            try:
                if (event := reader.read(timeout_s=0.2)) is not None:
                    display.show(event)
            except KeyboardInterrupt:
                if handle.is_cancelled:
                    raise
                handle.cancel()
    if trace is not None and record is not None:
        _write_trace(trace, record)
    result = handle.wait()
    assert result is not None, "the event stream is over, so the run is"
    return result


def _write_trace(path: Path, events: ev.Reader) -> None:
    try:
        write_atomically(path, chrome_trace(events).encode())
    except OSError as error:  # the pictures are there, and their paths are still to be said
        err.print(Text.assemble(("! ", "yellow"), f"{path} cannot be written: {error.strerror}"))


def _paths(result: Result) -> list[str]:
    from limner.nodes.values import Files

    return [path for files in result.values(Files) for path in files.paths]


def _print_paths(result: Result) -> None:
    for path in _paths(result):
        print(path)  # as it is: a pipe must get the very name


def _exit_for(result: Result, debug: bool) -> None:
    """End with the exit code that the result asks for."""
    if result.status == "completed":
        return
    if not result.failures:
        raise typer.Exit(report(Cancelled()))
    if debug:
        for failure in result.failures.values():
            err.print("".join(traceback.format_exception(failure.cause)), markup=False)
    codes = [report(failure) for failure in result.failures.values()]
    raise typer.Exit(FAILED if FAILED in codes else WRONG_INPUT)


def main() -> None:
    """The console script."""
    app()
