"""Instructions and function bodies.

A body is in one of two states. *Lazy*: what was read, kept as it came (bytes of a code section, or a stretch of text),
with the `IndexSpaces` that its indices and names mean. *Decoded*: a `Code`, a flat list of instructions whose
immediates are objects. Rebinding an entry of the index spaces rewires every lazy body over them at once.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, TypeAlias

from meld.ir.named import Named
from meld.ir.types import TypeDef, ValType
from meld.support.records import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meld.diagnostics import Span
    from meld.ir.module import DataSegment, ElementSegment, Function, Global, Item, Memory, Table, Tag
    from meld.ir.notes import Note


@record(frozen=True)
class MemArg:
    """Immediate of a load or store: alignment as a power of two, byte offset, memory."""

    align: int
    offset: int
    memory: Memory


@record(frozen=True)
class Catch:
    """One clause of `try_table`. `kind` is ``catch``, ``catch_ref``, ``catch_all`` or ``catch_all_ref``."""

    kind: str
    tag: Tag | None
    label: int


@record(frozen=True)
class Handler:
    """One clause of `resume`: ``(on $tag $label)``, or ``(on $tag switch)`` if there is no label."""

    tag: Tag
    label: int | None


@record(frozen=True)
class IndexOf:
    """In place of the number of an `i32.const`: the index that `item` has when the module is encoded.

    In text: ``i32.const 2 (@meld.index $memory)``; the number is what the index was when it was printed.
    """

    item: Memory


BlockType: TypeAlias = ValType | TypeDef | None
"""Nothing, one result, or a function type."""


@record()
class Instruction:
    """One instruction; `op` is its mnemonic, `args` its immediates in the order of the text format.

    Immediates by kind (`meld.ir.opcodes.Imm`): labels, locals, lanes and field numbers are ints; integers are signed
    ints; floats are ints that hold the bits; v128 is an int of 128 bits; everything that the text can name is an
    object (`Function`, `TypeDef`, `Memory`, …). `block`, `loop`, `if`, `else`, `end` stand in the list as instructions.
    The `end` that closes the function is not in the list. `place` is the number of the instruction in the body it was
    read from, where that has a line table (`Code.source`); copies of an instruction keep it.
    """

    op: str
    args: tuple[Any, ...] = ()
    span: Span | None = None
    label: str | None = None  # name of the label that a block introduces
    notes: list[Note] | None = None
    place: int | None = field(default=None, compare=False)


@record()
class Code:
    """A decoded body. `locals` are those after the parameters; `source` is what places count in."""

    locals: list[ValType] = field(default_factory=list)
    instructions: list[Instruction] = field(default_factory=list)
    source: LazyBody | None = field(default=None, compare=False)


@record(eq=False)
class IndexSpaces(Named):
    """What the indices of lazy bodies mean: index → object, per index space. `names` serves bodies kept as text."""

    types: list[TypeDef] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)
    globals: list[Global] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)
    elements: list[ElementSegment] = field(default_factory=list)
    datas: list[DataSegment] = field(default_factory=list)
    names: dict[str, dict[str, int]] = field(default_factory=dict)  # field name above → name → index
    _views: dict[Any, Any] = field(default_factory=dict, repr=False)
    _viewed: tuple[Any, ...] = ()

    SPACES = ("types", "functions", "tables", "memories", "globals", "tags", "elements", "datas")

    def spaces(self) -> list[list[Any]]:
        """The index spaces in the order of `SPACES`."""
        return [getattr(self, space) for space in self.SPACES]

    def views(self) -> dict[Any, Any]:
        """Views of functions with bodies over these spaces (`Function.view`), as long as the spaces mean the same."""
        now = tuple([(id(space), len(space)) for space in self.spaces()])
        if now != self._viewed:
            self._views.clear()
            self._viewed = now
        return self._views

    def renamed(self, new: Mapping[Any, Any]) -> IndexSpaces:
        """A copy in which each object that `new` maps is replaced."""
        copy = IndexSpaces(names=self.names)
        for space in self.SPACES:
            setattr(copy, space, [new.get(item, item) for item in getattr(self, space)])
        return copy

    def rename(self, new: Mapping[Any, Any]) -> None:
        """Replaces each object that `new` maps: all bodies over these spaces mean the new one."""
        for space in self.SPACES:
            items = getattr(self, space)
            items[:] = [new.get(item, item) for item in items]
        self._views.clear()


class LazyBody:
    """A body that is not decoded yet. Base of `EncodedBody` (binary) and `TextBody` (text)."""

    __slots__ = ()
    scope: IndexSpaces

    @property
    def source(self) -> object:
        """What was read; equal for bodies of instances of one module."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """About how long it is, in bytes or characters."""
        raise NotImplementedError

    def decode(self) -> Code:
        """Decodes the body. Raises `MeldError` with a place if it is malformed."""
        raise NotImplementedError

    def over(self, scope: IndexSpaces) -> LazyBody:
        """The same body over another scope (an instance of the same module)."""
        raise NotImplementedError

    def look_ahead(self) -> None:
        """Start scanning the section's uses in the background, if that pays."""

    def uses(self) -> Iterable[Item]:
        """The items that the body names, type definitions aside; some may come more than once."""
        raise NotImplementedError


def substitute(instruction: Instruction, new: Mapping[Any, Any]) -> Instruction:
    """A copy of the instruction in which each object that `new` maps is replaced."""
    args = instruction.args
    return Instruction(
        instruction.op,
        args if _is_plain(args) else tuple(_substitute(arg, new) for arg in args),
        instruction.span,
        instruction.label,
        instruction.notes,
        instruction.place,
    )


def _substitute(arg: Any, new: Mapping[Any, Any]) -> Any:
    match arg:
        case int() | str() | None:
            return arg
        case MemArg(align, offset, memory):
            return MemArg(align, offset, new.get(memory, memory))
        case Catch(kind, tag, label):
            return Catch(kind, None if tag is None else new.get(tag, tag), label)
        case Handler(tag, label):
            return Handler(new.get(tag, tag), label)
        case IndexOf(item):
            return IndexOf(new.get(item, item))
        case tuple():
            return tuple(_substitute(part, new) for part in arg)
        case _:
            return new.get(arg, arg)


def _is_plain(args: tuple[Any, ...]) -> bool:
    """Whether immediates are none or one number, as they mostly are."""
    return not args or (len(args) == 1 and type(args[0]) is int)


def references(instruction: Instruction) -> list[Item | TypeDef]:
    """The objects that the immediates of an instruction name, type definitions inside reference types aside."""
    found: list[Any] = []
    if not instruction.args or (type(instruction.args[0]) is int and len(instruction.args) == 1):
        return found  # most instructions
    pending = list(instruction.args)
    while pending:
        match pending.pop():
            case int() | str() | None:
                pass
            case MemArg(_, _, memory):
                found.append(memory)
            case Catch(_, tag, _):
                if tag is not None:
                    found.append(tag)
            case Handler(tag, _):
                found.append(tag)
            case IndexOf(item):
                found.append(item)
            case tuple() as parts:
                pending.extend(parts)
            case other:
                found.append(other)
    return found
