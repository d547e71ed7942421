"""Strings across a boundary: which functions of `transcode.wat` a pair of encodings takes.

Source: Component Model, CanonicalABI.md: `load_string`, `store_string`.
"""

from __future__ import annotations

from meld.abi.layout import MAX_VALUE_BYTES
from meld.abi.traps import Trap
from meld.ir.types import I32, I64
from meld.passes.adapter_wiring.adapter_module import AdapterModule, Body, Params, Side, converted
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

_RUNS = frozenset({"widen_ascii", "widen_latin1", "narrow", "validate_utf16"})
"""Pieces that begin a string, and end it if it is short and plain."""


def string_helper(adapters: AdapterModule, source: Side, target: Side) -> str:
    """``(address, length) → (address, length)`` of a string, from one side to the other: checked, transcoded."""
    key = ("string", source.memory, source.encoding, target.memory, target.encoding, target.realloc)
    return adapters.helper(key, "string", lambda name: _string_text(adapters, source, target, name))


def _string_text(adapters: AdapterModule, source: Side, target: Side, name: str) -> str:
    if source.encoding == target.encoding == "utf8":
        return _Strings(adapters, source, target).text("utf8_to_utf8", name)
    body = Body([("$from", source.pointer), ("$length", source.pointer)], (target.pointer, target.pointer))
    p = source.pointer.value
    strings = _Strings(adapters, source, target)
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


def _marks(count: int) -> str:
    """How many of the first so many of sixteen bytes are marked."""
    marks = "(local.get $marks)" if count == 16 else f"(i32.and (local.get $marks) (i32.const {(1 << count) - 1}))"
    return f"(i32.popcnt {marks})"


@record(frozen=True)
class _Strings:
    """The pieces of `strings.wat`, `wide.wat`, `widen.wat` and `transcode.wat` for one pair of memories."""

    adapters: AdapterModule
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
            body.trap_if(unaligned, self.adapters.trap(Trap.STRING_ALIGNMENT))
        body.trap_if(
            f"({p}.gt_u (local.get $length) ({p}.const {MAX_VALUE_BYTES // unit}))", self.adapters.trap(Trap.STRING)
        )
        size = "(local.get $length)" if unit == 1 else f"({p}.shl (local.get $length) ({p}.const 1))"
        body.emit(self.adapters.range_check(self.source.memory, "(local.get $from)", size, Trap.STRING))

    def piece(self, template: str) -> str:
        """The name of a piece for this pair, written on first use."""
        source, target = self.source, self.target
        kind = "transcode" if template in _TRANSCODE.values() else "run" if template in _RUNS else "strings"
        key = (kind, template, source.memory, target.memory, None if kind == "strings" else target.realloc)
        return self.adapters.helper(key, template, lambda name: self.text(template, name))

    def text(self, template: str, name: str) -> str:
        """The text of a piece for this pair."""
        return self.adapters.piece(template, name, self.parameters(), self.piece)

    def parameters(self) -> Params:
        """The names and expressions for the ``{param}``s of the pieces."""
        source, target = self.source, self.target
        p, q = source.pointer, target.pointer

        least = I64 if p is I64 and q is I64 else I32  # of a number of bytes for `memory.copy`
        left, rest = (f"({p.value}.sub (local.get $end) (local.get {start}))" for start in ("$at", "$stop"))
        mark, plain = "(local.get $mark)", "(local.get $plain)"
        ends = [f"(i64.and (i64.shr_u (local.get $ends) (i64.const {8 * k})) (i64.const 0xff))" for k in range(8)]
        return {
            "p": p.value,
            "q": q.value,
            "from": str(source.memory),
            "to": str(target.memory),
            "realloc": lambda: self.adapters.realloc(target, Trap.STRING),
            "allocate": self._allocate,
            "checks": self._checks,
            "copy_bytes": lambda: self.adapters.copy_bytes(source, target),
            "tag": _tag(target),
            "length": converted("(local.get $length)", p, q),
            "last": converted("(local.get $last)", p, q),
            "left": converted(left, p, q),
            "stop_from": converted(f"({p.value}.sub (local.get $stop) (local.get $from))", p, q),
            "rest": converted(rest, p, least),
            "units": converted("(local.get $units)", q, least),
            "bytes": converted("(local.get $bytes)", q, least),
            "mark_from": converted(mark, I32, p),
            "mark_to": converted(mark, I32, q),
            "plain_from": converted(plain, I64, p),
            "plain_to": converted(plain, I64, q),
            **{f"marks_{n}": converted(f"(i32.shl {_marks(n)} (i32.const 1))", I32, q) for n in (4, 8, 12, 16)},
            **{f"chars_{n}": converted(_marks(n), I32, q) for n in (4, 8, 12, 16)},
            **{f"end_{k}": converted(end, I64, q) for k, end in enumerate(ends)},
            "store_lanes": lambda: self._store_lanes([converted(ends[k], I64, q) for k in (1, 3, 5)]),
        }

    def _store_lanes(self, ends: list[str]) -> str:
        """Stores ``$low``, lanes of one or two bytes, at ``$out``; `ends` are where the second, fourth and sixth end.

        Two lanes become one: its second byte, 0 where the first lane has one byte, is left out.
        """
        low, bytes_ = "(local.get $low)", "(i32x4.splat (i32.const 0xff))"
        closed = f"(v128.or (i32x4.shr_u {low} (i32.const 8)) (v128.and {low} {bytes_}))"
        second = f"(v128.and {low} (i32x4.splat (i32.const 0xff00)))"
        short = f"(i32x4.eq {second} (i32x4.splat (i32.const 0)))"
        lines = [f"(local.set $low (v128.bitselect {closed} {low} {short}))"]
        places = ["(local.get $out)", *(f"({self.target.pointer.value}.add (local.get $out) {end})" for end in ends)]
        store = f"v128.store32_lane {self.target.memory} align=1"
        lines += [f"({store} {lane} {place} {low})" for lane, place in enumerate(places)]
        return "\n".join(lines)

    def _allocate(self) -> str:
        """Bytes, unchecked but for their range, from ``$units`` to ``$to``."""
        q = self.target.pointer.value
        zero = f"({q}.const 0)"
        assert self.target.memory is not None
        call = f"(call {self.target.realloc} {zero} {zero} ({q}.const 1) (local.get $units))"
        reason = self.adapters.of_realloc(Trap.STRING)
        check = self.adapters.range_check(self.target.memory, "(local.get $to)", "(local.get $units)", reason)
        return f"(local.set $to {call}) {check}"

    def _checks(self) -> str:
        body = Body([])
        self.check(body, unit=1, align=1)
        return "\n".join(body.lines)
