"""The adapters of a program while they are being written, as functions in WAT.

Adapters and their helpers refer by name to each other and to the items of the program that they use. A helper (the copy
of a list of some type between two memories, say) is written on first use and shared from then on. Functions
that differ only in what they refer to have one shape, and a shape is parsed once (`AdapterModule.finish`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from functools import cache
from graphlib import TopologicalSorter
from typing import Any

from meld.abi.layout import Kind, Layout, Layouts, pointer_of
from meld.abi.options import Options
from meld.abi.traps import IN_CALLS, IN_ELEMENTS, Trap, trap_text
from meld.abi.traps import KIND as TRAP
from meld.ir.module import CoreItem, Function, Global, Memory
from meld.ir.notes import Instance
from meld.ir.types import I32, I64, FuncType, NumType, ValType
from meld.passes.adapter_wiring.code_budget import CodeBudget
from meld.support.packaged import packaged
from meld.support.records import record

Params = Mapping[str, str | Callable[[], str]]
"""The text for each ``{param}`` of a piece, or a function that returns it: called at each use, it may write helpers."""


@record(frozen=True)
class Side:
    """One side of a boundary, as code generation sees it. Names are those of the text, with their dollar sign.

    Attributes:
        instance: the component instance.
        memory, realloc: the memory and the plain `realloc` (`AdapterModule.realloc` checks it), if the side has them.
        pointer: type of its addresses.
        encoding: of its strings.
    """

    instance: Instance
    memory: str | None
    realloc: str | None
    pointer: NumType
    encoding: str


@record()
class Body:
    """A function being written: plain control instructions, folded expressions."""

    params: list[tuple[str, NumType]]
    results: tuple[NumType, ...] = ()
    lines: list[str] = field(default_factory=list)
    locals: list[tuple[str, NumType]] = field(default_factory=list)
    depth: int = 2
    labels: int = 0

    def local(self, core: NumType) -> str:
        """A new local; returns its name."""
        name = f"$v{len(self.locals)}"
        self.locals.append((name, core))
        return name

    def label(self) -> str:
        """A new label."""
        self.labels += 1
        return f"$l{self.labels}"

    def emit(self, line: str) -> None:
        """Writes one line."""
        self.lines.append("  " * self.depth + line)

    def trap_if(self, condition: str, trap: str) -> None:
        """Traps where an i32 is not zero, by the name that `AdapterModule.trap` gave."""
        self.emit(condition)
        with self.block("if"):
            self.trap(trap)

    def trap(self, trap: str) -> None:
        """Traps, by the name that `AdapterModule.trap` gave."""
        self.emit(f"call {trap}")
        self.emit("unreachable")

    @contextmanager
    def block(self, opener: str) -> Iterator[None]:
        """``block``, ``loop`` or ``if`` up to its ``end``."""
        self.emit(opener)
        self.depth += 1
        yield
        self.depth -= 1
        self.emit("end")

    def text(self, name: str) -> str:
        """The function as WAT."""
        head = f"  (func {name}"
        head += "".join(f" (param {p} {core.value})" for p, core in self.params)
        head += "".join(f" (result {core.value})" for core in self.results)
        declared = [f"    (local {p} {core.value})" for p, core in self.locals]
        return "\n".join([head, *declared, *self.lines]) + ")"


@record(frozen=True)
class Shape:
    """A function as a module of its own that imports what the function refers to.

    Attributes:
        name: the function's name among the items.
        text: the module, the same for all functions of the shape.
        uses: the names of the items that its imports stand for, in order.
    """

    name: str
    text: str
    uses: tuple[str, ...]


KIND_OF_HELPER = {
    "string": "transcode",
    "strings": "transcode",
    "transcode": "transcode",
    "run": "transcode",
    "list": "memory-copy",
    "elements": "memory-copy",
    "copy": "memory-copy",
    "bytes": "memory-copy",
    "trap": TRAP,
}
"""The kind of a helper (`Item.synthetic`), by the first part of its key; helpers of other keys are `adapter`."""

ALIKE = frozenset({"trap", "bytes", "strings"})
"""Helpers that are the same for values of calls and for elements of streams and futures: what they trap with is."""


@record()
class AdapterModule:
    """A module of adapters in text, and the names in it: items of the program, helpers, adapters.

    Attributes:
        bound: name in the text → the item of the program that it stands for.
        names: name in the text → name of the function in the program.
        kinds: name in the text → what kind of thing the function is, where it is not an adapter or a part of one.
        layouts: the layouts for 32- and 64-bit memories.
        code: how much of it is still allowed.
        simd: whether strings and lists are copied by SIMD.
        of_elements: whether what is written carries elements of streams and futures, whose traps have other words.
    """

    bound: dict[str, CoreItem] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    layouts: dict[NumType, Layouts] = field(default_factory=lambda: {I32: Layouts(I32), I64: Layouts(I64)})
    _memories: dict[str, Memory] = field(default_factory=dict)
    _declarations: dict[str, Callable[[str], str]] = field(default_factory=dict)
    _import_names: dict[int, str] = field(default_factory=dict)
    _helpers: dict[Any, str] = field(default_factory=dict)
    _pending: list[tuple[str, Callable[[str], str], bool]] = field(default_factory=list)
    _functions: dict[str, str] = field(default_factory=dict)
    _kinds: dict[int, set[Kind]] = field(default_factory=dict)  # by id of layouts, which `layouts` keeps alive
    code: CodeBudget = field(default_factory=CodeBudget)
    simd: bool = True
    of_elements: bool = False
    _adapters: int = 0

    def side(self, instance: Instance, options: Options) -> Side:
        """A side of a boundary from its options."""
        memory = options.memory
        pointer = pointer_of(memory is not None and memory.limits.is64)
        if memory is None:
            return Side(instance, None, None, pointer, options.encoding)
        realloc = None if options.realloc is None else self.function(options.realloc)
        return Side(instance, self.memory(memory), realloc, pointer, options.encoding)

    def borrows(self, layout: Layout) -> bool:
        """Whether values of a layout hold borrowed handles."""
        return Kind.BORROW in self._kinds_of(layout)

    def handles(self, layout: Layout) -> bool:
        """Whether values of a layout hold handles of resources."""
        return not self._kinds_of(layout).isdisjoint({Kind.OWN, Kind.BORROW})

    def _kinds_of(self, layout: Layout) -> set[Kind]:
        known = self._kinds.get(id(layout))
        if known is None:
            known = self._kinds[id(layout)] = layout.kinds()
        return known

    # --- imports ---

    def memory(self, memory: Memory) -> str:
        """The name of a memory of the program."""
        is64 = "i64 " if memory.limits.is64 else ""
        page = memory.limits.page_size_log2
        pages = "" if page is None else f" (pagesize {1 << page})"
        name = self._import(memory, "memory", lambda name: f"(memory {name} {is64}0{pages})")
        self._memories[name] = memory
        return name

    def function(self, function: Function) -> str:
        """The name of a function of the program."""
        return self._import(function, "func", lambda name: f"(func {name}{_signature(function.signature)})")

    def global_(self, item: Global) -> str:
        """The name of a mutable global of the program, of a number type."""
        assert isinstance(item.type, NumType)
        core = item.type.value
        return self._import(item, "global", lambda name: f"(global {name} (mut {core}))")

    def _import(self, item: CoreItem, stem: str, declare: Callable[[str], str]) -> str:
        name = self._import_names.get(id(item))
        if name is None:
            key = f"{stem}.{len(self.bound)}"
            name = self._import_names[id(item)] = f"${key}"
            self.bound[key] = item
            self._declarations[key] = declare
        return name

    # --- helpers ---

    def helper(self, key: tuple[Any, ...], stem: str, make: Callable[[str], str]) -> str:
        """The helper for a key. `make` writes its text, given its name; later, so that types may nest deep."""
        known = (key, self.of_elements and key[0] not in ALIKE)
        name = self._helpers.get(known)
        if name is None:
            name = self._helpers[known] = f"${stem}.{len(self._helpers)}"
            self.names[name[1:]] = f"adapter.{name[1:]}"
            if key[0] in KIND_OF_HELPER:
                self.kinds[name[1:]] = KIND_OF_HELPER[key[0]]
            self._pending.append((name, make, self.of_elements))
        return name

    @contextmanager
    def carrying(self, *, elements: bool) -> Iterator[None]:
        """What is written meanwhile, and its helpers, carry elements of streams and futures, or values of calls."""
        before, self.of_elements = self.of_elements, elements
        yield
        self.of_elements = before

    def helpers_of(self, *kinds: str) -> Iterator[str]:
        """The names of the helpers whose keys begin with one of some words, without the dollar sign."""
        return (name[1:] for (key, _), name in self._helpers.items() if key[0] in kinds)

    def add(self, body: Body, final_name: str) -> str:
        """Adds an adapter; returns its name in the text, without the dollar sign."""
        name = f"adapter.{self._adapters}"
        self._adapters += 1
        self._functions[name] = body.text(f"${name}")
        self.names[name] = final_name
        return name

    def finish(self) -> list[Shape]:
        """All functions, each behind those that it calls."""
        while self._pending:
            name, make, of_elements = self._pending.pop()
            with self.carrying(elements=of_elements):
                self._functions[name[1:]] = make(name)
        shapes = {name: self._shape(name, text) for name, text in self._functions.items()}
        order = TopologicalSorter({name: [u for u in shape.uses if u in shapes] for name, shape in shapes.items()})
        return [shapes[name] for name in order.static_order()]

    def _shape(self, own: str, text: str) -> Shape:
        numbers: dict[str, int] = {}

        def renamed(match: re.Match[str]) -> str:
            name = match[1]
            if name == own:
                return f"${SHAPED}"
            if name not in self.bound and name not in self._functions:
                return match[0]
            return f"${numbers.setdefault(name, len(numbers))}"

        text = _GLOBAL_NAME.sub(renamed, text)
        imports = [f'  (import "" "{n}" {self._declaration(name)(f"${n}")})' for name, n in numbers.items()]
        return Shape(own, "\n".join(["(module", *imports, text]) + ")\n", tuple(numbers))

    def _declaration(self, name: str) -> Callable[[str], str]:
        declaration = self._declarations.get(name)
        if declaration is None:
            head = _HEAD.match(self._functions[name])
            assert head is not None
            signature = head[1]
            declaration = self._declarations[name] = lambda shown: f"(func {shown}{signature})"
        return declaration

    def piece(self, template: str, name: str, params: Params, nested: Callable[[str], str] | None = None) -> str:
        """A function of the `.wat` files beside this one under the given name, each ``{param}`` replaced.

        Args:
            nested: the name of another piece, where a parameter names one.
        """
        text = _pieces(self.simd)[template].replace(f"(func ${template} ", f"(func {name} ", 1)
        text = re.sub(r"\{trap (\w+)\}", lambda match: self.trap(Trap[match[1]]), text)

        def value(match: re.Match[str]) -> str:
            key = match[1]
            if nested is not None and key not in params:
                return nested(key)
            found = params[key]
            return found if isinstance(found, str) else found()

        return re.sub(r"\{(\w+)\}", value, text)

    def trap(self, reason: Trap) -> str:
        """The name of the function that traps for a reason, or for what it is called here: ``[] → []``."""
        reason = (IN_ELEMENTS if self.of_elements else IN_CALLS).get(reason, reason)
        name = self.helper(("trap", reason), f"trap.{reason.name.lower()}", trap_text)
        self.names[name[1:]] = reason.value
        return name

    # --- checks on memories and allocation ---

    def check_range(self, memory: str, reason: Trap) -> str:
        """``(ptr, bytes)``: traps for a reason unless the range lies in the memory (by its name in the text)."""
        limits = self._memories[memory].limits
        page = 1 << (16 if limits.page_size_log2 is None else limits.page_size_log2)
        template = f"check_range_{pointer_of(limits.is64).value}"
        return self.helper(
            ("range", memory, reason),
            "range",
            lambda name: self.piece(
                template, name, {"memory": memory, "page": str(page), "outside": self.trap(reason)}
            ),
        )

    def range_check(self, memory: str, ptr: str, size: str, reason: Trap) -> str:
        """The same in place: a statement. Of 32-bit memories, `size` being an expression of 32 bits."""
        limits = self._memories[memory].limits
        if limits.is64:
            return f"(call {self.check_range(memory, reason)} {ptr} {size})"
        page = 1 << (16 if limits.page_size_log2 is None else limits.page_size_log2)
        end = f"(i64.add (i64.extend_i32_u {ptr}) (i64.extend_i32_u {size}))"
        whole = f"(i64.mul (i64.extend_i32_u (memory.size {memory})) (i64.const {page}))"
        return f"(if (i64.gt_u {end} {whole}) (then (call {self.trap(reason)}) (unreachable)))"

    def of_realloc(self, reason: Trap) -> Trap:
        """The reason for which a `realloc` traps whose result is out of bounds, where that of a call is given."""
        return Trap.REALLOC_RANGE if self.of_elements else reason

    def realloc(self, side: Side, reason: Trap) -> str:
        """``(old, old bytes, align, bytes) → ptr``: `realloc`; traps for a reason if its result is out of bounds."""
        assert side.memory is not None and side.realloc is not None
        reason = self.of_realloc(reason)
        params = {
            "p": side.pointer.value,
            "function": side.realloc,
            "in_range": self.range_check(side.memory, "(local.get $ptr)", "(local.get $bytes)", reason),
        }
        return self.helper(
            ("realloc", side.memory, side.realloc, reason), "realloc", lambda own: self.piece("realloc", own, params)
        )

    def check_char(self, char: str) -> str:
        """Traps unless an expression without effects is a Unicode scalar value: see `$copy_chars` of `lists.wat`."""
        rank = f"(i32.sub (i32.xor {char} (i32.const 0xd800)) (i32.const 0x800))"
        return f"(if (i32.ge_u {rank} (i32.const 0x10f800)) (then (call {self.trap(Trap.CHAR)}) (unreachable)))"

    # --- bytes ---

    def copy_bytes(self, source: Side, target: Side) -> str:
        """``(to, from, bytes)``: copies bytes from one memory to the other; both ranges are known to be in bounds."""
        p, q = source.pointer, target.pointer
        assert source.memory is not None and target.memory is not None
        params = {
            "p": p.value,
            "q": q.value,
            "from": source.memory,
            "to": target.memory,
            "size": converted("(local.get $size)", p, I64 if p is q is I64 else I32),
            "last": converted("(local.get $last)", p, q),
        }
        key = ("bytes", source.memory, target.memory)
        return self.helper(key, "bytes", lambda name: self.piece("copy_bytes", name, params))


def converted(expr: str, have: NumType, want: NumType) -> str:
    """An address or a length of one width as one of another; narrowing is for what is known to fit."""
    if have is want:
        return expr
    return f"(i64.extend_i32_u {expr})" if want is I64 else f"(i32.wrap_i64 {expr})"


def _signature(shape: FuncType) -> str:
    def name(t: ValType) -> str:
        assert isinstance(t, NumType), "a function at a component boundary has number types only"
        return t.value

    return "".join(f" (param {name(t)})" for t in shape.params) + "".join(f" (result {name(t)})" for t in shape.results)


# --- pieces of WAT ---------------------------------------------------------------------------------------------------

SHAPED = "shaped"
"""The name of the function in the text of a shape."""

_GLOBAL_NAME = re.compile(r"\$([\w-]+(?:\.[\w-]+)*\.[0-9]+)")
_HEAD = re.compile(r"\s*\(func \$\S+((?: \((?:param|result)[^()]*\))*)")
_PIECE = re.compile(r"^  \(func \$(\w+)(?:.*\n)*?(?=^$|\Z)", re.MULTILINE)


PIECES = ("adapter.wat", "strings.wat", "wide.wat", "widen.wat", "transcode.wat", "lists.wat")
WITHOUT_SIMD = (*PIECES, "scalar.wat")


@cache
def _pieces(simd: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in PIECES if simd else WITHOUT_SIMD:
        text = packaged(__package__, file)
        found |= {match[1]: match[0].rstrip() for match in _PIECE.finditer(text)}
    return found
