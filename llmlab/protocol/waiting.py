"""What the tasks of an event loop wait for, in a line each: for the error of a simulation that waits for ever."""

from __future__ import annotations

import asyncio
import gc
import os
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType, GeneratorType
from typing import Any

_LIBRARY = os.path.dirname(os.__file__) + os.sep
_MOST = 20
"""Tasks that are listed; a run has hundreds."""
_RUNNABLE = (CoroutineType, AsyncGeneratorType, GeneratorType)
_WRAPPERS = frozenset({"anext_awaitable", "async_generator_asend", "async_generator_athrow", "coroutine_wrapper"})


def who_waits(loop: asyncio.AbstractEventLoop) -> str:
    """Return a text that lists what each task of `loop` waits for: its name, the function, and the place."""
    tasks = sorted(asyncio.all_tasks(loop), key=lambda task: (len(task.get_name()), task.get_name()))
    lines = [f"  {_line(task)}" for task in tasks[:_MOST]]
    if len(tasks) > _MOST:
        lines.append(f"  ... and {len(tasks) - _MOST} more")
    return (
        "no timer is left, and these tasks wait for something that nothing will bring:\n"
        + "\n".join(lines)
        + "\nLook for an event that nobody sets, a queue that nobody fills, a lock that is never released, or a result that another thread "
        "was to bring."
    )


def _line(task: asyncio.Task[Any]) -> str:
    """Return one line: the innermost function that is no library's, and what it called."""
    frames = _frames(task.get_coro())
    if not frames:  # a coroutine that is not Python's
        return task.get_name()
    own = [frame for frame in frames if not _is_library(frame.f_code)]
    shown = [own[-1] if own else frames[0]]
    if frames[-1] is not shown[0]:
        shown.append(frames[-1])
    text = f"{task.get_name()} in {', at '.join(map(_place, shown))}"
    waiter = getattr(task, "_fut_waiter", None)
    return f"{text}, for {waiter.get_name()}" if isinstance(waiter, asyncio.Task) else text


def _frames(awaited: Any) -> list[FrameType]:
    """Return the frames of a chain of awaits, outermost first."""
    frames = []
    while awaited is not None:
        frame, following = None, None
        for prefix in ("cr", "ag", "gi"):
            if hasattr(awaited, f"{prefix}_frame"):
                frame = getattr(awaited, f"{prefix}_frame")
                following = getattr(awaited, f"{prefix}_yieldfrom" if prefix == "gi" else f"{prefix}_await")
        if frame is not None:
            frames.append(frame)
        else:  # asend(), anext() and __await__ wrap what they run, and show it to the garbage collector only
            held = gc.get_referents(awaited)
            following = next((one for one in held if isinstance(one, _RUNNABLE) or type(one).__name__ in _WRAPPERS), None)
        awaited = following
    return frames


def _is_library(code: CodeType) -> bool:
    return code.co_filename.startswith((_LIBRARY, "<frozen")) or f"{os.sep}site-packages{os.sep}" in code.co_filename


def _place(frame: FrameType) -> str:
    """Return a function and its place, as in "main (app.py:12)"."""
    code = frame.f_code
    return f"{code.co_qualname} ({os.path.basename(code.co_filename)}:{frame.f_lineno})"
