"""Function bodies in bulk, by a kernel in WebAssembly (kernel.wat): what `meld.binary.bodies` does, at native speed.

One call goes through all bodies of a code section. The Python path is the reference; where the kernel refuses a body,
the caller has the Python path say why.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import wasmtime

from meld.binary.bodies import CLOSE, OPEN, PLANS, SPACE_OF_IMM, Step
from meld.ir.instructions import Scope
from meld.ir.opcodes import Imm

PLANS_AT, PREFIXED, TABLES_END = 128, 1152, 1152 + 4 * 2048
ROW = 16
STEP_OF: dict[Step, int] = {
    **dict.fromkeys((Imm.LABEL, Imm.LOCAL, Imm.FIELD, Imm.COUNT), 1),
    Imm.I64: 2,
    Imm.LANE: 3,
    Imm.FENCE: 3,
    Imm.F32: 4,
    Imm.F64: 5,
    Imm.V128: 6,
    Imm.LANES: 6,
    Imm.LABELS: 7,
    Imm.HEAP: 8,
    Imm.RESULTS: 9,
    Imm.CATCHES: 10,
    Imm.MEMARG: 11,
    Imm.BLOCK: 12,
    OPEN: 13,
    CLOSE: 14,
    "cast": 15,
    Imm.I32: 24,
    **{imm: 16 + Scope.SPACES.index(space) for imm, space in SPACE_OF_IMM.items()},
}
UNKNOWN = 255
NOWHERE = 0xFFFFFFFF


class Refused(Exception):
    """The kernel met something malformed, a rare spelling, or an index whose object is not in the module."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the kernel wrote: `data` with the size and the body of each function, and the end of each function in it."""

    data: memoryview
    ends: list[int]
    names_data: bool  # whether a body names a data segment


def plan_table() -> bytes:
    """The kernel's plans: what follows each opcode, as up to four steps of a byte."""
    table = array("I", [UNKNOWN] * ((TABLES_END - PLANS_AT) // 4))
    for (prefix, code), plan in PLANS.items():
        steps = [STEP_OF[step] for step in plan]
        assert len(steps) <= 4
        slot = code if not prefix else (PREFIXED - PLANS_AT) // 4 + (prefix - 0xFB) * 512 + code
        table[slot] = int.from_bytes(bytes(steps), "little")
    return table.tobytes()


@cache
def _compiled() -> tuple[wasmtime.Engine, wasmtime.Module]:
    config = wasmtime.Config()
    try:
        config.cache = True  # compiled code is kept in the user's cache directory, keyed by content and version
    except wasmtime.WasmtimeError:
        config = wasmtime.Config()
    engine = wasmtime.Engine(config)
    text = files("meld.binary").joinpath("kernel.wat").read_text(encoding="utf-8")
    return engine, wasmtime.Module(engine, text)


class Kernel:
    """The kernel with the bodies of one code section in its memory.

    Args:
        code: sizes and bodies, one function after the other.
        count: how many functions.
        sizes: the size of each index space.
    """

    def __init__(self, code: memoryview, count: int, sizes: Mapping[str, int]) -> None:
        engine, module = _compiled()
        self._store = wasmtime.Store(engine)
        exports = wasmtime.Instance(self._store, module, []).exports(self._store)
        self._memory: Any = exports["memory"]
        self._run: Any = exports["run"]
        self._names_data: Any = exports["names_data"]
        self._count = count
        self._sizes = [sizes[space] for space in Scope.SPACES]
        position = TABLES_END
        self._maps, self._stamps = [], []
        for size in self._sizes:
            self._maps.append(position)
            self._stamps.append(position + 4 * size)
            position += 8 * size
        self._keep = position
        self._rows = position + count + 3 & ~3
        self._code = self._rows + ROW * count
        self._size = len(code)
        self._room = self._code + len(code) + 3 & ~3
        self._grow(self._room)
        self._put(PLANS_AT, plan_table())
        for space, size in enumerate(self._sizes):
            self._put(16 * space, array("I", [self._maps[space], size, self._stamps[space], 0]).tobytes())
        self._put(self._code, code)
        self._stamp = 0

    def uses(self) -> list[array[int]]:
        """Per function what it uses, each thing once: number of the space << 28 | index. Raises Refused."""
        room = 4 * self._size + 4096  # a use takes a byte of code at least
        self._grow(self._room + room)
        self._call(0, 0, self._room + room, self._room)
        rows = self._read_rows()
        end = rows[4 * self._count - 1] if self._count else self._room
        all_uses = array("I")
        all_uses.frombytes(self._read(self._room, end))
        ends = [(position - self._room) // 4 for position in rows[3::4]]
        return [all_uses[a:b] for a, b in zip([0, *ends], ends, strict=False)]

    def rewrite(self, maps: Mapping[str, Sequence[int]], keep: bytes | None = None) -> Written:
        """The bodies with other indices; those whose byte in `keep` is 0 are left out.

        Args:
            maps: per index space, the new index of each old one; −1 if it has none, and then nothing may use it.

        Raises:
            Refused: a body is malformed, or uses an index that has no new one.
        """
        for space, position in zip(Scope.SPACES, self._maps, strict=True):
            self._put(position, array("I", [index & NOWHERE for index in maps[space]]).tobytes())
        if keep is not None:
            self._put(self._keep, keep)
        growth = 5 if any(len(maps[space]) and max(maps[space]) > 127 for space in Scope.SPACES) else 2
        room = growth * self._size + 16 * self._count + 4096
        self._grow(self._room + room)
        end = self._call(self._keep if keep is not None else 0, self._room, self._room + room, 0)
        data = memoryview(self._read(self._room, end))
        ends = [position - self._room for position in self._read_rows()[2::4]]
        return Written(data, ends, bool(self._names_data.value(self._store)))

    def _call(self, keep: int, out: int, limit: int, uses: int) -> int:
        try:
            end: int = self._run(self._store, self._code, self._count, keep, self._rows, out, limit, uses, self._stamp)
        except wasmtime.Trap as e:
            raise Refused from e
        self._stamp += self._count
        return end & NOWHERE

    def _grow(self, size: int) -> None:
        pages = -(-size >> 16) - self._memory.size(self._store)
        if pages > 0:
            try:
                self._memory.grow(self._store, pages)
            except wasmtime.WasmtimeError as e:
                raise Refused from e

    def _base(self) -> int:
        pointer = ctypes.cast(self._memory.data_ptr(self._store), ctypes.c_void_p).value
        assert pointer is not None
        return pointer

    def _put(self, position: int, data: bytes | memoryview) -> None:
        source = data if isinstance(data, bytes) else (ctypes.c_char * len(data)).from_buffer_copy(data)
        ctypes.memmove(self._base() + position, source, len(data))

    def _read(self, start: int, end: int) -> bytes:
        return ctypes.string_at(self._base() + start, end - start)

    def _read_rows(self) -> array[int]:
        rows = array("I")
        rows.frombytes(self._read(self._rows, self._rows + ROW * self._count))
        return rows


def sizes_of(scope: Scope) -> dict[str, int]:
    """The size of each index space of a scope."""
    return {space: len(getattr(scope, space)) for space in Scope.SPACES}
