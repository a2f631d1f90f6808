"""The command line. Every error is one line that says what to do; what reports has `--json`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llmlab.errors import LlmlabError

app = typer.Typer(
    name="llmlab",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="A workbench for what breaks when an LLM feature goes to production.",
)
WIDTH = None if sys.stdout.isatty() else 120
out = Console(highlight=False, soft_wrap=True, width=WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True, width=WIDTH)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Seed = Annotated[int, typer.Option(help="The weather's seed.")]
Source = Annotated[str | None, typer.Option(help="Who answers: cassette, simulator or live.")]
MaxRequests = Annotated[int, typer.Option(help="Live only: stop after so many requests.", min=1)]
MaxUsd = Annotated[float, typer.Option(help="Live only: stop after spending this (in USD).", min=0)]
SCHEMA = {"schema_version": 1}


def main() -> None:
    """Run the command line; an error is one line, never a traceback."""
    try:
        code = app(standalone_mode=False)
        if code == 130:
            _fail("stopped", code=130)
        sys.exit(code)
    except LlmlabError as error:
        _fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        _fail("stopped", code=130)
    except BrokenPipeError:
        with suppress(OSError):
            sys.stdout.close()
    except Exception as error:
        if hasattr(error, "format_message"):  # click's own: a wrong option or argument
            _fail(f"{error.format_message()} (llmlab --help lists what there is)")
        if isinstance(error, OSError):
            _fail(f"{error.strerror}: {error.filename}" if error.filename else str(error))
        _fail(f"{type(error).__name__}: {error}; this is a defect of llmlab or of the app it ran")


def _fail(message: str, code: int = 2) -> NoReturn:
    err.print(f"llmlab: {escape(message)}")
    sys.exit(code)


def _print_json(value: dict[str, Any] | list[Any]) -> None:
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def _show(frame: Any) -> None:
    """Print a table."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(frame.columns):
        table.add_column(str(column), justify="right" if place else "left", overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(escape(str(value)) for value in row))
    out.print(table)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Look whether everything is there. Touches no network."""
    from llmlab.notebook.workbench import examine

    findings = examine()
    ready = all(finding.ok or not finding.needed for finding in findings)
    if as_json:
        _print_json({**SCHEMA, "command": "doctor", "ready": ready, "findings": [finding._asdict() for finding in findings]})
    else:
        for finding in findings:
            word = "ok" if finding.ok else "NOT" if finding.needed else "no"
            out.print(f"{word:<3}  {finding.what:<13} {escape(finding.detail)}")
        out.print("READY" if ready else "NOT READY: see the lines with NOT")
    raise typer.Exit(0 if ready else 1)


@app.command()
def lab(
    port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 8888,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    folder: Annotated[Path, typer.Option(help="Your copy of the notebooks.")] = Path("work"),
    reset: Annotated[bool, typer.Option("--reset", help="Put the notebooks back as they were; yours are kept as NAME.mine.ipynb.")] = False,
) -> None:
    """Open JupyterLab on your own copy of the notebooks."""
    from llmlab.notebook.workbench import _kernel, command, free_port, prepare

    _kernel()
    free_port(port)
    written = prepare(folder, reset=reset)
    if written:
        out.print(f"wrote {', '.join(written)} to {escape(str(folder))}/; what you change there stays until llmlab lab --reset")
    raise typer.Exit(subprocess.call(command(folder, port=port, browser=browser)))


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What a customer of the help desk would ask.")],
    fault: Annotated[list[str] | None, typer.Option(help="Weather, as in 'LatencySpike(probability=1)'; may be repeated.")] = None,
    seed: Seed = 7,
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Send one question through the pipeline, watch the answer come, and read its trace."""
    from llmlab.lab.apps import stack
    from llmlab.lab.lab import Lab
    from llmlab.pipeline.answer import Answer, Delta, Finished
    from llmlab.protocol import identity
    from llmlab.wire.client import client
    from llmlab.wire.faults.parse import parse

    bench = Lab(seed=seed, faults=[parse(text) for text in fault or []], source=source)

    async def go() -> Answer:
        pipeline = stack.replace(client=client(bench.transport(for_one=True)))
        with identity.request("ask", 0):
            async for event in pipeline.stream(question):
                if isinstance(event, Finished):
                    answer = event.answer
                elif isinstance(event, Delta) and not as_json:
                    out.print(escape(event.text), end="")
                    out.file.flush()
        return answer

    if not as_json:
        err.print(f"[dim]{escape(bench.banner.replace('in virtual time', 'in real time'))}[/dim]")
    answer = asyncio.run(go())
    if as_json:
        fields = {name: getattr(answer, name) for name in ("status", "reason", "text", "prompt_version", "citations")}
        frame = answer.trace.frame
        rows = json.loads(frame.to_json(orient="records", double_precision=6))
        wall = {"wall_timings": answer.timings._asdict(), "wall_trace": rows}
        cost = None if answer.cost_usd is None else float(answer.cost_usd)
        _print_json({**SCHEMA, "command": "ask", "question": question, **fields, "usage": answer.usage._asdict(), "cost_usd": cost, **wall})
    else:
        out.print()
        err.print(f"\n[bold]{answer.status}[/bold]{': ' + escape(answer.reason) if answer.reason else ''}")
        price = "price unknown" if answer.cost_usd is None else f"{answer.cost_usd:.6f} USD"
        first = answer.timings.delivered_first_content
        err.print(
            f"first word {'never' if first is None else f'after {first:.2f} s'}, all of it after {answer.timings.total:.2f} s; "
            f"{answer.usage.prompt_tokens} + {answer.usage.completion_tokens} tokens, {price}"
        )
        err.print(f"[dim]{escape(str(answer.trace))}[/dim]")
        if bench.source == "cassette" and any(attempt.source == "simulator" for attempt in answer.attempts):
            err.print("The recordings do not hold this question: it was simulated.")
    raise typer.Exit(0 if answer.status in ("ok", "degraded", "abstained") else 1)


def _upright(measures: Any, slow_seconds: float) -> Any:
    """Return a summary with a column an app."""
    from llmlab.lab.runs import summary

    return summary(measures, slow_seconds).set_index("app").T.rename_axis("").reset_index()


@app.command()
def serve(
    fault: Annotated[list[str] | None, typer.Option(help="Weather, as in 'LatencySpike(probability=0.3)'; may be repeated.")] = None,
    seed: Seed = 7,
    source: Source = None,
    host: Annotated[str, typer.Option(help="Where to listen; anything but this machine needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8765,
    token: Annotated[
        str | None, typer.Option(help="What clients must send as their API key.", envvar="LLMLAB_TOKEN", show_envvar=True)
    ] = None,
    max_requests: MaxRequests = 20,
    max_usd: MaxUsd = 1.0,
    as_json: Json = False,
) -> None:
    """Put the same weather before any client in any language, on a port, in real time, until Ctrl-C."""
    import signal

    from llmlab.lab.lab import Lab
    from llmlab.wire import serve as put_behind_a_port
    from llmlab.wire.faults.parse import parse

    bench = Lab(seed=seed, faults=[parse(text) for text in fault or []], source=source, max_requests=max_requests, max_usd=max_usd)
    with put_behind_a_port(bench.transport(for_one=True), host, port, token) as server:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # who stops a container means the same
        if as_json:
            weather = {"url": server.url, "faults": [repr(one) for one in bench.faults], "seed": seed, "source": bench.source}
            print(json.dumps({**SCHEMA, "command": "serve", **weather}), flush=True)
        else:
            err.print(f"[dim]{escape(bench.banner.replace('in virtual time', 'in real time'))}[/dim]")
            key = "any" if token is None else "YOUR_TOKEN"
            out.print(f"Point your client here: export OPENAI_BASE_URL={server.url} OPENAI_API_KEY={key}   (Ctrl-C stops)")
            out.file.flush()
        server.wait()


@app.command()
def gameday(
    scenario: Annotated[list[str] | None, typer.Option(help="Play this one only; may be repeated.")] = None,
    own_app: Annotated[str | None, typer.Option("--app", help="Your own app, as module:callable.")] = None,
    cases: Annotated[Path | None, typer.Option(help="Your own questions: JSON lines with id and question, and must for grading.")] = None,
    fail_under: Annotated[
        list[str] | None, typer.Option(help="A gate, as in goodput=0.99; exit 0 passed, 1 failed, 2 cannot measure.")
    ] = None,
    requests: Annotated[int, typer.Option(help="Requests an app and scenario.", min=1, max=1_000_000)] = 500,
    seed: Seed = 7,
    source: Source = None,
    max_requests: MaxRequests = 20,
    max_usd: MaxUsd = 1.0,
    picture: Annotated[Path | None, typer.Option(help="Write the storm strip of the first scenario here (PNG).")] = None,
    as_json: Json = False,
) -> None:
    """Run naive, careful and the stack (or your app) through the same weather."""
    from llmlab.data.help_desk import load_cases
    from llmlab.lab.fixes import fix_table
    from llmlab.lab.gameday import judge, load_app, parse_gate, play, report
    from llmlab.lab.pictures import storm_strip
    from llmlab.lab.scenarios import SCENARIOS

    gate = parse_gate(fail_under or [])
    apps = dict([load_app(own_app)]) if own_app else None
    asked = load_cases(cases) if cases else None
    caps: dict[str, Any] = {"max_requests": max_requests, "max_usd": max_usd}
    started = time.perf_counter()
    outcomes = play(scenario or [], apps=apps, cases=asked, requests=requests, seed=seed, source=source, **caps)
    wall = time.perf_counter() - started
    verdicts = judge(outcomes, gate)
    played = [outcome.scenario.name for outcome in outcomes]
    for name in scenario or SCENARIOS:
        if name not in played:
            err.print(f"{name}: skipped, it has apps of its own, and is never live")
    if picture is not None:
        picture.write_bytes(storm_strip(outcomes[0].runs.frame, outcomes[0].scenario.slow_seconds, width_inches=9.0).png())
    if as_json:
        _print_json({**report(outcomes, verdicts, requests=requests, seed=seed), "wall_seconds": round(wall, 3)})
    else:
        for outcome in outcomes:
            out.print(f"[bold]{outcome.scenario.name}[/bold]: {escape(outcome.scenario.title)}")
            for name, text in outcome.put_in.items():
                out.print(f"  put in: {name}: {escape(text)}")
            _show(_upright(outcome.measures(), outcome.scenario.slow_seconds))
            if outcome.fixes is not None:
                out.print("  What each fix does, beside no fix in the same weather, and its price:")
                _show(fix_table(outcome.fixes, outcome.scenario.slow_seconds))
            if outcome.cached is not None:
                (found,) = outcome.cached.measures(outcome.scenario.slow_seconds).values()
                told = ", ".join(
                    f"{found[name].value or 0:.3f} {name.replace('_', ' ')}" for name in ("attempts_per_request", "usd_per_1000")
                )
                out.print(f"  With a cache, which the rows above do not have: {outcome.cached.sources}; {told}.")
                out.print("  (Answers out of the cache are no independent observations: no interval.)")
            together = outcome.all_runs
            for name in together.apps:
                if stacked := together.sdk_retries(name):
                    out.print(f"  {name}: {stacked} attempts were retries of the openai client itself")
                for reason, count in together.reasons(name)[:3]:
                    out.print(f"  {name}: {count} x {escape(reason)}")
            unit = f"n seeds from {seed} on" if outcome.seeds else f"n requests each, seed {seed}"
            out.print(f"  {unit} (right: n cases), 95 % intervals; {together.sources}. {escape(together.banner)}")
            if outcome.uncovered:
                out.print(f"  CANNOT MEASURE: {escape(outcome.uncovered)}")
        for verdict in verdicts:
            word = ("passed", "FAILED", "CANNOT MEASURE")[verdict.code]
            out.print(f"{word}  {verdict.scenario}, {verdict.app}: {verdict.measure} {escape(verdict.reason)}")
        out.print(f"{wall:.1f} s on this machine")
    codes = {verdict.code for verdict in verdicts}
    raise typer.Exit(1 if 1 in codes else 2 if 2 in codes else 0)


@app.command()
def record(
    to: Annotated[Path | None, typer.Option(help="Where to; the bundled recording if left out.")] = None,
    takes: Annotated[int, typer.Option(help="Answers a request.", min=1)] = 5,
    cases: Annotated[int | None, typer.Option(help="Only the first questions.", min=1)] = None,
    source: Source = None,
    max_requests: MaxRequests = 20,
    max_usd: MaxUsd = 1.0,
    as_json: Json = False,
) -> None:
    """Record answers to the help desk's questions, from the simulator or (LLMLAB_SOURCE=live) a real provider."""
    from llmlab.lab.record import record as write
    from llmlab.lab.source import bundled_cassette

    path = to or bundled_cassette()
    told = (lambda text: None) if as_json else lambda text: out.print(escape(text))
    done = write(path, takes=takes, source=source, limit=cases, max_requests=max_requests, max_usd=max_usd, say=told)
    if as_json:
        _print_json({**SCHEMA, "command": "record", "path": str(done.path), "interactions": done.interactions, "requests": done.requests})
    else:
        out.print(f"{done.interactions} interactions in {escape(str(done.path))}")


@app.command()
def matrix(
    to: Annotated[Path | None, typer.Option(help="Write it here, as CSV.")] = None,
    as_json: Json = False,
) -> None:
    """What the installed openai client makes of each fault: exception, attempts, silent or not."""
    from llmlab.lab.matrix import VERSIONS, as_csv
    from llmlab.lab.matrix import matrix as measured

    cells = measured()
    if to is not None:
        to.write_text(as_csv(cells), encoding="utf-8")
    if as_json:
        _print_json({**SCHEMA, "command": "matrix", "versions": VERSIONS, "cells": [cell._asdict() for cell in cells]})
    elif to is None:
        import pandas as pd

        out.print(f"What {' with '.join(' '.join(version) for version in VERSIONS.items())} makes of each fault:")
        _show(pd.DataFrame(cells))


@app.command()
def bench(
    only: Annotated[list[str] | None, typer.Option(help="Measure this one only; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Measure the budgets, each beside its reference in the same run."""
    from llmlab.lab.bench import measure

    figures = measure(only or [], say=(lambda text: None) if as_json else lambda text: err.print(escape(text)))
    if as_json:
        _print_json([figure._asdict() for figure in figures])
    else:
        import pandas as pd

        _show(pd.DataFrame([figure.row() for figure in figures]))


if __name__ == "__main__":
    main()
