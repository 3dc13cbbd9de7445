"""The commands of ``limner``, put together; what each does is in the modules that end in ``_command(s)``."""

from __future__ import annotations

from importlib.metadata import version as package_version
from typing import Annotated

import typer

from limner.cache_commands import app as cache_app
from limner.diff_command import diff
from limner.export_command import export
from limner.import_command import import_workflow
from limner.inspect_command import inspect
from limner.jobs_commands import app as jobs_app
from limner.listing_commands import list_nodes, print_schema, validate
from limner.new_command import new
from limner.plan_command import plan
from limner.replay_command import replay
from limner.run_command import run
from limner.serve_command import serve
from limner.serve_encoder_command import serve_encoder
from limner.show_command import show
from limner.templates_command import templates
from limner.terminal import out
from limner.token_command import token

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

  limner run text_to_image --set "prompt=a large red circle on a #203040 background"

  limner templates

Exit codes: 0 done, 1 a node failed, 2 the graph or an option is wrong, 130 interrupted.""",
)


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


app.command(epilog='Example:  limner run text_to_image -s "prompt=a blue star on white" -s seed=7 --out star.png')(run)
app.command()(validate)
app.command()(plan)
app.command()(templates)
app.command(epilog='Example:  limner new stars --from text_to_image -s "prompt=a yellow star on blue"')(new)
app.command("nodes")(list_nodes)
app.command("schema")(print_schema)
app.command(epilog="Example:  limner inspect star.png --graph > star.json")(inspect)
app.command(epilog="Example:  limner show lora_stack --svg lora_stack.svg")(show)
app.command(epilog="Example:  limner diff a.png b.png")(diff)
app.command(epilog="Example:  limner export text_to_image --python -o draw.py")(export)
app.command("import", epilog="Example:  limner import workflow.json --model tiny -o graph.json")(import_workflow)
app.command()(replay)
app.command(epilog="Example:  limner serve --port 8764")(serve)
app.command(epilog="Example:  limner token anna >> tokens")(token)
app.command("serve-encoder", epilog="Example:  limner serve-encoder -m black-forest-labs/FLUX.2-dev -d cuda:0")(
    serve_encoder
)
app.add_typer(cache_app, name="cache")
app.add_typer(jobs_app, name="jobs")
