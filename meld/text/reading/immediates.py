"""Immediates in text: what may follow the mnemonic of an instruction, by kind (`meld.ir.opcodes.Imm`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meld.diagnostics import MeldError, Span
from meld.ir.instructions import BlockType, Catch, Handler, IndexOf, IndexSpaces, MemArg
from meld.ir.numbering import SINGULAR
from meld.ir.opcodes import OPS, Imm, Op
from meld.ir.types import FuncType, RefType, StructType, TypeDef, ValType
from meld.text.literals import float_bits, identifier, identifier_name, signed, unsigned
from meld.text.reading.names import (
    HEAPTYPES,
    REFTYPES,
    VALTYPES,
    checked_use,
    find,
    find_index,
    key_of,
    plain_type,
    similar,
)
from meld.text.reading.tokens import BodyText, is_plain, placed_tokens, plain_tokens
from meld.text.sexp import index_of, read_annotation

CATCH_KINDS = ("catch", "catch_ref", "catch_all", "catch_all_ref")
SHAPES = {"i8x16": (16, 8), "i16x8": (8, 16), "i32x4": (4, 32), "i64x2": (2, 64), "f32x4": (4, 32), "f64x2": (2, 64)}
"""Shapes of vectors: lanes, and bits of a lane."""


class Labels:
    """The labels that are open, innermost last."""

    def __init__(self) -> None:
        self.names: list[str | None] = []
        self.places: dict[str, list[int]] = {}

    def push(self, name: str | None) -> None:
        """Opens a label."""
        self.names.append(name)
        if name is not None:
            self.places.setdefault(name, []).append(len(self.names))

    def pop(self) -> None:
        """Closes the innermost label."""
        name = self.names.pop()
        if name is not None:
            self.places[name].pop()

    def depth(self, name: str) -> int | None:
        """How many labels are between here and the innermost one of a name."""
        places = self.places.get(name)
        return len(self.names) - places[-1] if places else None


class ImmediateReader:
    """Reads immediates of a stretch of instructions.

    Attributes:
        tokens: those of the stretch, and three empty ones so that one may look ahead.
        at: the number of the next one.
        labels: those that are open there.
    """

    def __init__(self, text: BodyText, scope: IndexSpaces, implicit: Callable[[FuncType], TypeDef] | None) -> None:
        self.text = text
        self.places = None if is_plain(text) else placed_tokens(text)
        found = plain_tokens(text) if self.places is None else [token for token, _ in self.places]
        self.tokens = [*found, "", "", ""]
        self.at = 0
        self.scope = scope
        self.local_names = text.local_names
        self.implicit = implicit
        self.labels = Labels()

    def span(self, index: int) -> Span:
        """Where a token stands; that of the end of the stretch if there is none so far."""
        context, end = self.text.context, self.text.end
        tokens = self.places = self.places or placed_tokens(self.text)
        if index >= len(tokens):
            return Span(context.source, min(end, len(context.source.text) - 1), end + 1)
        token, at = tokens[index]
        return Span(context.source, at, at + len(token))

    def error(self, index: int, message: str, hint: str | None = None) -> MeldError:
        """An error at a token."""
        return MeldError(message, span=self.span(index), hint=hint)

    def expected(self, what: str) -> MeldError:
        """The error that something else should stand here."""
        token = self.tokens[self.at]
        found = f"found `{token[:40]}`" if token else "found the end of the instructions"
        return self.error(self.at, f"expected {what}, {found}")

    def fail(self, message: str, hint: str | None) -> MeldError:
        """The error of a reference at the token that was just read."""
        return self.error(self.at - 1, message, hint)

    def read(self, op: str) -> tuple[Any, ...]:
        """The immediates of an instruction."""
        readers = READERS[op]
        if isinstance(readers, tuple):
            return tuple([read(self) for read in readers])
        found: tuple[Any, ...] = readers(self)
        return found

    # --- indices ---

    def is_index(self, ahead: int = 0) -> bool:
        """Whether a token that is ahead is a name or a number."""
        token = self.tokens[self.at + ahead]
        return token[:1] == "$" or token[:1].isdigit()

    def item(self, space: str) -> Any:
        """A reference to an object of a space."""
        if not self.is_index():
            raise self.expected("a name or a number")
        token = self.tokens[self.at]
        self.at += 1
        return find(self.scope, space, key_of(token, self.fail), self.fail)

    def first(self, space: str) -> Any:
        """The object of a space that is meant where the text names none."""
        if not getattr(self.scope, space):
            raise self.error(self.at - 1, f"this needs a {SINGULAR[space]}, and there is none")
        return getattr(self.scope, space)[0]

    def optional(self, space: str) -> Any:
        """A reference to an object of a space, the first one if there is none."""
        return self.item(space) if self.is_index() else self.first(space)

    def number(self, what: str = "a number", bits: int = 32) -> int:
        """A number without a sign."""
        value = unsigned(self.tokens[self.at] or "-", bits)
        if value is None:
            raise self.expected(what)
        self.at += 1
        return value

    def local(self) -> int:
        """A local variable, as its number."""
        token = self.tokens[self.at]
        index = self.local_names.get(token[1:]) if token[:1] == "$" else None
        if index is None:
            if token[:1] != "$":
                return self.number("a local variable")
            self.at += 1
            name = key_of(token, self.fail)
            index = self.local_names.get(str(name))
            if index is None:
                raise self.fail(f"unknown local `{token}`", similar(str(name), self.local_names))
            return index
        self.at += 1
        return index

    def label(self) -> int:
        """A label, as the number of labels between."""
        token = self.tokens[self.at]
        if token[:1] != "$":
            return self.number("a label")
        self.at += 1
        name = str(key_of(token, self.fail))
        depth = self.labels.depth(name)
        if depth is None:
            raise self.fail(f"unknown label `{token}`", similar(name, [n for n in self.labels.names if n]))
        return depth

    def labels_of_table(self) -> tuple[int, ...]:
        """The labels of a br_table."""
        found = [self.label()]
        while self.is_index():
            found.append(self.label())
        return tuple(found)

    def label_name(self) -> str | None:
        """The name that a block gives its label."""
        token = self.tokens[self.at]
        if token[:1] != "$":
            return None
        self.at += 1
        name = identifier_name(token)
        if not name:
            raise self.fail("malformed name", None)
        return name

    def closing_label(self, name: str | None) -> None:
        """The name of the block again, behind its `end` or `else`."""
        at = self.at
        again = self.label_name()
        if again is not None and again != name:
            shown = f"is `{identifier(name)}`" if name else "has no name"
            raise self.error(at, f"the block that ends here {shown}")

    def field_of_struct(self) -> tuple[TypeDef, int]:
        """A structure type and one of its fields."""
        token = self.tokens[self.at]
        typedef: TypeDef = self.item("types")
        if self.tokens[self.at][:1] != "$":
            return typedef, self.number("a field")
        index = find_index(self.scope, "types", key_of(token, self.fail), self.fail)
        token = self.tokens[self.at]
        self.at += 1
        name = str(key_of(token, self.fail))
        fields = self.scope.names.get("fields", {})
        number = fields.get(f"{index} {name}")
        if number is None or not isinstance(typedef.shape, StructType):
            names = [key.partition(" ")[2] for key in fields if key.startswith(f"{index} ")]
            raise self.fail(f"unknown field `{token}`", similar(name, names))
        return typedef, number

    # --- types ---

    def valtype(self) -> ValType:
        """A value type."""
        found = VALTYPES.get(self.tokens[self.at])
        if found is not None:
            self.at += 1
            return found
        if self.tokens[self.at] == "(" and self.tokens[self.at + 1] == "ref":
            return self.reftype()
        raise self.expected("a type")

    def reftype(self) -> RefType:
        """A reference type."""
        found = REFTYPES.get(self.tokens[self.at])
        if found is not None:
            self.at += 1
            return found
        self.keyword("ref", "a reference type")
        nullable = self.tokens[self.at] == "null"
        self.at += nullable
        found = RefType(nullable, self.heaptype())
        self.closing()
        return found

    def heaptype(self) -> Any:
        """A heap type."""
        found = HEAPTYPES.get(self.tokens[self.at])
        if found is None:
            return self.item("types")
        self.at += 1
        return found

    def keyword(self, word: str, what: str | None = None) -> None:
        """``(word``."""
        if self.tokens[self.at] != "(" or self.tokens[self.at + 1] != word:
            raise self.expected(what or f"`({word}`")
        self.at += 2

    def closing(self) -> None:
        """The parenthesis that closes an immediate."""
        if self.tokens[self.at] != ")":
            raise self.expected("`)`")
        self.at += 1

    def type_lists(self, word: str) -> list[ValType] | None:
        """``(param …)…`` or ``(result …)…``; None if there is none."""
        found: list[ValType] | None = None
        while self.tokens[self.at] == "(" and self.tokens[self.at + 1] == word:
            self.at += 2
            found = found or []
            while self.tokens[self.at] != ")":
                found.append(self.valtype())
            self.at += 1
        return found

    def type_use(self) -> tuple[TypeDef | None, FuncType]:
        """``(type $t)? (param …)… (result …)…``: the definition named, and what is written out."""
        named: TypeDef | None = None
        at = self.at
        if self.tokens[self.at] == "(" and self.tokens[self.at + 1] == "type":
            self.at += 2
            named = self.item("types")
            self.closing()
        shape = FuncType(tuple(self.type_lists("param") or ()), tuple(self.type_lists("result") or ()))
        if named is not None:
            checked_use(named, shape, lambda message, hint: self.error(at, message, hint))
        return named, shape

    def defined(self, shape: FuncType, at: int) -> TypeDef:
        """The definition of a function type that is only written out."""
        if self.implicit is not None:
            return self.implicit(shape)
        found = plain_type(self.scope.types, shape)
        if found is None:
            raise self.error(at, "no type is defined for these parameters and results")
        return found

    def called_type(self) -> TypeDef:
        """The type use of an indirect call."""
        at = self.at
        named, shape = self.type_use()
        return named or self.defined(shape, at)

    def blocktype(self) -> BlockType:
        """The type of a block."""
        if self.tokens[self.at] != "(":
            return None
        at = self.at
        named, shape = self.type_use()
        if named is not None:
            return named
        if shape.params or len(shape.results) > 1:
            return self.defined(shape, at)
        return shape.results[0] if shape.results else None

    def result_types(self) -> tuple[Any, ...]:
        """The result types of `select`, whose one immediate may be missing."""
        found = self.type_lists("result")
        return () if found is None else (tuple(found),)

    def catches(self) -> tuple[Catch, ...]:
        """The catch clauses of `try_table`."""
        found: list[Catch] = []
        while self.tokens[self.at] == "(" and self.tokens[self.at + 1] in CATCH_KINDS:
            kind = self.tokens[self.at + 1]
            self.at += 2
            tag = None if kind.startswith("catch_all") else self.item("tags")
            found.append(Catch(kind, tag, self.label()))
            self.closing()
        return tuple(found)

    def handlers(self) -> tuple[Handler, ...]:
        """The clauses of `resume`."""
        found: list[Handler] = []
        while self.tokens[self.at] == "(" and self.tokens[self.at + 1] == "on":
            self.at += 2
            tag = self.item("tags")
            switches = self.tokens[self.at] == "switch"
            self.at += switches
            found.append(Handler(tag, None if switches else self.label()))
            self.closing()
        return tuple(found)

    # --- numbers ---

    def i32(self) -> int | IndexOf:
        """A constant, or the index of an item, which a note tells."""
        value = self.constant(32)
        if not self.tokens[self.at].startswith("(@meld.index"):
            return value
        span = self.span(self.at)
        self.at += 1
        _, parts = read_annotation(span.source, span.start, span.end)
        key = index_of(parts[0]) if len(parts) == 1 else None
        if key is None:
            raise self.fail("expected `(@meld.index $memory)`", None)
        return IndexOf(find(self.scope, "memories", key, self.fail))

    def constant(self, bits: int) -> int:
        """An integer constant."""
        value = signed(self.tokens[self.at], bits)
        if value is None:
            raise self.expected(f"an integer of {bits} bits")
        self.at += 1
        return value

    def float_constant(self, bits: int) -> int:
        """A float constant, as its bits."""
        value = float_bits(self.tokens[self.at], bits)
        if value is None:
            raise self.expected(f"a float of {bits} bits")
        self.at += 1
        return value

    def v128(self) -> int:
        """A vector constant: a shape and its lanes."""
        shape = self.tokens[self.at]
        if shape not in SHAPES:
            raise self.expected("a shape (`i8x16`, `i32x4`, …)")
        self.at += 1
        lanes, bits = SHAPES[shape]
        read = self.float_constant if shape[0] == "f" else self.constant
        return sum((read(bits) & (1 << bits) - 1) << bits * lane for lane in range(lanes))

    def lane(self) -> int:
        """The number of a lane."""
        return self.number("a lane", 8)

    def memarg(self, op: Op) -> MemArg:
        """``$memory? offset=…? align=…?``."""
        memory = None
        if self.is_index():
            # in front of a lane, a number is a memory only if another number follows
            ahead = 1
            while self.tokens[self.at + ahead][:7] in ("offset=", "align=1", "align=2", "align=4", "align=8"):
                ahead += 1
            if Imm.LANE not in op.imms or self.tokens[self.at][0] == "$" or self.is_index(ahead):
                memory = self.item("memories")
        offset, align = 0, op.align
        if self.tokens[self.at].startswith("offset="):
            offset = self.attribute("offset=")
        if self.tokens[self.at].startswith("align="):
            value = self.attribute("align=")
            if not value or value & value - 1:
                raise self.fail("an alignment is a power of two", None)
            align = value.bit_length() - 1
        return MemArg(align, offset, self.first("memories") if memory is None else memory)

    def attribute(self, head: str) -> int:
        """``offset=…`` or ``align=…``."""
        value = unsigned(self.tokens[self.at].removeprefix(head) or "-", 64)
        if value is None:
            raise self.expected(f"`{head}` and a number")
        self.at += 1
        return value

    # --- instructions whose immediates come together ---

    def pair(self, first: str, second: str) -> tuple[Any, Any]:
        """Two references that are there both or not at all."""
        if self.is_index():
            return self.item(first), self.item(second)
        return self.first(first), self.first(second)

    def initialised(self, where: str, what: str) -> tuple[Any, Any]:
        """A memory or table that may be missing, and a segment."""
        return (self.item(where) if self.is_index(1) else self.first(where)), self.item(what)


Reader = Callable[[ImmediateReader], Any]

_BY_KIND: dict[Imm, Reader] = {
    Imm.BLOCK: ImmediateReader.blocktype,
    Imm.LABEL: ImmediateReader.label,
    Imm.LABELS: ImmediateReader.labels_of_table,
    Imm.LOCAL: ImmediateReader.local,
    Imm.FUNC: lambda r: r.item("functions"),
    Imm.TYPE: lambda r: r.item("types"),
    Imm.TABLE: lambda r: r.optional("tables"),
    Imm.MEMORY: lambda r: r.optional("memories"),
    Imm.GLOBAL: lambda r: r.item("globals"),
    Imm.TAG: lambda r: r.item("tags"),
    Imm.ELEM: lambda r: r.item("elements"),
    Imm.DATA: lambda r: r.item("datas"),
    Imm.COUNT: ImmediateReader.number,
    Imm.I32: ImmediateReader.i32,
    Imm.I64: lambda r: r.constant(64),
    Imm.F32: lambda r: r.float_constant(32),
    Imm.F64: lambda r: r.float_constant(64),
    Imm.V128: ImmediateReader.v128,
    Imm.LANE: ImmediateReader.lane,
    Imm.LANES: lambda r: tuple([r.lane() for _ in range(16)]),
    Imm.HEAP: ImmediateReader.heaptype,
    Imm.REF: ImmediateReader.reftype,
    Imm.CATCHES: ImmediateReader.catches,
    Imm.HANDLERS: ImmediateReader.handlers,
}


def _readers(op: Op) -> tuple[Reader, ...] | Reader:
    """What reads the immediates of an instruction: one by one, or all together."""
    match op.name:
        case "memory.copy" | "table.copy":
            space = "memories" if op.name == "memory.copy" else "tables"
            return lambda r: r.pair(space, space)
        case "memory.init":
            return lambda r: r.initialised("memories", "datas")
        case "table.init":
            return lambda r: r.initialised("tables", "elements")
        case "call_indirect" | "return_call_indirect":
            return (lambda r: r.optional("tables"), ImmediateReader.called_type)
        case "select":
            return ImmediateReader.result_types
        case "atomic.fence":
            return ()
        case _ if Imm.FIELD in op.imms:
            return ImmediateReader.field_of_struct
    return tuple([(lambda r: r.memarg(op)) if imm is Imm.MEMARG else _BY_KIND[imm] for imm in op.imms])


READERS: dict[str, tuple[Reader, ...] | Reader] = {op.name: _readers(op) for op in OPS.values()}
"""Mnemonic → what reads its immediates."""
