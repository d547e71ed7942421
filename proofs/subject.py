"""What is proved: a small fused program with the shims of one instance, as bytes, and those bytes read back.

The program is made the way `emit-bridge` makes it: the template with the parameters of a layout, spliced into a module,
encoded. Only the exports are added, so that a test can call each shim and set the bridge memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from meld.binary.reader import read_module
from meld.binary.writer import write_module
from meld.ir.module import CoreItem, Export, Function, ImportName, Memory, Module
from meld.ir.parser import parse_module
from meld.ir.splice import splice
from meld.ir.types import Limits
from meld.passes.emit_bridge import Layout
from meld.passes.template import template_text

TEMPLATE = "emit_bridge.wat"
SHIMS = (
    "stream_new",
    "stream_read",
    "stream_write",
    "stream_cancel_read",
    "stream_cancel_write",
    "stream_drop_readable",
    "stream_drop_writable",
)

WORDS = ("wr", "rd", "key", "state")
"""The words of a header, in the order in which they stand."""
HEADER = 4 * len(WORDS)
FOCUS = "focus"
"""In place of a slot's number: the slot that the handle names."""
Word = tuple[int | str, str]
"""A header word: slot and name."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The parameters of a template: layout, element sizes, page size of the caller's memory as a power of two."""

    slots: int = 8
    ring: int = 4096
    whole: int = 1
    unit: int = 1
    page_bits: int = 16

    @property
    def layout(self) -> Layout:
        return Layout(self.slots, self.ring)

    def params(self) -> dict[str, Any]:
        """The parameters of the template."""
        return self.layout.params() | {"whole": self.whole, "unit": self.unit, "page_bits": self.page_bits}

    def text(self) -> str:
        """The template of this shape."""
        return template_text(TEMPLATE, self.params())

    def __str__(self) -> str:
        text = f"{self.slots} slots, ring of {self.ring}, whole {self.whole}, unit {self.unit}"
        return text if self.page_bits == 16 else f"{text}, pages of {1 << self.page_bits}"


@dataclass(slots=True)
class Subject:
    """A program as bytes, and what its bytes say: functions by export name, both memories."""

    shape: Shape
    binary: bytes
    functions: dict[str, Function] = field(default_factory=dict)
    bridge: Memory = field(default_factory=lambda: Memory(Limits(0)))
    memory: Memory = field(default_factory=lambda: Memory(Limits(0)))


def build(shape: Shape, text: str | None = None) -> Subject:
    """The program of a shape; `text` stands for the template if it is to be another one (a mutant)."""
    shims = parse_module(shape.text() if text is None else text, TEMPLATE)
    program = Module(name="proof")
    bindings: dict[CoreItem, CoreItem] = {}
    for item in shims.imports:
        assert item.imported is not None
        match item.imported, item:
            case ImportName("host", name), Function():
                bindings[item] = Function(item.type, name=f"host.{name}", imported=item.imported)
            case ImportName("meld", "bridge"), Memory():
                bindings[item] = Memory(Limits(shape.layout.pages, shape.layout.pages), name="bridge")
            case ImportName("meld", "memory"), Memory():
                log2 = None if shape.page_bits == 16 else shape.page_bits
                bindings[item] = Memory(Limits(0, page_size_log2=log2), name="memory")
            case other, _:
                raise AssertionError(f"the template imports {other}")
        program.add(bindings[item])
    splice(shims, program, bindings)
    program.exports += [Export(str(f.name), f) for f in program.functions if f.name in SHIMS]
    program.exports += [Export(str(item.name), item) for item in program.memories]
    binary = write_module(program)
    return read(shape, binary)


def read(shape: Shape, binary: bytes) -> Subject:
    """The bytes, read back."""
    subject = Subject(shape, binary)
    for export in read_module(binary, "proof").exports:
        match export.name, export.item:
            case "bridge", Memory() as memory:
                subject.bridge = memory
            case "memory", Memory() as memory:
                subject.memory = memory
            case name, Function() as function:
                subject.functions[name] = function
            case name, other:
                raise AssertionError(f"export {name} is a {type(other).__name__}")
    assert set(subject.functions) == set(SHIMS), sorted(subject.functions)
    return subject
