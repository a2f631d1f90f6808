from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import random
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import anyio
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.errors import NotInVirtualTime, SimulationError, WaitingForever
from llmlab.protocol import clock
from llmlab.protocol.clock import VirtualTimeLoop, simulate, simulating


def now() -> float:
    return asyncio.get_running_loop().time()


async def call(function: Callable[[], Any]) -> Any:
    return function()


def test_an_hour_passes_at_once_and_to_the_second() -> None:
    async def nap() -> tuple[float, float, str]:
        began = now()
        result = await asyncio.sleep(3600, "slept")
        return began, now(), result

    assert (0.0, 3600.0, "slept") == simulate(nap())


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=20))
def test_timers_go_off_in_their_order_at_their_times(delays: list[int]) -> None:
    async def main() -> list[tuple[float, int]]:
        rung: list[tuple[float, int]] = []

        async def ring(number: int, microseconds: int) -> None:
            await asyncio.sleep(microseconds / 1e6)
            rung.append((now(), number))

        await asyncio.gather(*(ring(number, delay) for number, delay in enumerate(delays)))
        return rung

    assert sorted((delay / 1e6, number) for number, delay in enumerate(delays)) == sorted(simulate(main()))


@pytest.mark.parametrize("far", [1e7, 1e9, 2.0**52])
def test_timers_go_off_far_from_zero_where_floats_are_coarse(far: float) -> None:
    async def main() -> float:
        await asyncio.sleep(far)
        await asyncio.sleep(1)
        return now()

    assert far + 1 == simulate(main())


def test_cancelled_timers_are_skipped() -> None:
    async def main() -> float:
        for delay in range(1, 300):
            asyncio.get_running_loop().call_later(delay, print).cancel()
        await asyncio.sleep(500)
        return now()

    assert 500.0 == simulate(main())


def test_timeouts_of_asyncio_and_anyio_follow() -> None:
    async def main() -> tuple[float, float]:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 30)
        first = now()
        with anyio.move_on_after(12):
            await anyio.sleep(1000)
        return first, now()

    assert (30.0, 42.0) == simulate(main())


def test_it_runs_where_a_loop_is_running_as_in_a_notebook() -> None:
    async def cell() -> float:
        return simulate(asyncio.sleep(3600, 1.5))

    assert 1.5 == asyncio.run(cell())


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt()], ids=lambda error: type(error).__name__)
def test_exceptions_pass_through_as_they_are(error: BaseException) -> None:
    async def fail() -> None:
        await asyncio.sleep(1)
        raise error

    with pytest.raises(type(error)) as caught:
        simulate(fail())
    assert caught.value is error


def test_context_variables_of_the_caller_are_seen_inside_and_not_changed() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("outside")

    async def main() -> str:
        seen = variable.get()
        variable.set("inside")
        return seen

    assert "outside" == simulate(main())
    assert "outside" == variable.get()


def test_simulating_is_true_inside_only_whatever_the_context() -> None:
    async def main() -> tuple[bool, bool]:
        return simulating(), contextvars.Context().run(simulating)

    assert not simulating()
    assert (True, True) == simulate(main())
    assert not simulating()


@pytest.mark.parametrize("what", [None, 3, asyncio.sleep, lambda: None])
def test_only_a_coroutine_can_be_simulated(what: Any) -> None:
    with pytest.raises(TypeError, match=r"as in simulate\(main\(\)\), not (a function; call it|int|NoneType)"):
        simulate(what)


def test_a_simulation_within_a_simulation_is_refused() -> None:
    async def outer() -> None:
        simulate(asyncio.sleep(1))

    with pytest.raises(NotInVirtualTime, match="await the coroutine instead"):
        simulate(outer())


def test_a_simulation_within_a_function_that_runs_in_place_is_refused() -> None:
    async def outer() -> None:
        await asyncio.to_thread(lambda: simulate(asyncio.sleep(1)))

    with pytest.raises(NotInVirtualTime, match="already a simulation"):
        simulate(outer())


# What waits for ever


def test_waiting_for_ever_is_an_error_that_lists_what_the_tasks_wait_for() -> None:
    async def takes(queue: asyncio.Queue[int]) -> None:
        await queue.get()

    async def main() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue()
        await asyncio.gather(*(asyncio.create_task(takes(queue), name=f"worker-{number}") for number in range(2)))

    with pytest.raises(WaitingForever) as caught:
        simulate(main())
    text = str(caught.value)
    assert "no timer is left" in text
    assert "worker-0 in " in text
    assert "takes (test_clock.py:" in text
    assert "at Queue.get (queues.py:" in text
    assert "Look for an event that nobody sets" in text


def test_a_timer_that_never_comes_is_waiting_for_ever() -> None:
    with pytest.raises(WaitingForever, match="sleep"):
        simulate(asyncio.sleep(float("inf")))


def test_tasks_clean_up_when_they_wait_for_ever() -> None:
    cleaned = []

    async def main() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1)
            cleaned.append(now())

    with pytest.raises(WaitingForever):
        simulate(main())
    assert [1.0] == cleaned


# Threads and the network


def test_executor_work_runs_in_place_and_in_no_virtual_time() -> None:
    async def main() -> tuple[float, bool, int]:
        inside = threading.get_ident()
        in_place = await asyncio.to_thread(threading.get_ident) == inside
        with ThreadPoolExecutor(1) as pool:
            answer = await asyncio.get_running_loop().run_in_executor(pool, lambda: 42)
        return now(), in_place, answer

    assert (0.0, True, 42) == simulate(main())


def test_executor_work_that_fails_raises() -> None:
    async def main() -> None:
        await asyncio.to_thread(int, "x")

    with pytest.raises(ValueError, match="invalid literal"):
        simulate(main())


def test_the_first_request_of_an_openai_client_works() -> None:
    async def main() -> tuple[str | None, float]:
        reply = {"choices": [{"message": {"role": "assistant", "content": "hello"}}]}
        transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=reply))
        client = openai.AsyncOpenAI(api_key="k", http_client=httpx2.AsyncClient(transport=transport))
        completion = await client.chat.completions.create(model="m", messages=[])
        return completion.choices[0].message.content, now()

    assert ("hello", 0.0) == simulate(main())


def test_back_off_of_the_openai_client_takes_virtual_time() -> None:
    async def main() -> float:
        transport = httpx2.MockTransport(lambda request: httpx2.Response(429, headers={"retry-after": "30"}, json={}))
        client = openai.AsyncOpenAI(api_key="k", http_client=httpx2.AsyncClient(transport=transport))
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(model="m", messages=[])
        return now()

    assert 60.0 == simulate(main())


async def grouped(function: Callable[[], Any]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(call(function))


OUTSIDE: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
    "open_connection": lambda: asyncio.open_connection("127.0.0.1", 9),
    "open_unix_connection": lambda: asyncio.open_unix_connection("/nowhere"),
    "start_server": lambda: asyncio.start_server(print, "127.0.0.1", 0),
    "subprocess": lambda: asyncio.create_subprocess_exec("true"),
    "anyio": lambda: anyio.connect_tcp("127.0.0.1", 9),
    "httpx2": lambda: httpx2.AsyncClient(trust_env=False).get("http://127.0.0.1:9"),
    "group": lambda: asyncio.wait_for(grouped(lambda: socket.getaddrinfo("localhost", 9)), 1),
    "socket.connect": lambda: call(lambda: socket.create_connection(("127.0.0.1", 9))),
    "socket.getaddrinfo": lambda: call(lambda: socket.getaddrinfo("localhost", 9)),
    "socket.gethostbyname": lambda: call(lambda: socket.gethostbyname("localhost")),
    "socket.sendto": lambda: call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", 9))),
    "to_thread": lambda: asyncio.to_thread(socket.create_connection, ("127.0.0.1", 9)),
    "add_reader": lambda: call(lambda: asyncio.get_running_loop().add_reader(0, print)),
}


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_the_network_is_refused_with_advice(name: str) -> None:
    with pytest.raises(NotInVirtualTime, match=r"Give the client a transport .* or run this with asyncio.run"):
        simulate(OUTSIDE[name]())
    gc.collect()


def test_a_group_of_refusals_and_others_stays_a_group() -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(call(lambda: socket.getaddrinfo("localhost", 9)))
            group.create_task(call(lambda: 1 // 0))

    with pytest.raises(BaseExceptionGroup):
        simulate(main())


def test_the_network_is_refused_through_an_openai_client_at_once() -> None:
    async def main() -> float:
        client = openai.AsyncOpenAI(api_key="k", base_url="http://localhost:9/v1", http_client=httpx2.AsyncClient(trust_env=False))
        with pytest.raises(NotInVirtualTime, match="no network"):
            await client.models.list()
        return now()

    assert 0.0 == simulate(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="this Python does not report new threads")
def test_a_thread_is_refused_with_advice() -> None:
    with pytest.raises(NotInVirtualTime, match=r"one thread: .* Call asyncio.to_thread, which runs the function in place"):
        simulate(call(threading.Thread(target=print).start))


@pytest.mark.parametrize("event", ["_thread.start_new_thread", "_thread.start_joinable_thread"])
def test_the_guard_refuses_threads_inside_only(event: str) -> None:
    clock._guard(event, ())
    with pytest.raises(NotInVirtualTime, match="one thread"):
        simulate(call(lambda: clock._guard(event, ())))


def test_the_guard_lets_all_else_pass() -> None:
    assert simulate(call(lambda: clock._guard("open", ()))) is None


def test_outside_the_network_and_threads_work_while_a_simulation_runs() -> None:
    begun, go_on = threading.Event(), threading.Event()

    async def main() -> str:
        begun.set()
        go_on.wait(5)
        return "done"

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(simulate, main())
        assert begun.wait(5)
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
            pass
        worker = threading.Thread(target=go_on.set)
        worker.start()
        worker.join()
        assert "done" == running.result()


# Cancelling and interrupting


def test_another_thread_can_cancel_it() -> None:
    cleaned = []
    cancels: list[Callable[[], None]] = []

    async def main() -> None:
        cancels[0]()
        try:
            for _ in range(1_000_000):
                await asyncio.sleep(1)
        finally:
            cleaned.append(True)

    with pytest.raises(asyncio.CancelledError):
        simulate(main(), on_start=cancels.append)
    assert [True] == cleaned
    cancels[0]()


def test_another_thread_cancels_a_simulation_that_is_busy() -> None:
    begun = threading.Event()
    cancels: list[Callable[[], None]] = []

    async def main() -> None:
        begun.set()
        for _ in range(1_000_000):
            await asyncio.sleep(1)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(simulate, main(), on_start=cancels.append)
        assert begun.wait(5)
        cancels[0]()
        with pytest.raises(asyncio.CancelledError):
            running.result(5)


def test_it_can_be_cancelled_before_it_begins() -> None:
    begun = []

    async def main() -> None:
        begun.append(True)

    with pytest.raises(asyncio.CancelledError):
        simulate(main(), on_start=lambda cancel: cancel())
    assert [] == begun


def test_it_can_be_cancelled_while_it_waits_for_its_turn() -> None:
    cancels: list[Callable[[], None]] = []
    with ThreadPoolExecutor(1) as pool, clock._turn:
        waiting = pool.submit(simulate, asyncio.sleep(1), on_start=cancels.append)
        while not cancels:
            pass
        assert not waiting.done()
        cancels[0]()
        with pytest.raises(asyncio.CancelledError):
            waiting.result(5)


def test_a_failure_of_on_start_is_raised_and_nothing_begins() -> None:
    def refuse(_: Callable[[], None]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        simulate(asyncio.sleep(1), on_start=refuse)


def test_work_that_swallows_its_cancellation_goes_on() -> None:
    async def main() -> str:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            return "went on"
        return ""

    def cancel_soon(cancel: Callable[[], None]) -> None:
        cancels.append(cancel)

    cancels: list[Callable[[], None]] = []

    async def with_cancel() -> str:
        cancels[0]()
        return await main()

    assert "went on" == simulate(with_cancel(), on_start=cancel_soon)


def in_a_process(code: str) -> str:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=True
    )
    return run.stdout + run.stderr


@pytest.mark.parametrize("interrupt", ["_thread.interrupt_main()", "signal.raise_signal(signal.SIGINT)"])
def test_an_interrupt_reaches_it(interrupt: str) -> None:
    code = f"""
        import _thread, asyncio, signal, threading
        from llmlab.protocol.clock import simulate

        async def main():
            try:
                while True:
                    await asyncio.sleep(1)
            finally:
                await asyncio.sleep(1)
                print("cleaned up")

        begun = threading.Event()
        threading.Timer(0.2, lambda: {interrupt}).start()
        try:
            simulate(main())
        except KeyboardInterrupt:
            print("interrupted", simulate(asyncio.sleep(1, "and the next one works")))
    """
    assert "cleaned up\ninterrupted and the next one works\n" == in_a_process(code)


def test_an_interrupt_while_it_waits_for_its_turn_leaves_nothing_behind() -> None:
    code = """
        import _thread, asyncio, threading
        from llmlab.protocol import clock

        threading.Timer(0.2, _thread.interrupt_main).start()
        try:
            with clock._turn:
                clock.simulate(asyncio.sleep(1))
        except KeyboardInterrupt:
            print("interrupted", clock.simulate(asyncio.sleep(1, "and the next one works")))
    """
    assert "interrupted and the next one works\n" == in_a_process(code)


def test_a_thread_that_cannot_be_had_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", full)
        with pytest.raises(RuntimeError, match="can't start"):
            simulate(asyncio.sleep(1))
    assert 2 == simulate(asyncio.sleep(1, 2))


# What it leaves


def test_random_is_seeded_inside_and_restored_after() -> None:
    async def draw() -> float:
        return random.random()

    random.seed(3)
    expected = [random.random(), random.random()]
    random.seed(3)
    found = [random.random()]
    inside = [simulate(draw()), simulate(draw()), simulate(draw(), seed=1)]
    found.append(random.random())
    assert expected == found
    assert inside[0] == inside[1] == random.Random(0).random()
    assert random.Random(1).random() == inside[2]


def test_random_is_restored_after_a_failure() -> None:
    state = random.getstate()
    with pytest.raises(ZeroDivisionError):
        simulate(call(lambda: 1 // 0))
    assert state == random.getstate()


def test_tasks_and_generators_end_with_their_simulation() -> None:
    ended = []

    async def background() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("task")

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            ended.append("generator")

    async def main() -> AsyncIterator[int]:
        asyncio.get_running_loop().kept = asyncio.create_task(background())  # type: ignore[attr-defined]
        generator = numbers()
        assert 1 == await anext(generator)
        return generator

    generator = simulate(main())
    assert ["task", "generator"] == ended
    del generator


def test_a_task_that_fails_while_it_ends_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            raise ZeroDivisionError

    async def main() -> None:
        asyncio.get_running_loop().kept = asyncio.create_task(fails())  # type: ignore[attr-defined]
        await asyncio.sleep(1)

    with caplog.at_level(logging.ERROR, "asyncio"):
        simulate(main())
    assert "a task failed while its simulation ended" in caplog.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("forever", [asyncio.sleep, lambda _: asyncio.Event().wait()], ids=["sleeps", "waits"])
def test_a_task_that_will_not_end_is_an_error(
    forever: Callable[[float], Coroutine[Any, Any, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    async def stubborn() -> None:
        while True:
            with suppress(asyncio.CancelledError):
                await forever(500)

    async def main() -> None:
        asyncio.get_running_loop().kept = asyncio.create_task(stubborn(), name="mule")  # type: ignore[attr-defined]
        await asyncio.sleep(1)

    with pytest.raises(SimulationError, match=r"do not end when they are cancelled:\n(.*\n)*  mule in .*stubborn"):
        simulate(main())
    gc.collect()
    assert "" == caplog.text


def test_the_error_of_the_work_goes_before_a_task_that_will_not_end() -> None:
    async def stubborn() -> None:
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(500)

    async def main() -> None:
        asyncio.get_running_loop().kept = asyncio.create_task(stubborn())  # type: ignore[attr-defined]
        await asyncio.sleep(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        simulate(main())


def test_simulations_of_two_threads_run_one_after_another() -> None:
    log: list[str] = []

    async def main(name: str) -> None:
        for _ in range(50):
            log.append(name)
            await asyncio.sleep(1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: simulate(main(name)), "abcd"))
    assert [log[start] * 50 for start in range(0, 200, 50)] == ["".join(log[start : start + 50]) for start in range(0, 200, 50)]


def test_a_loop_holds_no_file() -> None:
    loop = VirtualTimeLoop()
    assert not hasattr(loop, "_ssock")
    loop.close()
    assert loop.is_closed()


def test_it_works_in_debug_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")

    async def main() -> tuple[bool, float]:
        await asyncio.gather(*(asyncio.sleep(number) for number in range(5)))
        return asyncio.get_running_loop().get_debug(), now()

    assert (True, 4.0) == simulate(main())


def test_signals_stay_as_they_were() -> None:
    before = signal.getsignal(signal.SIGINT)
    simulate(asyncio.sleep(1))
    assert before is signal.getsignal(signal.SIGINT)


def test_a_generator_that_is_dropped_at_the_very_end_is_closed() -> None:
    closed = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(1)
            closed.append(True)

    async def main() -> None:
        kept = [numbers()]
        await anext(kept[0])
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, kept.clear)  # dropped when all tasks have ended, as the garbage collector may do

    simulate(main())
    assert [True] == closed
