"""What instructions take from the stack and leave on it, as far as their names and immediates alone say.

Those whose types follow from what they refer to (`call`, `global.get`, …) are in `meld.editor.signatures`.
Addresses and sizes are of the type that the memory or table says. Source: WebAssembly 3.0, section 3.4 (instructions).
"""

from __future__ import annotations

import re
from functools import cache

from meld.ir.opcodes import OPS
from meld.ir.types import AbstractHeap, FuncType, NumType, RefType, ValType

_N = {t.value: t for t in NumType}
_LANE = {"i8x16": "i32", "i16x8": "i32", "i32x4": "i32", "i64x2": "i64", "f32x4": "f32", "f64x2": "f64"}
_T = "(?P<t>[if](?:32|64))"
_S = "(?P<s>[if](?:8|16|32|64)x[0-9]+)"

_RULES = [
    (rf"{_T}\.const", "", "T"),
    (r"v128\.const", "", "v128"),
    (rf"{_T}\.(?:eqz)", "T", "i32"),
    (rf"{_T}\.(?:eq|ne|[lg][te](?:_[su])?)", "T T", "i32"),
    (rf"{_T}\.(?:clz|ctz|popcnt|extend\d+_s|abs|neg|ceil|floor|trunc|nearest|sqrt)", "T", "T"),
    (rf"{_T}\.(?:add|sub|mul|div(?:_[su])?|rem_[su]|and|or|xor|shl|shr_[su]|rotl|rotr|min|max|copysign)", "T T", "T"),
    (
        rf"{_T}\.(?:wrap|trunc(?:_sat)?|extend|convert|demote|promote|reinterpret)_(?P<u>[if](?:32|64))(?:_[su])?",
        "U",
        "T",
    ),
    (r"i64\.(?:add|sub)128", "i64 i64 i64 i64", "i64 i64"),
    (r"i64\.mul_wide_[su]", "i64 i64", "i64 i64"),
    (rf"{_T}\.load\w*", "A", "T"),
    (rf"{_T}\.store\w*", "A T", ""),
    (r"v128\.load\w*_lane", "A v128", "v128"),
    (r"v128\.store\w*_lane", "A v128", ""),
    (r"v128\.load\w*", "A", "v128"),
    (r"v128\.store", "A v128", ""),
    (r"memory\.atomic\.notify", "A i32", "i32"),
    (r"memory\.atomic\.wait(?P<w>32|64)", "A iW i64", "i32"),
    (rf"{_T}\.atomic\.load\w*", "A", "T"),
    (rf"{_T}\.atomic\.store\w*", "A T", ""),
    (rf"{_T}\.atomic\.rmw\d*\.cmpxchg\w*", "A T T", "T"),
    (rf"{_T}\.atomic\.rmw\d*\.\w+", "A T", "T"),
    (r"(?:memory|table)\.size", "", "A"),
    (r"memory\.grow", "A", "A"),
    (r"memory\.fill", "A i32 A", ""),
    (r"(?:memory|table)\.copy", "A B N", ""),
    (r"(?:memory|table)\.init", "A i32 i32", ""),
    (rf"{_S}\.splat", "L", "v128"),
    (rf"{_S}\.extract_lane\w*", "v128", "L"),
    (rf"{_S}\.replace_lane", "v128 L", "v128"),
    (rf"{_S}\.(?:all_true|bitmask)|v128\.any_true", "v128", "i32"),
    (rf"{_S}\.sh(?:l|r_[su])", "v128 i32", "v128"),
    (r"v128\.bitselect|\w+\.relaxed_(?:n?madd|laneselect|dot_i8x16_i7x16_add_s)", "v128 v128 v128", "v128"),
    (
        rf"v128\.not|{_S}\.(?:abs|neg|popcnt|ceil|floor|trunc|nearest|sqrt|extadd\w+|extend_\w+|(?:relaxed_)?trunc_\w+"
        r"|convert\w+|demote\w+|promote\w+)",
        "v128",
        "v128",
    ),
    (r"v128\.\w+|[if](?:8|16|32|64)x[0-9]+\.\w+", "v128 v128", "v128"),
    (r"nop|data\.drop|elem\.drop|atomic\.fence", "", ""),
    (r"br_if", "i32", ""),
    (r"ref\.i31", "i32", "i31"),
    (r"i31\.get_[su]", "i31?", "i32"),
    (r"ref\.is_null", "any?", "i32"),
    (r"ref\.eq", "eq? eq?", "i32"),
    (r"array\.len", "array?", "i32"),
    (r"any\.convert_extern", "extern?", "any?"),
    (r"extern\.convert_any", "any?", "extern?"),
]
"""Pattern of the mnemonic, operands, results. T, U: number types in it; L: that of its lanes; h?: nullable.

A, B: addresses of the first and the second memory or table; N: the narrower of the two.
"""


@cache
def shape_of(op: str, first: NumType = NumType.I32, second: NumType = NumType.I32) -> FuncType | None:
    """What an instruction takes and gives; None if its name does not say, or if there is no such instruction.

    Args:
        first, second: types of the addresses of the memories or tables that it names.
    """
    if op not in OPS:
        return None
    for pattern, operands, results in _RULES:
        match = re.fullmatch(pattern, op)
        if match is not None:
            narrower = second if first is NumType.I64 else first
            addresses = {"A": first.value, "B": second.value, "N": narrower.value}
            found = {**match.groupdict(), **addresses}
            return FuncType(*(tuple(_type(word, found) for word in words.split()) for words in (operands, results)))
    return None


def _type(word: str, found: dict[str, str | None]) -> ValType:
    match word:
        case "T" | "U":
            return _N[found[word.lower()] or ""]
        case "A" | "B" | "N":
            return _N[found[word] or ""]
        case "L":
            return _N[_LANE[found["s"] or ""]]
        case "iW":
            return _N[f"i{found['w']}"]
        case _ if word in _N:
            return _N[word]
        case _:
            return RefType(word.endswith("?"), AbstractHeap(word.removesuffix("?")))
