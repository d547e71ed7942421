"""The instruction that a place is an operand of: its immediates, what it takes and what it gives."""

from __future__ import annotations

import re
from typing import Any

from meld.editor.index import Index, name_of
from meld.editor.operands import shape_of
from meld.editor.scan import NAME, Token, tokens
from meld.ir.describe import type_name
from meld.ir.module import LABELLED, Function, Global, Memory, Table, Tag
from meld.ir.opcodes import OPS
from meld.ir.types import I32, ArrayType, FuncType, NumType, Packed, RefType, StorageType, StructType, TypeDef, ValType
from meld.support.records import record

_REFERENCE = rf"{NAME}|\d\w*"
_HEADS = frozenset({"type", "param", "result", "ref"})
"""Parentheses among the immediates of an instruction, which are no operands."""


@record(frozen=True)
class Signature:
    """`label` holds the words of `params`, in order; `active` is the number of the operand at the place."""

    label: str
    params: tuple[str, ...]
    active: int | None

    def places(self) -> list[tuple[int, int]]:
        """Where the parameters stand in the label, start and end in UTF-16."""
        found, at = [], 0
        for param in self.params:
            start = self.label.index(param, at)
            at = start + len(param)
            found.append((_units(self.label[:start]), _units(self.label[:at])))
        return found


def signature_at(index: Index, offset: int) -> Signature | None:
    """The signature of the innermost folded instruction around a place, or of the flat one in front of it."""
    text = index.source.text
    around = index.tree.around(offset)
    for group in around:
        if group.keyword in ("func", "module", "core module", "component"):
            break
        if group.keyword in OPS and group.keyword not in LABELLED and offset > group.start + 1:
            passed = [g for g in index.tree.children(group) if g.closed and g.end <= offset]
            active = sum(g.keyword not in _HEADS and not g.keyword.startswith("@") for g in passed)
            return _signature(index, group.keyword, group.start + 1, group.end, active)
        if group.keyword and group.keyword not in OPS and group.keyword not in _HEADS:
            return None
    line = text.rfind("\n", 0, offset) + 1
    begin = max([line, *(group.start for group in around[:1])])
    words: list[Token] = [t for t in tokens(text, begin, offset) if t[0] != "comment"]
    heads = [i for i, (kind, start, end) in enumerate(words) if kind == "word" and text[start:end] in OPS]
    if not heads or any(kind == "close" for kind, *_ in words[heads[-1] :]):
        return None
    _, start, end = words[heads[-1]]
    word = text[start:end]
    return None if word in LABELLED else _signature(index, word, start, len(text), None)


def _operand(index: Index, start: int, end: int) -> Any:
    """What the first immediate of the instruction that begins at a place refers to; of an indirect call, its type."""
    text = index.source.text
    head = re.compile(rf"[^\s()]+(?:\s+({_REFERENCE}))?(?:\s*\(\s*type\s+({_REFERENCE}))?").match(text, start, end)
    if head is None:
        return None
    at = head.start(2) if head[2] else head.start(1)
    use = index.at(at) if at >= 0 else None
    return use.target if use is not None and use.span.start == at else None


def addresses_of(index: Index, word: str, start: int, end: int) -> list[NumType]:
    """The types of the addresses of the memories or tables that an instruction is about: named, or the first ones."""
    kind = Table if word.startswith(("table.", "call_")) or word.endswith("call_indirect") else Memory
    head = re.compile(rf"[^\s()]+(?:\s+({_REFERENCE}))?(?:\s+({_REFERENCE}))?").match(index.source.text, start, end)
    places = [head.start(1), head.start(2)] if head is not None else []
    uses = [use for at in places if at >= 0 and (use := index.at(at)) is not None and use.span.start == at]
    named = [use.target for use in uses if isinstance(use.target, kind)]
    if not named:
        module = next((g for g in index.tree.around(start) if g.keyword in ("module", "core module")), None)
        inside = (use for use in index.outer if module is not None and module.start <= use.span.start < module.end)
        named = [use.target for use in inside if use.definition and isinstance(use.target, kind)][:1]
    return [NumType.I64 if one.limits.is64 else NumType.I32 for one in named] or [NumType.I32]


def _signature(index: Index, word: str, start: int, end: int, active: int | None) -> Signature | None:
    target = _operand(index, start, end)
    addresses = addresses_of(index, word, start, end)
    shape, names = shape_of(word, addresses[0], addresses[-1]), dict[int, str]()
    if shape is None and word.endswith("call_indirect") and isinstance(target, TypeDef):
        if isinstance(target.shape, FuncType):
            shape = FuncType((*target.shape.params, addresses[0]), target.shape.results)
    elif shape is None:
        shape = _typed(word, target)
        if word in ("call", "return_call") and isinstance(target, Function):
            names = dict(target.local_names)
    if shape is None:
        return None
    params = tuple(
        f"(param ${names[i]} {type_name(t)})" if i in names else f"(param {type_name(t)})"
        for i, t in enumerate(shape.params)
    )
    results = f" (result {' '.join(map(type_name, shape.results))})" if shape.results else ""
    subject = f" {name_of(target)}" if getattr(target, "name", None) else ""
    label = " ".join([word + subject, *params]) + results
    return Signature(label, params, active if active is not None and active < len(params) else None)


def _typed(word: str, target: Any) -> FuncType | None:
    """What an instruction takes and gives that depends on what it refers to."""
    match word, target:
        case (("call" | "return_call"), Function()):
            return target.signature
        case (("call_ref" | "return_call_ref"), TypeDef(shape=FuncType() as t)):
            return FuncType((*t.params, _ref(target)), t.results)
        case "throw", Tag():
            return target.type.shape if isinstance(target.type.shape, FuncType) else None
        case "global.get", Global():
            return FuncType((), (target.type,))
        case "global.set", Global():
            return FuncType((target.type,), ())
        case "table.get", Table():
            return FuncType((_address(target),), (target.type,))
        case "table.set", Table():
            return FuncType((_address(target), target.type), ())
        case "table.grow", Table():
            return FuncType((target.type, _address(target)), (_address(target),))
        case "table.fill", Table():
            return FuncType((_address(target), target.type, _address(target)), ())
        case "struct.new", TypeDef(shape=StructType() as t):
            return FuncType(tuple(_unpacked(f.storage) for f in t.fields), (_ref(target, null=False),))
        case "array.new", TypeDef(shape=ArrayType() as t):
            return FuncType((_unpacked(t.element.storage), I32), (_ref(target, null=False),))
        case (("array.get" | "array.get_s" | "array.get_u"), TypeDef(shape=ArrayType() as t)):
            return FuncType((_ref(target), I32), (_unpacked(t.element.storage),))
        case "array.set", TypeDef(shape=ArrayType() as t):
            return FuncType((_ref(target), I32, _unpacked(t.element.storage)), ())
        case (("local.get" | "local.set" | "local.tee"), _):
            of = getattr(target, "type", None)
            if of is None:
                return None
            return FuncType(*{"get": ((), (of,)), "set": ((of,), ()), "tee": ((of,), (of,))}[word[-3:]])
    return None


def _address(table: Table) -> ValType:
    return NumType.I64 if table.limits.is64 else I32


def _ref(target: TypeDef, *, null: bool = True) -> ValType:
    return RefType(null, target)


def _unpacked(storage: StorageType) -> ValType:
    return I32 if isinstance(storage, Packed) else storage


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
