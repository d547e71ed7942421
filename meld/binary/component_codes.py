"""Tables of the component binary format: what each code stands for (Component Model, Binary.md).

Where the document and wasm-tools 1.262 differ, the tables say what wasm-tools reads and writes.
"""

from __future__ import annotations

from enum import Enum

from meld.ir.component import Prim, Sort

PREAMBLE = b"\0asm\x0d\0\x01\0"
"""Magic number, version 13, layer 1."""

MAX_NESTING = 100
"""How deep components and types may nest, taken together."""

MAX_START_RESULTS = 1000
"""Results of a start function: the count is a bare number, which no bytes stand behind."""


class Section(Enum):
    """Section ids."""

    CUSTOM = 0
    CORE_MODULE = 1
    CORE_INSTANCE = 2
    CORE_TYPE = 3
    COMPONENT = 4
    INSTANCE = 5
    ALIAS = 6
    TYPE = 7
    CANON = 8
    START = 9
    IMPORT = 10
    EXPORT = 11


SECTION_BY_ID = {section.value: section for section in Section}

SORT_CODES: dict[Sort, bytes] = {
    Sort.CORE_FUNC: b"\x00\x00",
    Sort.CORE_TABLE: b"\x00\x01",
    Sort.CORE_MEMORY: b"\x00\x02",
    Sort.CORE_GLOBAL: b"\x00\x03",
    Sort.CORE_TAG: b"\x00\x04",
    Sort.CORE_TYPE: b"\x00\x10",
    Sort.CORE_MODULE: b"\x00\x11",
    Sort.CORE_INSTANCE: b"\x00\x12",
    Sort.FUNC: b"\x01",
    Sort.VALUE: b"\x02",
    Sort.TYPE: b"\x03",
    Sort.COMPONENT: b"\x04",
    Sort.INSTANCE: b"\x05",
}
"""Sorts as `sort` writes them; the second byte of a core sort is `core:sort`. The order is that of the name section."""

CORE_SORT_BY_CODE = {code[1]: sort for sort, code in SORT_CODES.items() if len(code) == 2}
SORT_BY_CODE = {code[0]: sort for sort, code in SORT_CODES.items() if len(code) == 1}

CORE_ITEM_SORTS = frozenset((Sort.CORE_FUNC, Sort.CORE_TABLE, Sort.CORE_MEMORY, Sort.CORE_GLOBAL, Sort.CORE_TAG))
"""What a core instance exports."""

EXTERN_SORTS = frozenset((Sort.CORE_MODULE, Sort.FUNC, Sort.VALUE, Sort.TYPE, Sort.COMPONENT, Sort.INSTANCE))
"""What a component imports and exports."""

OUTER_SORTS = frozenset((Sort.CORE_MODULE, Sort.CORE_TYPE, Sort.TYPE, Sort.COMPONENT))
"""What an outer alias may refer to: what holds no state."""

PRIM_CODES: dict[Prim, int] = {
    Prim.BOOL: 0x7F,
    Prim.S8: 0x7E,
    Prim.U8: 0x7D,
    Prim.S16: 0x7C,
    Prim.U16: 0x7B,
    Prim.S32: 0x7A,
    Prim.U32: 0x79,
    Prim.S64: 0x78,
    Prim.U64: 0x77,
    Prim.F32: 0x76,
    Prim.F64: 0x75,
    Prim.CHAR: 0x74,
    Prim.STRING: 0x73,
    Prim.ERROR_CONTEXT: 0x64,
}
PRIM_BY_CODE = {code: prim for prim, code in PRIM_CODES.items()}

CORE_KINDS = {"func": 0, "table": 1, "memory": 2, "global": 3, "tag": 4}
"""Kinds of imports and exports of a core module type."""

CORE_KIND_BY_CODE = {code: kind for kind, code in CORE_KINDS.items()}

ENCODINGS = {"utf8": 0, "utf16": 1, "latin1+utf16": 2}
ENCODING_BY_CODE = {code: encoding for encoding, code in ENCODINGS.items()}


class Option(Enum):
    """Options of a canonical definition other than the string encodings; the value is the code."""

    MEMORY = 0x03
    REALLOC = 0x04
    POST_RETURN = 0x05
    ASYNC = 0x06
    CALLBACK = 0x07
    CORE_TYPE = 0x08
    GC = 0x09


OPTION_BY_CODE = {option.value: option for option in Option}


class Operand(Enum):
    """What follows the opcode of a built-in."""

    TYPE = "type"
    CORE_TYPE = "core type"
    TABLE = "table"
    MEMORY = "memory"
    OPTIONS = "options"
    ASYNC = "async"
    RESULT = "result"
    SLOT = "slot"
    ZERO = "zero"  # where `cancellable` once stood


BUILTINS: dict[str, tuple[int, tuple[Operand, ...]]] = {
    "resource.new": (0x02, (Operand.TYPE,)),
    "resource.drop": (0x03, (Operand.TYPE,)),
    "resource.rep": (0x04, (Operand.TYPE,)),
    "task.cancel": (0x05, ()),
    "subtask.cancel": (0x06, (Operand.ASYNC,)),
    "task.return": (0x09, (Operand.RESULT, Operand.OPTIONS)),
    "context.get": (0x0A, (Operand.SLOT,)),
    "context.set": (0x0B, (Operand.SLOT,)),
    "thread.yield": (0x0C, (Operand.ZERO,)),
    "subtask.drop": (0x0D, ()),
    "stream.new": (0x0E, (Operand.TYPE,)),
    "stream.read": (0x0F, (Operand.TYPE, Operand.OPTIONS)),
    "stream.write": (0x10, (Operand.TYPE, Operand.OPTIONS)),
    "stream.cancel-read": (0x11, (Operand.TYPE, Operand.ASYNC)),
    "stream.cancel-write": (0x12, (Operand.TYPE, Operand.ASYNC)),
    "stream.drop-readable": (0x13, (Operand.TYPE,)),
    "stream.drop-writable": (0x14, (Operand.TYPE,)),
    "future.new": (0x15, (Operand.TYPE,)),
    "future.read": (0x16, (Operand.TYPE, Operand.OPTIONS)),
    "future.write": (0x17, (Operand.TYPE, Operand.OPTIONS)),
    "future.cancel-read": (0x18, (Operand.TYPE, Operand.ASYNC)),
    "future.cancel-write": (0x19, (Operand.TYPE, Operand.ASYNC)),
    "future.drop-readable": (0x1A, (Operand.TYPE,)),
    "future.drop-writable": (0x1B, (Operand.TYPE,)),
    "error-context.new": (0x1C, (Operand.OPTIONS,)),
    "error-context.debug-message": (0x1D, (Operand.OPTIONS,)),
    "error-context.drop": (0x1E, ()),
    "waitable-set.new": (0x1F, ()),
    "waitable-set.wait": (0x20, (Operand.ZERO, Operand.MEMORY)),
    "waitable-set.poll": (0x21, (Operand.ZERO, Operand.MEMORY)),
    "waitable-set.drop": (0x22, ()),
    "waitable.join": (0x23, ()),
    "backpressure.inc": (0x24, ()),
    "backpressure.dec": (0x25, ()),
    "thread.index": (0x26, ()),
    "thread.new-indirect": (0x27, (Operand.CORE_TYPE, Operand.TABLE)),
    "thread.resume-later": (0x28, ()),
    "thread.suspend": (0x29, (Operand.ZERO,)),
    "thread.suspend-then-resume": (0x2A, (Operand.ZERO,)),
    "thread.yield-then-resume": (0x2B, (Operand.ZERO,)),
    "thread.suspend-then-promote": (0x2C, (Operand.ZERO,)),
    "thread.yield-then-promote": (0x2D, (Operand.ZERO,)),
    "stream.forward": (0x2E, (Operand.TYPE,)),
    "future.forward": (0x2F, (Operand.TYPE,)),
    "thread.spawn-ref": (0x40, (Operand.CORE_TYPE,)),
    "thread.spawn-indirect": (0x41, (Operand.CORE_TYPE, Operand.TABLE)),
    "thread.available_parallelism": (0x42, ()),
}
"""Built-ins by their names in text: opcode and operands."""

BUILTIN_BY_CODE = {code: name for name, (code, _) in BUILTINS.items()}
