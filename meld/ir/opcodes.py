"""The instruction table: every opcode that current engines accept, with its immediates."""

from __future__ import annotations

from enum import Enum, auto

from meld.support.records import record


class Imm(Enum):
    """Kinds of immediates, in the order of the text format (the binary order is the same unless noted)."""

    __hash__ = object.__hash__  # members are compared by identity, and looked up for each instruction that is scanned

    BLOCK = auto()  # block type
    LABEL = auto()
    LABELS = auto()  # br_table: tuple of labels, the default last
    LOCAL = auto()
    FUNC = auto()
    TYPE = auto()  # a type definition
    TABLE = auto()
    MEMORY = auto()
    GLOBAL = auto()
    TAG = auto()
    ELEM = auto()
    DATA = auto()
    FIELD = auto()  # field number of a struct
    COUNT = auto()  # array.new_fixed
    MEMARG = auto()
    I32 = auto()
    I64 = auto()
    F32 = auto()
    F64 = auto()
    V128 = auto()
    LANE = auto()
    LANES = auto()  # i8x16.shuffle: tuple of 16
    HEAP = auto()  # heap type
    REF = auto()  # reference type; in the binary the nullability is in the opcode or in flags
    RESULTS = auto()  # select: tuple of value types
    CATCHES = auto()  # try_table: tuple of Catch
    HANDLERS = auto()  # resume: tuple of Handler
    FENCE = auto()  # the reserved zero byte of atomic.fence


@record(frozen=True)
class Op:
    """One instruction: mnemonic, prefix byte (0 for none), opcode, immediates, natural alignment of its access."""

    name: str
    prefix: int
    code: int
    imms: tuple[Imm, ...] = ()
    align: int = 0


def _numbered(prefix: int, first: int, names: str, *imms: Imm) -> list[Op]:
    """Consecutive opcodes with the same immediates; ``-`` leaves a gap."""
    return [Op(name, prefix, first + i, imms) for i, name in enumerate(names.split()) if name != "-"]


def _accesses(prefix: int, first: int, table: str, *more: Imm) -> list[Op]:
    """Consecutive accesses to memory, as ``name:log2-of-width``; ``-`` leaves a gap."""
    found = []
    for i, word in enumerate(table.split()):
        name, _, align = word.rpartition(":")
        if name:
            found.append(Op(name, prefix, first + i, (Imm.MEMARG, *more), int(align)))
    return found


_CONTROL = [
    *_numbered(0, 0x00, "unreachable nop"),
    *_numbered(0, 0x02, "block loop if", Imm.BLOCK),
    Op("else", 0, 0x05),
    Op("try", 0, 0x06, (Imm.BLOCK,)),
    Op("catch", 0, 0x07, (Imm.TAG,)),
    Op("throw", 0, 0x08, (Imm.TAG,)),
    Op("rethrow", 0, 0x09, (Imm.LABEL,)),
    *_numbered(0, 0x0A, "throw_ref end"),
    *_numbered(0, 0x0C, "br br_if", Imm.LABEL),
    Op("br_table", 0, 0x0E, (Imm.LABELS,)),
    Op("return", 0, 0x0F),
    Op("call", 0, 0x10, (Imm.FUNC,)),
    Op("call_indirect", 0, 0x11, (Imm.TABLE, Imm.TYPE)),
    Op("return_call", 0, 0x12, (Imm.FUNC,)),
    Op("return_call_indirect", 0, 0x13, (Imm.TABLE, Imm.TYPE)),
    *_numbered(0, 0x14, "call_ref return_call_ref", Imm.TYPE),
    Op("delegate", 0, 0x18, (Imm.LABEL,)),
    *_numbered(0, 0x19, "catch_all drop"),
    Op("select", 0, 0x1B, (Imm.RESULTS,)),
    Op("try_table", 0, 0x1F, (Imm.BLOCK, Imm.CATCHES)),
    *_numbered(0, 0x20, "local.get local.set local.tee", Imm.LOCAL),
    *_numbered(0, 0x23, "global.get global.set", Imm.GLOBAL),
    *_numbered(0, 0x25, "table.get table.set", Imm.TABLE),
]

_MEMORY = [
    *_accesses(
        0,
        0x28,
        "i32.load:2 i64.load:3 f32.load:2 f64.load:3 i32.load8_s:0 i32.load8_u:0 i32.load16_s:1 i32.load16_u:1 "
        "i64.load8_s:0 i64.load8_u:0 i64.load16_s:1 i64.load16_u:1 i64.load32_s:2 i64.load32_u:2 "
        "i32.store:2 i64.store:3 f32.store:2 f64.store:3 i32.store8:0 i32.store16:1 "
        "i64.store8:0 i64.store16:1 i64.store32:2",
    ),
    *_numbered(0, 0x3F, "memory.size memory.grow", Imm.MEMORY),
]

_NUMERIC = [
    Op("i32.const", 0, 0x41, (Imm.I32,)),
    Op("i64.const", 0, 0x42, (Imm.I64,)),
    Op("f32.const", 0, 0x43, (Imm.F32,)),
    Op("f64.const", 0, 0x44, (Imm.F64,)),
    *_numbered(
        0,
        0x45,
        "i32.eqz i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s i32.gt_u i32.le_s i32.le_u i32.ge_s i32.ge_u "
        "i64.eqz i64.eq i64.ne i64.lt_s i64.lt_u i64.gt_s i64.gt_u i64.le_s i64.le_u i64.ge_s i64.ge_u "
        "f32.eq f32.ne f32.lt f32.gt f32.le f32.ge f64.eq f64.ne f64.lt f64.gt f64.le f64.ge "
        "i32.clz i32.ctz i32.popcnt i32.add i32.sub i32.mul i32.div_s i32.div_u i32.rem_s i32.rem_u "
        "i32.and i32.or i32.xor i32.shl i32.shr_s i32.shr_u i32.rotl i32.rotr "
        "i64.clz i64.ctz i64.popcnt i64.add i64.sub i64.mul i64.div_s i64.div_u i64.rem_s i64.rem_u "
        "i64.and i64.or i64.xor i64.shl i64.shr_s i64.shr_u i64.rotl i64.rotr "
        "f32.abs f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt f32.add f32.sub f32.mul f32.div "
        "f32.min f32.max f32.copysign "
        "f64.abs f64.neg f64.ceil f64.floor f64.trunc f64.nearest f64.sqrt f64.add f64.sub f64.mul f64.div "
        "f64.min f64.max f64.copysign "
        "i32.wrap_i64 i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u "
        "i64.extend_i32_s i64.extend_i32_u i64.trunc_f32_s i64.trunc_f32_u i64.trunc_f64_s i64.trunc_f64_u "
        "f32.convert_i32_s f32.convert_i32_u f32.convert_i64_s f32.convert_i64_u f32.demote_f64 "
        "f64.convert_i32_s f64.convert_i32_u f64.convert_i64_s f64.convert_i64_u f64.promote_f32 "
        "i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64 "
        "i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s",
    ),
    *_numbered(
        0xFC,
        0,
        "i32.trunc_sat_f32_s i32.trunc_sat_f32_u i32.trunc_sat_f64_s i32.trunc_sat_f64_u "
        "i64.trunc_sat_f32_s i64.trunc_sat_f32_u i64.trunc_sat_f64_s i64.trunc_sat_f64_u",
    ),
    *_numbered(0xFC, 19, "i64.add128 i64.sub128 i64.mul_wide_s i64.mul_wide_u"),
]

_BULK = [
    Op("memory.init", 0xFC, 8, (Imm.MEMORY, Imm.DATA)),
    Op("data.drop", 0xFC, 9, (Imm.DATA,)),
    Op("memory.copy", 0xFC, 10, (Imm.MEMORY, Imm.MEMORY)),
    Op("memory.fill", 0xFC, 11, (Imm.MEMORY,)),
    Op("table.init", 0xFC, 12, (Imm.TABLE, Imm.ELEM)),
    Op("elem.drop", 0xFC, 13, (Imm.ELEM,)),
    Op("table.copy", 0xFC, 14, (Imm.TABLE, Imm.TABLE)),
    *_numbered(0xFC, 15, "table.grow table.size table.fill", Imm.TABLE),
]

_REFERENCES = [
    Op("ref.null", 0, 0xD0, (Imm.HEAP,)),
    Op("ref.is_null", 0, 0xD1),
    Op("ref.func", 0, 0xD2, (Imm.FUNC,)),
    *_numbered(0, 0xD3, "ref.eq ref.as_non_null"),
    *_numbered(0, 0xD5, "br_on_null br_on_non_null", Imm.LABEL),
]

_GC = [
    *_numbered(0xFB, 0, "struct.new struct.new_default", Imm.TYPE),
    *_numbered(0xFB, 2, "struct.get struct.get_s struct.get_u struct.set", Imm.TYPE, Imm.FIELD),
    *_numbered(0xFB, 6, "array.new array.new_default", Imm.TYPE),
    Op("array.new_fixed", 0xFB, 8, (Imm.TYPE, Imm.COUNT)),
    Op("array.new_data", 0xFB, 9, (Imm.TYPE, Imm.DATA)),
    Op("array.new_elem", 0xFB, 10, (Imm.TYPE, Imm.ELEM)),
    *_numbered(0xFB, 11, "array.get array.get_s array.get_u array.set", Imm.TYPE),
    Op("array.len", 0xFB, 15),
    Op("array.fill", 0xFB, 16, (Imm.TYPE,)),
    Op("array.copy", 0xFB, 17, (Imm.TYPE, Imm.TYPE)),
    Op("array.init_data", 0xFB, 18, (Imm.TYPE, Imm.DATA)),
    Op("array.init_elem", 0xFB, 19, (Imm.TYPE, Imm.ELEM)),
    Op("ref.test", 0xFB, 20, (Imm.REF,)),
    Op("ref.cast", 0xFB, 22, (Imm.REF,)),
    *_numbered(0xFB, 24, "br_on_cast br_on_cast_fail", Imm.LABEL, Imm.REF, Imm.REF),
    *_numbered(0xFB, 26, "any.convert_extern extern.convert_any ref.i31 i31.get_s i31.get_u"),
]

_STACKS = [
    Op("cont.new", 0, 0xE0, (Imm.TYPE,)),
    Op("cont.bind", 0, 0xE1, (Imm.TYPE, Imm.TYPE)),
    Op("suspend", 0, 0xE2, (Imm.TAG,)),
    Op("resume", 0, 0xE3, (Imm.TYPE, Imm.HANDLERS)),
    Op("resume_throw", 0, 0xE4, (Imm.TYPE, Imm.TAG, Imm.HANDLERS)),
    Op("resume_throw_ref", 0, 0xE5, (Imm.TYPE, Imm.HANDLERS)),
    Op("switch", 0, 0xE6, (Imm.TYPE, Imm.TAG)),
]

_VECTOR = [
    *_accesses(
        0xFD,
        0,
        "v128.load:4 v128.load8x8_s:3 v128.load8x8_u:3 v128.load16x4_s:3 v128.load16x4_u:3 v128.load32x2_s:3 "
        "v128.load32x2_u:3 v128.load8_splat:0 v128.load16_splat:1 v128.load32_splat:2 v128.load64_splat:3 v128.store:4",
    ),
    Op("v128.const", 0xFD, 12, (Imm.V128,)),
    Op("i8x16.shuffle", 0xFD, 13, (Imm.LANES,)),
    *_numbered(0xFD, 14, "i8x16.swizzle i8x16.splat i16x8.splat i32x4.splat i64x2.splat f32x4.splat f64x2.splat"),
    *_numbered(
        0xFD,
        21,
        "i8x16.extract_lane_s i8x16.extract_lane_u i8x16.replace_lane i16x8.extract_lane_s i16x8.extract_lane_u "
        "i16x8.replace_lane i32x4.extract_lane i32x4.replace_lane i64x2.extract_lane i64x2.replace_lane "
        "f32x4.extract_lane f32x4.replace_lane f64x2.extract_lane f64x2.replace_lane",
        Imm.LANE,
    ),
    *_numbered(
        0xFD,
        35,
        "i8x16.eq i8x16.ne i8x16.lt_s i8x16.lt_u i8x16.gt_s i8x16.gt_u i8x16.le_s i8x16.le_u i8x16.ge_s i8x16.ge_u "
        "i16x8.eq i16x8.ne i16x8.lt_s i16x8.lt_u i16x8.gt_s i16x8.gt_u i16x8.le_s i16x8.le_u i16x8.ge_s i16x8.ge_u "
        "i32x4.eq i32x4.ne i32x4.lt_s i32x4.lt_u i32x4.gt_s i32x4.gt_u i32x4.le_s i32x4.le_u i32x4.ge_s i32x4.ge_u "
        "f32x4.eq f32x4.ne f32x4.lt f32x4.gt f32x4.le f32x4.ge f64x2.eq f64x2.ne f64x2.lt f64x2.gt f64x2.le f64x2.ge "
        "v128.not v128.and v128.andnot v128.or v128.xor v128.bitselect v128.any_true",
    ),
    *_accesses(
        0xFD,
        84,
        "v128.load8_lane:0 v128.load16_lane:1 v128.load32_lane:2 v128.load64_lane:3 "
        "v128.store8_lane:0 v128.store16_lane:1 v128.store32_lane:2 v128.store64_lane:3",
        Imm.LANE,
    ),
    *_accesses(0xFD, 92, "v128.load32_zero:2 v128.load64_zero:3"),
    *_numbered(
        0xFD,
        94,
        "f32x4.demote_f64x2_zero f64x2.promote_low_f32x4 "
        "i8x16.abs i8x16.neg i8x16.popcnt i8x16.all_true i8x16.bitmask i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u "
        "f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest i8x16.shl i8x16.shr_s i8x16.shr_u i8x16.add "
        "i8x16.add_sat_s i8x16.add_sat_u i8x16.sub i8x16.sub_sat_s i8x16.sub_sat_u f64x2.ceil f64x2.floor "
        "i8x16.min_s i8x16.min_u i8x16.max_s i8x16.max_u f64x2.trunc i8x16.avgr_u "
        "i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u "
        "i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u "
        "i16x8.abs i16x8.neg i16x8.q15mulr_sat_s i16x8.all_true i16x8.bitmask i16x8.narrow_i32x4_s "
        "i16x8.narrow_i32x4_u i16x8.extend_low_i8x16_s i16x8.extend_high_i8x16_s i16x8.extend_low_i8x16_u "
        "i16x8.extend_high_i8x16_u i16x8.shl i16x8.shr_s i16x8.shr_u i16x8.add i16x8.add_sat_s i16x8.add_sat_u "
        "i16x8.sub i16x8.sub_sat_s i16x8.sub_sat_u f64x2.nearest i16x8.mul i16x8.min_s i16x8.min_u i16x8.max_s "
        "i16x8.max_u - i16x8.avgr_u i16x8.extmul_low_i8x16_s i16x8.extmul_high_i8x16_s i16x8.extmul_low_i8x16_u "
        "i16x8.extmul_high_i8x16_u i32x4.abs i32x4.neg - i32x4.all_true i32x4.bitmask - - "
        "i32x4.extend_low_i16x8_s i32x4.extend_high_i16x8_s i32x4.extend_low_i16x8_u i32x4.extend_high_i16x8_u "
        "i32x4.shl i32x4.shr_s i32x4.shr_u i32x4.add - - i32x4.sub - - - i32x4.mul i32x4.min_s i32x4.min_u "
        "i32x4.max_s i32x4.max_u i32x4.dot_i16x8_s - i32x4.extmul_low_i16x8_s i32x4.extmul_high_i16x8_s "
        "i32x4.extmul_low_i16x8_u i32x4.extmul_high_i16x8_u i64x2.abs i64x2.neg - i64x2.all_true i64x2.bitmask - - "
        "i64x2.extend_low_i32x4_s i64x2.extend_high_i32x4_s i64x2.extend_low_i32x4_u i64x2.extend_high_i32x4_u "
        "i64x2.shl i64x2.shr_s i64x2.shr_u i64x2.add - - i64x2.sub - - - i64x2.mul i64x2.eq i64x2.ne i64x2.lt_s "
        "i64x2.gt_s i64x2.le_s i64x2.ge_s i64x2.extmul_low_i32x4_s i64x2.extmul_high_i32x4_s "
        "i64x2.extmul_low_i32x4_u i64x2.extmul_high_i32x4_u "
        "f32x4.abs f32x4.neg - f32x4.sqrt f32x4.add f32x4.sub f32x4.mul f32x4.div f32x4.min f32x4.max f32x4.pmin "
        "f32x4.pmax f64x2.abs f64x2.neg - f64x2.sqrt f64x2.add f64x2.sub f64x2.mul f64x2.div f64x2.min f64x2.max "
        "f64x2.pmin f64x2.pmax i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u f32x4.convert_i32x4_s "
        "f32x4.convert_i32x4_u i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero "
        "f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u "
        "i8x16.relaxed_swizzle i32x4.relaxed_trunc_f32x4_s i32x4.relaxed_trunc_f32x4_u "
        "i32x4.relaxed_trunc_f64x2_s_zero i32x4.relaxed_trunc_f64x2_u_zero f32x4.relaxed_madd f32x4.relaxed_nmadd "
        "f64x2.relaxed_madd f64x2.relaxed_nmadd i8x16.relaxed_laneselect i16x8.relaxed_laneselect "
        "i32x4.relaxed_laneselect i64x2.relaxed_laneselect f32x4.relaxed_min f32x4.relaxed_max f64x2.relaxed_min "
        "f64x2.relaxed_max i16x8.relaxed_q15mulr_s i16x8.relaxed_dot_i8x16_i7x16_s i32x4.relaxed_dot_i8x16_i7x16_add_s",
    ),
]

_ATOMIC = [
    *_accesses(0xFE, 0x00, "memory.atomic.notify:2 memory.atomic.wait32:2 memory.atomic.wait64:3"),
    Op("atomic.fence", 0xFE, 0x03, (Imm.FENCE,)),
    *_accesses(
        0xFE,
        0x10,
        "i32.atomic.load:2 i64.atomic.load:3 i32.atomic.load8_u:0 i32.atomic.load16_u:1 i64.atomic.load8_u:0 "
        "i64.atomic.load16_u:1 i64.atomic.load32_u:2 i32.atomic.store:2 i64.atomic.store:3 i32.atomic.store8:0 "
        "i32.atomic.store16:1 i64.atomic.store8:0 i64.atomic.store16:1 i64.atomic.store32:2",
    ),
    *(
        op
        for i, rmw in enumerate(("add", "sub", "and", "or", "xor", "xchg", "cmpxchg"))
        for op in _accesses(
            0xFE,
            0x1E + 7 * i,
            f"i32.atomic.rmw.{rmw}:2 i64.atomic.rmw.{rmw}:3 i32.atomic.rmw8.{rmw}_u:0 i32.atomic.rmw16.{rmw}_u:1 "
            f"i64.atomic.rmw8.{rmw}_u:0 i64.atomic.rmw16.{rmw}_u:1 i64.atomic.rmw32.{rmw}_u:2",
        )
    ),
]

OPS: dict[str, Op] = {
    op.name: op for op in (*_CONTROL, *_MEMORY, *_NUMERIC, *_BULK, *_REFERENCES, *_GC, *_STACKS, *_VECTOR, *_ATOMIC)
}
"""All instructions by mnemonic. `select`, `ref.test` and `ref.cast` have a second opcode: see `VARIANTS`."""

VARIANTS: dict[tuple[int, int], str] = {(0, 0x1C): "select", (0xFB, 21): "ref.test", (0xFB, 23): "ref.cast"}
"""Second opcodes: `select` with result types; tests and casts to a nullable reference type."""

BY_CODE: dict[tuple[int, int], Op] = {(op.prefix, op.code): op for op in OPS.values()} | {
    code: OPS[name] for code, name in VARIANTS.items()
}
"""(prefix, opcode) → instruction."""
