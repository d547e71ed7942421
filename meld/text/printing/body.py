"""Instructions as text: flat, one a line, blocks indented."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from meld.diagnostics import MeldError
from meld.ir.instructions import Catch, Handler, IndexOf, Instruction, MemArg
from meld.ir.module import CLOSING, LABELLED
from meld.ir.notes import BranchHint
from meld.ir.opcodes import OPS, Imm, Op
from meld.ir.types import AbstractHeap, TypeDef
from meld.text.literals import float_text, identifier
from meld.text.printing.names import Names, declaration, declarations
from meld.text.reading.immediates import Labels

_DIVIDING = frozenset({"else", "catch", "catch_all"})
_STRUCTURE = LABELLED | CLOSING | _DIVIDING
_SIMPLE = frozenset(op.name for op in OPS.values() if not op.imms) - _STRUCTURE
_IRREGULAR = frozenset({"select", "atomic.fence"})
_INDENT = "  "
_MAX_INDENT = 30  # levels that are shown: a body may nest deeper than any line is long


class BodyPrinter:
    """Prints the instructions of one module. Locals are called by `locals`, which changes from function to function."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.locals: Mapping[int, tuple[str, str]] = {}
        self.labels = Labels()
        self.fields: dict[TypeDef, dict[int, tuple[str, str]]] = {}
        indices = names.numbering.indices
        self.first: dict[str, Any] = {space: next(iter(indices[space]), None) for space in ("memories", "tables")}
        self.known: dict[tuple[str, Any], str] = {}
        self.write: dict[Imm, Callable[[Any], str]] = {
            Imm.BLOCK: self.blocktype,
            Imm.LABEL: self.label,
            Imm.LABELS: lambda labels: "".join([self.label(n) for n in labels]),
            Imm.LOCAL: self.local,
            Imm.COUNT: lambda n: f" {n}",
            Imm.I32: self.i32,
            Imm.I64: lambda n: f" {_wrapped(n, 64)}",
            Imm.F32: lambda bits: f" {float_text(bits, 32)}",
            Imm.F64: lambda bits: f" {float_text(bits, 64)}",
            Imm.V128: _v128,
            Imm.LANE: lambda n: f" {n}",
            Imm.LANES: lambda lanes: "".join([f" {n}" for n in lanes]),
            Imm.HEAP: lambda h: f" {h.value}" if isinstance(h, AbstractHeap) else self.ref("types", h),
            Imm.REF: lambda t: f" {names.type(t)}",
            Imm.CATCHES: self.catches,
            Imm.HANDLERS: self.handlers,
            Imm.FUNC: lambda item: self.ref("functions", item),
            Imm.TYPE: lambda item: self.ref("types", item),
            Imm.GLOBAL: lambda item: self.ref("globals", item),
            Imm.TAG: lambda item: self.ref("tags", item),
            Imm.ELEM: lambda item: self.ref("elements", item),
            Imm.DATA: lambda item: self.ref("datas", item),
            Imm.TABLE: lambda item: self.unless_first("tables", item),
            Imm.MEMORY: lambda item: self.unless_first("memories", item),
        }

        self.single: dict[str, Callable[[Any], str]] = {
            op.name: self.write[op.imms[0]]
            for op in OPS.values()
            if len(op.imms) == 1 and op.imms[0] in self.write and op.name not in _STRUCTURE | _IRREGULAR
        }

    def lines(self, instructions: Iterable[Instruction], depth: int) -> list[str]:
        """The instructions of a body, each a line, indented by `depth` levels at least."""
        self.labels = labels = Labels()
        out: list[str] = []
        base = depth
        indent = _INDENT * depth
        for instruction in instructions:
            op = instruction.op
            if op in _SIMPLE:
                out.append(indent + op if instruction.notes is None else indent + op + self.notes(instruction))
            elif op not in _STRUCTURE:
                out.append(indent + self.text(instruction))
            elif op in LABELLED:
                out.append(indent + self.text(instruction))
                labels.push(instruction.label)
                depth += 1
                indent = _INDENT * min(depth, _MAX_INDENT)
            else:
                if op in CLOSING:
                    if depth <= base:
                        raise MeldError(f"`{op}` closes nothing")
                    depth -= 1
                    indent = _INDENT * min(depth, _MAX_INDENT)
                    labels.pop()
                outer = indent if op in CLOSING else _INDENT * min(max(depth - 1, base), _MAX_INDENT)
                out.append(outer + self.text(instruction))
        if depth != base:
            raise MeldError(f"{depth - base} blocks have no `end`")
        return out

    def line(self, instructions: Iterable[Instruction]) -> str:
        """Instructions in one line."""
        return " ".join(line.strip() for line in self.lines(instructions, 0))

    def text(self, instruction: Instruction) -> str:
        """One instruction."""
        op = OPS.get(instruction.op)
        if op is None:
            raise MeldError(f"unknown instruction `{instruction.op}`", span=instruction.span)
        try:
            write = self.single.get(op.name)
            if write is not None:
                (arg,) = instruction.args
                shown = op.name + write(arg)
            else:
                shown = op.name + self.immediates(op, instruction)
        except (TypeError, ValueError, IndexError, AttributeError, KeyError, OverflowError) as e:
            raise MeldError(
                f"`{op.name}` has immediates that do not fit it: {instruction.args!r}", span=instruction.span
            ) from e
        return shown if instruction.notes is None else self.hint(instruction) + shown + self.notes(instruction)

    def notes(self, instruction: Instruction) -> str:
        """The notes of an instruction."""
        shown = (note for note in instruction.notes or () if not isinstance(note, BranchHint))
        return "".join(f" {self.names.note(note)}" for note in shown)

    def hint(self, instruction: Instruction) -> str:
        """The branch hint of an instruction, which stands in front of it."""
        hints = (note for note in instruction.notes or () if isinstance(note, BranchHint))
        return "".join(f'(@metadata.code.branch_hint "\\{hint.likely:02x}") ' for hint in hints)

    def immediates(self, op: Op, instruction: Instruction) -> str:
        """The immediates of an instruction, each with a space in front."""
        args = instruction.args
        if op.name in LABELLED and instruction.label is not None:
            label = instruction.label
            shown = f" {declaration(label or '#empty', label)}"
            return shown + "".join([self.write[imm](arg) for imm, arg in zip(op.imms, args, strict=True)])
        match op.name:
            case "select":
                if not args:
                    return ""
                return self.names.types("result", args[0]) or " (result)"
            case "memory.copy" | "table.copy":
                space = "memories" if op.name == "memory.copy" else "tables"
                target, source = args
                if target is source is self.first[space]:
                    return ""
                return self.ref(space, target) + self.ref(space, source)
            case "call_indirect" | "return_call_indirect":
                table, typedef = args
                return f"{self.unless_first('tables', table)} (type{self.ref('types', typedef)})"
            case "atomic.fence":
                return ""
        if not op.imms:
            return ""
        if op.imms[0] is Imm.MEMARG:
            lane = f" {args[1]}" if len(op.imms) > 1 else ""
            return self.memarg(args[0], op.align) + lane
        if len(op.imms) > 1 and op.imms[1] is Imm.FIELD:
            typedef, number = args
            return self.ref("types", typedef) + self.field(typedef, number)
        return "".join([self.write[imm](arg) for imm, arg in zip(op.imms, args, strict=True)])

    # --- immediates ---

    def ref(self, space: str, item: Any) -> str:
        """A reference, with a space in front."""
        key = (space, item)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = f" {self.names.ref(space, item)}"
        return found

    def unless_first(self, space: str, item: Any) -> str:
        """A reference that is left out where it means the first of its space."""
        return "" if item is self.first[space] and item is not None else self.ref(space, item)

    def local(self, number: int) -> str:
        """A local variable."""
        found = self.locals.get(number)
        return f" {number}" if found is None else f" {found[1]}"

    def label(self, depth: int) -> str:
        """A label: by its name where that means it, else by its number."""
        names = self.labels.names
        name = names[-1 - depth] if 0 <= depth < len(names) else None
        return f" {identifier(name)}" if name and self.labels.depth(name) == depth else f" {depth}"

    def blocktype(self, t: Any) -> str:
        """The type of a block."""
        if t is None:
            return ""
        if not isinstance(t, TypeDef):
            return f" (result {self.names.type(t)})"
        return f" (type{self.ref('types', t)})"

    def catches(self, catches: tuple[Catch, ...]) -> str:
        """The clauses of `try_table`."""
        shown = ""
        for catch in catches:
            tag = "" if catch.tag is None else self.ref("tags", catch.tag)
            shown += f" ({catch.kind}{tag}{self.label(catch.label)})"
        return shown

    def handlers(self, handlers: tuple[Handler, ...]) -> str:
        """The clauses of `resume`."""
        shown = ""
        for handler in handlers:
            label = " switch" if handler.label is None else self.label(handler.label)
            shown += f" (on{self.ref('tags', handler.tag)}{label})"
        return shown

    def memarg(self, arg: MemArg, natural: int) -> str:
        """The memory, offset and alignment of an access, each left out where it is what is usual."""
        shown = self.unless_first("memories", arg.memory)
        if arg.offset:
            shown += f" offset={arg.offset}"
        return shown if arg.align == natural else f"{shown} align={1 << arg.align}"

    def i32(self, value: int | IndexOf) -> str:
        """A constant."""
        if not isinstance(value, IndexOf):
            return f" {_wrapped(value, 32)}"
        index = self.names.numbering.of_item(value.item)
        return f" {index} (@meld.index{self.ref('memories', value.item)})"

    def field(self, typedef: TypeDef, number: int) -> str:
        """A field of a structure."""
        names = self.fields.get(typedef)
        if names is None:
            names = self.fields[typedef] = declarations(typedef.field_names)
        return f" {names[number][1]}" if number in names else f" {number}"


def _wrapped(value: int, bits: int) -> int:
    """The signed number of the same bits."""
    if not -(1 << bits - 1) <= value < 1 << bits:
        raise ValueError(value)
    return value - (1 << bits) if value >> bits - 1 > 0 else value


def _v128(bits: int) -> str:
    return " i32x4" + "".join(f" {bits >> 32 * lane & 0xFFFFFFFF:#010x}" for lane in range(4))
