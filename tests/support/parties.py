"""Components that stream, made to order, and a driver for what they are fused to.

A party's core module exports each intrinsic it has under ``party_intrinsic``, without the `mem` argument, which it
passes as 0; and ``party_peek`` and ``party_poke``, which read and write a byte of its memory. The memory itself is not
exported: `lower-multi-memory` would refuse two of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, TypeAlias

import wasmtime
from stages import PASSES

import meld
from meld.abi.intrinsics import INTRINSICS, Intrinsic
from meld.ir.module import Export, Global, Memory, Module
from meld.runtime.host import Host
from meld.runtime.instantiate import Running, engine, instantiate

OWN_MEMORY = "(memory $buffer 1)"


class Form(Enum):
    """Whose memory the parties use."""

    OWN = "each its own"
    LOWERED = "each its own, and then lower-multi-memory makes one of them"


class Calls(Enum):
    """How a core module uses what it imports."""

    DIRECT = "call"
    TABLE = "call_indirect, through an element segment"
    GLOBAL_TABLE = "call_indirect, through a table whose elements the start function sets with ref.func"
    REFERENCE = "call_ref of a ref.func"
    REEXPORT = "not at all: it exports the import"


LOWERED_PASSES = ",".join([*PASSES[1:-1], "lower-multi-memory", PASSES[-1]])


@dataclass(frozen=True)
class Party:
    """One component.

    Attributes:
        name: its file's stem, and the prefix of its exports.
        builtins: the canonical built-ins that it declares, each for each of `elements`: ``stream.write``, ….
        elements: element types as text; the empty one is the untyped stream.
        links: names of parties whose core module it imports.
        memory: its memory `$buffer` as text of the core module; the default is one page of its own.
        more: further definitions of the component.
        calls: how its exports get to the intrinsics.
    """

    name: str
    builtins: tuple[str, ...]
    elements: tuple[str, ...] = ("",)
    links: tuple[str, ...] = ()
    memory: str = OWN_MEMORY
    more: str = ""
    calls: Calls = Calls.DIRECT

    def text(self) -> str:
        """The component as text."""
        lines = [f"(component ${self.name}", "  (core type $nothing (module))"]
        lines += [f'  (import "{link}" (core module ${link} (type $nothing)))' for link in self.links]
        lines += [self._core_module()]
        if any(self.elements):
            lines += [
                '  (core module $libc (memory (export "memory") 1)',
                '    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))',
                "  (core instance $libc (instantiate $libc))",
                '  (alias core export $libc "memory" (core memory $memory))',
                '  (alias core export $libc "realloc" (core func $realloc))',
            ]
        for number, element in enumerate(self.elements):
            for kind in dict.fromkeys(builtin.partition(".")[0] for builtin in self.builtins):
                lines.append(f"  (type ${kind}{number} {self._type(kind, element, number, lines)})")
            for builtin in self.builtins:
                kind, _, verb = builtin.partition(".")
                options = " (memory $memory) (realloc $realloc)" if element and verb in ("read", "write") else ""
                lines.append(f"  (core func (canon {builtin} ${kind}{number}{options}))")
        return "\n".join([*lines, self.more, f'  (export "{self.name}" (core module $main)))'])

    @staticmethod
    def _type(kind: str, element: str, number: int, lines: list[str]) -> str:
        if not element.startswith("("):
            return f"({kind} {element})" if element else f"({kind})"
        lines.append(f"  (type $element{number}.{kind} {element})")
        return f"({kind} $element{number}.{kind})"

    def _core_module(self) -> str:
        kinds = {builtin.partition(".")[0] for builtin in self.builtins}
        used = [one for one in INTRINSICS.values() if one.kind.value in kinds]
        lines = ["  (core module $main"]
        for one in used:
            core = " ".join(["(param i32)"] * len(one.params)) + "".join(f" (result {t.value})" for t in one.results)
            lines.append(f"    (type $of_{one.name} (func {core}))")
            lines.append(f'    (import "pulseengine:async" "{one.name}" (func ${one.name} (type $of_{one.name})))')
        lines.append(f"    {self.memory}")
        names = " ".join(f"${one.name}" for one in used)
        match self.calls:
            case Calls.TABLE:
                lines.append(f"    (table $calls funcref (elem {names}))")
            case Calls.GLOBAL_TABLE:
                sets = "".join(f"(table.set $calls (i32.const {i}) (ref.func ${u.name}))" for i, u in enumerate(used))
                lines += [f"    (table $calls {len(used)} funcref)", f"    (elem declare func {names})"]
                lines += [f"    (func $start {sets})", "    (start $start)"]
            case Calls.REFERENCE:
                lines.append(f"    (elem declare func {names})")
            case Calls.DIRECT | Calls.REEXPORT:
                pass
        lines += [self._export(number, one) for number, one in enumerate(used)]
        peek = f'(func (export "{self.name}_peek") (param i32) (result i32) (i32.load8_u (local.get 0)))'
        poke = f'(func (export "{self.name}_poke") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))'
        return "\n".join([*lines, f"    {peek}", f"    {poke}", "  )"])

    def _export(self, number: int, one: Intrinsic) -> str:
        """What leads from an export of the core module to an intrinsic."""
        shown = [p for p in one.params if p != "mem"]
        operands = " ".join(f"(local.get {i})" for i in range(len(shown))) + " (i32.const 0)" * ("mem" in one.params)
        match self.calls:
            case Calls.DIRECT:
                call = f"(call ${one.name} {operands})"
            case Calls.TABLE | Calls.GLOBAL_TABLE:
                call = f"(call_indirect $calls (type $of_{one.name}) {operands} (i32.const {number}))"
            case Calls.REFERENCE:
                call = f"(call_ref $of_{one.name} {operands} (ref.func ${one.name}))"
            case Calls.REEXPORT:
                return f'    (export "{self.name}_{one.name}" (func ${one.name}))'
        core = " ".join(["(param i32)"] * len(shown)) + "".join(f" (result {t.value})" for t in one.results)
        return f'    (func (export "{self.name}_{one.name}") {core} {call})'


def files(parties: Sequence[Party], directory: Path) -> list[Path]:
    """The parties as text files, in order."""
    paths = []
    for party in parties:
        path = directory / f"{party.name}.wat"
        path.write_text(party.text())
        paths.append(path)
    return paths


class Fused:
    """Parties compiled to one module, and running."""

    def __init__(
        self,
        parties: Sequence[Party],
        directory: Path,
        stop_after: str | None = None,
        *,
        form: Form = Form.OWN,
        passes: str | None = None,
        given: dict[tuple[str, str], Any] | None = None,
        **host: Any,
    ) -> None:
        store = wasmtime.Store(engine())
        given = dict(given or {})
        match form:
            case Form.OWN:
                pass
            case Form.LOWERED if stop_after is not None:  # this pass, and then at once to one memory
                passes = ",".join(PASSES[1 : PASSES.index(stop_after) + 1]) + ",lower-multi-memory"
                stop_after = None
            case Form.LOWERED:
                passes = LOWERED_PASSES if passes is None else f"{passes},lower-multi-memory"
        self.module: Module = meld.compile(files(parties, directory), passes=passes, stop_after=stop_after)
        self.host = Host(**{"limit": 4096, **host})
        regions = {f"region:{g.name}": g for g in self.module.globals if g.synthetic == "memory-region"}
        shown = replace(self.module, exports=[*self.module.exports, *(Export(n, g) for n, g in regions.items())])
        self.running: Running = instantiate(meld.encode(shown), self.host, given, store=store)

    def __getattr__(self, name: str) -> Any:
        """``fused.a_stream_read(handle, ptr, len)`` calls that export."""
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args: self.call(name, *args)

    def call(self, name: str, *args: Any) -> Any:
        """Calls an export. One that is an intrinsic itself, re-exported, is given its memory: number 0."""
        wanted = len(self.running.signature(name).params)
        return self.running.call(name, *args, *[0] * (wanted - len(args)))

    def new(self, party: str, kind: str = "stream") -> tuple[int, int]:
        """A new stream or future of a party: its readable and its writable end."""
        pair = self.call(f"{party}_{kind}_new")
        return pair & 0xFFFF_FFFF, pair >> 32 & 0xFFFF_FFFF

    def memory(self, party: str) -> memoryview:
        """A party's memory. Valid until a memory grows."""
        name = f"{party}/buffer"
        regions = {g.name: g for g in self.module.globals if g.synthetic == "memory-region"}
        if f"{name}.base" in regions:
            base, size = (self._global(regions[f"{name}.{what}"]) for what in ("base", "size"))
            return self.running.memory(0)[base : base + size * 65536]
        memories: list[Memory] = self.module.space("memories")
        named = [i for i, m in enumerate(memories) if m.name == name]
        imported = [i for i, m in enumerate(memories) if m.imported]  # the one that all share
        return self.running.memory((named or imported)[0])

    def _global(self, item: Global) -> int:
        found = self.running.instance.exports(self.running.store)[f"region:{item.name}"]
        return int(found.value(self.running.store)) & 0xFFFF_FFFF

    def send(self, party: str, handle: int, data: bytes, at: int = 64) -> int:
        """Lets a party write bytes into a stream; what was accepted."""
        self.memory(party)[at : at + len(data)] = data
        return int(self.call(f"{party}_stream_write", handle, at, len(data)))

    def receive(self, party: str, handle: int, length: int, at: int = 32768) -> bytes | int:
        """Lets a party read from a stream; the bytes, or the code if there are none."""
        count = int(self.call(f"{party}_stream_read", handle, at, length))
        return bytes(self.memory(party)[at : at + count]) if count > 0 else count


Fuse: TypeAlias = Callable[..., Fused]
"""What the fixture `fuse` is: `Fused` with a directory and a form."""
