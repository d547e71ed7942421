"""Notes that say what an import of a fused module stands for, and what its host-facing exports are.

After `merge` every import is one of three: a call into another component (`Boundary`, import module
``meld:boundary``), a canonical built-in (`CanonCall`, import module ``meld:canon``), or a call of the host
(`HostCall`, or no note at all where a core module imports something that no component describes).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meld.abi.types import Resource, read_func_type, read_type, write_func_type, write_type
from meld.diagnostics import MeldError
from meld.ir.component import CompFuncType
from meld.ir.module import Function, Memory
from meld.ir.notes import (
    Instance,
    NameOf,
    Note,
    Ref,
    Resolve,
    Sexp,
    Symbol,
    coded,
    flag,
    note,
    number,
    ref,
    symbol,
    text,
)
from meld.support.records import record

BOUNDARY_MODULE = "meld:boundary"
CANON_MODULE = "meld:canon"


@record(frozen=True)
class Options:
    """Canonical options with their core items (CanonicalABI.md, LiftLowerOptions)."""

    encoding: str = "utf8"
    memory: Memory | None = None
    realloc: Function | None = None
    post_return: Function | None = None
    is_async: bool = False
    callback: Function | None = None


def _write_options(options: Options, name_of: NameOf) -> list[Sexp]:
    out: list[Sexp] = [] if options.encoding == "utf8" else [Symbol(options.encoding)]
    for key, space in _OPTION_SPACES.items():
        item = getattr(options, key)
        if item is not None:
            out.append([Symbol(key.replace("_", "-")), name_of(space, item)])
    return [*out, Symbol("async")] if options.is_async else out


_OPTION_SPACES = {"memory": "memories", "realloc": "functions", "post_return": "functions", "callback": "functions"}


def _read_options(parts: list[Sexp], resolve: Resolve) -> Options:
    values: dict[str, Any] = {}
    for part in parts:
        match part:
            case Symbol("async"):
                values["is_async"] = True
            case Symbol("utf8" | "utf16" | "latin1+utf16" as encoding):
                values["encoding"] = encoding
            case [Symbol(key), (Ref() | Symbol()) as item] if key.replace("-", "_") in _OPTION_SPACES:
                field = key.replace("-", "_")
                values[field] = resolve(_OPTION_SPACES[field], item)
            case _:
                raise MeldError("expected a canonical option: an encoding, `async`, `(memory $m)`, `(realloc $f)`, …")
    return Options(**values)


def _write_optional_type(t: Any, name_of: NameOf) -> list[Sexp]:
    return [] if t is None else [write_type(t, name_of)]


def _read_optional_type(parts: list[Sexp], resolve: Resolve) -> Any:
    return read_type(parts[0], resolve) if parts else None


@note("boundary")
class Boundary(Note):
    """On an import: a call from one component instance into another that is still to be adapted.

    Attributes:
        caller, callee: the two component instances.
        label: the function's name, for people.
        target: the core function that `canon lift` wraps.
        type: the component function type, as the callee lifts it.
        lower, lift: the options of the caller's `canon lower` and the callee's `canon lift`.
    """

    caller: Instance = ref("note")
    callee: Instance = ref("note")
    label: str = text()
    target: Function = ref("functions")
    type: CompFuncType = coded(write_func_type, read_func_type)
    lower: Options = coded(_write_options, _read_options, default=Options())
    lift: Options = coded(_write_options, _read_options, default=Options())

    def problems(self, holder: Any, program: Any) -> Iterator[str]:
        """The function has the core type that its component type is lowered to."""
        yield from _not_lowered(holder, self.type, self.lower)


@note("canon")
class CanonCall(Note):
    """On an import: a canonical built-in (``stream.write``, ``resource.new``, …) as one instance defines it."""

    builtin: str = symbol(positional=True)
    instance: Instance = ref("note")
    type: Any = coded(_write_optional_type, _read_optional_type, default=None)
    options: Options = coded(_write_options, _read_options, default=Options())
    slot: int | None = number(default=None)
    table: Any = ref("tables", default=None)
    cancellable: bool = flag(default=False)


def resource_of(n: Note) -> Resource | None:
    """The resource type that a built-in is about (``resource.new``, ``.rep``, ``.drop``); None for anything else."""
    if isinstance(n, CanonCall) and n.builtin.startswith("resource."):
        resource: Any = getattr(n.type, "resource", None)
        return resource if isinstance(resource, Resource) else None
    return None


@note("host")
class HostCall(Note):
    """On an import: a function that the host provides, lowered by one instance."""

    instance: Instance = ref("note")
    label: str = text()
    type: CompFuncType = coded(write_func_type, read_func_type)
    lower: Options = coded(_write_options, _read_options, default=Options())

    def problems(self, holder: Any, program: Any) -> Iterator[str]:
        """The function has the core type that its component type is lowered to."""
        yield from _not_lowered(holder, self.type, self.lower)


def _not_lowered(holder: Any, t: CompFuncType, options: Options) -> Iterator[str]:
    """What is wrong with a function that stands for a lowered one. Whatever is no function cannot."""
    from meld.abi.signatures import lowered_type
    from meld.ir.describe import signature

    if not isinstance(holder, Function):
        yield "stands on something that is no function"
        return
    expected = lowered_type(t, options)
    if holder.signature != expected:
        yield f"its type lowers to {signature(expected)}, and the function is {signature(holder.signature)}"


@note("export")
class HostExport(Note):
    """On the module: a component function that it exports under the name `label`, and how that is lifted."""

    label: str = text(positional=True)
    instance: Instance = ref("note")
    target: Function = ref("functions")
    type: CompFuncType = coded(write_func_type, read_func_type)
    lift: Options = coded(_write_options, _read_options, default=Options())


@note("resource-export")
class ResourceExport(Note):
    """On the module: a resource type of the program that the interface `module` exports, or the root (``$root``).

    Attributes:
        label: the name that it is exported by.
    """

    resource: Any = ref("note", positional=True)
    module: str = text()
    label: str = text()


@note("reexport")
class HostReexport(Note):
    """On the module: a function of the host, `module` and `field`, that the program exports under the name `label`.

    A core module has no form for it; a component has.
    """

    label: str = text(positional=True)
    module: str = text()
    field: str = text()


@note("intrinsic")
class IntrinsicEntry(Note):
    """On a function: what an instance calls for an intrinsic of `pulseengine:async`, before any bridge.

    Attributes:
        memory: the instance's memory number 0, which its pointers mean; None if it has no memory.
    """

    intrinsic: str = symbol(positional=True)
    instance: Instance = ref("note")
    memory: Memory | None = ref("memories", default=None)


@note("streams")
class StreamUse(Note):
    """On the module: which stream or future built-ins an instance declares for one type, or that it joins waitables.

    ``(@meld.streams $producer (builtins stream.new stream.write) (type (stream u8)))``. Declared is enough: an
    instance in the style of `pulseengine:async` has no core use of them.
    """

    instance: Instance = ref("note", positional=True)
    builtins: tuple[str, ...] = symbol(many=True)
    type: Any = coded(_write_optional_type, _read_optional_type, default=None)


@note("link")
class Link(Note):
    """On the module: two instances linked by an import that carries no items: stream partners. See `Partner`."""

    importer: Instance = ref("note")
    exporter: Instance = ref("note")
    label: str = text(default="link")


@note("partner")
class Partner(Note):
    """On a component instance of a composition: it is linked to another instance, under an import's name.

    For a link that a validator would refuse as a `with` argument: a core module imported under an empty module type.
    """

    to: Any = ref("instance", positional=True)
    label: str = text(default="link")
