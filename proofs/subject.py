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
from meld.ir.types import Limits
from meld.passes.emit_bridge import TEMPLATES, Layout, few
from meld.passes.emit_bridge import __name__ as PACKAGE
from meld.rewriting.splice import splice
from meld.rewriting.template import template_text
from meld.text.reading.program import parse_module

OPERATIONS = ("new", "read", "write", "cancel_read", "cancel_write", "drop_readable", "drop_writable")

WORDS = ("wr", "rd", "key", "state")
"""The words of a header, in the order in which they stand. A future has `wr` set once it is resolved."""
HEADER = 4 * len(WORDS)
FOCUS = "focus"
"""In place of a slot's number: the slot that the handle names."""
Word = tuple[int | str, str]
"""A header word: slot and name."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The parameters of a template: layout, element sizes, page size of the caller's memory as a power of two.

    `kind` is ``stream`` or ``future``. `whole` and `unit` are about streams, `size` is that of the value of a future;
    `value` is the room for one, and 0 if there are no futures. `base` is where the cluster's region begins.
    """

    slots: int = 8
    ring: int = 4096
    whole: int = 1
    unit: int = 1
    page_bits: int = 16
    kind: str = "stream"
    size: int = 0
    value: int = 0
    base: int = 0
    simd: bool = True

    @property
    def layout(self) -> Layout:
        return Layout(self.slots, self.ring, self.value, self.base)

    @property
    def operations(self) -> tuple[str, ...]:
        """The names of the shims."""
        return tuple(f"{self.kind}_{name}" for name in OPERATIONS)

    @property
    def headers(self) -> int:
        """Number of headers, a power of two."""
        return 1 << self.layout.slot_bits

    @property
    def first_header(self) -> int:
        """Offset of the first header in the bridge memory."""
        return self.base if self.kind == "stream" else self.layout.futures

    @property
    def room(self) -> int:
        """Bytes that a slot has for what is streamed."""
        return self.ring if self.kind == "stream" else self.value

    @property
    def first_room(self) -> int:
        """Offset of what is streamed through the first slot."""
        return self.layout.rings if self.kind == "stream" else self.layout.values

    def params(self) -> dict[str, Any]:
        """The parameters of the template."""
        own = {"whole": self.whole, "unit": self.unit, "size": self.size, "page_bits": self.page_bits}
        own |= few(self.simd)
        return self.layout.params(self.kind) | own

    def text(self) -> str:
        """The template of this shape."""
        return template_text(PACKAGE, TEMPLATES[self.kind], self.params())

    def __str__(self) -> str:
        text = f"{self.kind}s, {self.slots} slots, "
        if self.kind == "stream":
            text += f"ring of {self.ring}, whole {self.whole}, unit {self.unit}"
        else:
            text += f"values of {self.size} in {self.value}"
        if self.base:
            text += f", a cluster from {self.base:#x}"
        text += "" if self.simd else ", without SIMD"
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
    shims = parse_module(shape.text() if text is None else text, TEMPLATES[shape.kind])
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
    program.exports += [Export(str(f.name), f) for f in program.functions if f.name in shape.operations]
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
    assert set(subject.functions) == set(shape.operations), sorted(subject.functions)
    return subject
