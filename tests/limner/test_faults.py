"""Bad input from the shell: a message with what, where and what to try; exit code 2; never a traceback."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

MODEL = {"type": "LoadModel", "settings": {"source": "somebody/some-model"}}
ENCODE = {"type": "TextEncode", "wires": {"text_encoder": "model.text_encoder"}}
DENOISE = {"type": "Denoise", "wires": {"transformer": "model.transformer", "conditioning": "encode"}}
GOOD = {"model": MODEL, "encode": ENCODE, "denoise": DENOISE}


def changed(node: str, **parts: Any) -> dict[str, Any]:
    """The good graph with one node changed."""
    return GOOD | {node: GOOD[node] | parts}


def steps(value: Any) -> dict[str, Any]:
    return changed("denoise", settings={"steps": value})


GRAPHS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown type": (changed("denoise", type="Denose"), "unknown node type Denose @ nodes.denoise.type\n    did you"),
    "unknown input": (changed("encode", wires={"text_encode": "model.text_encoder"}), "did you mean text_encoder?"),
    "unknown output": (changed("encode", wires={"text_encoder": "model.encoder"}), "has no output 'encoder'"),
    "several outputs": (changed("encode", wires={"text_encoder": "model"}), "model has several outputs"),
    "wrong type": (
        changed("encode", wires={"text_encoder": "model.vae"}),
        "text_encoder: takes TextEncoder, but model.vae gives VAE @ nodes.encode.wires.text_encoder",
    ),
    "missing wire": (changed("encode", wires={}), "text_encoder: is not wired @ nodes.encode.wires.text_encoder"),
    "absent node": (changed("encode", wires={"text_encoder": "modle.text_encoder"}), "did you mean model?"),
    "out of range": (steps(1001), "steps: at most 1000 @ nodes.denoise.settings.steps"),
    "text for an integer": (steps("12"), "steps: must be an integer"),
    "fraction for an integer": (steps(3.9), "steps: must be an integer"),
    "boolean for an integer": (steps(True), "steps: must be an integer"),
    "unknown setting": (changed("denoise", settings={"stepz": 3}), "stepz: unknown setting"),
    "a wire among settings": (changed("encode", settings={"text_encoder": "model"}), 'move it under "wires"'),
    "no multiple": (changed("denoise", settings={"width": 100}), "width: must be a multiple of 16"),
    "unknown device": (changed("denoise", device="cuda"), "'cuda' is no device"),
    "unknown key": (changed("denoise", setings={}), "setings: unknown key"),
    "bad id": ({"a b": MODEL}, "'a b' is no id for a node"),
    "eval": (changed("denoise", settings={"steps": "__import__('os').system('true')"}), "steps: must be an integer"),
    "folder that is no model": (changed("model", settings={"source": "/"}), "holds no model"),
    "absent model": (changed("model", settings={"source": "./none"}), "there is no model folder ./none"),
    "missing picture": (
        {"r": {"type": "LoadReferenceImages", "settings": {"files": ["none.png"]}}},
        "there is no file none.png",
    ),
    "folder as picture": ({"r": {"type": "LoadReferenceImages", "settings": {"files": ["."]}}}, ". is not a file"),
    "unknown format": ({"s": {"type": "SaveImage", "settings": {"path": "a.gif"}}}, "a.gif must end in .png"),
    "folder as output": ({"s": {"type": "SaveImage", "settings": {"path": "folder.png"}}}, "folder.png is a folder"),
    "absent template": ({"g": {"type": "Graph", "settings": {"graph": "text_to_imge"}}}, "did you mean text_to_image"),
    "template path": ({"g": {"type": "Graph", "settings": {"graph": "../x"}}}, "cannot read"),
    "NUL in a graph's path": ({"g": {"type": "Graph", "settings": {"graph": "a\0/b"}}}, "null byte"),
    "NUL in a picture's path": (
        {"r": {"type": "LoadReferenceImages", "settings": {"files": ["a\0.png"]}}},
        "files: 'a\\x00.png' is no path",
    ),
    "NUL in an output's path": ({"s": {"type": "SaveImage", "settings": {"path": "a\0.png"}}}, "is no path"),
    "NUL in a model": (changed("model", settings={"source": "a\0"}), "is no path"),
    "nobody's home": (changed("model", settings={"source": "~no_such_user/x"}), "there is no such home folder"),
    "long path": ({"s": {"type": "SaveImage", "settings": {"path": "x" * 5000 + ".png"}}}, "File name too long"),
    "half a character": (changed("encode", settings={"prompt": "\ud800"}), "is not Unicode text"),
}


def assert_fault(answer: Any, message: str) -> None:
    assert message in answer.stderr
    assert answer.code == 2
    assert answer.stdout == ""
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("case", GRAPHS)
def test_a_wrong_graph_is_refused(limner: Any, graph_file: Any, case: str) -> None:
    """Each fault of a graph is told with what is wrong, where, and what to try, before anything runs."""
    Path("folder.png").mkdir()
    nodes, message = GRAPHS[case]
    path = graph_file(nodes)
    assert_fault(limner("validate", path), message)
    answer = limner("run", path)
    assert_fault(answer, message)
    assert "nothing was run" in answer.stderr


def test_all_faults_come_at_once(limner: Any, graph_file: Any) -> None:
    """A graph with several faults gets one report that has them all, in the order of the file."""
    nodes = changed("denoise", settings={"steps": 0, "seed": -1, "nonsense": 1}) | {
        "encode": {"type": "TextEncode", "settings": {"prompt": 5}},
        "other": {"type": "Decoder"},
        "broken": {"wires": {}},
    }
    answer = limner("validate", graph_file(nodes, parameters={"prompt": "encod.prompt"}))
    found = [
        "prompt: there is no node 'encod'",
        "text_encoder: is not wired",
        "prompt: must be a text",
        "steps: at least 1",
        "seed: at least 0",
        "nonsense: unknown setting",
        "unknown node type Decoder",
        "type: is required",
    ]
    places = [answer.stderr.index(message) for message in found]
    assert "8 faults; nothing was run" in answer.stderr
    assert answer.code == 2
    assert places == sorted(places)


def test_a_cycle_is_named_by_its_path(limner: Any, graph_file: Any) -> None:
    """A cycle says which nodes it goes through."""
    loop = {"type": "PreviewImage", "wires": {"images": "b"}}
    path = graph_file({"a": loop, "b": {"type": "PreviewImage", "wires": {"images": "a"}}})
    answer = limner("run", path)
    assert_fault(answer, "the wires form a cycle")
    assert "a -> b -> a" in answer.stderr or "b -> a -> b" in answer.stderr


FILES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "graph.json: not JSON: Expecting value at line 1, column 1"),
    "broken": (b'{\n  "limner": 1,\n  "nodes" {}\n}', "at line 3, column 11"),
    "not UTF-8": (b'{"limner": 1, "name": "\xff"}', "not UTF-8 text (byte 23)"),
    "brackets": (b"[" * 100_000, "brackets are nested too deeply"),
    "brackets in a setting": (
        b'{"limner": 1, "nodes": {"a": {"type": "Text", "settings": {"value": ' + b"[" * 900 + b"]" * 900 + b"}}}}",
        "",
    ),
    "integer": (b'{"limner": ' + b"9" * 5000 + b"}", "not JSON: Exceeds the limit (4300 digits)"),
    "NaN": (b'{"limner": NaN}', "not JSON: NaN is not a JSON number"),
    "Infinity": (b'{"limner": -Infinity}', "-Infinity is not a JSON number"),
    "list": (b"[]", "a graph is a JSON object, not a list"),
    "repeated key": (b'{"limner": 1, "nodes": {"a": {}, "a": {}}}', "the key 'a' stands twice"),
    "newer": (b'{"limner": 2, "nodes": {}}', "this graph has format version 2; this release of Limner reads up to 1"),
    "version as text": (b'{"limner": "1", "nodes": {}}', "limner: must be an integer"),
    "no version": (b'{"nodes": {}}', "limner: is required"),
    "another program's": (b'{"last_node_id": 9, "nodes": []}', "no node of the prompt gives anything"),
    "nodes as a list": (b'{"limner": 1, "nodes": []}', "nodes: must be an object"),
    "no nodes": (b'{"limner": 1}', "nodes: is required"),
    "CRLF in the name": (b'{"limner": 1, "name": "a\\r\\n\\u001b[31mb", "nodes": {}}', "name: "),
    "half a character in the name": (b'{"limner": 1, "name": "\\ud800", "nodes": {}}', "name: is not Unicode text"),
    "CRLF in a type": (b'{"limner": 1, "nodes": {"a": {"type": "x\\r\\n\\u001b[31my"}}}', "unknown node type"),
    "CRLF in an id": (b'{"limner": 1, "nodes": {"a\\r\\nb": {"type": "Text"}}}', "is no id for a node"),
    "CRLF in a parameter": (b'{"limner": 1, "nodes": {}, "parameters": {"a\\r\\nb": "c.d"}}', "there is no node 'c'"),
    "a picture": (b"\x89PNG\r\n\x1a\n", "not UTF-8 text"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_graph_is_refused(limner: Any, graph_file: Any, case: str) -> None:
    """Whatever the bytes of a graph file: a message, exit code 2, and nothing of it reaches the terminal raw."""
    content, message = FILES[case]
    answer = limner("run", graph_file(content))
    assert_fault(answer, message)
    assert "\r" not in answer.stderr
    assert "\x1b" not in answer.stderr


@pytest.mark.parametrize("command", ["run", "validate", "plan"])
@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ("none.json", "cannot read"),
        ("text_to_imge", "did you mean text_to_image?"),
        (".", ". is a folder"),
        ("./", "Is a directory"),
        ("../../../x", "cannot read"),
        ("", "there is no template ''"),
        ("~no_such_user/graph.json", "there is no such home folder"),
        ("x" * 5000, "File name too long"),
    ],
)
def test_a_graph_that_is_not_there(limner: Any, command: str, graph: str, message: str) -> None:
    """A graph's name that leads nowhere says so, with the nearest template."""
    assert_fault(limner(command, graph), message)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(limner: Any, graph_file: Any) -> None:
    """A file without permission is told as such."""
    path = graph_file(GOOD)
    path.chmod(0)
    assert_fault(limner("run", path), "Permission denied")


def test_a_picture_that_cannot_be_read(limner: Any, graph_file: Any) -> None:
    """What the header tells is a fault; what only reading shows fails the node. Both name the file, with code 2."""
    PIL.Image.effect_noise((64, 64), 50).save("bad.png")
    whole = Path("bad.png").read_bytes()
    path = graph_file({"pictures": {"type": "LoadReferenceImages", "settings": {"files": ["bad.png"]}}})
    for content, said in (
        (whole[:20], "files: bad.png is damaged: it breaks off: save or download it again @ nodes.pictures"),
        (whole[:-500], "pictures (LoadReferenceImages) failed: bad.png is damaged"),
    ):
        Path("bad.png").write_bytes(content)
        answer = limner("run", path)
        assert answer.code == 2
        assert said in answer.stderr


BREAK = '''
from limner import Context, Node

class Break(Node):
    """Fails."""

    def run(self, ctx: Context) -> str:
        raise ZeroDivisionError("by nought")
'''


def test_a_node_that_breaks_is_exit_code_1(limner: Any, graph_file: Any) -> None:
    """A fault of a node, not of the user, is exit code 1: a line that names the node, and the way to more."""
    Path("nodes.py").write_text(BREAK)
    path = graph_file({"a": {"type": "Break"}, "b": {"type": "Text"}})
    answer = limner("run", path, "--nodes", "nodes.py")
    assert answer.code == 1
    assert "a (Break) failed: ZeroDivisionError: by nought" in answer.stderr
    assert "--debug shows where" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "✓ b" in answer.stderr


def test_debug_shows_the_traceback(limner: Any, graph_file: Any) -> None:
    """``--debug`` shows where, for a node's fault and for a user's."""
    Path("nodes.py").write_text(BREAK)
    path = graph_file({"a": {"type": "Break"}})
    assert 'raise ZeroDivisionError("by nought")' in limner("run", path, "--nodes", "nodes.py", "--debug").stderr
    assert "Traceback" in limner("run", "nothing_like_it", "--debug").stderr


def test_faults_in_json_are_events_too(limner: Any, graph_file: Any) -> None:
    """A program that reads ``--json`` finds a failure, its node and its hint among the events."""
    PIL.Image.effect_noise((64, 64), 50).save("bad.png")
    Path("bad.png").write_bytes(Path("bad.png").read_bytes()[:-500])
    path = graph_file({"pictures": {"type": "LoadReferenceImages", "settings": {"files": ["bad.png"]}}})
    answer = limner("run", path, "--json")
    (failed,) = [event for event in answer.events if event["event"] == "node_failed"]
    assert failed["node"] == "pictures"
    assert failed["hint"] == "save or download it again"


def test_validate_tells_programs_too(limner: Any, graph_file: Any) -> None:
    """``validate --json`` puts the faults on stdout as data: message, path and hint; the exit code stays 2."""
    path = graph_file(steps(0))
    answer = limner("validate", path, "--json")
    assert answer.code == 2
    fault = {"message": "steps: at least 1", "path": ["nodes", "denoise", "settings", "steps"], "hint": None}
    assert answer.json["graph"] == str(path)
    assert fault in answer.json["faults"]


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("run",), ("run", "a", "b"), ("run", "x", "--stepz", "3")])
def test_a_wrong_command_line_is_exit_code_2(limner: Any, arguments: tuple[str, ...]) -> None:
    """What is no command or option is refused with the usage."""
    answer = limner(*arguments)
    assert answer.code == 2
    assert "Usage" in answer.stderr + answer.stdout


def test_a_huge_value_is_taken_or_refused_in_words(limner: Any) -> None:
    """A prompt of a megabyte is a text like any other; as a number it is a fault."""
    hub = ("--set", "model=somebody/some-model")
    assert limner("validate", "text_to_image", "--set", "prompt=" + "x" * 1_000_000, *hub).code == 0
    answer = limner("validate", "text_to_image", "--set", "steps=" + "[" * 100_000, *hub)
    assert answer.code == 2
    assert "steps: must be an integer" in answer.stderr
    assert len(answer.stderr) < 2000


TWO_FAULTS = {"a": {"type": "Txt"}, "b": {"type": "Text", "settings": {"txt": 1}}}


def test_one_report_has_every_fault(limner: Any, graph_file: Any) -> None:
    """Faults of --set, of --out and of the graph come together, and nothing is run."""
    answer = limner("run", graph_file(TWO_FAULTS), "--out", "x.png", "--set", "nope=1", "--set", "no equals sign")
    assert answer.code == 2
    for part in (
        "nope: mine has no such",
        "'no equals sign' is not NAME=VALUE",
        "has no SaveImage",
        "type Txt",
        "txt:",
    ):
        assert part in answer.stderr
    assert "5 faults; nothing was run" in answer.stderr


@pytest.mark.parametrize("command", ["validate", "plan"])
def test_looking_reports_names_and_graph_together(limner: Any, graph_file: Any, command: str) -> None:
    """The commands that only look give one report as well."""
    answer = limner(command, graph_file(TWO_FAULTS), "--set", "nope=1")
    assert answer.code == 2
    assert "3 faults; nothing was run" in answer.stderr


def test_a_missing_device_is_reported_with_the_rest(limner: Any, graph_file: Any) -> None:
    """Where the graph is right, a device that is not there comes in the same report as faults of the options."""
    path = graph_file({"a": {"type": "Text", "device": "cuda:99"}})
    answer = limner("run", path, "--out", "x.png", "--set", "nope=1")
    assert answer.code == 2
    assert "this machine has no cuda:99" in answer.stderr
    assert "3 faults; nothing was run" in answer.stderr


def test_json_has_the_faults_of_a_run(limner: Any, graph_file: Any) -> None:
    """``run --json`` on a wrong graph gives a program the faults, as ``validate --json`` does."""
    path = graph_file(TWO_FAULTS)
    answer = limner("run", path, "--json")
    assert answer.code == 2
    (event,) = answer.events
    assert event["event"] == "faults"
    assert event["faults"] == limner("validate", path, "--json").json["faults"]
    assert [fault["path"] for fault in event["faults"]] == [["nodes", "a", "type"], ["nodes", "b", "settings", "txt"]]
