"""A tool: an async function with typed parameters and a docstring; its schema comes from both."""

from __future__ import annotations

import contextlib
import inspect
import json
import types
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

import msgspec

from safety.gate import Effect, EffectRequest
from tools.runtime import ToolReply, ToolRuntime
from tools.surroundings import Surroundings

Handler: TypeAlias = Callable[..., Awaitable[ToolReply]]
Requires: TypeAlias = Callable[[Surroundings], str]
Describe: TypeAlias = Callable[[ToolRuntime, dict[str, Any]], EffectRequest]


class ArgumentError(ValueError):
    """The arguments do not fit the tool's parameters; the text names the parameter and what it wants."""


@dataclass(frozen=True)
class Tool:
    """A named handler with what must be known before it is called.

    `requires` returns "" if the tool can be used, else the reason and the fix in one line. It looks and does
    not try: it is asked at each start.
    `describe` tells the gate what a call would do; without it the gate is told the effects only. It
    may replace an argument by what it means (a path by its canonical form): the handler gets what was
    decided on. `side_by_side`: its calls may run at the same time as others of one answer; None: if it only
    reads. `in_place`: it works where commands do, and that place must be ready before the gate is told of
    paths in it.
    """

    name: str
    description: str
    handler: Handler
    effects: tuple[Effect, ...]
    parameters: Mapping[str, inspect.Parameter]
    hints: Mapping[str, Any]
    requires: Requires | None = None
    describe: Describe | None = None
    side_by_side: bool | None = None
    in_place: bool = True
    _schema: dict[str, Any] = field(default_factory=dict)

    @property
    def read_only(self) -> bool:
        return set(self.effects) <= {"read"}

    @property
    def may_overlap(self) -> bool:
        return self.read_only if self.side_by_side is None else self.side_by_side

    @property
    def tokens(self) -> int:
        """About what its definition costs in each request: the bytes of its JSON / 4, rounded up."""
        return -(-len(msgspec.json.encode(self.schema())) // 4)

    def schema(self) -> dict[str, Any]:
        """The OpenAI tool definition. The same object each time; not to be changed."""
        if not self._schema:
            self._schema.update(_function_schema(self))
        return self._schema

    def bind(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the handler's types, defaults left out.

        Numbers and booleans written as strings are accepted, as models write them.

        Raises:
            ArgumentError: a parameter is missing, unknown, or of the wrong type.
        """
        known = ", ".join(self.parameters)
        for name in arguments:
            if name not in self.parameters:
                raise ArgumentError(f"{self.name} has no parameter {name!r}; it has: {known or 'none'}")
        bound: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if name not in arguments or (
                arguments[name] is None and parameter.default is not parameter.empty
            ):
                if parameter.default is parameter.empty:
                    raise ArgumentError(f"required parameter {name!r} of {self.name} is missing")
                continue
            bound[name] = _convert(self.name, name, arguments[name], self.hints[name])
        return bound

    def effect_request(self, runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
        if self.describe is not None:
            return self.describe(runtime, arguments)
        text = f"{self.name} {json.dumps(arguments, ensure_ascii=False)}"
        return EffectRequest(self.name, self.effects, text, grant=self.name)

    async def settle(self, runtime: ToolRuntime) -> ToolReply | None:
        """Clear up what must be known before a person is asked for a call. A reply ends the call."""
        return None


def tool(
    *,
    effects: tuple[Effect, ...],
    requires: Requires | None = None,
    describe: Describe | None = None,
    name: str = "",
    side_by_side: bool | None = None,
    in_place: bool = True,
) -> Callable[[Handler], Tool]:
    """Make a tool of an async function `handler(runtime, …)`.

    The first parameter is the `ToolRuntime`; the others are the model's, typed, described with
    `Annotated[type, "text"]`, required unless they have a default. The docstring is the description.
    """

    def wrap(handler: Handler) -> Tool:
        parameters = dict(list(inspect.signature(handler).parameters.items())[1:])
        hints = typing.get_type_hints(handler, include_extras=True)
        text = inspect.cleandoc(handler.__doc__ or "")
        tool_name = name or handler.__name__
        return Tool(
            tool_name, text, handler, effects, parameters, hints, requires, describe, side_by_side, in_place
        )

    return wrap


def error_reply(message: str, **more: Any) -> ToolReply:
    """A failed call, as the model reads it."""
    return ToolReply(json.dumps({"error": message, **more}, ensure_ascii=False), "error")


def ok_reply(**values: Any) -> ToolReply:
    return ToolReply(json.dumps(values, ensure_ascii=False))


def cut_answer(text: str, most: int) -> dict[str, str]:
    """For a reply: `answer`, at most `most` characters of `text`, and a `note` where that is not all."""
    if len(text) <= most:
        return {"answer": text}
    return {"answer": text[:most], "note": f"the answer had {len(text):,} characters and is cut"}


def _convert(tool_name: str, name: str, value: Any, hint: Any) -> Any:
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    lax = isinstance(value, str) and bare is not str
    if lax and value.lstrip()[:1] in ("[", "{"):  # models write lists and objects as text, too
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    try:
        return msgspec.convert(value, bare, strict=not lax)
    except msgspec.ValidationError as error:
        raise ArgumentError(f"parameter {name!r} of {tool_name}: {error}{_wanted(bare)}") from None


def _wanted(hint: Any) -> str:
    """The rest of the sentence for types whose name alone does not tell what to send."""
    if get_origin(hint) is Literal:
        return f"; it is one of {', '.join(map(str, get_args(hint)))}"
    schema = _type_schema(hint)
    return f"; it takes {json.dumps(schema)}" if schema["type"] == "array" else ""


def _function_schema(tool_: Tool) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, parameter in tool_.parameters.items():
        properties[name] = _parameter_schema(tool_.hints[name])
        if parameter.default is parameter.empty:
            required.append(name)
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        parameters["required"] = required
    function = {"name": tool_.name, "description": tool_.description, "parameters": parameters}
    return {"type": "function", "function": function}


def _parameter_schema(hint: Any) -> dict[str, Any]:
    description = ""
    if get_origin(hint) is Annotated:
        hint, *notes = get_args(hint)
        description = next((note for note in notes if isinstance(note, str)), "")
    schema = _type_schema(hint)
    return {**schema, "description": description} if description else schema


def _type_schema(hint: Any) -> dict[str, Any]:
    simple = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object"}
    if hint in simple:
        return {"type": simple[hint]}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": _type_schema(arguments[0])}
    if origin is dict:
        return {"type": "object"}
    if origin in (Union, types.UnionType):
        rest = [each for each in arguments if each is not type(None)]
        if len(rest) == 1:
            return _type_schema(rest[0])
    if typing.is_typeddict(hint):
        return _typed_dict_schema(hint)
    raise TypeError(f"no JSON schema for a parameter of type {hint!r}")


def _typed_dict_schema(hint: Any) -> dict[str, Any]:
    fields = typing.get_type_hints(hint, include_extras=True)
    schema = {"type": "object", "properties": {key: _parameter_schema(each) for key, each in fields.items()}}
    return {**schema, "required": sorted(hint.__required_keys__, key=list(fields).index)}
