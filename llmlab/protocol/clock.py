"""Virtual time: an event loop that jumps to its next timer instead of waiting for it.

Nothing else changes, so the openai client's back-off, anyio's timeouts and `asyncio.sleep` all follow. An hour of weather takes milliseconds and
gives the same result every time.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import random
import selectors
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from llmlab.errors import NotInVirtualTime, WaitingForever

T = TypeVar("T")

_one_at_a_time = threading.Lock()
_inside: contextvars.ContextVar[bool] = contextvars.ContextVar("llmlab_simulating", default=False)


class _JumpingSelector(selectors.SelectSelector):
    """Never waits: reports what is ready, else moves the loop's clock to the next timer."""

    loop: VirtualTimeLoop
    polled = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.polled += 1
        look = timeout is None or not self.polled & 63  # a wake-up from outside may wait for a few rounds of the loop's own work
        ready = super().select(0) if look else []
        if not ready and timeout is None:
            raise WaitingForever(_who_waits(self.loop))
        if not ready and timeout:
            self.loop.jump()
        return ready


def _who_waits(loop: asyncio.AbstractEventLoop) -> str:
    lines = []
    for task in sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name()):
        frames = task.get_stack(limit=1)
        where = (
            f"{frames[-1].f_code.co_qualname if hasattr(frames[-1].f_code, 'co_qualname') else frames[-1].f_code.co_name}"
            if frames
            else "?"
        )
        place = f"{frames[-1].f_code.co_filename.rsplit('/', 1)[-1]}:{frames[-1].f_lineno}" if frames else "?"
        lines.append(f"  {task.get_name()} in {where} ({place})")
    return (
        "no timer is left, and these tasks wait for something that nothing will bring:\n"
        + "\n".join(lines)
        + "\nLook for an event that nobody sets, a queue that nobody fills, or a lock that is never released."
    )


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()` is the virtual time (in seconds since its start)."""

    def __init__(self) -> None:
        self._now = 0.0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Return the virtual time (in seconds since the loop's start)."""
        return self._now

    def jump(self) -> None:
        """Move to the earliest timer that was not cancelled."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._cancelled:  # type: ignore[attr-defined]
            handle = heapq.heappop(scheduled)
            handle._scheduled = False  # type: ignore[attr-defined]
            self._timer_cancelled_count -= 1  # type: ignore[has-type]
        if scheduled:
            self._now = max(self._now, scheduled[0].when())

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """Run `func` in place, in no virtual time.

        A thread would race the clock: the loop would jump while it works. The client looks up its platform this way on first use.
        """
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise NotInVirtualTime(
            "a simulation has no network: sockets, servers and subprocesses live on the real clock. Give the client a transport "
            "(llmlab.client(llmlab.wire.Simulator())), or run this with asyncio.run instead of llmlab.simulate."
        )

    create_connection = create_server = create_unix_connection = create_unix_server = create_datagram_endpoint = _refuse
    sock_connect = sock_accept = sock_recv = sock_sendall = getaddrinfo = subprocess_exec = subprocess_shell = _refuse


def simulating() -> bool:
    """Whether the caller runs inside a simulation."""
    return _inside.get()


def simulate(work: Coroutine[Any, Any, T], *, seed: int = 0, on_start: Callable[[Callable[[], None]], None] | None = None) -> T:
    """Run `work` in virtual time and return its result.

    Works from a script, a test and a running notebook alike: the simulation gets a thread of its own. There is one at a time in a process; a
    second one waits for its turn. The global `random` is seeded for the run and restored afterwards, for the openai client's jitter uses it.

    Args:
        work: What to run.
        seed: Seeds the global `random` inside.
        on_start: Called with a function that cancels the work from any thread.

    Returns:
        What `work` returns.

    Raises:
        WaitingForever: All tasks wait for something that can't happen.
        NotInVirtualTime: `work` opened a socket, used the sync client, or this was called within a simulation.

    Notebook: 00_start_here.ipynb
    """
    if not asyncio.iscoroutine(work):
        raise TypeError(f"simulate takes a coroutine, as in simulate(main()), not {type(work).__name__}")
    if simulating():
        work.close()
        raise NotInVirtualTime("this is already a simulation: await the coroutine instead of simulating it")
    outcome: list[T] = []
    trouble: list[BaseException] = []
    cancels: list[Callable[[], None]] = []
    started = threading.Event()

    def run() -> None:
        _inside.set(True)
        loop = VirtualTimeLoop()
        state = random.getstate()
        random.seed(seed)
        try:
            task = loop.create_task(work)

            def cancel() -> None:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(task.cancel)

            cancels.append(cancel)
            started.set()
            if on_start:
                on_start(cancel)
            outcome.append(loop.run_until_complete(task))
        except BaseException as error:  # handed to the caller's thread
            trouble.append(error)
        finally:
            started.set()
            try:
                _end(loop)
            finally:
                random.setstate(state)
                loop.close()

    with _one_at_a_time:
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(run,), name="llmlab-simulation", daemon=True)
        thread.start()
        started.wait()
        try:
            thread.join()
        except BaseException:  # an interrupt in the caller's thread
            for cancel in cancels:
                cancel()
            thread.join(5)
            raise
    if trouble:
        raise trouble[0]
    return outcome[0]


def _end(loop: VirtualTimeLoop) -> None:
    """Cancel what is left, so that nothing outlives its simulation."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    try:
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    except WaitingForever:
        pass
