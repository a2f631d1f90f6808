"""A route: a way to a model, and which route comes after it.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import openai

from llmlab.errors import BadInput
from llmlab.pipeline.clocks import Clocks
from llmlab.pipeline.output import STRUCTURED, in_words, response_format
from llmlab.protocol import canonical
from llmlab.protocol.models import resolve

_OWN = ("messages", "model", "n", "stream", "stream_options")


@dataclass(frozen=True)
class Route:
    """A way to a model.

    Args:
        name: Its name, in traces and tables.
        model: The model, or an alias (fast, main, strong).
        client: Who sends; None: the pipeline's or the lab's.
        stream: Whether the attempt is streamed on the wire.
        clocks: What an attempt may take.
        fallback: Name of the route to try when this one has failed; None: the one after it in the pipeline's list, if there is one.
        max_output_tokens: Longest answer (in tokens), or None.
        structured: How it is asked for JSON where an output is wanted: json_schema (the provider is given the schema), json_object (its
            JSON mode, and the schema in words) or prompt (words alone, for models that know neither).
        parameters: Further fields of the request's body, as in {"temperature": 0}.

    Raises:
        BadInput: One of them cannot be used; the message says what is allowed.

    Notebook: 00_start_here.ipynb
    """

    name: str
    model: str = field(kw_only=True)
    client: openai.AsyncOpenAI | None = field(default=None, kw_only=True, repr=False, compare=False)
    stream: bool = field(default=True, kw_only=True)
    clocks: Clocks = field(default_factory=Clocks, kw_only=True)
    fallback: str | None = field(default=None, kw_only=True)
    max_output_tokens: int | None = field(default=None, kw_only=True)
    structured: str = field(default="json_schema", kw_only=True)
    parameters: dict[str, Any] = field(default_factory=dict, kw_only=True, hash=False)

    def __post_init__(self) -> None:
        if not self.name or not isinstance(self.name, str):
            raise BadInput(f"a route needs a name for tables and traces, not {self.name!r}")
        if not self.model or not isinstance(self.model, str):
            raise BadInput(f"Route {self.name!r}: model is the name of a model or an alias (fast, main, strong), not {self.model!r}")
        if not isinstance(self.clocks, Clocks):
            raise BadInput(f"Route {self.name!r}: clocks is a Clocks(...), not {self.clocks!r}")
        tokens = self.max_output_tokens
        if tokens is not None and (not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1):
            raise BadInput(f"Route {self.name!r}: max_output_tokens is a whole number of at least 1, or None, not {tokens!r}")
        if self.structured not in STRUCTURED:
            raise BadInput(f"Route {self.name!r}: structured is one of {', '.join(STRUCTURED)}, not {self.structured!r}")
        check_client(f"route {self.name!r}", self.client)
        self._check_parameters()
        object.__setattr__(self, "parameters", dict(self.parameters))

    def _check_parameters(self) -> None:
        if not isinstance(self.parameters, dict):
            raise BadInput(f"Route {self.name!r}: parameters is a dictionary, as in {{'temperature': 0}}, not {self.parameters!r}")
        for name in _OWN:
            if name in self.parameters:
                raise BadInput(f"Route {self.name!r}: {name!r} is no parameter of a route; the pipeline sets it itself")
        try:
            canonical.dumps(self.parameters)
        except (TypeError, ValueError) as error:
            raise BadInput(f"Route {self.name!r}: the parameters cannot be written as JSON: {error}") from error

    def body(self, messages: list[dict[str, str]], output: Any = None, tools: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        """Return the JSON of a chat completion.

        Args:
            messages: What is asked.
            output: What type JSON is wanted of; None: plain text is.
            tools: What the model is told of the tools that it may ask for.
        """
        body: dict[str, Any] = {"model": resolve(self.model), "messages": messages, **self.parameters}
        if output is not None:
            body["messages"] = [*in_words(output, self.structured), *messages]
            if (wanted := response_format(output, self.structured)) is not None:
                body["response_format"] = wanted
        if tools:
            body["tools"] = [*tools]
        if self.max_output_tokens is not None:
            body["max_completion_tokens"] = self.max_output_tokens
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body


def fallback_of(routes: Sequence[Route], route: Route) -> Route | None:
    """Return the route to try when `route` has failed, or None."""
    if route.fallback is not None:
        return next(one for one in routes if one.name == route.fallback)
    place = [one.name for one in routes].index(route.name) + 1
    return routes[place] if place < len(routes) else None


def check_routes(routes: Sequence[Route]) -> None:
    """Raise `BadInput` where routes share a name, or a fallback is not there or leads back to where one has been."""
    if not routes:
        raise BadInput("a pipeline needs a route: Pipeline(routes=[Route('main', model='main')])")
    names = [route.name for route in routes]
    if len({*names}) < len(names):
        raise BadInput(f"routes need names of their own, and these are {', '.join(names)}")
    for route in routes:
        if route.fallback not in (None, *names):
            raise BadInput(f"the fallback of route {route.name!r} is {route.fallback!r}, and there is: {', '.join(names)}")
    for first in routes:
        path = [first]
        while (following := fallback_of(routes, path[-1])) is not None:
            path.append(following)
            if following in path[:-1]:
                raise BadInput(f"a fallback cycle: {' -> '.join(route.name for route in path)}; a request would never end")


def check_client(whose: str, client: object) -> None:
    """Raise `BadInput` for a client that cannot be used here."""
    if client is not None and not isinstance(client, openai.AsyncOpenAI):
        advice = "; the synchronous client would stop the loop" if isinstance(client, openai.OpenAI) else ""
        raise BadInput(f"the client of {whose} is an openai.AsyncOpenAI, not {type(client).__name__}{advice}: use llmlab.client(...)")
