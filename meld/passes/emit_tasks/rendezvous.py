"""Reads and writes of streams and futures: one function for each, in each domain.

A *domain* is a set of instances that can have ends of one channel (`meld.notes.streams.Domain`). Every
`canon stream.read` or `.write` in it is an *operation* with a number; an end that waits is parked under the number of
its operation, and the other end finds the copy for the pair of both: elements go straight from the writer's memory
to the reader's.

Source: Component Model, CanonicalABI.md: SharedStreamImpl, SharedFutureImpl; canon {stream,future}.{read,write}.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from enum import Enum
from typing import Any

from meld.abi.layout import Layout, Layouts
from meld.abi.traps import Trap
from meld.abi.types import Type
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.module import Function, Memory
from meld.ir.notes import Instance
from meld.notes.boundaries import CanonCall
from meld.notes.channels import EndTypes
from meld.passes.emit_tasks.elements import ElementCopies
from meld.rewriting.template import template_text
from meld.rewriting.text import Text
from meld.support.records import record

DROPPED_BIT, PARKED_BIT, DONE_BIT, BUSY_BIT, WRITTEN_BIT = 8, 4, 2, 1, 256
"""Bits of a channel's state (`channels.wat`)."""


class Verb(Enum):
    """The end of a channel that an operation is for."""

    READ = "read"
    WRITE = "write"


@record(eq=False)
class Operation:
    """A `canon {stream,future}.{read,write}` of an instance. `number` counts the reads, or writes, of its domain."""

    import_: Function
    call: CanonCall
    number: int

    @property
    def memory(self) -> Memory | None:
        """The memory that holds its buffers."""
        return self.call.options.memory


@record(eq=False)
class Rendezvous:
    """A domain whose channels live in the module, with its operations."""

    type: c.Stream | c.Future
    number: int  # for the names of its functions
    reads: list[Operation] = field(default_factory=list)
    writes: list[Operation] = field(default_factory=list)

    @property
    def element(self) -> Layout | None:
        """The layout of an element; None if it has none."""
        return None if self.type.element is None else Layouts().of(self.type.element)

    @property
    def is_numeric(self) -> bool:
        """Whether one instance may have both ends at once: elements are numbers, or nothing."""
        return self.type.element is None or self.type.element in NUMBERS

    def operations(self, verb: Verb) -> list[Operation]:
        """Its reads, or its writes."""
        return self.reads if verb is Verb.READ else self.writes


NUMBERS = frozenset({c.Prim(name) for name in ("u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64")})


def rendezvous(domains: Iterable[Any], calls: Iterable[tuple[Function, CanonCall]]) -> list[Rendezvous]:
    """The domains that are carried in the module, with the operations among some built-ins.

    Raises:
        MeldError: an operation belongs to no such domain.
    """
    found: list[Rendezvous] = []
    by_use: dict[tuple[Instance, Type], Rendezvous] = {}
    for domain in domains:
        kind = c.Future if domain.future else c.Stream
        made = Rendezvous(kind(domain.element), len(found))
        found.append(made)
        by_use |= {(instance, made.type): made for instance in domain.instances}
    for import_, call in calls:
        kind_name, _, verb = call.builtin.partition(".")
        if kind_name not in ("stream", "future") or verb not in ("read", "write"):
            continue
        if call.options.memory is not None and call.options.memory.limits.is64:
            raise MeldError(
                f"`{call.builtin}` of `{call.instance.name}` has its buffers in a 64-bit memory, which engines "
                "do not support either",
                hint="compile the component for 32-bit addresses",
            )
        of = by_use[call.instance, call.type]
        operations = of.operations(Verb(verb))
        operations.append(Operation(import_, call, len(operations)))
    return found


@record()
class Copying:
    """Writes the functions that read and write.

    Attributes:
        types: the numbers of the types of ends.
        copies: for elements that are not copied as bytes.
    """

    text: Text
    types: EndTypes
    domains: list[Rendezvous]
    copies: ElementCopies
    _functions: dict[tuple[int, Verb], str] = field(default_factory=dict)

    def operation(self, import_: Function, verb: Verb) -> tuple[Rendezvous, Operation]:
        """The operation that an import is, and its domain."""
        for domain in self.domains:
            for operation in domain.operations(verb):
                if operation.import_ is import_:
                    return domain, operation
        raise AssertionError("a read or write is an operation of its domain")

    def function(self, domain: Rendezvous, verb: Verb) -> str:
        """The name of the function that reads, or writes, in a domain."""
        key = (domain.number, verb)
        if key not in self._functions:
            kind = "stream" if isinstance(domain.type, c.Stream) else "future"
            self._functions[key] = name = f"${kind}_{verb.value}.{domain.number}"
            params = self._params(domain, verb, kind, name)
            self.text.add(template_text(__package__, "copies.wat", params))
        return self._functions[key]

    def _params(self, domain: Rendezvous, verb: Verb, kind: str, name: str) -> dict[str, Any]:
        write, future = verb is Verb.WRITE, kind == "future"
        mine, other = (4, 0) if write else (0, 4)
        element = domain.element
        done = DONE_BIT << mine
        return {
            "name": name,
            "kind": kind,
            "verb": verb.value,
            "type": self.types.number(domain.type) | write,
            "offset": 16 if write else 0,
            "event": 28 if write else 12,
            "other_offset": 0 if write else 16,
            "not_idle": (BUSY_BIT | DONE_BIT) << mine | (WRITTEN_BIT if future else 0),
            "busy": BUSY_BIT << mine,
            "done_trap": self._done(verb, future),
            "other_dropped": DROPPED_BIT << other,
            "bits_when_dropped": done | (WRITTEN_BIT if future else 0),
            "other_parked": PARKED_BIT << other,
            "busy_and_parked": (BUSY_BIT | PARKED_BIT) << mine,
            "bits_when_moved": WRITTEN_BIT if future else 0,
            "check_instance": "" if domain.is_numeric else self._check_instance(),
            "meet_zero": "" if future else _MEET_ZERO[verb].format(keep=~(PARKED_BIT << other)),
            "copy": self._copy(domain, verb) if element is not None else "",
            "size": element.size if element is not None else 0,
            "progress": "(i32.const 0)" if future else "(i32.shl (local.get $n) (i32.const 4))",
        }

    def _done(self, verb: Verb, future: bool) -> str:
        """The trap for an end that knows that nothing comes any more."""
        if future:
            return self.text.trap(Trap.WRITE_WRITTEN if verb is Verb.WRITE else Trap.READ_WRITTEN)
        return self.text.trap(Trap.WRITE_DONE if verb is Verb.WRITE else Trap.READ_DONE)

    def _check_instance(self) -> str:
        same = "(i32.eq (i32.load $state offset=48 (local.get $channel)) (local.get $record))"
        return f"(if {same} (then (call {self.text.trap(Trap.BOTH_ENDS)}) (unreachable)))"

    def _copy(self, domain: Rendezvous, verb: Verb) -> str:
        """The copy of `$n` elements between `$ptr` and `$parked`, for whatever pair of operations meets."""
        from_, to = ("$ptr", "$parked") if verb is Verb.WRITE else ("$parked", "$ptr")
        ways: dict[str, list[int]] = {}  # code of a copy → pairs
        for write in domain.writes:
            for read in domain.reads:
                code = self._copy_of_pair(domain, write, read, from_, to)
                if code is not None:
                    ways.setdefault(code, []).append(write.number * len(domain.reads) + read.number)
        if not ways:
            return "(unreachable)"
        if len(ways) == 1:
            return next(iter(ways))
        parked = "(i32.load $state offset=44 (local.get $channel))"
        mine = "(local.get $op)"
        write_number, read_number = (mine, parked) if verb is Verb.WRITE else (parked, mine)
        pair = f"(i32.add (i32.mul {write_number} (i32.const {len(domain.reads)})) {read_number})"
        return _dispatch(pair, list(ways.items()), len(domain.writes) * len(domain.reads))

    def _copy_of_pair(self, domain: Rendezvous, write: Operation, read: Operation, from_: str, to: str) -> str | None:
        """The copy for one pair; None if it can never happen, since one instance would have both ends."""
        element = domain.element
        assert element is not None
        if write.call.instance is read.call.instance and not domain.is_numeric:
            return None
        if not element.plain:
            element_type = domain.type.element
            copy = self.text.use(self.copies.between(element_type, write.call, read.call))
            return f"(call {copy} (local.get {from_}) (local.get {to}) (local.get $n))"
        assert write.memory is not None and read.memory is not None
        bytes_ = "(local.get $n)" if element.size == 1 else f"(i32.mul (local.get $n) (i32.const {element.size}))"
        source, target = self.text.use(write.memory), self.text.use(read.memory)
        return f"(memory.copy {target} {source} (local.get {to}) (local.get {from_}) {bytes_})"


def _dispatch(pair: str, ways: list[tuple[str, list[int]]], pairs: int) -> str:
    """A `br_table` over pairs of operations."""
    label_of = {number: f"$way{i}" for i, (_, numbers) in enumerate(ways) for number in numbers}
    table = " ".join(label_of.get(i, "$never") for i in range(pairs))
    code = f"(br_table {table} $never {pair})"
    for i, (copy, _) in enumerate(ways):
        code = f"(block $way{i} {code})\n        {copy}\n        (br $copied)"
    return f"(block $copied\n        (block $never {code})\n        (unreachable))"


_MEET_ZERO = {
    Verb.READ: """(if (i32.eqz (local.get $left))
        (then
          (local.set $bits (i32.and (local.get $bits) (i32.const {keep})))
          (call $waitable_set_event (local.get $other) (i32.const 1))
          (br $park)))
      (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))""",
    Verb.WRITE: """(if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
      (if (i32.eqz (local.get $left))
        (then
          (local.set $bits (i32.and (local.get $bits) (i32.const {keep})))
          (call $waitable_set_event (local.get $other) (i32.const 1))
          (br $park)))""",
}
"""A stream's buffer that meets an empty one. A write of nothing always completes; a read of nothing does unless the
write was one too. An empty buffer that was parked completes, and the newcomer parks."""
