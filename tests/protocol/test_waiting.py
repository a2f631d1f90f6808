from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from typing import Any

import pytest

from llmlab.errors import WaitingForever
from llmlab.protocol.clock import simulate


def report(work: Callable[[], Awaitable[Any]], *, times: int = 1) -> list[str]:
    """The lines of the tasks task-0, task-1, ... that run `work`, and of the one that waits for them."""

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(times):
                group.create_task(work(), name=f"task-{number}")

    with pytest.raises(WaitingForever) as caught:
        simulate(main())
    return [line.strip() for line in str(caught.value).splitlines() if re.match(r"  (task-|Task-|\.\.\.)", line)]


async def deep() -> None:
    await asyncio.Event().wait()


async def chain() -> None:
    await deep()


async def numbers() -> AsyncIterator[int]:
    yield 1
    await deep()


async def for_loop() -> None:
    async for _ in numbers():
        pass


async def next_or_default() -> None:
    generator = numbers()
    await anext(generator)
    await anext(generator, None)


class Handmade:
    def __await__(self) -> Generator[Any, None, None]:
        return (yield from deep().__await__())


async def handmade() -> None:
    await Handmade()


class Foreign(Coroutine[Any, Any, None]):
    """A coroutine as a compiled extension makes it: without a frame."""

    def __init__(self) -> None:
        inner = deep()
        self.methods = (inner.send, inner.throw, inner.close)

    def __await__(self) -> Any:
        raise NotImplementedError

    def send(self, value: Any) -> Any:
        return self.methods[0](value)

    def throw(self, *error: Any) -> Any:
        return self.methods[1](*error)

    def close(self) -> None:
        self.methods[2]()


async def bare_future() -> None:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize(
    ("expected", "work"),
    [
        (r"task-0 in deep \(test_waiting.py:\d+\), at Event.wait \(locks.py:\d+\)", chain),
        (r"task-0 in deep \(test_waiting.py:\d+\), at Event.wait \(locks.py:\d+\)", for_loop),
        (r"task-0 in deep \(test_waiting.py:\d+\), at Event.wait \(locks.py:\d+\)", next_or_default),
        (r"task-0 in deep \(test_waiting.py:\d+\), at Event.wait \(locks.py:\d+\)", handmade),
        (r"task-0", Foreign),
        (r"task-0 in bare_future \(test_waiting.py:\d+\)", bare_future),
        (r"task-0 in Event.wait \(locks.py:\d+\)", lambda: asyncio.Event().wait()),
        (r"task-0 in Condition.wait_for \(locks.py:\d+\), at Condition.wait \(locks.py:\d+\)", lambda: _condition()),
    ],
    ids=["chain", "async for", "anext", "__await__", "foreign", "future", "library", "library chain"],
)
def test_a_line_shows_the_innermost_function_of_ours_and_what_it_called(expected: str, work: Callable[[], Awaitable[Any]]) -> None:
    line = next(line for line in report(work) if line.startswith("task-0"))
    assert re.fullmatch(expected, line), line


def _condition() -> Awaitable[Any]:
    condition = asyncio.Condition()
    condition._lock._locked = True  # type: ignore[attr-defined]
    return condition.wait_for(lambda: False)


def test_a_line_names_the_task_that_is_waited_for() -> None:
    async def waits() -> None:
        await asyncio.create_task(deep(), name="the-other")

    line = next(line for line in report(waits) if line.startswith("task-0"))
    assert line.endswith(", for the-other")


def test_hundreds_of_tasks_are_not_all_listed() -> None:
    lines = report(chain, times=120)
    assert 20 + 1 == len(lines)
    assert lines[0].startswith("task-0 ")
    assert "... and 101 more" == lines[-1]
