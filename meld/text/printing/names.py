"""Names in printed text: unique in their space, numbers for what has none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from meld.diagnostics import MeldError
from meld.ir.instructions import IndexSpaces
from meld.ir.module import Item, Module
from meld.ir.notes import Instance, Note, Opaque, Origin, Owner, Ref, Sexp, Symbol, Synthetic, note_to_sexp
from meld.ir.numbering import Numbering
from meld.ir.types import (
    ArrayType,
    ContType,
    FieldType,
    FuncType,
    Limits,
    RefType,
    StorageType,
    StructType,
    TypeDef,
    ValType,
)
from meld.text.literals import identifier, quoted
from meld.text.sexp import annotation_text


class UniqueNames:
    """Gives out names, each once: ``x``, then ``x#2``, ``x#3``, …."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.last: dict[str, int] = {}

    def give(self, name: str) -> str:
        """A name that was not given out before; `name` itself if that can be."""
        wanted = name or "#empty"
        found, count = wanted, self.last.get(wanted, 1)
        while found in self.taken:
            count += 1
            found = f"{wanted}#{count}"
        self.last[wanted] = count
        self.taken.add(found)
        return found


def declaration(unique: str, name: str | None) -> str:
    """A name where it is introduced: ``$x``, or ``$x#2 (@name "x")`` where it had to be changed."""
    return identifier(unique) if unique == name else f"{identifier(unique)} (@name {quoted(name or '')})"


def declarations(names: Mapping[int, str]) -> dict[int, tuple[str, str]]:
    """For numbered names (locals, fields): how each is declared and how it is referred to."""
    unique = UniqueNames()
    found: dict[int, tuple[str, str]] = {}
    for number in sorted(names):
        given = unique.give(names[number])
        found[number] = declaration(given, names[number]), identifier(given)
    return found


class TypeText:
    """Core types as text. What a type definition is called is up to `type_name`."""

    def type_name(self, typedef: TypeDef) -> str:
        """How a type definition is referred to."""
        raise NotImplementedError

    def type(self, t: StorageType) -> str:
        """A value type or a storage type."""
        if not isinstance(t, RefType):
            return str(t.value)
        if isinstance(t.heap, TypeDef):
            heap = self.type_name(t.heap)
        elif t.nullable:
            return _SHORT.get(t.heap.value, f"{t.heap.value}ref")
        else:
            heap = t.heap.value
        return f"(ref null {heap})" if t.nullable else f"(ref {heap})"

    def types(self, word: str, types: Iterable[StorageType]) -> str:
        """``(word type…)`` with a space in front; empty if there are no types."""
        shown = " ".join(self.type(t) for t in types)
        return f" ({word} {shown})" if shown else ""

    def variables(
        self, word: str, types: tuple[ValType, ...], names: dict[int, tuple[str, str]], first: int = 0
    ) -> str:
        """Parameters or locals: those with a name for themselves, the others together."""
        out: list[str] = []
        run: list[ValType] = []
        for number, t in enumerate(types, first):
            if number not in names:
                run.append(t)
                continue
            out.append(self.types(word, run))
            run = []
            out.append(f" ({word} {names[number][0]} {self.type(t)})")
        return "".join(out) + self.types(word, run)

    def field(self, field: FieldType) -> str:
        """The type of a field."""
        return f"(mut {self.type(field.storage)})" if field.mutable else self.type(field.storage)

    def shape(self, typedef: TypeDef) -> str:
        """What a definition says the type is: ``(func …)``, ``(sub $super (struct …))``, …."""
        match typedef.shape:
            case FuncType(params, results):
                written = self.variables("param", params, declarations(typedef.field_names))
                shape = f"(func{written}{self.types('result', results)})"
            case StructType(fields):
                names = declarations(typedef.field_names)
                shown = (f"{names[i][0]} " if i in names else "" for i in range(len(fields)))
                listed = "".join(f" (field {n}{self.field(f)})" for n, f in zip(shown, fields, strict=True))
                shape = f"(struct{listed})"
            case ArrayType(element):
                shape = f"(array {self.field(element)})"
            case ContType(function):
                shape = f"(cont {self.type_name(function)})"
        if typedef.supers or not typedef.final:
            final = " final" if typedef.final else ""
            supers = "".join(f" {self.type_name(t)}" for t in typedef.supers)
            shape = f"(sub{final}{supers} {shape})"
        return shape

    def limits(self, limits: Limits) -> str:
        """The limits of a memory or a table."""
        shown = f"{'i64 ' if limits.is64 else ''}{limits.minimum}"
        if limits.maximum is not None:
            shown += f" {limits.maximum}"
        if limits.shared:
            shown += " shared"
        return shown if limits.page_size_log2 is None else f"{shown} (pagesize {1 << limits.page_size_log2:#x})"

    def globaltype(self, t: ValType, mutable: bool) -> str:
        """The type of a global."""
        return f"(mut {self.type(t)})" if mutable else self.type(t)


class Names(TypeText):
    """What the printed text calls the objects of a module."""

    def __init__(self, module: Module) -> None:
        self.numbering = Numbering(module)
        self.unique: dict[str, dict[Any, str]] = {}
        for space in IndexSpaces.SPACES:
            self.unique[space] = _unique(self.numbering.indices[space])
        given = UniqueNames()
        self.unique["note"] = {note: given.give(note.name or note.tag) for note in module.notes if note.declares}

    def ref(self, space: str, item: Any) -> str:
        """How an object is referred to. MeldError if it is not in the module."""
        name = self.unique[space].get(item)
        return str(self.numbering.index(space, item)) if name is None else identifier(name)

    def declared(self, space: str, item: Any) -> str:
        """The name of an object where it is defined, with a space in front; empty if it has none."""
        name = self.unique[space].get(item)
        return "" if name is None else " " + declaration(name, item.name)

    def sexp(self, space: str, item: Any) -> Sexp:
        """The `NameOf` of the notes."""
        if space == "note" and item not in self.unique["note"]:
            raise MeldError(f"the note `{getattr(item, 'name', None)}` is referred to and is not in the module")
        name = self.unique[space].get(item)
        return Symbol(str(self.numbering.index(space, item))) if name is None else Ref(name)

    def note(self, note: Note) -> str:
        """A note as an annotation."""
        label = note.label if isinstance(note, Opaque) else f"meld.{note.tag}"
        return annotation_text(label, note_to_sexp(note, self.sexp))

    def notes_of(self, item: Item) -> str:
        """The notes of an item, those that its fields stand for included, each with a space in front."""
        found: list[Note] = []
        if item.origin is not None:
            index, module = item.origin
            found.append(Origin(instance=_owner(item), index=index, module=module))
        elif item.owner is not None:
            found.append(Owner(instance=item.owner))
        if item.synthetic is not None:
            found.append(Synthetic(kind=item.synthetic))
        return "".join(f" {self.note(note)}" for note in (*found, *item.notes))

    # --- types ---

    def type_name(self, typedef: TypeDef) -> str:
        """How a type definition is referred to."""
        return self.ref("types", typedef)

    def definition(self, typedef: TypeDef) -> str:
        """``(type $t …)``."""
        notes = "".join(f" {self.note(note)}" for note in typedef.notes)
        return f"(type{self.declared('types', typedef)}{notes} {self.shape(typedef)})"


_SHORT = {
    "none": "nullref",
    "nofunc": "nullfuncref",
    "noextern": "nullexternref",
    "noexn": "nullexnref",
    "nocont": "nullcontref",
}


def _unique(items: Iterable[Any]) -> dict[Any, str]:
    names = UniqueNames()
    return {item: names.give(item.name) for item in items if item.name is not None}


def _owner(item: Item) -> Instance:
    if item.owner is None:
        raise MeldError(f"`{item.name}` has an origin and no owner")
    return item.owner
