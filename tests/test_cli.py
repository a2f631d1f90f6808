from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from llmlab import cli
from llmlab.notebook import workbench


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["llmlab", *words])
    code = 0
    try:
        cli.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    return code, said.out, said.err


@pytest.fixture
def llmlab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    return lambda *words: run(monkeypatch, capsys, *words)


def test_the_doctor_says_ready(llmlab) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = llmlab("doctor")
    assert "READY" == out.splitlines()[-1]
    assert 0 == code
    code, out, _ = llmlab("doctor", "--json")
    report = json.loads(out)
    assert report["ready"]
    assert 1 == report["schema_version"]


def test_the_doctor_names_what_is_missing(llmlab, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(workbench, "_JUPYTER", ("jupyterlab", "a-package-that-is-not-there"))
    code, out, _ = llmlab("doctor")
    assert 1 == code
    assert "a-package-that-is-not-there not installed; run: pip install" in out
    assert "NOT READY" in out.splitlines()[-1]


def test_the_doctor_says_how_serve_could_run_and_a_workshop_is_ready_without_it(llmlab, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    _, out, _ = llmlab("doctor")
    assert "ok   serve         uvicorn " in out
    versions = workbench._versions
    monkeypatch.setattr(
        workbench, "_versions", lambda names, remedy: versions([*names, *(["no-such"] if "uvicorn" in names else [])], remedy)
    )
    code, out, _ = llmlab("doctor")
    assert 0 == code
    assert "no   serve         no-such not installed; run: pip install -c constraints.txt -e '.[serve]'" in out
    assert "READY" == out.splitlines()[-1]


def test_the_doctor_and_lab_notice_a_missing_kernel(llmlab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    def gone(self: object, name: str) -> object:
        raise NoSuchKernel(name)

    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", gone)
    code, _, err = llmlab("lab", "--folder", str(tmp_path))
    assert 2 == code
    assert "ipykernel install" in err


def test_an_answer_and_its_trace_come_in_the_terminal(llmlab) -> None:  # type: ignore[no-untyped-def]
    code, out, err = llmlab("ask", "How long can I send the machine back?", "--source", "simulator")
    assert 0 == code
    assert out.strip()
    for word in (
        "guards in",
        "prompt assembly",
        "routing",
        "post-processing",
        "#0 primary",
        "tokens",
        "USD",
        "simulator",
        "first word after",
    ):
        assert word in err


def test_a_question_with_a_fault_gives_json(llmlab) -> None:  # type: ignore[no-untyped-def]
    fault = "LatencySpike(probability=1, seconds=0.01)"
    code, out, _ = llmlab("ask", "Is there a warranty?", "--source", "simulator", "--fault", fault, "--json")
    report = json.loads(out)
    assert 0 == code
    assert "ok" == report["status"]
    assert 1 == report["schema_version"]


def test_a_question_of_a_megabyte_is_blocked_in_one_line(llmlab) -> None:  # type: ignore[no-untyped-def]
    code, out, err = llmlab("ask", "x" * 1_000_000, "--source", "simulator")
    assert 1 == code
    assert "1,000,000 characters, and 4,000 are allowed" in err
    assert len(out) + len(err) < 2000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ask", "Hm?", "--fault", "Earthquake()"], "there is no fault 'Earthquake'; there is: BrownOut"),
        (["ask", "Hm?", "--fault", "LatencySpike(probability=1.5)"], "probability is a share from 0 to 1, not 1.5"),
        (["ask", "Hm?", "--fault", "LatencySpike(seconds=-1)"], "seconds is a time of 0 seconds or more, not -1"),
        (["ask", "Hm?", "--fault", "LatencySpike(speed=3)"], "has no attribute 'speed'; it has: name, probability"),
        (["ask", "Hm?", "--fault", "LatencySpike("], "is no fault; write it as"),
        (["ask", "Hm?", "--fault", "LatencySpike(seconds=open('x'))"], "plain numbers"),
        (["ask", "Hm?", "--source", "dreams"], "there is no source 'dreams'; there is: cassette, simulator, live"),
        (["gameday", "--scenario", "flood"], "there is no scenario 'flood'; there is: latency"),
        (["gameday", "--requests", "0"], "greater than or equal to 1"),
        (["gameday", "--fail-under", "speed=1"], "there is no measure to gate on 'speed'"),
        (["gameday", "--app", "nothing"], "module:callable"),
        (["gameday", "--cases", "no-such-file.jsonl"], "no-such-file.jsonl"),
        (["bench", "--only", "luck"], "there is no budget 'luck'; there is: pipeline_plain"),
        (["serve", "--fault", "Earthquake()"], "there is no fault 'Earthquake'"),
        (["serve", "--host", "0.0.0.0"], "'0.0.0.0' can be reached by others: give a token"),
        (["serve", "--port", "70000"], "less than or equal to 65535"),
        (["fly"], "No such command 'fly'"),
        (["ask"], "Missing argument"),
    ],
)
def test_bad_input_is_one_line_that_says_what_to_do(llmlab, words: list[str], message: str) -> None:  # type: ignore[no-untyped-def]
    code, out, err = llmlab(*words)
    assert 2 == code
    assert message in err
    assert 1 == len(err.strip().splitlines())
    assert "" == out


def test_empty_cases_are_refused(llmlab, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "cases.jsonl").write_text("")
    code, _, err = llmlab("gameday", "--cases", str(tmp_path / "cases.jsonl"))
    assert 2 == code
    assert "cases.jsonl" in err


def test_a_game_day_prints_a_table_and_what_was_put_in(llmlab) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = llmlab("gameday", "--requests", "20", "--source", "simulator")
    assert 0 == code
    for word in ("latency", "put in: spikes", "naive", "careful", "stack", "first word after 4 s %", "60 simulated"):
        assert word in out


def test_two_game_days_differ_in_wall_time_only(llmlab) -> None:  # type: ignore[no-untyped-def]
    reports = []
    for _ in range(2):
        _, out, _ = llmlab("gameday", "--scenario", "latency", "--requests", "20", "--source", "simulator", "--json")
        report = json.loads(out)
        assert report.pop("wall_seconds") > 0
        reports.append(json.dumps(report))
    assert reports[0] == reports[1]


@pytest.mark.parametrize(("gate", "code"), [("answered=0.5", 0), ("goodput=1", 1), ("answered=0.999", 2)])
def test_a_gate_sets_the_exit_status(llmlab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: str, code: int) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    name = f"gated_app_{code}"
    (tmp_path / f"{name}.py").write_text("import llmlab\nanswer = llmlab.naive\n")
    found, out, _ = llmlab(
        "gameday", "--scenario", "latency", "--app", f"{name}:answer", "--requests", "100", "--fail-under", gate, "--source", "simulator"
    )
    assert code == found, out


def test_lab_copies_the_notebooks_once_and_keeps_what_a_learner_wrote(tmp_path: Path) -> None:
    first = workbench.prepare(tmp_path / "work")
    assert workbench.FIRST_NOTEBOOK in first
    mine = tmp_path / "work" / workbench.FIRST_NOTEBOOK
    mine.write_text("mine")
    assert [] == workbench.prepare(tmp_path / "work")
    assert "mine" == mine.read_text()
    assert [workbench.FIRST_NOTEBOOK] == workbench.prepare(tmp_path / "work", reset=True)
    assert "mine" == mine.with_suffix(".mine.ipynb").read_text()


def test_lab_starts_jupyterlab_on_loopback(llmlab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    started: list[list[str]] = []
    monkeypatch.setattr(subprocess, "call", lambda words: started.append(words) or 0)
    code, out, _ = llmlab("lab", "--folder", str(tmp_path / "work"), "--port", "18123", "--no-browser")
    assert 0 == code
    assert workbench.FIRST_NOTEBOOK in out
    assert {"--ServerApp.ip=127.0.0.1", "--ServerApp.port=18123", "--no-browser"} <= set(started[0])


def test_a_port_in_use_is_named_with_a_way_out(llmlab, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        code, _, err = llmlab("lab", "--folder", str(tmp_path), "--port", str(port))
    assert 2 == code
    assert f"port {port} is in use" in err
    assert f"--port {port + 1}" in err


def test_a_recording_of_two_questions_replays(llmlab, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    import llmlab as package
    from llmlab.data.help_desk import cases

    to = tmp_path / "mine.json"
    code, out, _ = llmlab("record", "--to", str(to), "--takes", "2", "--cases", "2")
    assert 0 == code
    assert "20 interactions" in out
    runs = package.Lab(source="cassette", cassette=to).run(package.stack, cases()[:2], requests=4)
    assert "4 replayed" == runs.sources


def test_a_defect_is_one_line_too(llmlab, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    def broken() -> list[object]:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(workbench, "examine", broken)
    code, _, err = llmlab("doctor")
    assert 2 == code
    assert "ZeroDivisionError: oh" in err


def test_a_recording_into_a_folder_is_refused_before_anything_is_asked(llmlab, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, _, err = llmlab("record", "--to", str(tmp_path))
    assert 2 == code
    assert "is a folder; name a file in it" in err


def test_a_recording_that_failed_leaves_the_old_one(llmlab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    from llmlab.lab import record
    from llmlab.wire.simulator import Simulator

    to = tmp_path / "mine.json"
    to.write_text("{}")
    monkeypatch.setattr(record, "answering", lambda *args, **kwargs: Simulator(api_key="another"))
    code, _, err = llmlab("record", "--to", str(to), "--takes", "1", "--cases", "1")
    assert 2 == code
    assert "5 of 5 requests failed" in err
    assert "{}" == to.read_text()


def test_an_apps_own_mistake_is_named_under_the_table(llmlab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mistaken_app.py").write_text("async def answer(client, question):\n    raise RuntimeError('my key error')\n")
    code, out, err = llmlab("gameday", "--app", "mistaken_app:answer", "--requests", "10", "--source", "simulator")
    assert 0 == code
    assert "retry-storm: skipped, it has apps of its own" in err
    assert "answer: 10 x RuntimeError: my key error" in out
    assert "never" in out


def test_a_game_day_draws_its_storm_strip_and_prices_each_fix(llmlab, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    picture = tmp_path / "strip.png"
    code, out, _ = llmlab("gameday", "--scenario", "latency", "--requests", "20", "--picture", str(picture))
    assert 0 == code
    assert picture.read_bytes().startswith(b"\x89PNG")
    for words in ("What each fix does", "no fix", "stream, hedge", "With a cache", "no independent observations"):
        assert words in out


@pytest.mark.parametrize(("words", "code", "said"), [(["--json"], 130, "stopped"), ([], 130, "in real time")])
def test_serve_says_where_and_stops_on_an_interrupt(words: list[str], code: int, said: str) -> None:
    import signal

    fault = "LatencySpike(probability=1, seconds=0)"
    words = [sys.executable, "-m", "llmlab.cli", "serve", "--port", "0", "--source", "simulator", "--seed", "3", "--fault", fault, *words]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    assert code == running.returncode
    assert "" == out
    assert said in err
    assert "Traceback" not in err
    if "--json" in words:
        report = json.loads(line)
        assert ["LatencySpike"] == [fault.partition("(")[0] for fault in report["faults"]]
        assert {"schema_version": 1, "command": "serve", "seed": 3, "source": "simulator"}.items() <= report.items()
        assert report["url"].startswith("http://127.0.0.1:")
    else:
        assert "export OPENAI_BASE_URL=http://127.0.0.1:" in line
        assert "OPENAI_API_KEY=any" in line


def test_serve_names_another_port_than_one_in_use(llmlab) -> None:  # type: ignore[no-untyped-def]
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        code, _, err = llmlab("serve", "--source", "simulator", "--port", str(port))
    assert 2 == code
    assert f"port {port} is in use; choose another, as in port={port + 1}" in err
