"""A graph as a script: it runs without Limner, and makes the same pixels."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner import GraphError, Node, Registry, Session
from limner.engine.context import Context
from limner.nodes._plain.export import EMITTERS, export
from limner.nodes._plain.literal import comment, literal, wrapped
from limner.versions import software

LORA = str(files("limner.tiny") / "lora" / "moon.safetensors")
DOOR = """
import sys
class Door:
    def find_spec(self, name, *rest):
        assert name.partition(".")[0] != "limner", "a script needs no Limner"
sys.meta_path.insert(0, Door())
import torch
torch.set_num_threads(1)
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), {"__name__": "__main__"})
"""


def node(kind: str, settings: dict[str, Any] | None = None, **wires: Any) -> dict[str, Any]:
    return {"type": kind, "settings": settings or {}, "wires": wires}


def graph(nodes: dict[str, Any], **head: Any) -> dict[str, Any]:
    return {"limner": 1, "name": "mine", "nodes": {"model": node("LoadModel"), **nodes}} | head


def drawn(
    name: str,
    suffix: str = "png",
    *,
    text: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    transformer: str = "model.transformer",
    text_encoder: str = "model.text_encoder",
    **wires: Any,
) -> dict[str, Any]:
    """The nodes of one picture, from the prompt to the file."""
    drawing = {"steps": 2, "width": 64, "height": 64} | (settings or {})
    return {
        f"{name}_text": node("TextEncode", {"prompt": name} | (text or {}), text_encoder=text_encoder),
        f"{name}_latent": node(
            "Denoise", {k: v for k, v in drawing.items() if v is not None},
            transformer=transformer, conditioning=f"{name}_text", **wires,
        ),
        f"{name}_image": node("VAEDecode", vae="model.vae", latent=f"{name}_latent"),
        f"{name}_file": node("SaveImage", {"path": f"out/{name}.{suffix}"}, images=f"{name}_image"),
    }  # fmt: skip


def script_of(document: dict[str, Any], device: str = "cpu", session: Session | None = None) -> str:
    return export((session or Session()).check(document), device, software()).render()


def assigned(tree: ast.Module) -> dict[str, ast.expr]:
    """What the top level of a script gives names to."""
    lines = [line for line in tree.body if isinstance(line, ast.Assign)]
    return {line.targets[0].id: line.value for line in lines if isinstance(line.targets[0], ast.Name)}


def run_script(text: str, folder: Path) -> None:
    """Run a script in a process that has no Limner."""
    folder.mkdir(exist_ok=True)
    (folder / "script.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", DOOR, "script.py"], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr


def pixels(path: Path) -> np.ndarray[Any, Any]:
    with PIL.Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def assert_same(document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str = "cpu") -> None:
    """Run a graph in both ways and compare all pictures."""
    import torch

    torch.set_num_threads(1)
    (tmp_path / "graph").mkdir()
    monkeypatch.chdir(tmp_path / "graph")
    with Session(device="cpu") as session:
        session.run(document)
    run_script(script_of(document, device), tmp_path / "script")
    made = sorted(path.name for path in (tmp_path / "graph" / "out").iterdir())
    assert made == sorted(path.name for path in (tmp_path / "script" / "out").iterdir())
    for name in made:
        assert (pixels(tmp_path / "graph" / "out" / name) == pixels(tmp_path / "script" / "out" / name)).all(), name


@pytest.fixture
def references(tmp_path: Path) -> list[str]:
    """Two pictures: one that is transparent, one that a camera turned."""
    numbers = np.random.default_rng(0)
    names = [str(tmp_path / "clear.png"), str(tmp_path / "turned.jpg")]
    PIL.Image.fromarray(numbers.integers(0, 256, (70, 200, 4), np.uint8), "RGBA").save(names[0])
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(numbers.integers(0, 256, (64, 100, 3), np.uint8)).save(names[1], exif=exif)
    return names


def test_pictures_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, references: list[str]) -> None:
    """Prompts, negative prompts, batches, references, JPEG, WebP, shared seeds and groups: the same pixels."""
    document = graph(
        {
            "seed": node("Integer", {"value": 5}),
            **drawn("plain"),
            **drawn("negative", "jpg", text={"negative_prompt": "a \"dark\" \\ night"}, settings={"guidance": 3.5}),
            **drawn("batch", "webp", settings={"batch": 2, "guidance": 1.0}, seed="seed"),
            "read": node("LoadReferenceImages", {"files": references}, images=["plain_image"]),
            "encode": node("EncodeReferences", vae="model.vae", references="read"),
            **drawn("edited", settings={"width": None, "height": None, "steps": 1}, references="encode"),
            **drawn("groups"),
        }
    )  # fmt: skip
    document["nodes"]["groups_latent"]["offload"] = {"mode": "group", "level": "block"}
    assert_same(document, tmp_path, monkeypatch)


def test_models_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LoRAs on, added up and off again, NF4 and int8 on a CPU, a VAE of another precision: the same pixels."""
    document = graph(
        {
            "lora": node("ApplyLoRA", {"path": LORA, "weight": 0.7}, transformer="model.transformer"),
            "more": node("ApplyLoRA", {"path": LORA, "weight": 0.4}, transformer="lora"),
            "nf4": node("Quantize", {"method": "nf4", "double_quant": True}, model="model.transformer"),
            "words": node("Quantize", {"method": "nf4"}, model="model.text_encoder"),
            "int8": node("Quantize", {"method": "int8"}, model="model.transformer"),
            **drawn("with", transformer="lora"),
            **drawn("without"),
            **drawn("stack", transformer="more"),
            **drawn("four", transformer="nf4", text_encoder="words"),
            **drawn("eight", transformer="int8"),
            "half": node("LoadModel", {"dtype": "bfloat16"}),
            **drawn("halves", transformer="half.transformer", text_encoder="half.text_encoder"),
        }
    )
    assert_same(document, tmp_path, monkeypatch)


def test_a_text_encoder_elsewhere_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt that is encoded on another device comes to the transformer by a pipeline of its own."""
    document = graph(drawn("night", text={"negative_prompt": "day"}))
    document["nodes"]["model"]["settings"]["dtype"] = "float32"
    document["nodes"]["night_text"]["device"] = "cpu"
    assert "text_encoder=None, tokenizer=None" in script_of(document, "cpu:0").replace("\n    ", " ")
    assert_same(document, tmp_path, monkeypatch, device="cpu:0")


@pytest.mark.parametrize("name", ["text_to_image", "klein_base_cfg", "nf4_20gb", "cpu_offload_62gb"])
def test_templates_become_scripts_for_a_card(name: str) -> None:
    """What nobody here can run is at least Python, with the settings on top and the devices of the graph."""
    document = Session().document(name, {"model": "black-forest-labs/FLUX.2-klein-base-4B"})
    text = export(Session().check(document), "cuda:0", software()).render()
    constants = {name for name in assigned(ast.parse(text)) if name.isupper()}
    assert {"PROMPT", "MODEL", "SEED", "STEPS", "GUIDANCE", "WIDTH", "DEVICE"} <= constants
    assert 'DEVICE = "cuda:0"' in text
    assert "dtype=torch.bfloat16" in text
    assert "max_sequence_length" not in text  # it is the pipeline's own
    assert ("enable_model_cpu_offload(device=DEVICE)" in text) == (name == "cpu_offload_62gb")


class Mystery(Node):
    """A node of somebody else's."""

    def run(self, ctx: Context) -> str:
        return ""


def test_what_has_no_plain_form_is_named_at_once(references: list[str]) -> None:
    """Every node that diffusers alone cannot do is a fault with its place, and what follows it is not blamed."""
    registry = Registry.installed()
    registry.add(Mystery)
    document = graph(
        {
            "mystery": node("Mystery"),
            "remote": node("RemoteEncode", {"url": "http://127.0.0.1:1", "allow_private": True}),
            "layers": node("Quantize", {"method": "layerwise-fp8"}, model="model.transformer"),
            "skip": node("Quantize", {"skip": ["proj_out"]}, model="model.transformer"),
            **drawn("a", transformer="layers"),
            **drawn("b"),
        }
    )
    document["nodes"]["b_latent"]["wires"]["conditioning"] = "remote"
    with pytest.raises(GraphError) as caught:
        script_of(document, session=Session(registry=registry))
    assert {fault.node for fault in caught.value.faults} == {"mystery", "remote", "layers", "skip"}
    assert "Mystery has no plain form: Limner knows only those of its own nodes" in str(caught.value)
    assert "RemoteEncode has no plain form: Limner cannot export it yet" in str(caught.value)
    assert "Limner cannot export skip yet" in str(caught.value)


def test_threads_wait_as_they_do_in_limner() -> None:
    """How OpenMP's threads wait is said before torch is imported, which reads it then."""
    head, found, _ = script_of(graph(drawn("a"))).partition("import torch\n")
    assert found
    assert 'os.environ.setdefault("OMP_WAIT_POLICY", "passive")' in head
    assert not [name for name in ("from diffusers", "from transformers", "from torch") if name in head]


def test_the_page_names_what_cannot_be_exported() -> None:
    """The page has every node type of ours that export refuses, and no other; it speaks of ComfyUI's together."""
    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text().partition("cannot be exported yet is refused")[2]
    ours = {name: kind for name, kind in Registry.installed().items() if kind.cls.category != "comfyui"}
    refused = {
        name for name, kind in ours.items() if name not in EMITTERS and kind.cls.known_outputs is Node.known_outputs
    }
    assert set(re.findall(r"`(\w+)`", page.partition("\n\n")[0])) == refused


def test_a_setting_that_no_emitter_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is added to a node type later is never left out in silence."""
    from dataclasses import replace

    known = EMITTERS["Denoise"]
    less = dict(EMITTERS) | {"Denoise": replace(known, settings=known.settings - {"seed"})}
    monkeypatch.setattr("limner.nodes._plain.export.EMITTERS", less)
    assert script_of(graph(drawn("a")))
    with pytest.raises(GraphError, match="Limner cannot export seed yet"):
        script_of(graph(drawn("a", settings={"seed": 3})))


def test_a_graph_that_saves_nothing_is_refused() -> None:
    """A script that keeps no picture would be for nothing."""
    with pytest.raises(GraphError, match="saves no picture"):
        script_of(graph({}))


def test_a_lora_with_an_alpha_is_said_to_differ(tmp_path: Path) -> None:
    """Where the last bits may differ, the script says so."""
    import safetensors.torch
    import torch

    tensors = safetensors.torch.load_file(LORA)
    layer = next(name for name in tensors if name.endswith(".lora_A.weight")).removesuffix(".lora_A.weight")
    path = tmp_path / "alpha.safetensors"
    safetensors.torch.save_file(tensors | {f"{layer}.alpha": torch.tensor(3.0)}, path)
    nodes = {"lora": node("ApplyLoRA", {"path": str(path)}, transformer="model.transformer")}
    text = script_of(graph(nodes | drawn("a", transformer="lora")))
    assert "The last bits may differ" in ast.get_docstring(ast.parse(text))  # type: ignore[operator]  # there is one


HOSTILE = [
    '"""\nimport os\nos.remove("x")\n"""',
    "'; import os #",
    "\\",
    "a\rb",
    "\u202eevil",
    "#",
    "\ud800"[:0],
    "{x}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_words_of_others_are_never_code(text: str) -> None:
    """Names, descriptions and prompts stay words, whatever is in them."""
    document = graph(drawn("a", text={"prompt": text}), description=text)
    tree = ast.parse(script_of(document))
    assert ast.literal_eval(assigned(tree)["PROMPT"]) == text
    plain = ast.parse(script_of(graph(drawn("a"))))
    assert [type(line) for line in tree.body] == [type(line) for line in plain.body]
    assert "\u202e" not in script_of(document)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_literals_are_read_back(value: Any) -> None:
    """Whatever a setting holds, Python reads the same from the script."""
    if "\\ud8" in json.dumps(value):  # half characters are no text, and no graph has them
        return
    assert ast.literal_eval(literal(value)) == value
    assert ast.literal_eval(wrapped(value)) == value


@given(st.text())
def test_comments_are_one_line(text: str) -> None:
    """What stands in a comment cannot end it."""
    assert len(comment(text).splitlines()) <= 1
    assert '"""' not in comment(text)


def test_names_of_nodes_become_names_of_constants() -> None:
    """Ids that Python would read as one name, or as none, are told apart."""
    nodes: dict[str, Any] = {"model": node("LoadModel")}
    ids = ["fi", "\ufb01", "2nd", "提示", "a-b", "a_b"]
    for number, name in enumerate(ids):
        nodes[name] = node("Text", {"value": f"text {number}"})
        nodes |= drawn(f"d{number}", text={"prompt": ""})
        nodes[f"d{number}_text"] = node("TextEncode", text_encoder="model.text_encoder", prompt=name)
    found: dict[str, Any] = {}
    lines = [line for line in ast.parse(script_of(graph(nodes))).body if isinstance(line, ast.Assign)]
    exec(compile(ast.Module([line for line in lines if isinstance(line.value, ast.Constant)], []), "s", "exec"), found)
    assert {value for value in found.values() if str(value).startswith("text ")} == {f"text {n}" for n in range(6)}
