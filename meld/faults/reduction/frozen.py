"""Programs as bytes, with all that they have: notes, names, places, decoded and encoded bodies.

Reduction keeps the best program like this: a copy is made many times faster than from text, and whole, unlike from a
binary. Objects that are compared by identity refer to each other in circles and in long chains, so each is pickled by
itself, and others refer to it by its number.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any

from meld.binary.section import CodeSection
from meld.diagnostics import Source
from meld.passes.base import Program

SHARED = (CodeSection, Source)
"""What is never changed, and large: all copies in a process have the same."""


class Frozen:
    """Copies programs by way of bytes; `shared` are the parts that all copies have in common."""

    def __init__(self, shared: list[Any] | None = None) -> None:
        self.shared: list[Any] = shared if shared is not None else []
        self._numbers = {id(one): number for number, one in enumerate(self.shared)}

    def freeze(self, program: Program) -> bytes:
        """A program as bytes. Raises TypeError or AttributeError if a plugin put something into it that has no form."""
        out = io.BytesIO()
        writer = _Writer(out, self)
        writer.number(program)
        done = 0
        while done < len(writer.nodes):
            node = writer.nodes[done]
            writer.dump([getattr(node, name, None) for name in _slots(type(node))])
            done += 1
        head = pickle.dumps([type(node) for node in writer.nodes], protocol=5)
        return b"".join((len(head).to_bytes(4, "little"), head, out.getvalue()))

    def thaw(self, data: bytes) -> Program:
        """A new copy of the program that was frozen."""
        size = int.from_bytes(data[:4], "little")
        classes = pickle.loads(data[4 : 4 + size])
        nodes = [cls.__new__(cls) for cls in classes]
        reader = _Reader(io.BytesIO(memoryview(data)[4 + size :]), nodes, self.shared)
        for node in nodes:
            for name, value in zip(_slots(type(node)), reader.load(), strict=True):
                object.__setattr__(node, name, value)
        found: Program = nodes[0]
        return found

    def shared_from(self, first: int) -> bytes:
        """The parts that all copies have in common, from one number on, for another process."""
        out = io.BytesIO()
        _SharedWriter(out, 5).dump(self.shared[first:])
        return out.getvalue()

    def take_shared(self, data: bytes) -> None:
        """Takes what `shared_from` gave in the process that these programs come from."""
        for one in pickle.loads(data):
            self.share(one)

    def share(self, one: object) -> int:
        """The number of a part that all copies have in common."""
        number = self._numbers.setdefault(id(one), len(self.shared))
        if number == len(self.shared):
            self.shared.append(one)
        return number


class _Writer(pickle.Pickler):
    def __init__(self, out: io.BytesIO, frozen: Frozen) -> None:
        super().__init__(out, 5)
        self.frozen = frozen
        self.nodes: list[Any] = []
        self._numbers: dict[int, int] = {}

    def number(self, node: object) -> int:
        found = self._numbers.setdefault(id(node), len(self.nodes))
        if found == len(self.nodes):
            self.nodes.append(node)
        return found

    def persistent_id(self, value: Any) -> Any:
        cls = type(value)
        if cls in SHARED:
            return -1 - self.frozen.share(value)
        return self.number(value) if _is_node(cls) else None

    def reducer_override(self, value: Any) -> Any:
        if type(value) is memoryview:
            return bytes, (bytes(value),)
        if type(value) is MappingProxyType:
            return _proxy, (dict(value),)
        return NotImplemented


class _SharedWriter(pickle.Pickler):
    """Writes what is never changed, without what has been found out about it."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is CodeSection:
            debug = {name: bytes(data) for name, data in value.debug.items()}
            bounds = (value.starts, value.ends)
            return _section, (bytes(value.data), value.where, value.offset, *bounds, value.head, debug)
        return NotImplemented


def _section(data: bytes, where: str, offset: int, starts: Any, ends: Any, head: int, debug: Any) -> CodeSection:
    return CodeSection(memoryview(data), where, offset, starts, ends, head=head, debug=debug)


class _Reader(pickle.Unpickler):
    def __init__(self, data: io.BytesIO, nodes: list[Any], shared: list[Any]) -> None:
        super().__init__(data)
        self.nodes, self.shared = nodes, shared

    def persistent_load(self, pid: int) -> Any:
        return self.shared[-1 - pid] if pid < 0 else self.nodes[pid]


def _proxy(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)


def _cached(find: Callable[[type], Any]) -> Callable[[type], Any]:
    known: dict[type, Any] = {}

    def cached(cls: type) -> Any:
        if cls not in known:
            known[cls] = find(cls)
        return known[cls]

    return cached


@_cached
def _is_node(cls: type) -> bool:
    """Whether objects of a class are parts of a program that are compared by identity."""
    return is_dataclass(cls) and cls.__hash__ is object.__hash__


@_cached
def _slots(cls: type) -> list[str]:
    return [f.name for f in fields(cls)]
