"""Notes that say what an import of a fused module stands for, and what its host-facing exports are.

After `merge` every import is one of three: a call into another component (`Boundary`, import module
``meld:boundary``), a canonical built-in (`CanonCall`, import module ``meld:canon``), or a call of the host
(`HostCall`, or no note at all where a core module imports something that no component describes).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from meld.abi.options import Options, read_options, write_options
from meld.abi.types import Resource, read_func_type, read_type, write_func_type, write_type
from meld.diagnostics import MeldError
from meld.ir.builtins import BUILTINS, THREAD_BUILTINS
from meld.ir.component import CompFuncType
from meld.ir.module import Function
from meld.ir.notes import (
    Instance,
    NameOf,
    Note,
    Resolve,
    Sexp,
    coded,
    flag,
    note,
    number,
    ref,
    symbol,
    text,
)

BOUNDARY_MODULE = "meld:boundary"
CANON_MODULE = "meld:canon"


def write_optional_type(t: Any, name_of: NameOf) -> list[Sexp]:
    return [] if t is None else [write_type(t, name_of)]


def read_optional_type(parts: list[Sexp], resolve: Resolve) -> Any:
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
    lower: Options = coded(write_options, read_options, default=Options())
    lift: Options = coded(write_options, read_options, default=Options())

    def problems(self, holder: Any, program: Any) -> Iterator[str]:
        """The function has the core type that its component type is lowered to."""
        yield from _not_lowered(holder, self.type, self.lower)


@note("canon")
class CanonCall(Note):
    """On an import: a canonical built-in (``stream.write``, ``resource.new``, …) as one instance defines it."""

    builtin: str = symbol(positional=True)
    instance: Instance = ref("note")
    type: Any = coded(write_optional_type, read_optional_type, default=None)
    options: Options = coded(write_options, read_options, default=Options())
    slot: int | None = number(default=None)
    table: Any = ref("tables", default=None)
    cancellable: bool = flag(default=False)

    @property
    def blocks(self) -> bool:
        """Whether a call suspends its task."""
        builtin = BUILTINS.get(self.builtin)
        return builtin is not None and builtin.blocks(self.options.is_async)

    @property
    def leaves(self) -> bool:
        """Whether a call traps while its instance must not be left (`may_leave`)."""
        builtin = BUILTINS.get(self.builtin)
        return builtin is None or builtin.leaves

    def check_buffers(self) -> None:
        """Raises MeldError for a read or write of a stream or future whose buffers lie in a 64-bit memory."""
        kind, _, verb = self.builtin.partition(".")
        memory = self.options.memory
        if kind in ("stream", "future") and verb in ("read", "write") and memory is not None and memory.limits.is64:
            raise MeldError(
                f"`{self.builtin}` of `{self.instance.name}` has its buffers in a 64-bit memory, which engines "
                "do not support either",
                hint="compile the component for 32-bit addresses",
            )


def resource_of(n: Note) -> Resource | None:
    """The resource type that a built-in is about (``resource.new``, ``.rep``, ``.drop``); None for anything else."""
    if isinstance(n, CanonCall) and n.builtin.startswith("resource."):
        resource: Any = getattr(n.type, "resource", None)
        return resource if isinstance(resource, Resource) else None
    return None


def destructors(calls: Iterable[CanonCall]) -> Iterator[tuple[Instance, Function]]:
    """The destructors of resources that built-ins are about, each with the instance that it runs in."""
    for n in calls:
        resource = resource_of(n)
        if resource is not None and resource.owner is not None and resource.dtor is not None:
            yield resource.owner, resource.dtor


def threaded_instances(calls: Iterable[CanonCall]) -> frozenset[Instance]:
    """The instances that make threads or refer to them, by the built-ins that they use."""
    return frozenset(n.instance for n in calls if n.builtin in THREAD_BUILTINS)


@note("host")
class HostCall(Note):
    """On an import: a function that the host provides, lowered by one instance."""

    instance: Instance = ref("note")
    label: str = text()
    type: CompFuncType = coded(write_func_type, read_func_type)
    lower: Options = coded(write_options, read_options, default=Options())

    def problems(self, holder: Any, program: Any) -> Iterator[str]:
        """The function has the core type that its component type is lowered to."""
        yield from _not_lowered(holder, self.type, self.lower)


@note("edge")
class Edge(Note):
    """On an import: a call over the edge of the program whose resource handles are still to be translated.

    Attributes:
        instance: the component instance that is called, or calls.
        way: ``out`` if it calls the host, ``in`` if the host calls it.
        label: the function's name, for people.
        target: the import of the host, or the core function that `canon lift` wraps.
        inner: the options of the instance's `canon lower` or `canon lift`.
        outer: those that the host sees. With the same memory, handles are translated where they are; with another one,
            values are copied from one to the other. Never asynchronous: such a call has returned when it comes back.
        watch: the number of the instance's `realloc` if what it gives the host for the result must not overlap, else 0.
    """

    instance: Instance = ref("note", positional=True)
    way: str = symbol()
    label: str = text()
    target: Function = ref("functions")
    type: CompFuncType = coded(write_func_type, read_func_type)
    inner: Options = coded(write_options, read_options, default=Options())
    outer: Options = coded(write_options, read_options, default=Options())
    watch: int = number(default=0)

    @property
    def copies(self) -> bool:
        """Whether the host has another memory than the instance, or another way to be called."""
        return self.outer.memory is not self.inner.memory or self.inner.is_async

    def problems(self, holder: Any, program: Any) -> Iterator[str]:
        """The function has the core type that its component type is lowered to, or lifted from."""
        if self.way not in ("in", "out"):
            yield f"it goes `{self.way}`, which is neither `in` nor `out`"
        elif self.way == "out":
            yield from _not_lowered(holder, self.type, self.inner)
        else:
            yield from _not_lowered(holder, self.type, self.outer, lifted=True)


@note("outer")
class OuterCall(Note):
    """On an import: a built-in (``resource.new``, ``.rep``, ``.drop``) over the handles that the outside has.

    For a resource of the host it is the host's; for one that is exposed, that of the component around the module.
    """

    builtin: str = symbol(positional=True)
    resource: Resource = ref("note", positional=True)


@note("host-canon")
class HostBuiltin(Note):
    """On an import: a canonical built-in of the component around the module, over the handles that it has.

    Streams, futures and tasks that the host knows need them (`meld.passes.emit_tasks.open_ends`). One is not canonical:
    ``own-task``, ``() → ()``, begins a task of the component's own, which is `begins` with the callback of the options.
    """

    builtin: str = symbol(positional=True)
    type: Any = coded(write_optional_type, read_optional_type, default=None)
    options: Options = coded(write_options, read_options, default=Options())
    begins: Function | None = ref("functions", default=None)


def _not_lowered(holder: Any, t: CompFuncType, options: Options, *, lifted: bool = False) -> Iterator[str]:
    """What is wrong with a function that stands for a lowered one, or a lifted one. Whatever is no function cannot."""
    from meld.abi.signatures import lifted_type, lowered_type
    from meld.ir.describe import signature

    if not isinstance(holder, Function):
        yield "stands on something that is no function"
        return
    expected = lifted_type(t, options) if lifted else lowered_type(t, options)
    if holder.signature != expected:
        yield f"its type lowers to {signature(expected)}, and the function is {signature(holder.signature)}"


@note("export")
class HostExport(Note):
    """On the module: a component function that it exports under the name `label`, and how that is lifted."""

    label: str = text(positional=True)
    instance: Instance = ref("note")
    target: Function = ref("functions")
    type: CompFuncType = coded(write_func_type, read_func_type)
    lift: Options = coded(write_options, read_options, default=Options())


@note("resource-export")
class ResourceExport(Note):
    """On the module: a resource type of the program that the interface `module` exports, or the root (``$root``).

    Attributes:
        label: the name that it is exported by.
        drop: ``[rep] → []``: what the outside calls when it drops an own handle, if there is a destructor.
            `expose-resources` makes it.
    """

    resource: Resource = ref("note", positional=True)
    module: str = text()
    label: str = text()
    drop: Function | None = ref("functions", default=None)


@note("reexport")
class HostReexport(Note):
    """On the module: a function, core module or component of the host that the program exports under the name `label`.

    `module` and `field` name it, as imports of functions do.

    A core module has no form for it; a component has.
    """

    label: str = text(positional=True)
    module: str = text()
    field: str = text()


@note("wired")
class Wired(Note):
    """On the module: a call between two components, and how it was wired: ``direct`` or ``adapter``, and why."""

    caller: Instance = ref("note")
    callee: Instance = ref("note")
    label: str = text()
    type: CompFuncType = coded(write_func_type, read_func_type)
    how: str = symbol()
    reason: str = text()


ROOT_MODULE = "$root"
"""The core import module of functions that the root imports by themselves, as wit-component names it."""
