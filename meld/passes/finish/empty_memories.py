"""Memories that stay empty are dropped; accesses of them trap as before.

A component that calls others with strings has to name a memory, and some generators give it one of no pages. It cannot
be read or written, and engines limit the number of memories.

Source: WebAssembly Core Specification 3.0, 4.6.9 (memory instructions).
"""

from __future__ import annotations

import re
from dataclasses import fields

from meld.abi.options import Options
from meld.binary.bodies import EncodedBody
from meld.ir.instructions import Instruction, references
from meld.ir.module import Function, Memory, Module
from meld.passes.base import PassContext
from meld.rewriting.liveness import body_uses, users_of
from meld.rewriting.splice import splice
from meld.rewriting.template import generated

KIND = "empty-memory"

ACCESS = r"(i32|i64|f32|f64|v128)\.(load|store)(\d*(?:x\d+)?(?:_[su])?(?:_splat|_zero)?)$"
"""Plain loads and stores; accesses of lanes and atomic ones are left alone."""

GROW = b"\x40"
"""The byte of `memory.grow`; other bytes may look the same."""


def drop_empty(module: Module, cx: PassContext) -> int:
    """Replaces all accesses of memories that are private and always empty; returns how many memories are unused now.

    The replacement accesses another memory, out of bounds of every memory, so that the reason is the same. The
    last memory of a module stays.
    """
    dropped = 0
    empty = _empty(module)
    lasting = [m for m in module.space("memories") if m not in empty and _is_plain(m)] or list(empty)
    for memory, users in empty.items():
        bodies = [f.view().instructions for f in users]
        known = all(_is_known(i) for code in bodies for i in code if memory in references(i))
        if memory is lasting[0] or not known or not cx.allows("drop empty memory", memory):
            continue
        before = len(module.functions)
        helpers = _Helpers(module, memory, lasting[0])
        for function in users:
            function.instructions[:] = [one for i in function.instructions for one in helpers.replaced(i)]
        for function in module.functions[before:]:  # a helper may name another empty memory
            for item in dict.fromkeys(body_uses(function)):
                if isinstance(item, Memory) and item in empty:
                    empty[item].append(function)
        dropped += 1
    return dropped


def _empty(module: Module) -> dict[Memory, list[Function]]:
    """The memories of no pages that only code reaches, with the functions that name them; none can grow them."""
    shown: set[object] = {export.item for export in module.exports} | {data.memory for data in module.datas}
    for n in (*module.notes, *(n for item in module.items() for n in item.notes)):
        for value in (getattr(n, f.name) for f in fields(n)):
            if isinstance(value, Memory):
                shown.add(value)
            elif isinstance(value, Options):
                shown.add(value.memory)
    found = users_of(module, [m for m in module.memories if m not in shown and not m.limits.minimum and _is_plain(m)])
    return {m: users for m, users in found.items() if users and not any(_may_grow(f, m) for f in users)}


def _is_plain(memory: Memory) -> bool:
    limits = memory.limits
    return not limits.is64 and not limits.shared and limits.page_size_log2 in (None, 16)


def _may_grow(function: Function, memory: Memory) -> bool:
    body = function.body
    if isinstance(body, EncodedBody) and GROW not in bytes(body.section.body(body.number)):
        return False
    return any(i.op == "memory.grow" and i.args[0] is memory for i in function.view().instructions)


def _is_known(i: Instruction) -> bool:
    """Whether an instruction that names an empty memory can be replaced: it names no memory of 64-bit addresses."""
    plain = all(_is_plain(item) for item in references(i) if isinstance(item, Memory))
    return plain and (i.op in ("memory.size", "memory.fill", "memory.copy") or re.match(ACCESS, i.op) is not None)


OUT_OF_BOUNDS = "(drop (i32.load $other offset=0xffffffff (i32.const -1))) unreachable"
"""An access that is out of bounds of every memory of 32-bit addresses."""

FILL = "(param i32 i32 i32) (if (i32.or (local.get 0) (local.get 2)) (then {trap}))"
COPY = "(param i32 i32 i32) (if (i32.or (i32.or (local.get 0) (local.get 1)) (local.get 2)) (then {trap}))"
COPY_TO = """(param i32 i32 i32) (if (i32.or (local.get 0) (local.get 2)) (then {trap}))
  (memory.copy $peer $peer (local.get 1) (local.get 1) (i32.const 0))"""
COPY_FROM = """(param i32 i32 i32) (if (i32.or (local.get 1) (local.get 2)) (then {trap}))
  (memory.copy $peer $peer (local.get 0) (local.get 0) (i32.const 0))"""
"""Bulk instructions trap unless they move nothing at address 0; the other memory keeps its own bounds."""


class _Helpers:
    """The functions in place of accesses of an empty memory, made on first use."""

    def __init__(self, module: Module, memory: Memory, other: Memory) -> None:
        self.module, self.memory, self.other = module, memory, other
        self._made: dict[tuple[str, Memory], Function] = {}

    def replaced(self, i: Instruction) -> list[Instruction]:
        """What stands for an instruction."""
        if not i.args or self.memory not in references(i):
            return [i]
        match i.op, i.args:
            case "memory.size", _:
                return [Instruction("i32.const", (0,), i.span, place=i.place)]
            case "memory.fill", _:
                text, peer = FILL, self.other
            case "memory.copy", (to, source) if to is source:
                text, peer = COPY, self.other
            case "memory.copy", (to, source):
                text, peer = (COPY_TO, source) if to is self.memory else (COPY_FROM, to)
            case _:
                text, peer = _access(i.op), self.other
        return [Instruction("call", (self._function(text, peer),), i.span, place=i.place)]

    def _function(self, text: str, peer: Memory) -> Function:
        key = text, peer
        if key not in self._made:
            body = text.replace("{trap}", OUT_OF_BOUNDS)
            memories = "".join(
                f'(import "" "{name}" (memory ${name} {_limits(memory)})) '
                for name, memory in (("other", self.other), ("peer", peer))
            )
            source = generated(f'(module {memories}(func (export "f") {body}))', KIND)
            given = dict(zip(source.imports, (self.other, peer), strict=True))
            name = f"{self.memory.name or 'memory'}.empty"
            made = splice(source, self.module, given, synthetic=KIND, rename=lambda _: name).exports["f"]
            assert isinstance(made, Function)
            self._made[key] = made
        return self._made[key]


def _limits(memory: Memory) -> str:
    most = "" if memory.limits.maximum is None else f" {memory.limits.maximum}"
    return f"{memory.limits.minimum}{most}"


def _access(op: str) -> str:
    """The signature and body of what stands for a load or a store: it traps."""
    found = re.match(ACCESS, op)
    assert found is not None
    value, kind = found[1], found[2]
    signature = f"(param i32) (result {value})" if kind == "load" else f"(param i32 {value})"
    return f"{signature} {{trap}}"
