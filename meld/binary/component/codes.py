"""Tables of the component binary format: what each code stands for (Component Model, Binary.md).

Where the document and wasm-tools 1.262 differ, the tables say what wasm-tools reads and writes.
"""

from __future__ import annotations

from enum import Enum

from meld.ir.builtins import ENCODINGS
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
