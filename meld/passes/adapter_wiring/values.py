"""How adapters carry values over: one function per shape of type.

A value is lifted from one place and lowered to another in one go. A place is a run of core values in locals
(`OnStack`), or an address in a side's memory (`InMemory`). Both sides have the same shape; they differ in addresses and
encodings.

Source: Component Model, CanonicalABI.md: Loading, Storing, Flat Lifting, Flat Lowering.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from meld.abi.core_values import LIFT_JOINED, LOAD_SIZE, LOWER_JOINED, load_of
from meld.abi.layout import MAX_VALUE_BYTES, Kind, Layout
from meld.abi.traps import Trap
from meld.ir.types import I32, I64, NumType
from meld.passes.adapter_wiring.adapter_module import AdapterModule, Body, Params, Side, converted
from meld.passes.adapter_wiring.lanes import copy_in_vectors, parts_of
from meld.passes.adapter_wiring.strings import string_helper
from meld.support.records import record

INLINE_WEIGHT = 12
"""Values in memory on both sides that weigh more than this are copied by a helper."""
UNROLLED = 4
"""Fixed-length lists of up to so many light elements are copied without a loop."""
BULK_BYTES = 32
"""From here on `memory.copy` beats single loads and stores."""


@record(frozen=True)
class OnStack:
    """Core values in locals: (name, type). Their types may be wider than a layout's own, inside a variant (join)."""

    locals: tuple[tuple[str, NumType], ...]


@record(frozen=True)
class InMemory:
    """An address in the memory of a side: a local that holds a base, and an offset in bytes."""

    side: Side
    base: str
    offset: int = 0


Place = OnStack | InMemory

_STORE = {(1, I32): "i32.store8", (2, I32): "i32.store16"}

_IN_BULK = {Kind.CHAR: "copy_chars", Kind.BOOL: "copy_bools"}
"""Elements of lists that a piece copies, several at a time."""

_NORMALISE = {
    Kind.U8: "(i32.and {} (i32.const 255))",
    Kind.S8: "(i32.extend8_s {})",
    Kind.U16: "(i32.and {} (i32.const 65535))",
    Kind.S16: "(i32.extend16_s {})",
}
"""The instructions that lift a narrow integer from a core i32."""


def shifted(place: Place, flat_start: int, flat_count: int, offset: int) -> Place:
    """The place of a part of a value: on the stack `flat_count` core values from number `flat_start` on, in memory
    `offset` bytes behind the place of the whole."""
    if isinstance(place, OnStack):
        return OnStack(place.locals[flat_start : flat_start + flat_count])
    return replace(place, offset=place.offset + offset)


@record()
class Translator:
    """Writes code that lifts values of side `source` and lowers them to side `target`.

    Attributes:
        handle: carries handles: ``(copy, layout, expression) → expression``.
        scope: the address of the call's scope, as an expression; None if nothing is borrowed.
    """

    adapters: AdapterModule
    body: Body
    source: Side
    target: Side
    handle: Callable[[Translator, Layout, str], str]
    scope: str | None = None

    def value(self, src: Layout, from_: Place, dst: Layout, to: Place) -> None:
        """Copies one value. `src` and `dst` are the layouts of its type on either side."""
        if isinstance(from_, InMemory) and isinstance(to, InMemory) and src.weight > INLINE_WEIGHT:
            self._by_helper(src, from_, dst, to)
        else:
            self.inline(src, from_, dst, to)

    def inline(self, src: Layout, from_: Place, dst: Layout, to: Place) -> None:
        """Copies one value with code in place; what is heavy inside it is left to helpers."""
        match src.kind:
            case Kind.RECORD:
                self._record(src, from_, dst, to)
            case Kind.VARIANT:
                self._variant(src, from_, dst, to)
            case Kind.FIXED_LIST:
                self._fixed_list(src, from_, dst, to)
            case Kind.LIST | Kind.STRING:
                self._range(src, from_, dst, to)
            case _:
                self._store(dst, to, self._scalar(src, self._load(src, from_), in_memory=isinstance(from_, InMemory)))

    # --- scalars ---

    def _load(self, layout: Layout, place: Place) -> str:
        if isinstance(place, OnStack):
            ((name, have),) = place.locals
            want = layout.flat[0]
            expr = f"(local.get {name})"
            return expr if have is want else LIFT_JOINED[have, want].format(expr)
        return f"({load_of(layout)}{access(place)} (local.get {place.base}))"

    def _store(self, layout: Layout, place: Place, expr: str) -> None:
        self._put(place, layout.flat[0], layout.size, expr)

    def _put(self, place: Place, have: NumType, size: int, expr: str) -> None:
        if isinstance(place, OnStack):
            name, want = place.locals[0]
            self.body.emit(f"(local.set {name} {expr if have is want else LOWER_JOINED[have, want].format(expr)})")
        else:
            op = _STORE.get((size, have), f"{have.value}.store")
            self.body.emit(f"({op}{access(place)} (local.get {place.base}) {expr})")

    def _scalar(self, layout: Layout, expr: str, *, in_memory: bool) -> str:
        """The value that a core value means, with the checks of its type."""
        match layout.kind:
            case Kind.BOOL:
                return f"(i32.ne {expr} (i32.const 0))"
            case Kind.CHAR:
                return self._char(expr)
            case Kind.FLAGS:
                whole = layout.labels == (layout.size * 8 if in_memory else 32)
                return expr if whole else f"(i32.and {expr} (i32.const {(1 << layout.labels) - 1}))"
            case Kind.OWN | Kind.BORROW | Kind.STREAM | Kind.FUTURE | Kind.ERROR_CONTEXT:
                return self.handle(self, layout, expr)
            case Kind.U8 | Kind.S8 | Kind.U16 | Kind.S16:
                return expr if in_memory else _NORMALISE[layout.kind].format(expr)
            case Kind.U32 | Kind.S32 | Kind.U64 | Kind.S64 | Kind.F32 | Kind.F64:
                return expr
            case other:
                raise AssertionError(f"not a scalar: {other}")

    def _char(self, expr: str) -> str:
        """A char, checked in place."""
        char = self.body.local(I32)
        self.body.emit(f"(local.set {char} {expr})")
        self.body.emit(self.adapters.check_char(f"(local.get {char})"))
        return f"(local.get {char})"

    # --- compounds ---

    def _record(self, src: Layout, from_: Place, dst: Layout, to: Place) -> None:
        at = 0
        for (src_offset, src_part), (dst_offset, dst_part) in zip(src.fields, dst.fields, strict=True):
            count = len(src_part.flat)
            self.value(src_part, shifted(from_, at, count, src_offset), dst_part, shifted(to, at, count, dst_offset))
            at += count

    def _fixed_list(self, src: Layout, from_: Place, dst: Layout, to: Place) -> None:
        assert src.element is not None and dst.element is not None
        unrolled = src.length <= UNROLLED and src.element.weight <= INLINE_WEIGHT
        if isinstance(from_, InMemory) and isinstance(to, InMemory) and not unrolled:
            if src.plain and src.size >= BULK_BYTES:
                self._bulk(self._address(from_), f"({self.source.pointer.value}.const {src.size})", self._address(to))
            else:
                start = self.body.local(self.source.pointer)
                self.body.emit(f"(local.set {start} {self._address(from_)})")
                end = sum_of(self.source.pointer, f"(local.get {start})", src.size)
                self.elements(src.element, dst.element, f"(local.get {start})", end, self._address(to))
            return
        count = len(src.element.flat)
        for i in range(src.length):
            self.value(
                src.element,
                shifted(from_, i * count, count, i * src.element.size),
                dst.element,
                shifted(to, i * count, count, i * dst.element.size),
            )

    def _variant(self, src: Layout, from_: Place, dst: Layout, to: Place) -> None:
        chosen = self.body.local(I32)
        if isinstance(from_, OnStack):
            name, have = from_.locals[0]
            expr = f"(local.get {name})"
            self.body.emit(f"(local.set {chosen} {expr if have is I32 else LIFT_JOINED[have, I32].format(expr)})")
        else:
            op = LOAD_SIZE[src.discriminant]
            self.body.emit(f"(local.set {chosen} ({op}{access(from_)} (local.get {from_.base})))")
        if isinstance(from_, OnStack) or len(src.cases) < 1 << (8 * src.discriminant):
            beyond = f"(i32.ge_u (local.get {chosen}) (i32.const {len(src.cases)}))"
            self.body.trap_if(beyond, self.adapters.trap(Trap.DISCRIMINANT))
        self._put(to, I32, dst.discriminant, f"(local.get {chosen})")

        # Cases with the same payload share their code.
        groups: dict[int, list[int]] = {}
        for i, case in enumerate(src.cases):
            if case is not None:
                groups.setdefault(id(case), []).append(i)

        def payload(i: int) -> None:
            source, target = src.cases[i], dst.cases[i]
            assert source is not None and target is not None
            count = len(source.flat)
            self.value(source, shifted(from_, 1, count, src.payload), target, shifted(to, 1, count, dst.payload))

        members = list(groups.values())
        if len(members) == 1 and len(members[0]) == len(src.cases):
            payload(0)
        elif len(members) <= 2 and all(len(group) == 1 for group in members):
            for (i,) in members:
                self.body.emit(f"(i32.eq (local.get {chosen}) (i32.const {i}))")
                with self.body.block("if"):
                    payload(i)
        else:
            self._dispatch(chosen, len(src.cases), members, payload)

    def _dispatch(self, chosen: str, cases: int, groups: list[list[int]], payload: Callable[[int], None]) -> None:
        """A `br_table` over the cases; the code of a group is that of its first case."""
        done = self.body.label()
        labels = [self.body.label() for _ in groups]
        label_of = {i: label for label, group in zip(labels, groups, strict=True) for i in group}
        table = " ".join(label_of.get(i, done) for i in range(cases))
        with self.body.block(f"block {done}"):
            for label in reversed(labels):
                self.body.emit(f"block {label}")
            self.body.emit(f"(br_table {table} {done} (local.get {chosen}))")
            for group in groups:
                self.body.emit("end")
                payload(group[0])
                self.body.emit(f"br {done}")

    # --- strings and lists ---

    def _range(self, src: Layout, from_: Place, dst: Layout, to: Place) -> None:
        """A string or a list: an address and a length. Its helper returns the new ones."""
        p, q = self.source.pointer, self.target.pointer
        address, length = (self._load_pointer(shifted(from_, i, 1, i * src.align)) for i in range(2))
        if src.kind is Kind.STRING:
            helper = string_helper(self.adapters, self.source, self.target)
            new_address, new_length = self.body.local(q), self.body.local(q)
            self.body.emit(f"(call {helper} {address} {length})")
            self.body.emit(f"local.set {new_length}")
            self.body.emit(f"local.set {new_address}")
            self._put(shifted(to, 0, 1, 0), q, dst.align, f"(local.get {new_address})")
            self._put(shifted(to, 1, 1, dst.align), q, dst.align, f"(local.get {new_length})")
            return
        assert src.element is not None and dst.element is not None
        kept = self.body.local(p)
        self.body.emit(f"(local.set {kept} {length})")
        helper = self._list_helper(src.element, dst.element)
        new = f"(call {helper} {address} (local.get {kept}){self._scope_of(src.element)})"
        self._put(shifted(to, 0, 1, 0), q, dst.align, new)
        self._put(shifted(to, 1, 1, dst.align), q, dst.align, converted(f"(local.get {kept})", p, q))

    def _load_pointer(self, place: Place) -> str:
        p = self.source.pointer
        if isinstance(place, OnStack):
            ((name, have),) = place.locals
            expr = f"(local.get {name})"
            return expr if have is p else LIFT_JOINED[have, p].format(expr)
        return f"({p.value}.load{access(place)} (local.get {place.base}))"

    def _list_helper(self, src: Layout, dst: Layout) -> str:
        """``(address, length) → address`` of the list's copy on the other side."""
        key = ("list", id(src), id(dst), self.source, self.target)
        return self.adapters.helper(key, "list", lambda name: self._list_text(name, src, dst))

    def _list_text(self, name: str, src: Layout, dst: Layout) -> str:
        source, target = self.source, self.target
        p, q = source.pointer.value, target.pointer.value
        assert source.memory is not None and target.memory is not None and target.realloc is not None
        body = Body(
            [("$from", source.pointer), ("$length", source.pointer), *self._scope_param(src)], (target.pointer,)
        )
        inner = self._inside(body)
        size, to = self.check_list(body, src), body.local(target.pointer)
        length = converted("(local.get $length)", source.pointer, target.pointer)
        none = f"({q}.const 0)"
        room = f"({q}.mul {length} ({q}.const {dst.size}))"
        bytes_ = body.local(target.pointer)
        body.emit(f"(local.set {bytes_} {room})")
        body.emit(
            f"(local.set {to} (call {target.realloc} {none} {none} ({q}.const {dst.align}) (local.get {bytes_})))"
        )
        if dst.align > 1:
            unaligned = f"({q}.and (local.get {to}) ({q}.const {dst.align - 1}))"
            body.trap_if(f"({q}.ne {unaligned} {none})", self.adapters.trap(Trap.REALLOC_ALIGNMENT))
        reason = self.adapters.of_realloc(Trap.LIST)
        body.emit(self.adapters.range_check(target.memory, f"(local.get {to})", f"(local.get {bytes_})", reason))
        if src.plain:
            copy_bytes = self.adapters.copy_bytes(source, target)
            body.emit(f"(call {copy_bytes} (local.get {to}) (local.get $from) (local.get {size}))")
        else:
            end = f"({p}.add (local.get $from) (local.get {size}))"
            inner.elements(src, dst, "(local.get $from)", end, f"(local.get {to})")
        body.emit(f"local.get {to}")
        return body.text(name)

    def check_list(self, body: Body, src: Layout) -> str:
        """Checks the list of `src` at $from, $length elements; returns the local that holds its bytes."""
        source, p = self.source, self.source.pointer.value
        assert source.memory is not None
        size = body.local(source.pointer)
        too_long = f"({p}.gt_u (local.get $length) ({p}.const {MAX_VALUE_BYTES // src.size}))"
        unaligned = f"({p}.ne ({p}.and (local.get $from) ({p}.const {src.align - 1})) ({p}.const 0))"
        range_first = self.adapters.of_elements or src.align == 1
        body.emit(too_long)
        with body.block("if"):
            if not range_first:  # engines look at the address first, unless the length in bytes is no number of memory
                whole = (1 << (64 if p == "i64" else 32)) - 1
                fits = f"({p}.le_u (local.get $length) ({p}.const {whole // src.size}))"
                body.trap_if(f"(i32.and {fits} {unaligned})", self.adapters.trap(Trap.LIST_ALIGNMENT))
            body.trap(self.adapters.trap(Trap.LIST))
        if not range_first:
            body.trap_if(unaligned, self.adapters.trap(Trap.LIST_ALIGNMENT))
        body.emit(f"(local.set {size} ({p}.mul (local.get $length) ({p}.const {src.size})))")
        body.emit(self.adapters.range_check(source.memory, "(local.get $from)", f"(local.get {size})", Trap.LIST))
        if range_first and src.align > 1:
            body.trap_if(unaligned, self.adapters.trap(Trap.LIST_ALIGNMENT))
        return size

    def _bulk(self, from_: str, size: str, to: str) -> None:
        """Copies bytes. Both ranges are known to be in bounds."""
        count = converted(size, self.source.pointer, I64 if self.source.pointer is self.target.pointer is I64 else I32)
        self.body.emit(f"(memory.copy {self.target.memory} {self.source.memory} {to} {from_} {count})")

    def elements(self, src: Layout, dst: Layout, from_: str, end: str, to: str) -> None:
        """Copies the elements of a list, or of a stream, by a helper: all from one address up to another."""
        key = ("elements", id(src), id(dst), self.source, self.target)
        helper = self.adapters.helper(key, "elements", lambda name: self._elements_text(name, src, dst))
        self.body.emit(f"(call {helper} {from_} {end} {to}{self._scope_of(src)})")

    def _elements_text(self, name: str, src: Layout, dst: Layout) -> str:
        p, q = self.source.pointer, self.target.pointer
        if src.kind in _IN_BULK:
            assert self.source.memory is not None and self.target.memory is not None
            params: Params = {
                "p": p.value,
                "q": q.value,
                "from": self.source.memory,
                "to": self.target.memory,
                "check_char": lambda: self.adapters.check_char("(local.get $char)"),
            }
            return self.adapters.piece(_IN_BULK[src.kind], name, params)
        body = Body([("$from", p), ("$end", p), ("$to", q), *self._scope_param(src)])
        parts = parts_of(src) if self.adapters.simd else None
        if parts is not None:
            copy_in_vectors(body, self.source, self.target, src, parts)
        with body.block("block $done"), body.block("loop $next"):
            body.emit(f"({p.value}.eq (local.get $from) (local.get $end))")
            body.emit("br_if $done")
            self._inside(body).value(src, InMemory(self.source, "$from"), dst, InMemory(self.target, "$to"))
            body.emit(f"(local.set $from {sum_of(p, '(local.get $from)', src.size)})")
            body.emit(f"(local.set $to {sum_of(q, '(local.get $to)', dst.size)})")
            body.emit("br $next")
        return body.text(name)

    # --- helpers for what is heavy ---

    def _by_helper(self, src: Layout, from_: InMemory, dst: Layout, to: InMemory) -> None:
        key = ("copy", id(src), id(dst), self.source, self.target)
        helper = self.adapters.helper(key, "copy", lambda name: self._copy_text(name, src, dst))
        self.body.emit(f"(call {helper} {self._address(from_)} {self._address(to)}{self._scope_of(src)})")

    def _copy_text(self, name: str, src: Layout, dst: Layout) -> str:
        body = Body([("$from", self.source.pointer), ("$to", self.target.pointer), *self._scope_param(src)])
        self._inside(body).inline(src, InMemory(self.source, "$from"), dst, InMemory(self.target, "$to"))
        return body.text(name)

    def _inside(self, body: Body) -> Translator:
        """The same in the body of a helper, which is given the scope of the call."""
        return replace(self, body=body, scope=None if self.scope is None else "(local.get $scope)")

    def _lends(self, layout: Layout) -> bool:
        """Whether a helper for the layout needs the scope of the call."""
        return self.scope is not None and self.adapters.borrows(layout)

    def _scope_param(self, layout: Layout) -> list[tuple[str, NumType]]:
        return [("$scope", I32)] if self._lends(layout) else []

    def _scope_of(self, layout: Layout) -> str:
        return f" {self.scope}" if self._lends(layout) else ""

    def _address(self, place: InMemory) -> str:
        return sum_of(place.side.pointer, f"(local.get {place.base})", place.offset)


def sum_of(pointer: NumType, expr: str, offset: int) -> str:
    """An address and an offset in bytes."""
    return f"({pointer.value}.add {expr} ({pointer.value}.const {offset}))" if offset else expr


def access(place: InMemory) -> str:
    """The memory and the offset of a load or a store."""
    return f" {place.side.memory}" + (f" offset={place.offset}" if place.offset else "")
