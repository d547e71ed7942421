"""Strings across a boundary: which functions of `transcode.wat` a pair of encodings takes.

Source: Component Model, CanonicalABI.md: `load_string`, `store_string`.
"""

from __future__ import annotations

from meld.abi.layout import MAX_VALUE_BYTES
from meld.abi.traps import Trap
from meld.ir.types import I32, I64
from meld.passes.adapter_wiring.items import Body, Items, Side, has_piece
from meld.support.records import record

COMPACT = "latin1+utf16"

_TRANSCODE = {
    ("utf8", "utf16"): "utf8_to_utf16",
    ("utf8", COMPACT): "utf8_to_compact",
    ("utf16", "utf8"): "utf16_to_utf8",
    ("utf16", "utf16"): "utf16_to_utf16",
    ("utf16", COMPACT): "utf16_to_compact",
    ("latin1", "utf8"): "latin1_to_utf8",
    ("latin1", "utf16"): "latin1_to_utf16",
    ("latin1", COMPACT): "latin1_to_compact",
    ("tagged utf16", "utf8"): "utf16_to_utf8",
    ("tagged utf16", "utf16"): "utf16_to_utf16",
    ("tagged utf16", COMPACT): "tagged_utf16_to_compact",
}
"""(what the source is, encoding of the target) → piece."""


def string_helper(items: Items, source: Side, target: Side) -> str:
    """``(address, length) → (address, length)`` of a string, from one side to the other: checked, transcoded."""
    key = ("string", source.memory, source.encoding, target.memory, target.encoding, target.realloc)
    return items.helper(key, "string", lambda name: _string_text(items, source, target, name))


def _string_text(items: Items, source: Side, target: Side, name: str) -> str:
    if source.encoding == target.encoding == "utf8":
        return items.piece("utf8_to_utf8", name, _Strings(items, source, target))
    body = Body([("$from", source.pointer), ("$length", source.pointer)], (target.pointer, target.pointer))
    p = source.pointer.value
    strings = _Strings(items, source, target)
    if source.encoding == "utf8":
        strings.emit(body, "utf8", unit=1, align=1)
    elif source.encoding == "utf16":
        strings.emit(body, "utf16", unit=2, align=2)
    else:
        tag = f"({p}.const {_tag(source)})"
        body.emit(f"({p}.ne ({p}.and (local.get $length) {tag}) ({p}.const 0))")
        with body.block("if"):
            body.emit(f"(local.set $length ({p}.xor (local.get $length) {tag}))")
            strings.emit(body, "tagged utf16", unit=2, align=2)
            body.emit("return")
        strings.emit(body, "latin1", unit=1, align=2)
    return body.text(name)


def _tag(side: Side) -> str:
    return "0x80000000" if side.pointer is I32 else "0x8000000000000000"


@record(frozen=True)
class _Strings:
    """The pieces of `strings.wat` and `transcode.wat` for one pair of memories."""

    items: Items
    source: Side
    target: Side

    def emit(self, body: Body, simple: str, *, unit: int, align: int) -> None:
        """Checks the range of a source of one encoding and transcodes it; leaves both results on the stack."""
        self.check(body, unit=unit, align=align)
        transcode = self.piece(_TRANSCODE[simple, self.target.encoding])
        body.emit(f"(call {transcode} (local.get $from) (local.get $length))")

    def check(self, body: Body, *, unit: int, align: int) -> None:
        """Checks the range of a source."""
        p = self.source.pointer.value
        assert self.source.memory is not None
        if align > 1:
            unaligned = f"({p}.ne ({p}.and (local.get $from) ({p}.const {align - 1})) ({p}.const 0))"
            body.trap_if(unaligned, self.items.trap(Trap.ALIGNMENT))
        body.trap_if(
            f"({p}.gt_u (local.get $length) ({p}.const {MAX_VALUE_BYTES // unit}))", self.items.trap(Trap.STRING)
        )
        size = "(local.get $length)" if unit == 1 else f"({p}.shl (local.get $length) ({p}.const 1))"
        body.emit(self.items.range_check(self.source.memory, "(local.get $from)", size, Trap.STRING))

    def piece(self, template: str) -> str:
        """The name of a piece for this pair, written when first asked for."""
        key = ("strings", template, self.source.memory, self.target.memory, self.target.realloc)
        return self.items.helper(key, template, lambda name: self.items.piece(template, name, self))

    def __getitem__(self, param: str) -> str:
        """What a ``{param}`` of theirs stands for: an expression, a name, or another piece."""
        p, q = self.source.pointer, self.target.pointer

        def to_q(expr: str) -> str:
            return expr if p is q else f"(i64.extend_i32_u {expr})" if q is I64 else f"(i32.wrap_i64 {expr})"

        def count(local: str) -> str:
            """A number of bytes as `memory.copy` takes it: 64 bits only if both memories have 64-bit addresses."""
            return f"(i32.wrap_i64 (local.get {local}))" if q is I64 and p is I32 else f"(local.get {local})"

        match param:
            case "p" | "q":
                return (p if param == "p" else q).value
            case "from" | "to":
                return str(self.source.memory if param == "from" else self.target.memory)
            case "realloc":
                return self.items.realloc(self.target, Trap.STRING)
            case "allocate":  # bytes, unchecked but for their range, from $units to $to
                q_ = q.value
                zero = f"({q_}.const 0)"
                assert self.target.memory is not None
                call = f"(call {self.target.realloc} {zero} {zero} ({q_}.const 1) (local.get $units))"
                check = self.items.range_check(self.target.memory, "(local.get $to)", "(local.get $units)", Trap.STRING)
                return f"(local.set $to {call}) {check}"
            case "tag":
                return _tag(self.target)
            case "length":
                return to_q("(local.get $length)")
            case "stop_from":
                return to_q(f"({p.value}.sub (local.get $stop) (local.get $from))")
            case "checks":
                body = Body([])
                self.check(body, unit=1, align=1)
                return "\n".join(body.lines)
            case "left":
                return to_q(f"({p.value}.sub (local.get $end) (local.get $at))")
            case "rest":
                rest = f"({p.value}.sub (local.get $end) (local.get $stop))"
                return f"(i32.wrap_i64 {rest})" if p is I64 and q is I32 else rest
            case "last":
                return to_q("(local.get $last)")
            case "units" | "bytes":
                return count(f"${param}")
            case "mask_zeros":
                zeros = "(i32.ctz (local.get $mask))"
                return zeros if p is I32 else f"(i64.extend_i32_u {zeros})"
        if has_piece(param):
            return self.piece(param)
        raise KeyError(param)
