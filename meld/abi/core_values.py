"""Core values: which instruction loads one from memory, and how one is carried in the type that all cases share.

Source: Component Model, CanonicalABI.md: Loading; Flat Lifting, `lift_flat_variant`; Flat Lowering,
`lower_flat_variant`.
"""

from __future__ import annotations

from meld.abi.layout import Kind, Layout
from meld.ir.types import F32, F64, I32, I64, NumType

LIFT_JOINED: dict[tuple[NumType, NumType], str] = {
    (I32, F32): "(f32.reinterpret_i32 {})",
    (I64, I32): "(i32.wrap_i64 {})",
    (I64, F32): "(f32.reinterpret_i32 (i32.wrap_i64 {}))",
    (I64, F64): "(f64.reinterpret_i64 {})",
}
"""(type of the joined core value, type of the case) → how to read it."""

LOWER_JOINED: dict[tuple[NumType, NumType], str] = {
    (F32, I32): "(i32.reinterpret_f32 {})",
    (I32, I64): "(i64.extend_i32_u {})",
    (F32, I64): "(i64.extend_i32_u (i32.reinterpret_f32 {}))",
    (F64, I64): "(i64.reinterpret_f64 {})",
}
"""(type of the case, type of the joined core value) → how to write it."""

LOAD_SIZE = {1: "i32.load8_u", 2: "i32.load16_u", 4: "i32.load"}
"""Bytes of a discriminant, or of flags → how to load them."""

_LOAD = {
    Kind.BOOL: "i32.load8_u",
    Kind.U8: "i32.load8_u",
    Kind.S8: "i32.load8_s",
    Kind.U16: "i32.load16_u",
    Kind.S16: "i32.load16_s",
    Kind.U32: "i32.load",
    Kind.S32: "i32.load",
    Kind.U64: "i64.load",
    Kind.S64: "i64.load",
    Kind.F32: "f32.load",
    Kind.F64: "f64.load",
    Kind.CHAR: "i32.load",
    Kind.OWN: "i32.load",
    Kind.BORROW: "i32.load",
    Kind.STREAM: "i32.load",
    Kind.FUTURE: "i32.load",
    Kind.ERROR_CONTEXT: "i32.load",
}


def load_of(layout: Layout) -> str:
    """The instruction that loads a value of one core value: a scalar, flags, or a handle."""
    return LOAD_SIZE[layout.size] if layout.kind is Kind.FLAGS else _LOAD[layout.kind]
