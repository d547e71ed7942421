"""The ABI `pulseengine:async`: streams and futures as functions of core WebAssembly.

A handle is an i32. `ptr`, `len` and counts are bytes of the memory that `mem` names, an index in the caller's module.
Nothing blocks. Source: specs/stream-contract.md.
"""

from __future__ import annotations

from enum import Enum, IntEnum

from meld.ir.types import I32, I64, FuncType, ValType
from meld.support.records import record

MODULE = "pulseengine:async"
"""The module name under which the intrinsics are imported."""

LOCAL_BIT = 1 << 31
"""Set in handles that live in the fused module; the host's handles are below."""


class Code(IntEnum):
    """What an operation returns if it is not a count."""

    CLOSED = -1
    INVALID_HANDLE = -2
    OOM = -3
    CANCELLED = -4
    PENDING = -5
    RUNTIME = -6


class Kind(Enum):
    """What a handle is an end of; the value is the prefix of the intrinsics."""

    STREAM = "stream"
    FUTURE = "future"


class End(Enum):
    """Which end of it an intrinsic works on; the value is the suffix of the intrinsics that drop it."""

    READABLE = "readable"
    WRITABLE = "writable"


class Operation(Enum):
    """What an intrinsic does."""

    NEW = "new"
    TRANSFER = "transfer"
    CANCEL = "cancel"
    DROP = "drop"


@record(frozen=True)
class Intrinsic:
    """One function of the ABI.

    Attributes:
        name: the field name of the import.
        kind: streams or futures.
        operation: what it does.
        end: the end that its handle must name; None for ``*_new``, which makes both.
        params: names of the parameters; all are i32.
        results: none, an i32, or for ``*_new`` an i64 with the readable end below and the writable end above.
    """

    name: str
    kind: Kind
    operation: Operation
    end: End | None
    params: tuple[str, ...]
    results: tuple[ValType, ...]

    @property
    def mem(self) -> int | None:
        """Which parameter is the index of a memory; None if none is."""
        return self.params.index("mem") if "mem" in self.params else None

    @property
    def type(self) -> FuncType:
        """The core type of the import."""
        return FuncType((I32,) * len(self.params), self.results)


def _of(kind: Kind) -> list[Intrinsic]:
    transfer = ("handle", "ptr", "len", "mem") if kind is Kind.STREAM else ("handle", "ptr", "mem")
    made = [Intrinsic(f"{kind.value}_new", kind, Operation.NEW, None, (), (I64,))]
    for verb, end in (("read", End.READABLE), ("write", End.WRITABLE)):
        made += [
            Intrinsic(f"{kind.value}_{verb}", kind, Operation.TRANSFER, end, transfer, (I32,)),
            Intrinsic(f"{kind.value}_cancel_{verb}", kind, Operation.CANCEL, end, ("handle",), (I32,)),
            Intrinsic(f"{kind.value}_drop_{end.value}", kind, Operation.DROP, end, ("handle",), ()),
        ]
    return made


INTRINSICS: dict[str, Intrinsic] = {one.name: one for kind in Kind for one in _of(kind)}
"""All fourteen, by name."""
