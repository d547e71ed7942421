"""Copies of the elements of streams and futures, where copying bytes does not do.

A rendezvous moves elements from the writer's memory into the reader's. The copy of an element does what a call would
do with a value of its type: it is lifted and lowered, by the same pieces. The messages of error contexts are copied the
same way, into the state memory and out of it.

Source: Component Model, CanonicalABI.md: ReadableBufferGuestImpl, WritableBufferGuestImpl; canon error-context.*.
"""

from __future__ import annotations

from meld.abi.types import show
from meld.diagnostics import MeldError
from meld.ir.notes import Instance
from meld.ir.types import I32
from meld.notes.channels import ElementCopy
from meld.passes.adapter_wiring.adapter_module import Body
from meld.passes.adapter_wiring.call import OUTSIDE
from meld.passes.adapter_wiring.measures import is_nested, measure
from meld.passes.adapter_wiring.values import InMemory, OnStack, Translator
from meld.passes.adapter_wiring.writer import AdapterWriter


def write_element_copy(writer: AdapterWriter, note: ElementCopy, name: str) -> str:
    """Writes the copy that a note describes. Returns its name in the text; the module calls it `name`.

    Raises:
        MeldError: an option is missing that the type needs.
    """
    with writer.adapters.carrying(elements=not note.flat):
        return _written(writer, note, name)


def _written(writer: AdapterWriter, note: ElementCopy, name: str) -> str:
    adapters = writer.adapters
    writing, reading = _sides(note)
    source, target = adapters.side(writing, note.lift), adapters.side(reading, note.lower)
    src, dst = (adapters.layouts[side.pointer].of(note.type) for side in (source, target))
    if dst.allocates and target.realloc is None:
        raise MeldError(f"`{note.reader.name}` reads {show(note.type)} and has no `realloc` for it")
    adapters.code.spend(source.memory, target.memory, (src,), calls=0)
    values = [(f"$p{i}", core) for i, core in enumerate(src.flat)] if note.flat else [("$from", source.pointer)]
    body = Body([*values, ("$to", target.pointer), *([] if note.flat else [("$count", I32)])])
    if dst.allocates:
        writer.set_may_leave(body, reading, False)
    carry = writer.handles.parking(note.mode) if note.mode else writer.handles.carry
    copy = Translator(adapters, body, source, target, carry)
    if note.flat:
        copy.inline(src, OnStack(tuple(values)), dst, InMemory(target, "$to"))
    else:
        end = f"(i32.add (local.get $from) (i32.mul (local.get $count) (i32.const {src.size})))"
        if not note.host and is_nested(src):
            measure(copy, src, "(local.get $from)", end)
        copy.elements(src, dst, "(local.get $from)", end, "(local.get $to)")
    if dst.allocates:
        writer.set_may_leave(body, reading, True)
    return writer.finished(body, name)


MODES = {mode: Instance(name=f"outside, {mode}") for mode in ("note", "park", "release", "restore")}
"""The host as the reader in each mode: helpers are told apart by their sides."""


def _sides(note: ElementCopy) -> tuple[Instance, Instance]:
    """Who writes and who reads."""
    match note.host:
        case "writer":
            return OUTSIDE, note.reader
        case "reader":
            return note.writer, MODES[note.mode]
        case _:
            return note.writer, note.reader
