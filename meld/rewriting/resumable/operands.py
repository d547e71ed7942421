"""The operands and results of each instruction, with types.

Operands are only counted, since the program is valid; results have types, since operands are saved in locals. Control
instructions are not here: the walk over a body tracks its labels.

Source: WebAssembly 3.0, section 3.4 (validation of instructions).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from meld.ir.instructions import BlockType, Instruction
from meld.ir.opcodes import OPS
from meld.ir.types import (
    F32,
    F64,
    I32,
    I64,
    V128,
    AbstractHeap,
    ArrayType,
    ContType,
    FuncType,
    Packed,
    RefType,
    StorageType,
    StructType,
    TypeDef,
    ValType,
)

Effect: TypeAlias = tuple[int, tuple[ValType, ...]]
"""The number of operands of an instruction, and the types of its results."""

SCALARS: dict[str, ValType] = {"i32": I32, "i64": I64, "f32": F32, "f64": F64, "v128": V128}
LANES: dict[str, ValType] = {"i8x16": I32, "i16x8": I32, "i32x4": I32, "i64x2": I64, "f32x4": F32, "f64x2": F64}

COMPARISONS = frozenset({"eq", "ne", "lt", "gt", "le", "ge"})
_SCALAR_UNARY = (
    "clz ctz popcnt abs neg sqrt ceil floor trunc nearest wrap_ trunc_ extend convert_ demote_ promote_ reinterpret_"
)
SCALAR_UNARY = tuple(_SCALAR_UNARY.split())
_VECTOR_UNARY = (
    "not abs neg popcnt sqrt ceil floor trunc nearest extend_ convert_ demote_ promote_ extadd_ relaxed_trunc_"
)
VECTOR_UNARY = tuple(_VECTOR_UNARY.split())
VECTOR_TERNARY = ("bitselect", "relaxed_madd", "relaxed_nmadd", "relaxed_laneselect", "relaxed_dot_i8x16_i7x16_add")

NAMED: dict[str, Effect] = {
    "nop": (0, ()),
    "drop": (1, ()),
    "memory.copy": (3, ()),
    "memory.fill": (3, ()),
    "memory.init": (3, ()),
    "data.drop": (0, ()),
    "elem.drop": (0, ()),
    "atomic.fence": (0, ()),
    "memory.atomic.notify": (2, (I32,)),
    "memory.atomic.wait32": (3, (I32,)),
    "memory.atomic.wait64": (3, (I32,)),
    "local.set": (1, ()),
    "global.set": (1, ()),
    "table.set": (2, ()),
    "table.copy": (3, ()),
    "table.init": (3, ()),
    "table.fill": (3, ()),
    "ref.is_null": (1, (I32,)),
    "ref.eq": (2, (I32,)),
    "ref.test": (1, (I32,)),
    "ref.i31": (1, (RefType(False, AbstractHeap.I31),)),
    "i31.get_s": (1, (I32,)),
    "i31.get_u": (1, (I32,)),
    "struct.set": (2, ()),
    "array.set": (3, ()),
    "array.len": (1, (I32,)),
    "array.fill": (4, ()),
    "array.copy": (5, ()),
    "array.init_data": (4, ()),
    "array.init_elem": (4, ()),
    "i64.add128": (4, (I64, I64)),
    "i64.sub128": (4, (I64, I64)),
    "i64.mul_wide_s": (2, (I64, I64)),
    "i64.mul_wide_u": (2, (I64, I64)),
}
"""Instructions whose effect depends on nothing, and does not follow from their name."""


def _access(rest: str, t: ValType) -> Effect | None:
    """Constants and accesses to a memory."""
    if rest == "const":
        return 0, (t,)
    if rest.startswith("load"):
        return (2 if rest.endswith("_lane") else 1), (t,)
    if rest.startswith("store"):
        return 2, ()
    if rest.startswith("atomic.load"):
        return 1, (t,)
    if rest.startswith("atomic.store"):
        return 2, ()
    if rest.startswith("atomic.rmw"):
        return (3 if "cmpxchg" in rest else 2), (t,)
    return None


def _scalar(rest: str, t: ValType) -> Effect:
    if rest == "eqz":
        return 1, (I32,)
    if rest.partition("_")[0] in COMPARISONS:
        return 2, (I32,)
    return (1 if rest.startswith(SCALAR_UNARY) else 2), (t,)


def _vector(rest: str, lane: ValType) -> Effect:
    if rest.startswith("extract_lane"):
        return 1, (lane,)
    if rest in ("any_true", "all_true", "bitmask"):
        return 1, (I32,)
    if rest == "splat" or rest.startswith(VECTOR_UNARY):
        return 1, (V128,)
    return (3 if rest.startswith(VECTOR_TERNARY) else 2), (V128,)


def _numeric(name: str) -> Effect | None:
    prefix, _, rest = name.partition(".")
    if name in NAMED or (prefix not in SCALARS and prefix not in LANES):
        return None
    t = SCALARS.get(prefix, V128)
    found = _access(rest, t)
    if found is not None:
        return found
    return _vector(rest, LANES.get(prefix, V128)) if t is V128 else _scalar(rest, t)


FIXED: dict[str, Effect] = NAMED | {name: found for name in OPS if (found := _numeric(name)) is not None}
"""Instructions whose effect follows from their name alone."""


def _index(is64: bool) -> ValType:
    return I64 if is64 else I32


def _unpacked(t: StorageType) -> ValType:
    return I32 if isinstance(t, Packed) else t


def _fields(t: TypeDef) -> tuple[ValType, ...]:
    assert isinstance(t.shape, StructType)
    return tuple(_unpacked(f.storage) for f in t.shape.fields)


def _element(t: TypeDef) -> ValType:
    assert isinstance(t.shape, ArrayType)
    return _unpacked(t.shape.element.storage)


def continued(t: TypeDef) -> FuncType:
    """The function type of a type of continuations."""
    assert isinstance(t.shape, ContType) and isinstance(t.shape.function.shape, FuncType)
    return t.shape.function.shape


def signature_of(instruction: Instruction) -> FuncType:
    """The type of the function that an instruction calls, a tail call or not."""
    args: Any = instruction.args
    typed = args[0] if instruction.op.endswith("call_ref") else args[0].type if len(args) == 1 else args[1]
    assert isinstance(typed.shape, FuncType)
    return typed.shape


def callee_operand(instruction: Instruction) -> ValType | None:
    """The type of the operand that says what is called: an index or a reference; None for a direct call."""
    match instruction.op:
        case "call" | "return_call":
            return None
        case "call_indirect" | "return_call_indirect":
            return _index(instruction.args[0].limits.is64)
        case "call_ref" | "return_call_ref":
            return RefType(True, instruction.args[0])
    raise AssertionError(instruction.op)


def block_type(t: BlockType) -> tuple[tuple[ValType, ...], tuple[ValType, ...]]:
    """The parameters and results of a block."""
    if t is None:
        return (), ()
    if isinstance(t, TypeDef):
        assert isinstance(t.shape, FuncType)
        return t.shape.params, t.shape.results
    return (), (t,)


def effect(i: Instruction, stack: Sequence[ValType], variables: Sequence[ValType]) -> Effect:
    """The effect on the stack of an instruction that is no control instruction: how many operands it takes, and the
    types of its results, the topmost last (WebAssembly 3.0, section 3.4).

    Args:
        stack: the types of the operands, the topmost last.
        variables: the types of parameters and locals.
    """
    found = FIXED.get(i.op)
    if found is not None:
        return found
    args: Any = i.args
    match i.op:
        case "local.get":
            return 0, (variables[args[0]],)
        case "local.tee":
            return 1, (variables[args[0]],)
        case "global.get":
            return 0, (args[0].type,)
        case "call" | "call_indirect" | "call_ref":
            signature = signature_of(i)
            return len(signature.params) + (callee_operand(i) is not None), signature.results
        case "select":
            return 3, (args[0][0] if args and args[0] else stack[-2],)
        case "memory.size" | "table.size":
            return 0, (_index(args[0].limits.is64),)
        case "memory.grow":
            return 1, (_index(args[0].limits.is64),)
        case "table.grow":
            return 2, (_index(args[0].limits.is64),)
        case "table.get":
            return 1, (args[0].type,)
    return _reference(i, stack)


def _reference(i: Instruction, stack: Sequence[ValType]) -> Effect:
    args: Any = i.args
    match i.op:
        case "ref.null":
            return 0, (RefType(True, args[0]),)
        case "ref.func":
            return 0, (RefType(False, args[0].type),)
        case "ref.as_non_null":
            (t,) = stack[-1:]
            assert isinstance(t, RefType)
            return 1, (RefType(False, t.heap),)
        case "ref.cast":
            return 1, (args[0],)
        case "any.convert_extern" | "extern.convert_any":
            (t,) = stack[-1:]
            assert isinstance(t, RefType)
            return 1, (RefType(t.nullable, AbstractHeap.ANY if i.op.startswith("any") else AbstractHeap.EXTERN),)
        case "struct.new":
            return len(_fields(args[0])), (RefType(False, args[0]),)
        case "struct.new_default":
            return 0, (RefType(False, args[0]),)
        case "struct.get" | "struct.get_s" | "struct.get_u":
            return 1, (_fields(args[0])[args[1]],)
        case "array.new" | "array.new_data" | "array.new_elem":
            return 2, (RefType(False, args[0]),)
        case "array.new_default":
            return 1, (RefType(False, args[0]),)
        case "array.new_fixed":
            return args[1], (RefType(False, args[0]),)
        case "array.get" | "array.get_s" | "array.get_u":
            return 2, (_element(args[0]),)
        case "cont.new":
            return 1, (RefType(False, args[0]),)
        case "cont.bind":
            given = len(continued(args[0]).params) - len(continued(args[1]).params)
            return 1 + given, (RefType(False, args[1]),)
        case "suspend":
            return len(args[0].type.shape.params), args[0].type.shape.results
    raise AssertionError(f"`{i.op}` is a control instruction")
