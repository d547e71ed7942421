"""What a verifier finds: problems with their places; and what notes say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from meld.diagnostics import MeldError, Span
from meld.ir.component import Component
from meld.ir.module import Item, Module
from meld.ir.notes import Note
from meld.ir.types import TypeDef
from meld.support.records import record


@record(frozen=True)
class Problem:
    """One thing that is wrong with a program.

    Attributes:
        message: what is wrong, one sentence without a full stop.
        where: in which item of which module or component: ``function $f``; empty for the program itself.
        item: the item, definition or note that it is about, if there is one.
        instruction: the number of the instruction in the body, from 0, if it is about one.
        span: where in the text, if the program came from text.
        hint: what to do about it.
    """

    message: str
    where: str = ""
    item: Any = None
    instruction: int | None = None
    span: Span | None = None
    hint: str | None = None

    @property
    def place(self) -> str:
        """`where` with the number of the instruction."""
        return self.where if self.instruction is None else f"{self.where}, instruction {self.instruction}"

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.where else self.message

    def error(self) -> MeldError:
        """The problem as an error, for those who stop at the first."""
        if self.span is None:
            return MeldError(self.message, where=self.place or None, hint=self.hint)
        return MeldError(str(self), span=self.span, hint=self.hint)


def held(value: Any) -> Iterator[Any]:
    """The notes and the objects that a field of a note refers to, at any depth of a type or of canonical options."""
    pending = [value]
    while pending:
        match pending.pop():
            case Note() | Item() | TypeDef() as found:
                yield found
            case tuple() | list() as parts:
                pending += reversed(parts)
            case part if is_dataclass(part) and not isinstance(part, type) and not hasattr(part, "notes"):
                pending += [getattr(part, f.name) for f in reversed(fields(part))]
            case part:
                if hasattr(part, "notes"):
                    yield part


def referred(note: Note) -> Iterator[tuple[str, Any]]:
    """What a note refers to, each with the name of the field."""
    for f in fields(note):
        if "kind" in f.metadata:
            for value in held(getattr(note, f.name)):
                yield f.name.replace("_", "-"), value


def own_problems(note: Note, holder: Any, program: Component | Module) -> Iterator[str]:
    """What a note says is wrong with it; also if it cannot even say that."""
    try:
        yield from note.problems(holder, program)
    except MeldError as e:
        yield e.message
