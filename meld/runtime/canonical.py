"""Lifting and lowering of component values over a linear memory, in Python.

A value between two sides has one form, whatever the encoding of strings and the width of addresses:

| kind | value |
|---|---|
| bool | `bool` |
| integers | `int`, in the range of the type |
| f32, f64 | `int`: the bits, so that NaNs come through as they are |
| char, string | `str`; a lifted string remembers how it was encoded (`Text`) |
| flags | `int`, bit i for label i |
| list, fixed-length list, map | `list`; the elements of a map are pairs |
| record, tuple | `tuple` of the fields |
| variant, enum, option, result | pair of the number of the case, and its payload or None |
| own, borrow | `Handle` |
| stream, future, error-context | an object of `meld.runtime.tasks` |

Core values are integers too: the bits, unsigned. Everything that the specification checks is checked; what traps there
raises `HostTrap` here.

Source: Component Model, CanonicalABI.md: Loading, Storing, Flat Lifting, Flat Lowering.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from meld.abi.layout import MAX_VALUE_BYTES, Kind, Layout
from meld.ir.types import F32, I32, I64, NumType
from meld.runtime.streams import HostTrap
from meld.support.records import record

Value: TypeAlias = Any
"""A component value in the form above."""

MASK32 = 0xFFFF_FFFF
MASK64 = 0xFFFF_FFFF_FFFF_FFFF

_UNSIGNED = {Kind.U8: 8, Kind.U16: 16, Kind.U32: 32, Kind.U64: 64, Kind.F32: 32, Kind.F64: 64}
_SIGNED = {Kind.S8: 8, Kind.S16: 16, Kind.S32: 32, Kind.S64: 64}
_FORMATS = {
    Kind.U8: "B",
    Kind.S8: "b",
    Kind.U16: "H",
    Kind.S16: "h",
    Kind.U32: "I",
    Kind.S32: "i",
    Kind.U64: "Q",
    Kind.S64: "q",
    Kind.F32: "I",
    Kind.F64: "Q",
}
"""How `struct` reads elements of which every bit pattern is a value."""


class Text(str):
    """A lifted string. `encoding` is what it was written in: ``utf8``, ``utf16``, ``latin1``, or ``tagged utf16``.

    The arguments of `realloc` depend on it, as in the specification.
    """

    __slots__ = ("encoding",)
    encoding: str

    @classmethod
    def of(cls, text: str, encoding: str) -> Text:
        """A string that was written in an encoding."""
        made = cls(text)
        made.encoding = encoding
        return made


@record(frozen=True)
class Handle:
    """A resource on its way from one instance to another. `resource` is that of the type, `rep` its representation."""

    resource: Any
    rep: int


class Handles(Protocol):
    """The handle table of one instance, during a call. All raise HostTrap for what is no such handle."""

    def lift_own(self, resource: Any, handle: int) -> int:
        """Takes an own handle out of the table. Returns the representation."""

    def lift_borrow(self, resource: Any, handle: int) -> int:
        """Lends a handle until the call ends. Returns the representation."""

    def lower_own(self, resource: Any, rep: int) -> int:
        """Puts an own handle into the table. Returns its index."""

    def lower_borrow(self, resource: Any, rep: int) -> int:
        """Puts a borrow handle into the table, or gives the representation to the instance that defines the type."""

    def end_borrows(self) -> None:
        """The call returns. Raises HostTrap if this side still has handles that it borrowed for it."""


class Carried(Protocol):
    """The handles of one instance that are no resources. All raise HostTrap for what is no such handle."""

    def lift(self, layout: Layout, handle: int) -> Any:
        """What a handle means: the readable end of a channel, which leaves the table, or an error context."""

    def lower(self, layout: Layout, value: Any) -> int:
        """Puts it into the table. Returns its index."""


def trap_if(condition: bool, message: str) -> None:
    """Raises HostTrap if a condition holds."""
    if condition:
        raise HostTrap(message)


def _no_realloc(*_: int) -> int:
    raise HostTrap("lowers a value that needs memory, without a `realloc`")


@record()
class Side:
    """One side of a call: its memory and how it represents values (CanonicalABI.md, LiftLowerContext).

    Attributes:
        memory: the bytes of its memory as they are now; a memory that grows has new ones.
        pointer: the type of its addresses.
        encoding: of its strings: ``utf8``, ``utf16`` or ``latin1+utf16``.
        realloc: (old address, old size, alignment, new size) → address, as unsigned integers.
        handles: its handle table, if values have handles of resources.
        carried: the same for others.
    """

    memory: Callable[[], memoryview]
    pointer: NumType = I32
    encoding: str = "utf8"
    realloc: Callable[[int, int, int, int], int] = _no_realloc
    handles: Handles | None = None
    carried: Carried | None = None

    @property
    def width(self) -> int:
        """Bytes of an address."""
        return 8 if self.pointer is I64 else 4

    @property
    def tag(self) -> int:
        """The bit in the length of a ``latin1+utf16`` string that says that it is UTF-16."""
        return 1 << (8 * self.width - 1)

    def allocate(self, old: int, old_size: int, align: int, size: int) -> int:
        """Calls `realloc` and checks what it returns: aligned, and in bounds."""
        at = self.realloc(old, old_size, align, size)
        trap_if(at % align != 0, f"`realloc` returned {at:#x}, which is not aligned to {align} bytes")
        trap_if(at + size > len(self.memory()), f"`realloc` returned {size} bytes at {at:#x}, out of bounds")
        return at

    def check_area(self, layout: Layout, at: int) -> int:
        """Checks an address that core code gave for a value in memory; returns it."""
        trap_if(at % layout.align != 0, f"a value at {at:#x} is not aligned to {layout.align} bytes")
        trap_if(at + layout.size > len(self.memory()), f"a value of {layout.size} bytes at {at:#x} is out of bounds")
        return at

    def check_range(self, at: int, size: int, align: int, what: str) -> memoryview:
        """Checks a string's or list's bytes; returns the memory."""
        trap_if(size > MAX_VALUE_BYTES, f"a {what} of {size} bytes is too large")
        trap_if(at % align != 0, f"a {what} at {at:#x} is not aligned to {align} bytes")
        memory = self.memory()
        trap_if(at + size > len(memory), f"a {what} of {size} bytes at {at:#x} is out of bounds")
        return memory

    def put(self, at: int, size: int, bits: int) -> None:
        """Stores an integer in the `size` bytes at address `at`, little-endian, negative ones as two's complement."""
        self.memory()[at : at + size] = (bits & ((1 << 8 * size) - 1)).to_bytes(size, "little")


def mask_of(core: NumType) -> int:
    """All bits of a core type."""
    return MASK32 if core in (I32, F32) else MASK64


def scalar(side: Side, layout: Layout, bits: int) -> Value:
    """The value that a core value means. Raises HostTrap."""
    kind = layout.kind
    if kind in _UNSIGNED:
        return bits & ((1 << _UNSIGNED[kind]) - 1)
    if kind in _SIGNED:
        half = 1 << (_SIGNED[kind] - 1)
        return ((bits & (2 * half - 1)) ^ half) - half
    match kind:
        case Kind.BOOL:
            return bits & MASK32 != 0
        case Kind.CHAR:
            trap_if(bits >= 0x110000 or 0xD800 <= bits <= 0xDFFF, f"{bits:#x} is not a char")
            return chr(bits)
        case Kind.FLAGS:
            return bits & ((1 << layout.labels) - 1)
        case Kind.OWN | Kind.BORROW if side.handles is not None:
            take = side.handles.lift_own if kind is Kind.OWN else side.handles.lift_borrow
            return Handle(layout.resource, take(layout.resource, bits & MASK32))
        case Kind.STREAM | Kind.FUTURE | Kind.ERROR_CONTEXT if side.carried is not None:
            return side.carried.lift(layout, bits & MASK32)
    raise HostTrap(f"values of type {kind.value} are not interpreted")


def bits_of(side: Side, layout: Layout, value: Value) -> int:
    """The core value of a scalar; may be negative."""
    match layout.kind:
        case Kind.CHAR:
            return ord(value)
        case Kind.OWN | Kind.BORROW if side.handles is not None:
            give = side.handles.lower_own if layout.kind is Kind.OWN else side.handles.lower_borrow
            return give(layout.resource, value.rep)
        case Kind.STREAM | Kind.FUTURE | Kind.ERROR_CONTEXT if side.carried is not None:
            return side.carried.lower(layout, value)
        case Kind.OWN | Kind.BORROW | Kind.STREAM | Kind.FUTURE | Kind.ERROR_CONTEXT:
            raise HostTrap(f"values of type {layout.kind.value} are not interpreted")
        case _:
            return int(value)


def elements(memory: memoryview, layout: Layout, at: int, count: int) -> list[Value]:
    """Elements of which every bit pattern is a value, in one go."""
    return list(struct.unpack_from(f"<{count}{_FORMATS[layout.kind]}", memory, at))


def packed(layout: Layout, values: list[Value]) -> bytes:
    """The reverse of `elements`."""
    return struct.pack(f"<{len(values)}{_FORMATS[layout.kind]}", *values)


def is_bulk(layout: Layout) -> bool:
    """Whether `elements` takes elements of this layout."""
    return layout.kind in _FORMATS
