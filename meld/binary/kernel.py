"""Function bodies in bulk, by a kernel in WebAssembly (kernel.wat): what `meld.binary.bodies` does, at native speed.

One call goes through all bodies of a code section. The Python path is the reference; where the kernel refuses a body,
the caller has the Python path say why.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from meld.binary.coretypes import HEAP_BY_CODE, NUM_BY_CODE
from meld.binary.plans import CLOSE, OPEN, PLANS, SPACE_OF_IMM, Step
from meld.ir.instructions import IndexSpaces
from meld.ir.opcodes import Imm
from meld.support.ahead import Background
from meld.support.cache import load, save
from meld.support.packaged import packaged
from meld.support.records import record

if TYPE_CHECKING:
    import wasmtime

T = TypeVar("T")

PLANS_AT, PREFIXED, TYPES_AT, TABLES_END = 128, 1152, 9344, 9472
ROW = 16
STEP_OF: dict[Step, int] = {
    **dict.fromkeys((Imm.LABEL, Imm.LOCAL, Imm.FIELD, Imm.COUNT), 1),
    Imm.I64: 2,
    Imm.LANE: 3,
    Imm.FENCE: 26,
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
    **{imm: 16 + IndexSpaces.SPACES.index(space) for imm, space in SPACE_OF_IMM.items()},
}
PREFIX, UNKNOWN = 25, 255
NOWHERE = 0xFFFFFFFF


class Refused(Exception):
    """The kernel met something malformed, a rare spelling, or an index whose object is not in the module."""


@record(frozen=True)
class Uses:
    """What each body of a section uses, each thing once: number of the space << 28 | index.

    `entries` of all bodies, one after the other, and where each ends.
    """

    entries: array[int]
    ends: array[int]


@record(frozen=True)
class Written:
    """What the kernel wrote.

    Attributes:
        data: the size and the body of each function that was kept, one after the other.
        ends: per function of the section, kept or not, where it ends in `data`.
        names_data: whether a body names a data segment.
    """

    data: memoryview
    ends: array[int]
    names_data: bool


def plan_table() -> bytes:
    """The kernel's plans, what follows each opcode, as up to four steps of a byte; behind them the kinds of types."""
    table = array("I", [UNKNOWN] * ((TYPES_AT - PLANS_AT) // 4))
    for (prefix, code), plan in PLANS.items():
        if Imm.HANDLERS in plan:  # rare: left to the Python path
            continue
        steps = [STEP_OF[step] for step in plan]
        assert len(steps) <= 4
        slot = code if not prefix else (PREFIXED - PLANS_AT) // 4 + (prefix - 0xFB) * 512 + code
        table[slot] = int.from_bytes(bytes(steps), "little")
    table[0xFB:0xFF] = array("I", [PREFIX] * 4)
    return table.tobytes() + bytes(1 if code in HEAP_BY_CODE else 2 * (code in NUM_BY_CODE) for code in range(128))


_started = False


def start() -> None:
    """Says that the engine will be used in any case, so that the kernel pays for smaller modules too."""
    global _started
    _started = True


def is_started() -> bool:
    """Whether the engine is in use, by a kernel or as `start` said."""
    return _started


@cache
def _compiled() -> tuple[wasmtime.Engine, wasmtime.Module]:
    """The kernel, compiled now or by an earlier run; compiled code says for which engine and processor it is."""
    import wasmtime

    start()
    engine = wasmtime.Engine()
    text = packaged(__package__, "kernel.wat").encode()
    code = load("kernel", text)
    if code is not None:
        try:
            return engine, wasmtime.Module.deserialize(engine, code)
        except wasmtime.WasmtimeError:
            pass  # for another
    module = wasmtime.Module(engine, text.decode())
    save("kernel", text, bytes(module.serialize()))
    return engine, module


class Kernel:
    """The kernel with the bodies of one code section in its memory.

    Args:
        code: sizes and bodies, one function after the other.
        count: how many functions.
        sizes: the size of each index space, in the order of `IndexSpaces.SPACES`.
    """

    def __init__(self, code: memoryview, count: int, sizes: Sequence[int]) -> None:
        import wasmtime

        engine, module = _compiled()
        self._store = wasmtime.Store(engine)
        try:
            exports = wasmtime.Instance(self._store, module, []).exports(self._store)
        except wasmtime.WasmtimeError as e:  # no room for its memory, where addresses are limited
            raise Refused from e
        self._memory: Any = exports["memory"]
        self._run: Any = exports["run"]
        self._names_data: Any = exports["names_data"]
        self._count = count
        position = TABLES_END
        self._maps, rows = [], []
        for size in sizes:
            self._maps.append(position)
            rows += [position, size, position + 4 * size, 0]  # map, count, stamps
            position += 8 * size
        self._keep = position
        self._rows = position + count + 3 & ~3
        self._code = self._rows + ROW * count
        self._size = len(code)
        self._room = self._code + len(code) + 3 & ~3
        self._grow(self._room)
        self._put(0, array("I", rows).tobytes())
        self._put(PLANS_AT, plan_table())
        self._put(self._code, code)

    def uses(self) -> Background[Uses]:
        """What each body uses. Getting it raises Refused."""
        room = 4 * self._size + 4096  # a use takes a byte of code at least
        self._grow(self._room + room)

        def taken(_: int) -> Uses:
            ends = array("I", [position - self._room >> 2 for position in self._row(3)])
            size = 4 * ends[-1] if ends else 0
            return Uses(array("I", self._view()[self._room : self._room + size].tobytes()), ends)

        return self._call(0, 0, self._room + room, self._room, taken)

    def rewrite(self, maps: Mapping[str, Sequence[int]], keep: bytes) -> Background[Written]:
        """The bodies with other indices; those whose byte in `keep` is 0 are left out.

        Getting it raises Refused, if a body is malformed or uses an index that has no new one.

        Args:
            maps: per index space, the new index of each old one; −1 if it has none, and then nothing may use it.
        """
        growth = 2
        for space, position in zip(IndexSpaces.SPACES, self._maps, strict=True):
            self._put(position, array("i", maps[space]).tobytes())
            if max(maps[space], default=0) > 127:
                growth = 5
        self._put(self._keep, keep)
        room = growth * self._size + 16 * self._count + 4096
        self._grow(self._room + room)

        def taken(end: int) -> Written:
            ends = array("I", [position - self._room for position in self._row(2)])
            return Written(self._view()[self._room : end], ends, bool(self._names_data.value(self._store)))

        return self._call(self._keep, self._room, self._room + room, 0, taken)

    def _call(self, keep: int, out: int, limit: int, uses: int, taken: Callable[[int], T]) -> Background[T]:
        """Starts the engine; its output is `taken` from its memory on demand."""
        arguments = self._code, self._count, keep, self._rows, out, limit, uses

        import wasmtime

        def call() -> int:
            try:
                end: int = self._run(self._store, *arguments)
            except wasmtime.Trap as e:
                raise Refused from e
            return end & NOWHERE

        return Background(call, taken)

    def _grow(self, size: int) -> None:
        pages = -(-size >> 16) - self._memory.size(self._store)
        if pages > 0:
            import wasmtime

            try:
                self._memory.grow(self._store, pages)
            except wasmtime.WasmtimeError as e:
                raise Refused from e

    def _view(self) -> memoryview:
        """The memory as it is, until it grows. The view keeps the kernel alive."""
        import ctypes

        pointer = ctypes.cast(self._memory.data_ptr(self._store), ctypes.c_void_p).value
        assert pointer is not None
        buffer = (ctypes.c_ubyte * self._memory.data_len(self._store)).from_address(pointer)
        buffer.kernel = self
        return memoryview(buffer).cast("B")

    def _put(self, position: int, data: bytes | memoryview) -> None:
        self._view()[position : position + len(data)] = data

    def _row(self, column: int) -> array[int]:
        """One of the four numbers per function that the kernel left."""
        rows = array("I", self._view()[self._rows : self._rows + ROW * self._count].tobytes())
        return rows[column::4]
