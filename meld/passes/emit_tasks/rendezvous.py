"""Reads and writes of streams and futures: one function for each, in each domain.

A *domain* is a set of instances that can have ends of one channel (`meld.notes.streams.Domain`). Every
`canon stream.read` or `.write` in it has a *place*: where its buffers are, and what the copy of elements depends on
besides. An end that waits is parked under the number of its place, and the other end finds the copy for the pair of
both: elements go straight from the writer's memory to the reader's. Pairs grow with the square of the places; where
they are many, bytes go through a buffer in the state memory, so that each place needs code once.

Source: Component Model, CanonicalABI.md: SharedStreamImpl, SharedFutureImpl; canon {stream,future}.{read,write}.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from enum import Enum
from typing import Any, Protocol

from meld.abi.layout import Layout, Layouts
from meld.abi.traps import Trap
from meld.abi.types import Type
from meld.ir import component as c
from meld.ir.module import Function
from meld.ir.notes import Instance
from meld.notes.boundaries import CanonCall
from meld.notes.channels import EndTypes
from meld.passes.emit_tasks.elements import ElementCopies
from meld.rewriting.template import filled, template_text
from meld.rewriting.text import Text
from meld.support.records import record

DROPPED_BIT, PARKED_BIT, DONE_BIT, BUSY_BIT, WRITTEN_BIT, HOST_BIT = 8, 4, 2, 1, 256, 512
"""Bits of a channel's state (`channels.wat`)."""


class Verb(Enum):
    """The end of a channel that an operation is for."""

    READ = "read"
    WRITE = "write"


@record(eq=False)
class Rendezvous:
    """A domain whose channels live in the module.

    Attributes:
        number: for the names of its functions.
        places: the number of each place, by what tells places apart.
        reads, writes: a built-in that reads, or writes, at a place, by its number.
    """

    type: c.Stream | c.Future
    number: int
    places: dict[Any, int] = field(default_factory=dict)
    reads: dict[int, CanonCall] = field(default_factory=dict)
    writes: dict[int, CanonCall] = field(default_factory=dict)

    @property
    def element(self) -> Layout | None:
        """The layout of an element; None if it has none."""
        return None if self.type.element is None else Layouts().of(self.type.element)

    @property
    def is_numeric(self) -> bool:
        """Whether one instance may have both ends at once: elements are numbers, or nothing."""
        return self.type.element is None or self.type.element in NUMBERS

    def enter(self, verb: Verb, call: CanonCall) -> int:
        """The number of the place of a built-in."""
        place = self.places.setdefault(self._place(call), len(self.places))
        (self.reads if verb is Verb.READ else self.writes).setdefault(place, call)
        return place

    def _place(self, call: CanonCall) -> tuple[Any, ...]:
        options, element = call.options, self.element
        if self.is_numeric:
            return (options.memory,) if element is not None else ()
        if element is not None and element.plain:
            return (call.instance, options.memory)
        return (call.instance, options.memory, options.realloc, options.encoding)


@record(eq=False)
class Operation:
    """A `canon {stream,future}.{read,write}` of an instance, in its domain; `place` is the number of its place."""

    domain: Rendezvous
    call: CanonCall
    place: int


NUMBERS = frozenset({c.Prim(name) for name in ("u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64")})


MOST_DIRECT = 16
"""Places of a domain up to which the copy of each pair has code of its own, where bytes are copied."""

BUFFER = 4096
"""Bytes of the buffer through which they go otherwise."""


def rendezvous(
    domains: Iterable[Any], calls: Iterable[tuple[Function, CanonCall]], opens: Sequence[Type] = ()
) -> dict[Function, Operation]:
    """The operations among some built-ins, with the domains that are carried in the module.

    Args:
        opens: the types of ends that the host may have. It can carry them anywhere, so each of them is one domain.

    Raises:
        MeldError: an operation belongs to no such domain.
    """
    found: dict[Function, Operation] = {}
    by_use: dict[tuple[Instance, Type], Rendezvous] = {}
    shared: dict[Type, Rendezvous] = {}
    for number, domain in enumerate(domains):
        made = Rendezvous((c.Future if domain.future else c.Stream)(domain.element), number)
        made = shared.setdefault(made.type, made) if made.type in opens else made
        by_use |= {(instance, made.type): made for instance in domain.instances}
    for import_, call in calls:
        kind_name, _, verb = call.builtin.partition(".")
        if kind_name not in ("stream", "future") or verb not in ("read", "write"):
            continue
        call.check_buffers()
        of = by_use[call.instance, call.type]
        found[import_] = Operation(of, call, of.enter(Verb(verb), call))
    return found


class HostCopies(Protocol):
    """Writes the functions that read and write where the host has the other end, which is so for the types `given`."""

    @property
    def given(self) -> Sequence[Type]:
        """The types."""

    def copy(self, domain: Rendezvous, verb: Verb) -> str:
        """The name of ``(channel, place, address, count) → result``."""


@record()
class Copying:
    """Writes the functions that read and write.

    Attributes:
        types: the numbers of the types of ends.
        operations: what each import of a read or write is.
        copies: for elements that are not copied as bytes.
        open_ends: for channels of which the host has an end, if there can be any.
        shared: whether the functions are told record and place, also where places are few.
    """

    text: Text
    types: EndTypes
    operations: dict[Function, Operation]
    copies: ElementCopies
    open_ends: HostCopies | None = None
    shared: bool = False
    _functions: dict[tuple[int, Verb, bool, int, int], str] = field(default_factory=dict)
    _through: dict[int, str] = field(default_factory=dict)
    _buffer: int | None = None

    def call(self, operation: Operation, verb: Verb, record: int, operands: str) -> str:
        """The call of the function that reads, or writes, in a domain; `record` is that of the instance.

        There is one for each place and instance, where places are few: it knows both.
        """
        domain, place, sync = operation.domain, operation.place, not operation.call.options.is_async
        if len(domain.places) > MOST_DIRECT or self.shared:
            return f"(call {self._function(domain, verb, sync)} (i32.const {record}) (i32.const {place}) {operands})"
        return f"(call {self._function(domain, verb, sync, record, place)} {operands})"

    def _function(self, domain: Rendezvous, verb: Verb, sync: bool, record: int = 0, place: int = -1) -> str:
        """The name of a function that reads, or writes; of one that is told record and place, if none is given."""
        key = (domain.number, verb, sync, record, place)
        if key not in self._functions:
            kind = "stream" if isinstance(domain.type, c.Stream) else "future"
            number = str(domain.number) if place < 0 else f"{domain.number}.{record}.{place}"
            number += ".sync" if sync else ""
            self._functions[key] = name = f"${kind}_{verb.value}.{number}"
            if place < 0:
                here = {"given": "(param $record i32) (param $place i32) "}
                here |= {"record": "(local.get $record)", "place": "(local.get $place)"}
            else:
                here = {"given": "", "record": f"(i32.const {record})", "place": f"(i32.const {place})"}
            params = self._params(domain, verb, sync, kind, name, here, place)
            self.text.add(template_text(__package__, "copies.wat", params | here), "copies")
        return self._functions[key]

    def _params(
        self, domain: Rendezvous, verb: Verb, sync: bool, kind: str, name: str, here: dict[str, str], place: int
    ) -> dict[str, Any]:
        write, future = verb is Verb.WRITE, kind == "future"
        mine, other = (4, 0) if write else (0, 4)
        element = domain.element
        done = DONE_BIT << mine
        copy = self._copy(domain, verb, place) if element is not None else ""
        plain = element is not None and element.plain
        known = f"{here['record']} {here['place']}" if here["given"] else ""
        return {
            "name": name,
            "kind": kind,
            "verb": verb.value,
            "type": self.types.number(domain.type) | write,
            "channel": _less("(i32.load $state offset=4 (local.get $channel))", 16 if write else 0),
            "mine": _waitable(write),
            "event": 28 if write else 12,
            "other": _waitable(not write),
            "other_set": 4 if write else 20,
            "other_event": 12 if write else 28,
            "not_idle": (BUSY_BIT | DONE_BIT) << mine | (WRITTEN_BIT if future else 0),
            "busy": BUSY_BIT << mine,
            "done_trap": self._done(verb, future),
            "other_dropped": DROPPED_BIT << other,
            "rare": self._rare(domain, mine, other, future),
            "blocked": f"(call $await_end {_waitable(write)})" if sync else "(i32.const -1)",
            "bits_when_dropped": done | (WRITTEN_BIT if future else 0),
            "other_parked": PARKED_BIT << other,
            "busy_and_parked": (BUSY_BIT | PARKED_BIT) << mine,
            "bits_moved": _moved(PARKED_BIT << other, WRITTEN_BIT if future else 0),
            "host_copy": self._host_copy(domain, verb, sync, here["place"]),
            "check_instance": "" if domain.is_numeric else self._check_instance(here["record"]),
            "again": "" if future else filled(AGAIN, here | {"name": name[1:], "known": known}),
            "meet_zero": "" if future else self._meet_zero(name, known, verb, other, write),
            "copy_first": "" if plain else copy,
            "copy_last": copy if plain else "",
            "words": "\n    (local $low i64) (local $high i64)" if "$low" in copy else "",
            "bytes_moved": _bytes(element) if element is not None else "(i32.const 0)",
            "progress": "(i32.const 0)" if future else "(i32.shl (local.get $moved) (i32.const 4))",
        }

    def _host_copy(self, domain: Rendezvous, verb: Verb, sync: bool, place: str) -> str:
        """What is done where the host has the other end."""
        if self.open_ends is None or domain.type not in self.open_ends.given:
            return ""
        copy = (
            f"(call {self.open_ends.copy(domain, verb)} (local.get $channel) {place} (local.get $ptr) (local.get $n))"
        )
        if sync:
            waits = f"(call $await_end {_waitable(verb is Verb.WRITE)})"
            copy = (
                f"(local.set $left {copy}) (if (i32.eq (local.get $left) (i32.const -1)) (then (return {waits})))"
                " (return (local.get $left))"
            )
        else:
            copy = f"(return {copy})"
        return f"\n        (if (i32.and (local.get $bits) (i32.const {HOST_BIT})) (then {copy}))"

    def _rare(self, domain: Rendezvous, mine: int, other: int, future: bool) -> int:
        """The bits of which one says that neither a copy nor a wait for one is due."""
        of_host = HOST_BIT if self.open_ends is not None and domain.type in self.open_ends.given else 0
        done = WRITTEN_BIT if future else 0
        return (BUSY_BIT | DONE_BIT) << mine | DROPPED_BIT << other | done | of_host

    @staticmethod
    def _meet_zero(name: str, known: str, verb: Verb, other: int, write: bool) -> str:
        """What is done where one of two buffers is empty."""
        given = {"name": name[1:], "known": known, "keep": ~(PARKED_BIT << other), "other": _waitable(not write)}
        cases = "\n          ".join(_MEET_ZERO[verb]).format(**given)
        return f"(if (i32.eqz (local.get $moved))\n        (then\n          {cases}))"

    def _done(self, verb: Verb, future: bool) -> str:
        """The trap for an end that was notified that its channel is done."""
        if future:
            return self.text.trap(Trap.WRITE_WRITTEN if verb is Verb.WRITE else Trap.READ_WRITTEN)
        return self.text.trap(Trap.WRITE_DONE if verb is Verb.WRITE else Trap.READ_DONE)

    def _check_instance(self, record: str) -> str:
        same = f"(i32.eq (i32.load $state offset=48 (local.get $channel)) {record})"
        return f"(if {same} (then (call {self.text.trap(Trap.BOTH_ENDS)}) (unreachable)))"

    def _copy(self, domain: Rendezvous, verb: Verb, place: int) -> str:
        """The copy of `$moved` elements between `$ptr` and `$parked`, for whatever pair of places meets.

        Args:
            place: that of the operation; -1 if it has a parameter for it.
        """
        element = domain.element
        assert element is not None
        from_, to = ("$ptr", "$parked") if verb is Verb.WRITE else ("$parked", "$ptr")
        parked = "(i32.load $state offset=44 (local.get $channel))"
        write, read = ("(local.get $place)", parked) if verb is Verb.WRITE else (parked, "(local.get $place)")
        if element.plain and len(domain.places) > MOST_DIRECT:
            ends = f"(local.get {from_}) (local.get {to}) {_bytes(element)}"
            return f"(call {self._copy_through(domain)} {write} {read} {ends})"
        places = len(domain.places)
        ways: dict[str, list[int]] = {}  # code of a copy → numbers of the other place, or of the pair
        for writes, writer in domain.writes.items():
            for reads, reader in domain.reads.items():
                mine, other = (writes, reads) if verb is Verb.WRITE else (reads, writes)
                if place not in (-1, mine):
                    continue
                code = self._copy_of_pair(domain, writer, reader, from_, to)
                if code is not None:
                    ways.setdefault(code, []).append(writes * places + reads if place < 0 else other)
        if not ways:
            return "(unreachable)"
        if len(ways) == 1:
            return next(iter(ways))
        if place >= 0:
            return _dispatch(parked, list(ways.items()), places)
        pair = f"(i32.add (i32.mul {write} (i32.const {places})) {read})"
        return _dispatch(pair, list(ways.items()), places * places)

    def _copy_of_pair(self, domain: Rendezvous, write: CanonCall, read: CanonCall, from_: str, to: str) -> str | None:
        """The copy for one pair; None if it can never happen, since one instance would have both ends."""
        element = domain.element
        assert element is not None
        if write.instance is read.instance and not domain.is_numeric:
            return None
        if not element.plain:
            copy = self.text.use(self.copies.between(domain.type.element, write, read))
            return f"(call {copy} (local.get {from_}) (local.get {to}) (local.get $moved))"
        source, target = self._memory(write), self._memory(read)
        bulk = f"(memory.copy {target} {source} (local.get {to}) (local.get {from_}) {_bytes(element)})"
        return (
            bulk
            if self.shared or len(domain.places) > FEW_PLACES
            else self._short(element, source, target, from_, to, bulk)
        )

    @staticmethod
    def _short(element: Layout, source: str, target: str, from_: str, to: str, bulk: str) -> str:
        """A copy between two memories: `bulk` only for more than two words."""
        if element.size > SHORT:
            return bulk
        given = {"source": source, "target": target, "from": from_, "to": to, "size": _bytes(element)}
        pieces = [PIECES[8]] if element.size % 8 == 0 else [PIECES[8], PIECES[4]]
        few = "\n            ".join(filled(IN_PIECES, given | piece) for piece in pieces)
        return filled(IN_SHORT, given | {"few": few, "short": SHORT, "bulk": bulk})

    def _memory(self, call: CanonCall) -> str:
        assert call.options.memory is not None
        return self.text.use(call.options.memory)

    def _copy_through(self, domain: Rendezvous) -> str:
        """The name of ``(writer's place, reader's place, from, to, bytes)``, which copies through a buffer."""
        name = self._through.get(domain.number)
        if name is None:
            name = self._through[domain.number] = f"$copy_through.{domain.number}"
            if self._buffer is None:
                self._buffer = self.copies.state.reserve(BUFFER)
            at = f"(i32.const {self._buffer})"
            memories = {i: self._memory(call) for i, call in (domain.writes | domain.reads).items()}
            copies = {
                "within": "(memory.copy {0} {0} (local.get $to) (local.get $from) (local.get $bytes))",
                "fetch": f"(memory.copy $state {{0}} {at} (local.get $from) (local.get $now))",
                "deliver": f"(memory.copy {{0}} $state (local.get $to) {at} (local.get $now))",
            }
            places = {"within": "$writer", "fetch": "$writer", "deliver": "$reader"}
            among = {
                label: _dispatch(
                    f"(local.get {places[label]})",
                    [(copy.format(memory), [i]) for i, memory in memories.items()],
                    len(domain.places),
                )
                for label, copy in copies.items()
            }
            self.text.add(filled(THROUGH, among | {"name": name, "buffer": BUFFER}))
        return name


def _waitable(writable: bool) -> str:
    """The waitable of one end of `$channel`."""
    return "(i32.add (local.get $channel) (i32.const 16))" if writable else "(local.get $channel)"


def _less(address: str, by: int) -> str:
    return f"(i32.sub {address} (i32.const {by}))" if by else address


def _moved(parked: int, written: int) -> str:
    """The state of a channel when all of what was parked has been copied."""
    bits = f"(i32.and (local.get $bits) (i32.const {~parked}))"
    return f"(i32.or {bits} (i32.const {written}))" if written else bits


def _bytes(element: Layout) -> str:
    """The size of `$moved` elements."""
    return "(local.get $moved)" if element.size == 1 else f"(i32.mul (local.get $moved) (i32.const {element.size}))"


FEW_PLACES = 2
"""Places of a domain up to which the copy of a pair has code of its own for few bytes."""
SHORT = 16
"""Bytes up to which a copy is the first and the last 8 or 4, which may overlap: quicker than a bulk copy."""
PIECES = {
    8: {"piece": 8, "load": "i64.load", "store": "i64.store"},
    4: {"piece": 4, "load": "i64.load32_u", "store": "i64.store32"},
}
IN_SHORT = """(block $short
        (if (i32.le_u {size} (i32.const {short}))
          (then
            {few}))
        {bulk})"""
IN_PIECES = """(if (i32.ge_u {size} (i32.const {piece}))
              (then
                (local.set $low ({load} {source} (local.get {from})))
                (local.set $high ({load} {source} (i32.add (local.get {from}) (i32.sub {size} (i32.const {piece})))))
                ({store} {target} (local.get {to}) (local.get $low))
                ({store} {target} (i32.add (local.get {to}) (i32.sub {size} (i32.const {piece}))) (local.get $high))
                (br $short)))"""
"""Both loads come before both stores, since buffers in one memory may overlap. Both ranges have been checked."""
THROUGH = """
  (func {name} (param $writer i32) (param $reader i32) (param $from i32) (param $to i32) (param $bytes i32)
    (local $now i32)
    (if (i32.eq (local.get $writer) (local.get $reader)) (then
        {within}
        (return)))
    (loop $more
      (if (local.get $bytes) (then
          (local.set $now
            (select (local.get $bytes) (i32.const {buffer}) (i32.lt_u (local.get $bytes) (i32.const {buffer}))))
          {fetch}
          {deliver}
          (local.set $from (i32.add (local.get $from) (local.get $now)))
          (local.set $to (i32.add (local.get $to) (local.get $now)))
          (local.set $bytes (i32.sub (local.get $bytes) (local.get $now)))
          (br $more)))))
"""
"""A copy through a buffer; within one memory the two ranges may overlap, and it is copied at once."""


def _dispatch(pair: str, ways: list[tuple[str, list[int]]], pairs: int) -> str:
    """A `br_table` over pairs of places, or places: code with the numbers that it is for."""
    label_of = {number: f"$way{i}" for i, (_, numbers) in enumerate(ways) for number in numbers}
    table = " ".join(label_of.get(i, "$never") for i in range(pairs))
    code = f"(br_table {table} $never {pair})"
    for i, (copy, _) in enumerate(ways):
        code = f"(block $way{i} {code})\n        {copy}\n        (br $copied)"
    return f"(block $copied\n        (block $never {code})\n        (unreachable))"


AGAIN = """

  ;; The same, once the other end has been told that its empty buffer has completed.
  (func $again_{name} (param $other i32) {given}(param $handle i32) (param $ptr i32) (param $n i32) (result i32)
    (call $waitable_set_event (local.get $other) (i32.const 1))
    (call ${name} {known} (local.get $handle) (local.get $ptr) (local.get $n)))"""
_NOTHING = "(if (i32.eqz (local.get $n)) (then (return (i32.const 0))))"
_PARKED_NOTHING = """(if (i32.eqz (local.get $left))
            (then
              (i32.store $state offset=32 (local.get $channel) (i32.and (local.get $bits) (i32.const {keep})))
              (return (call $again_{name} {other} {known} (local.get $handle) (local.get $ptr) (local.get $n)))))"""
_MEET_ZERO = {Verb.READ: (_PARKED_NOTHING, _NOTHING), Verb.WRITE: (_NOTHING, _PARKED_NOTHING)}
"""A stream's buffer that meets an empty one. A write of nothing always completes; a read of nothing does unless the
write was one too. An empty buffer that was parked completes, and the newcomer parks: it begins again."""
