"""Copies of elements of streams and futures, and of messages, where copying bytes is not enough.

Here only imports are made: each copy is one with a note (`meld.notes.channels.ElementCopy`), in whose place
`adapter-wiring` puts a function that lifts and lowers.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

from meld.abi.layout import Layouts
from meld.abi.options import Options
from meld.abi.types import Type
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.module import Function, ImportName, Module
from meld.ir.types import I32, ValType
from meld.notes.boundaries import BOUNDARY_MODULE, CanonCall
from meld.notes.channels import ElementCopy
from meld.rewriting.state import State
from meld.support.records import record

MOST_COPIES = 1_024
"""Copies of a program: one for each pair of instances that may write and read, of each type of elements."""


@record()
class ElementCopies:
    """The copies that a program needs, each made once."""

    module: Module
    state: State
    _made: dict[Any, Function] = field(default_factory=dict)

    def between(self, element: Type, writer: CanonCall, reader: CanonCall) -> Function:
        """``(from, to, count)``: of elements, from the memory of one built-in to that of another."""
        return self._copy(ElementCopy(element, writer.instance, reader.instance, writer.options, reader.options))

    def message_in(self, call: CanonCall) -> Function:
        """``(address, length, to)``: of a string of an instance, whose copy is noted at an address of the state."""
        return self._copy(ElementCopy(c.Prim.STRING, call.instance, call.instance, call.options, self._kept, flat=True))

    def message_out(self, call: CanonCall) -> Function:
        """``(from, to, 1)``: of a string that is noted at an address of the state, to an instance."""
        return self._copy(ElementCopy(c.Prim.STRING, call.instance, call.instance, self._kept, call.options))

    def from_host(self, element: Type, reader: CanonCall, host: Options) -> Function:
        """The same from where the host has written them."""
        note = ElementCopy(element, reader.instance, reader.instance, host, reader.options, host="writer")
        return self._copy(note)

    def to_host(self, element: Type, writer: CanonCall, lift: Options, host: Options, mode: str) -> Function:
        """The same to where the host will read them; `lift` says where they come from, `mode` as in the note."""
        note = ElementCopy(element, writer.instance, writer.instance, lift, host, host="reader", mode=mode)
        return self._copy(note)

    @property
    def _kept(self) -> Options:
        return Options(memory=self.state.memory, realloc=self.state.function("message_realloc"))

    def _copy(self, note: ElementCopy) -> Function:
        key = (note.type, note.writer, note.reader, _of(note.lift), _of(note.lower), note.flat, note.host, note.mode)
        if key not in self._made:
            if len(self._made) >= MOST_COPIES:
                raise MeldError(
                    f"the streams and futures of the program need more than {MOST_COPIES} copies of elements that hold "
                    "pointers or handles, one for each pair of instances that may write and read",
                    hint="pass such values in calls, or use streams of numbers or of records of numbers",
                )
            params: tuple[ValType, ...] = (*Layouts().of(note.type).flat, I32) if note.flat else (I32, I32, I32)
            name = f"{note.writer.name}->{note.reader.name}/elements"
            made = Function(
                self.module.func_type(params), name=name, imported=ImportName(BOUNDARY_MODULE, name), notes=[note]
            )
            self.module.imports.append(made)
            self._made[key] = made
        return self._made[key]


def _of(options: Options) -> tuple[Any, ...]:
    """The options that decide how elements are copied."""
    return options.encoding, options.memory, options.realloc
