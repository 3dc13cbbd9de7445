"""Running graphs from Python: the same graph as in the shell, with results as values."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import limner
from limner import Graph, GraphError, InputError, NodeFailed, Session
from limner.nodes import Denoise, LoadModel, PreviewImage, SaveImage, TextEncode, VAEDecode
from limner.nodes.values import Files, Image

SMALL = {"steps": 2, "width": 64, "height": 64}


def composed() -> Graph:
    """The example of the documentation, whole."""
    graph = Graph("mine")
    model = graph.add(LoadModel(source="tiny"))
    text = graph.add(TextEncode(prompt="a red circle"), text_encoder=model.text_encoder)
    latent = graph.add(Denoise(**SMALL, seed=7), transformer=model.transformer, conditioning=text)
    image = graph.add(VAEDecode(), vae=model.vae, latent=latent)
    graph.add(SaveImage(path="mine.png", overwrite=True), images=image)
    return graph


def test_run_takes_a_template_and_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """``limner.run`` draws a template with parameters as keyword arguments."""
    monkeypatch.setattr("limner.session._default", None)
    result = limner.run("text_to_image", prompt="a large red circle on a #203040 background", seed=7, **SMALL)
    assert result.status == "completed"
    assert [files.paths for files in result.values(Files)] == [("outputs/image.png",)]
    limner.session.default_session().close()


def test_a_composed_graph_equals_its_file(session: Session) -> None:
    """What a script composes and what the JSON loader reads back are one graph, and one picture."""
    graph = composed()
    graph.save("mine.json")
    assert Graph.load("mine.json") == graph
    session.run(graph)
    first = Path("mine.png").read_bytes()
    session.run("mine.json")
    assert Path("mine.png").read_bytes() == first


def test_a_fault_of_shape_invents_no_other(session: Session) -> None:
    """A file in another folder that is wrong in one place has one fault: what it names is looked for beside it."""
    Path("there").mkdir()
    inner = {"limner": 1, "nodes": {"m": {"type": "LoadModel"}}, "outputs": {"vae": "m.vae"}}
    outer = {"limner": 1, "nodes": {"g": {"type": "Graph", "settings": {"graph": "inner.json"}}, "x": {"typ": "a"}}}
    Path("there/inner.json").write_text(json.dumps(inner))
    Path("there/outer.json").write_text(json.dumps(outer))
    for graph, beside in (("there/outer.json", None), (outer, "there/outer.json")):
        with pytest.raises(GraphError) as caught:
            session.check(graph, beside=beside)
        assert {fault.node for fault in caught.value.faults} == {"x"}


def test_results_are_values(session: Session) -> None:
    """``Result.values`` gives outputs by their class, as the last nodes made them."""
    graph = composed()
    graph.add(PreviewImage(), images="vae_decode")
    result = session.run(graph)
    (shown,) = result.values(Image)
    with PIL.Image.open("mine.png") as saved:
        assert np.array_equal(np.asarray(saved), shown.pixels[0])
    assert result.outputs["preview_image"]["image"] is shown


@pytest.mark.parametrize("form", ["graph", "document", "mapping", "path", "text"])
def test_a_graph_comes_in_any_form(session: Session, form: str) -> None:
    """Composed, parsed, as JSON, or as a file: a session takes them all."""
    graph = composed()
    graph.save("mine.json")
    mapping = {"limner": 1, **graph.document().model_dump(exclude_defaults=True)}
    forms: dict[str, Any] = {
        "graph": graph,
        "document": graph.document(),
        "mapping": mapping,
        "path": Path("mine.json"),
        "text": "mine.json",
    }
    assert len(session.check(forms[form]).nodes) == 5


def test_two_threads_share_a_session(session: Session) -> None:
    """Runs in two threads end in the same bytes as one after the other."""

    def draw(seed: int) -> None:
        session.run("text_to_image", seed=seed, prompt=f"a star, {seed}", **SMALL, **{"save.path": f"{seed}.png"})

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in (21, 22)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Session() as alone:
        for seed in (21, 22):
            again = {"prompt": f"a star, {seed}", "seed": seed, "save.path": f"again-{seed}.png"}
            alone.run("text_to_image", **SMALL, **again)
            with PIL.Image.open(f"{seed}.png") as one, PIL.Image.open(f"again-{seed}.png") as other:
                assert one.tobytes() == other.tobytes()


def test_faults_are_raised(session: Session) -> None:
    """From Python, faults are exceptions that carry data."""
    with pytest.raises(GraphError) as caught:
        session.run("text_to_image", steps=0, seed=-1)
    assert {fault.path[-1] for fault in caught.value.faults} == {"steps", "seed"}
    with pytest.raises(GraphError, match="no such parameter"):
        session.run("text_to_image", sede=1)
    with pytest.raises(InputError, match="did you mean text_to_image"):
        session.run("text_to_imge")


def test_a_failed_node_is_raised_with_its_cause(session: Session) -> None:
    """NodeFailed names the node and chains what it raised."""
    PIL.Image.effect_noise((96, 96), 50).save("bad.png")
    Path("bad.png").write_bytes(Path("bad.png").read_bytes()[:-2000])  # its header is sound
    with pytest.raises(NodeFailed) as caught:
        session.run("edit_with_references", images=["bad.png"], **SMALL)
    assert caught.value.node == "references"
    assert isinstance(caught.value.__cause__, InputError)


def test_a_run_can_be_cancelled_and_goes_on(session: Session, tmp_path: Path) -> None:
    """``start`` gives a handle; after ``cancel`` the next run goes on from the last step."""
    with Session(cache_dir=tmp_path / "kept") as mine:
        stream = limner.EventStream()
        reader = stream.reader(limit=10_000)
        values = SMALL | {"steps": 50, "seed": 31}
        run = mine.start("text_to_image", values, events=stream)
        for event in reader:
            if type(event).__name__ == "NodeProgress" and event.node == "denoise":
                run.cancel()
                break
        result = run.wait()
        assert result is not None
        assert result.status == "cancelled"
        with pytest.raises(limner.Cancelled):
            result.raise_for_failures()
        stream = limner.EventStream()
        reader = stream.reader(limit=10_000)
        mine.run("text_to_image", events=stream, **values)
        assert any(type(event).__name__ == "NodeResumed" for event in reader)


def test_a_closed_session_lets_models_go_and_can_run_again() -> None:
    """``close`` frees models and threads; a later run starts anew."""
    session = Session()
    session.run("text_to_image", **SMALL)
    session.close()
    session.close()
    assert session.run("text_to_image", **SMALL).status == "completed"
    session.close()


def test_models_keep_to_their_budget() -> None:
    """With room for the largest model only, every swap makes room first, and the picture is the same."""

    def draw(budget_bytes: dict[str, int] | None, path: str) -> list[Any]:
        stream = limner.EventStream()
        reader = stream.reader(limit=10_000)
        with Session(budget_bytes=budget_bytes) as mine:
            mine.run("text_to_image", events=stream, seed=3, **SMALL, **{"save.path": path})
        return [event for event in reader if type(event).__name__ in ("ModelLoading", "ModelDropped")]

    loads = draw(None, "free.png")
    assert [(event.node, type(event).__name__) for event in loads] == [
        (node, "ModelLoading") for node in ("encode", "denoise", "decode")
    ]
    memory = Session().plan("text_to_image", SMALL).memory
    assert memory is not None
    held = [step for step in memory.steps if step.models]
    budget = max(step.models[0].device_bytes + step.working_bytes for step in held) * 101 // 100
    used = 0
    for event in (news := draw({"cpu": budget}, "tight.png")):
        used += event.size_bytes if type(event).__name__ == "ModelLoading" else -event.size_bytes
        assert used <= budget
    assert sum(type(event).__name__ == "ModelDropped" for event in news) >= 1
    with PIL.Image.open("free.png") as one, PIL.Image.open("tight.png") as other:
        assert one.tobytes() == other.tobytes()


def test_a_model_that_cannot_fit_is_refused() -> None:
    """Before it is loaded, with what it needs, what there is and what to try."""
    with Session(budget_bytes={"cpu": 1_000_000}) as mine, pytest.raises(GraphError) as refused:
        mine.run("text_to_image", prompt="never seen", **SMALL)
    assert [fault.node for fault in refused.value.faults] == ["encode", "denoise", "decode"]
    assert "encode needs 3.2 MB on cpu, which has 1.0 MB: 2.2 MB too much" in refused.value.faults[0].message
    assert refused.value.faults[0].hint is not None


def test_force_leaves_it_to_the_pool() -> None:
    """What is refused may be tried: a model that really cannot fit is refused before it is loaded."""
    with Session(budget_bytes={"cpu": 1_000_000}, force=True) as mine, pytest.raises(NodeFailed) as caught:
        mine.run("text_to_image", prompt="never seen", **SMALL)
    cause = caught.value.__cause__
    assert isinstance(cause, limner.engine.errors.DeviceError)
    assert "the text encoder of tiny needs 2.94 MB, and cpu has 1 MB for models" in str(cause)
    assert "choose a smaller model" in str(cause)


def test_budgets_come_from_the_devices(session: Session) -> None:
    models: Any = session.executor.models
    memory = session.devices["cpu"].memory_bytes
    assert memory is not None
    assert memory // 2 <= models.budget_bytes["cpu"] < memory


def test_a_plan_is_one_object() -> None:
    """``limner.plan`` and ``Session.plan`` say where each node runs, and what is in memory when, for any machine."""
    machine = {"cuda:0": 24 * 10**9, "cpu": 64 * 10**9}
    plan = limner.plan("text_to_image", memory=machine, model="black-forest-labs/FLUX.2-klein-4B")
    assert plan.memory is not None
    assert plan.memory.fits
    assert [step.lane for step in plan.steps] == ["host", "cuda:0", "cuda:0", "cuda:0", "host"]
    own = Session().plan("text_to_image").memory
    assert own is not None
    assert set(own.peak_bytes) <= set(Session().devices)


def test_making_a_session_touches_nothing(tmp_path: Path) -> None:
    """A session makes no folder before it has something to keep."""
    with Session(cache_dir=tmp_path / "kept"):
        pass
    assert not (tmp_path / "kept").exists()


def test_a_session_says_which_models_are_alive() -> None:
    """Most recently used first, each with its device, bytes and budget; none before a run and after the end."""
    with Session(budget_bytes={"cpu": 10**9}, device="cpu") as mine:
        assert mine.models() == []
        mine.run("text_to_image", **SMALL)
        vae, transformer, encoder = mine.models()
        assert [str(model.spec) for model in (vae, transformer, encoder)] == [
            f"the {part} of tiny" for part in ("vae", "transformer", "text encoder")
        ]
        assert transformer.size_bytes > encoder.size_bytes > vae.size_bytes > 10**6
        assert {(model.device, model.budget_bytes) for model in (vae, transformer, encoder)} == {("cpu", 10**9)}
    assert mine.models() == []


def test_a_picture_names_no_version_that_its_key_does_not_know(session: Session) -> None:
    """Else what an earlier bitsandbytes or Pillow computed would be taken from the cache, and said to be this one's."""
    named = dict(session.machine.software)
    del named["python"]  # which changes no pixel
    assert session.executor.software == named
    assert {"torch", "pillow"} <= set(named)
