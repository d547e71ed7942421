"""Generated code as one WAT module, which imports by name what it uses of the program, and is spliced into it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import field

from meld.abi.traps import Trap, trap_function
from meld.ir.module import CoreItem, Function, Global, Memory, Module, Table
from meld.ir.types import FuncType, NumType, ValType
from meld.rewriting.splice import splice
from meld.rewriting.template import Prepared, generated
from meld.support.records import record
from meld.text.literals import identifier


@record()
class Text:
    """A module being written. Names begin with ``$``.

    Attributes:
        module: the program that it will be spliced into.
        kind: what the items are, for attribution (`Item.synthetic`).
        parts: the functions and globals so far.
    """

    module: Module
    kind: str
    parts: list[str] = field(default_factory=list)
    _kinds: dict[str, str] = field(default_factory=dict)
    _used: dict[CoreItem, str] = field(default_factory=dict)
    _given: dict[str, CoreItem] = field(default_factory=dict)

    def use(self, item: CoreItem) -> str:
        """The name of an item of the program."""
        if item not in self._used:
            self.give(f"$p{len(self._used)}", item)
        return self._used[item]

    def give(self, name: str, item: CoreItem) -> None:
        """Makes an item of the program known under a name."""
        self._used.setdefault(item, name)
        self._given[name] = item

    def trap(self, reason: Trap) -> str:
        """The name of the function that traps for a reason: ``[] → []``."""
        return self.use(trap_function(self.module, reason))

    def add(self, text: str, part: str = "") -> None:
        """Adds functions or globals, with ``{trap REASON}`` for the function that traps.

        Args:
            part: of the kind, what the functions belong to; their kind is ``kind-part``.
        """
        if part:
            self._kinds |= dict.fromkeys(re.findall(r"\(func \$([^\s()]+)", text), f"{self.kind}-{part}")
        self.parts.append(re.sub(r"\{trap (\w+)\}", lambda match: self.trap(Trap[match[1]]), text))

    def function(self, name: str, shape: FuncType, body: str) -> None:
        """Adds an exported function: locals and instructions; its parameters have numbers."""
        self.add(f'  (func {identifier(name)} (export "{name}"){signature(shape)} {body})')

    def place(self, prepared: Prepared | None = None) -> dict[str, CoreItem]:
        """Adds what was written to the program, `prepared` first; what was exported, by name."""
        if not self.parts:
            return {}
        imports = [f'  (import "" "{name[1:]}" {_declared(name, item)})' for name, item in self._given.items()]
        source = generated("\n".join(["(module", *imports, *self.parts]) + ")\n", self.kind, prepared)
        bindings = dict(zip(source.imports, self._given.values(), strict=True))
        spliced = splice(source, self.module, bindings, synthetic=self.kind, rename=lambda item: item.name)
        for function in source.functions:
            spliced.new[function].synthetic = self._kinds.get(function.name or "", self.kind)
        return spliced.exports


def _declared(name: str, item: CoreItem) -> str:
    match item:
        case Function():
            return f"(func {name}{signature(item.signature)})"
        case Memory():
            page = item.limits.page_size_log2
            pages = "" if page is None else f" (pagesize {1 << page})"
            return f"(memory {name} {'i64 ' if item.limits.is64 else ''}0{pages})"
        case Table():
            return f"(table {name} {'i64 ' if item.limits.is64 else ''}0 funcref)"
        case Global(type=NumType() as core):
            return f"(global {name} (mut {core.value}))"
    raise AssertionError(f"nothing generated uses {item}")


def signature(shape: FuncType) -> str:
    """`` (param …) (result …)``, of number types."""
    return types("param", shape.params) + types("result", shape.results)


def types(keyword: str, listed: Iterable[ValType]) -> str:
    """`` (keyword …)``, of number types; empty if there are none."""
    names = [t.value for t in listed if isinstance(t, NumType)]
    return f" ({keyword} {' '.join(names)})" if names else ""


def calls(name: str, shape: FuncType) -> str:
    """A call of a function with the parameters of the one around it."""
    return f"(call {name}{''.join(f' (local.get {i})' for i in range(len(shape.params)))})"
