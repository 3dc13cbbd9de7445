"""``limner jobs``: the queue from the terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from limner.server.jobs import JobStore, Limits, NewJob
from limner.server.jobs.job import Artifact
from limner.server.jobs.leases import Ending

QUICK = ("--set", "steps=1", "--set", "width=64", "--set", "height=64")


@pytest.fixture(autouse=True)
def jobs_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has jobs of its own."""
    monkeypatch.setenv("LIMNER_JOBS_DIR", str(tmp_path / "jobs"))
    return tmp_path / "jobs"


def finish(jobs_dir: Path, ending: Ending) -> str:
    """A job that a worker ended so."""
    with JobStore(jobs_dir) as store:
        store.queue.accept(NewJob("{}", name="mine", priority=9))
        claim = store.leases.claim("w")
        assert claim is not None
        store.leases.finish(claim, ending)
        return claim.job_id


def test_what_is_handed_in_is_listed(limner: Any) -> None:
    """The id goes to stdout, and the list has it; ``--json`` is for programs."""
    first = limner("jobs", "add", "text_to_image", *QUICK).stdout.strip()
    second = limner("jobs", "add", "text_to_image", *QUICK, "--priority", "5").stdout.strip()
    assert [job["id"] for job in limner("jobs", "list", "--json").json["jobs"]] == [second, first]
    page = limner("jobs", "list", "--state", "pending", "--limit", "1", "--json").json
    assert [job["id"] for job in page["jobs"]] == [second]
    rest = limner("jobs", "list", "--state", "pending", "--after", page["next"], "--json").json
    assert [job["id"] for job in rest["jobs"]] == [first]
    shown = limner("jobs", "list", "-n", "1")
    assert second in shown.stdout
    assert f"there are more: --after {second}" in shown.stderr


def test_the_same_key_is_the_same_job(limner: Any) -> None:
    """Handing in again with a key adds nothing."""
    ids = {limner("jobs", "add", "text_to_image", *QUICK, "--key", "k").stdout for _ in range(2)}
    assert len(ids) == 1


def test_a_wrong_graph_is_not_handed_in(limner: Any) -> None:
    """Every fault is said with exit code 2, a path that leads out too, and no job is there."""
    wrong = limner("jobs", "add", "text_to_image", "--set", "steps=0", "--set", "nope=1")
    assert (wrong.code, wrong.stdout) == (2, "")
    assert "2 faults" in wrong.stderr
    out = limner("jobs", "add", "text_to_image", "--set", "save.path=../star.png")
    assert out.code == 2
    assert "leads out of the run's folder @ nodes.save.settings.path" in out.stderr
    assert limner("jobs", "list").stderr == "no jobs\n"


def test_jobs_are_ended_held_and_tried_again(limner: Any) -> None:
    """Cancel, retry, pause and resume say what each job is now; what cannot be done is said with exit code 2."""
    job = limner("jobs", "add", "text_to_image", *QUICK).stdout.strip()
    for command, state in (("pause", "paused"), ("resume", "pending"), ("cancel", "cancelled"), ("retry", "pending")):
        assert limner("jobs", command, job).stdout == f"{job} {state}\n"
    again = limner("jobs", "retry", job)
    assert (again.code, "only what failed or was cancelled" in again.stderr) == (2, True)
    assert limner("jobs", "show", "nothing").code == 2
    limner("jobs", "pause")
    assert "the queue is paused" in limner("jobs", "list").stderr
    limner("jobs", "resume")
    assert limner("jobs", "list").stderr == ""


def test_one_that_is_not_there_keeps_no_other(limner: Any) -> None:
    """Of several jobs each is changed that can be; the exit code says that one could not."""
    jobs = [limner("jobs", "add", "text_to_image", *QUICK).stdout.strip() for _ in range(2)]
    ended = limner("jobs", "cancel", jobs[0], "nothing", jobs[1])
    assert (ended.code, ended.stdout) == (2, "".join(f"{job} cancelled\n" for job in jobs))
    assert "there is no job nothing" in ended.stderr


def test_nothing_is_not_backed_up(limner: Any, tmp_path: Path) -> None:
    """A folder without jobs is refused, and stays as it is; a backup is for its owner's eyes."""
    empty = limner("jobs", "backup", str(tmp_path / "a.db"), "--jobs-dir", str(tmp_path / "none"))
    assert (empty.code, "there are no jobs in" in empty.stderr) == (2, True)
    assert not (tmp_path / "none").exists()
    limner("jobs", "add", "text_to_image", *QUICK)
    assert limner("jobs", "backup", str(tmp_path / "a.db")).code == 0
    assert (tmp_path / "a.db").stat().st_mode & 0o077 == 0


def test_a_job_is_shown_with_why_it_failed(limner: Any, jobs_dir: Path) -> None:
    """Message and hint are on its page, harmless for the terminal."""
    job = finish(jobs_dir, Ending("failed", "it \x1b[31mbroke", "mend it"))
    shown = limner("jobs", "show", job).stdout
    assert "it \\x1b[31mbroke" in shown
    assert "mend it" in shown
    assert limner("jobs", "show", job, "--json").json["state"] == "failed"


def test_files_are_copied_out(limner: Any, jobs_dir: Path, tmp_path: Path) -> None:
    """``save`` gives a job's files their names, and replaces nothing; forgotten ones are said."""
    with JobStore(jobs_dir) as store:
        artifact = Artifact("outputs/a.txt", store.blobs.put(b"content"), 7)
    job = finish(jobs_dir, Ending("completed", artifacts=[artifact]))
    assert str(store.blobs.path(artifact.sha256)) in limner("jobs", "show", job).stdout.replace("\n", "")
    paths = [limner("jobs", "save", job, "--out", str(tmp_path / "to")).stdout.strip() for _ in range(2)]
    assert paths == [str(tmp_path / "to" / "outputs" / name) for name in ("a.txt", "a-2.txt")]
    assert Path(paths[0]).read_bytes() == b"content"
    with JobStore(jobs_dir) as store:
        store.retention.apply(Limits(artifact_bytes=0))
    assert "were forgotten" in limner("jobs", "save", job).stderr


def test_work_runs_what_waits_until_it_is_interrupted(limner: Any, tmp_path: Path) -> None:
    """``work`` is a process that runs jobs, says so, and ends in order with Ctrl-C."""
    graph = {"limner": 1, "name": "n", "nodes": {"a": {"type": "Integer", "settings": {"value": 7}}}}
    (tmp_path / "n.json").write_text(json.dumps(graph))
    job = limner("jobs", "add", "n.json").stdout.strip()
    command = [sys.executable, "-m", "limner", "jobs", "work"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stderr is not None
        said = [process.stderr.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert [line.partition("message=")[2].split(" waited")[0].split(" seconds")[0] for line in said[1:]] == [
        '"job begun"',
        '"job completed"',
    ]
    assert all(f"job={job}" in line and "worker=w-" in line for line in said[1:])
    followed = limner("jobs", "show", job, "--follow")
    assert [line[9:] for line in followed.stdout.splitlines()][:2] == ["waits: accepted", "begun"]
    assert followed.stdout.endswith("completed\n")
    (path,) = limner("jobs", "save", job).stdout.splitlines()
    assert list(json.loads(Path(path).read_text())["a"].values()) == [7]


def test_work_says_what_is_wrong_before_it_begins(limner: Any, tmp_path: Path) -> None:
    """A file of nodes that is not there, or memory that is none, ends it with exit code 2."""
    assert limner("jobs", "work", "--nodes", str(tmp_path / "nothing.py")).code == 2
    assert limner("jobs", "work", "--memory", "much").code == 2
    assert limner("jobs", "list", "--store", "mysql://host/name").code == 2


def test_backup_and_restore(limner: Any, tmp_path: Path) -> None:
    """``backup`` names its file and replaces none; ``restore`` lets no job go unasked."""
    job = limner("jobs", "add", "text_to_image", *QUICK).stdout.strip()
    file = str(tmp_path / "backup.db")
    assert limner("jobs", "backup", file).stdout.strip() == file
    assert limner("jobs", "backup", file).code == 2
    limner("jobs", "add", "text_to_image", *QUICK)
    assert "--replace" in limner("jobs", "restore", file).stderr
    assert "1 jobs are in" in limner("jobs", "restore", file, "--replace").stderr
    assert [one["id"] for one in limner("jobs", "list", "--json").json["jobs"]] == [job]


@pytest.mark.parametrize("command", [["jobs", "list"], ["jobs", "work"], ["jobs", "add", "text_to_image"]])
def test_a_store_that_cannot_be_used_is_wrong_input(limner: Any, tmp_path: Path, command: list[str]) -> None:
    """A store that is damaged, or cannot be where it should, ends each command with exit code 2 and one line."""
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "jobs.db").write_bytes(b"no database at all" * 100)
    (tmp_path / "file").write_text("")
    for folder in ("damaged", "file/store"):
        answer = limner(*command, "--jobs-dir", str(tmp_path / folder))
        assert answer.code == 2
        assert answer.stderr.startswith("✗ ")
        assert str(tmp_path / folder) in answer.stderr


def test_a_list_can_be_of_one_client(limner: Any, jobs_dir: Path) -> None:
    """``--client`` narrows both lists; whose a job is is shown where there are clients."""
    with JobStore(jobs_dir) as store:
        ids = {name: store.queue.accept(NewJob("{}", client=name)).id for name in ("anna", "bert")}
    for state in ((), ("--state", "pending")):
        found = limner("jobs", "list", "--client", "anna", *state, "--json").json["jobs"]
        assert [job["id"] for job in found] == [ids["anna"]]
    assert "bert" in limner("jobs", "list").stdout


def test_follow_says_how_it_ended(limner: Any, jobs_dir: Path) -> None:
    """``show --follow`` of a job that failed says why, with exit code 1; ``--json`` has each event on a line."""
    job = finish(jobs_dir, Ending("failed", "no more \x1b[31mink"))
    shown = limner("jobs", "show", job, "--follow")
    assert shown.code == 1
    assert shown.stdout.endswith("failed: no more \\x1b[31mink\n")
    events = [json.loads(line) for line in limner("jobs", "show", job, "-f", "--json").stdout.splitlines()]
    assert [(event["seq"], event["kind"]) for event in events] == [(1, "queued"), (2, "started"), (3, "finished")]
    assert events[0]["body"] == {"why": "accepted"}
