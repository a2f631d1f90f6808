"""Virtual time: an event loop that jumps to its next timer instead of waiting for it.

Nothing else changes, so the openai client's back-off, anyio's timeouts and `asyncio.sleep` all follow. An hour of weather takes
milliseconds and gives the same result every time.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from contextvars import copy_context
from functools import lru_cache
from typing import Any, Generic, TypeVar

from llmlab.errors import NotInVirtualTime, SimulationError, WaitingForever
from llmlab.protocol.waiting import who_waits

T = TypeVar("T")

_NO_NETWORK = (
    "a simulation has no network: sockets, servers and subprocesses live on the real clock. Give the client a transport "
    "(llmlab.client(llmlab.wire.Simulator())), or run this with asyncio.run instead of llmlab.simulate."
)
_NO_THREADS = (
    "a simulation has one thread: another would race its clock. Call asyncio.to_thread, which runs the function in place here, "
    "or start the thread outside of llmlab.simulate."
)
_REFUSED = {
    "socket.connect": _NO_NETWORK,
    "socket.sendto": _NO_NETWORK,
    "socket.getaddrinfo": _NO_NETWORK,
    "socket.gethostbyname": _NO_NETWORK,
    "_thread.start_new_thread": _NO_THREADS,
    "_thread.start_joinable_thread": _NO_THREADS,
}
"""Audit events that a simulation refuses, and what to do instead."""
_RESOLUTION = 1e-9
"""Timers closer than this are due together (in seconds)."""
_LAST_HOUR = 3600.0
"""How long a cancelled task may clean up (in virtual seconds) before it counts as one that will not end."""
_LOOK_SECONDS = 0.1
"""How often a waiting thread looks whether it was cancelled or interrupted (in real seconds)."""

_turn = threading.Lock()
_thread_inside: int | None = None


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """An event loop whose `time()` is the virtual time (in seconds since its start). It opens no file and no socket."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._clock_resolution = _RESOLUTION
        self._selector = self

    def time(self) -> float:
        """Return the virtual time (in seconds since the loop's start)."""
        return self._now

    def select(self, timeout: float | None) -> Iterable[Any]:
        """Jump to the next timer where asyncio would wait for it."""
        if timeout == 0 or self._ready:  # type: ignore[attr-defined]  # another thread may have brought something just now
            return ()
        when = self._scheduled[0].when() if timeout is not None else math.inf  # type: ignore[attr-defined]
        if when == math.inf:
            raise WaitingForever(who_waits(self))
        self._now = when
        # Far from zero the floats are further apart than the resolution, and the timer would never be due.
        self._clock_resolution = max(_RESOLUTION, 2 * math.ulp(when))
        return ()

    def _process_events(self, events: Iterable[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody has to be woken: `select` never waits."""

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
        raise NotInVirtualTime(_NO_NETWORK)

    add_reader = remove_reader = add_writer = remove_writer = _refuse  # type: ignore[assignment]
    connect_read_pipe = connect_write_pipe = _refuse
    create_connection = create_server = create_unix_connection = create_unix_server = create_datagram_endpoint = _refuse
    sock_connect = sock_accept = sock_recv = sock_recv_into = sock_recvfrom = sock_recvfrom_into = sock_sendall = sock_sendto = _refuse
    getaddrinfo = getnameinfo = subprocess_exec = subprocess_shell = _refuse


def simulating() -> bool:
    """Whether the caller runs inside a simulation."""
    return _thread_inside is not None and _thread_inside == threading.get_ident()


def simulate(work: Coroutine[Any, Any, T], *, seed: int = 0, on_start: Callable[[Callable[[], None]], None] | None = None) -> T:
    """Run `work` in virtual time and return its result.

    Works from a script, a test and a running notebook alike: the simulation gets a thread of its own. There is one at a time in a process;
    a second one waits for its turn. The global `random` is seeded for the run and restored afterwards, for the openai client's jitter uses
    it.

    Args:
        work: What to run.
        seed: Seeds the global `random` inside.
        on_start: Called with a function that cancels the work from any thread; `simulate` then raises `asyncio.CancelledError`.

    Returns:
        What `work` returns.

    Raises:
        WaitingForever: All tasks wait for something that can't happen.
        NotInVirtualTime: `work` opened a socket, used the sync client or started a thread (which Python 3.11 cannot tell), or this was
            called within a simulation.
        SimulationError: A task ignores that it is cancelled.

    Notebook: 00_start_here.ipynb
    """
    if not isinstance(work, Coroutine):
        what = "a function; call it" if callable(work) else type(work).__name__
        raise TypeError(f"simulate takes a coroutine, as in simulate(main()), not {what}")
    if simulating():
        work.close()
        raise NotInVirtualTime("this is already a simulation: await the coroutine instead of simulating it")
    simulation = _Simulation(work, seed)
    thread = threading.Thread(target=copy_context().run, args=(simulation.run,), name="llmlab-simulation", daemon=True)
    try:
        if on_start:
            on_start(simulation.cancel)
        thread.start()
        while thread.is_alive():  # an endless join cannot be interrupted on every system
            thread.join(_LOOK_SECONDS)
    except BaseException:
        simulation.cancel()
        if thread.ident is None:
            work.close()
        else:
            thread.join(5)
        raise
    if simulation.error is not None:
        try:
            raise simulation.error
        finally:
            del simulation  # the error holds this frame
    return simulation.results[0]


class _Simulation(Generic[T]):
    """One run: waits for its turn, and leaves either a result or an error."""

    def __init__(self, work: Coroutine[Any, Any, T], seed: int) -> None:
        self._work, self._seed = work, seed
        self._loop: VirtualTimeLoop | None = None
        self._task: asyncio.Task[T] | None = None
        self._cancelled = False
        self.results: list[T] = []
        self.error: BaseException | None = None

    def cancel(self) -> None:
        """Cancel the work, from any thread, also while it waits for its turn."""
        self._cancelled = True
        if self._loop is not None and self._task is not None:
            with suppress(RuntimeError):  # it has ended, and its loop is closed
                self._loop.call_soon_threadsafe(self._task.cancel)

    def run(self) -> None:
        """Do it; runs in a thread of its own."""
        global _thread_inside
        while not _turn.acquire(timeout=_LOOK_SECONDS):
            if self._cancelled:
                self._work.close()
                self.error = asyncio.CancelledError()
                return
        try:
            _install_guard()
            state = random.getstate()
            random.seed(self._seed)
            _thread_inside = threading.get_ident()
            try:
                self._run()
            except BaseException as error:  # handed to the caller's thread
                self.error = _plain(error)
            finally:
                _thread_inside = None
                random.setstate(state)
        finally:
            _turn.release()

    def _run(self) -> None:
        loop = self._loop = VirtualTimeLoop()
        try:
            self._task = loop.create_task(self._work)
            if self._cancelled:
                self._task.cancel()
            try:
                self.results.append(loop.run_until_complete(self._task))
            finally:
                stubborn = _end(loop)
            if stubborn:
                raise SimulationError(f"these tasks do not end when they are cancelled:\n{stubborn}")
        finally:
            loop.close()


def _plain(error: BaseException) -> BaseException:
    """Return the refusal in `error` where it is nothing else: anyio packs what a connection raises into a group."""
    while isinstance(error, BaseExceptionGroup) and error.split(NotInVirtualTime)[1] is None:
        error = error.exceptions[0]
    return error


def _end(loop: VirtualTimeLoop) -> str:
    """Cancel what is left, so that nothing outlives its simulation; return what will not be cancelled."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    with suppress(WaitingForever):
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=_LAST_HOUR))
        loop.run_until_complete(loop.shutdown_asyncgens())
        while closing := asyncio.all_tasks(loop) - left:  # generators that Python has found to be garbage meanwhile
            left |= closing
            loop.run_until_complete(asyncio.wait(closing, timeout=_LAST_HOUR))
    for task in left:
        if task.done() and not task.cancelled() and (error := task.exception()):
            context = {"message": "a task failed while its simulation ended", "exception": error, "task": task}
            loop.call_exception_handler(context)
    stubborn = asyncio.all_tasks(loop)
    report = who_waits(loop) if stubborn else ""
    for task in stubborn:
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is reported here
    return report


@lru_cache(maxsize=1)
def _install_guard() -> None:
    """Refuse, from now on, what reaches out of a simulation from below asyncio. An audit hook cannot be taken back."""
    sys.addaudithook(_guard)


def _guard(event: str, _: tuple[Any, ...]) -> None:
    if event in _REFUSED and simulating():
        raise NotInVirtualTime(_REFUSED[event])
