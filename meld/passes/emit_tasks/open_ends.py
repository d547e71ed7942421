"""Open ends: streams and futures of which the host has one end, in a module that becomes a component.

A channel of which the host has an end stands for a handle of the component around the module (`open_ends.wat`): what
an instance does with its end is done with that handle, by the host's built-ins, which are imports with a note
(`meld.notes.boundaries.HostBuiltin`). Instances never see these handles. Whether an end is the module's or the host's
is found out where it is used, so a stream that never leaves the module stays what it is.

Source: Component Model, CanonicalABI.md: canon {stream,future}.*, canon waitable-set.*, canon lift (callback).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from meld.abi.layout import Kind, Layout, Layouts
from meld.abi.options import Options
from meld.abi.types import Type, function_types, is_end, parts_of
from meld.ir import component as c
from meld.ir.module import CoreItem, Function, Module
from meld.ir.notes import Instance
from meld.ir.types import I32, I64, FuncType
from meld.notes.boundaries import CanonCall, HostBuiltin, HostCall, HostExport
from meld.notes.channels import FIRST_STREAM, EndTypes
from meld.passes.emit_tasks.arguments import (
    BORROW_KEEP,
    KEEPING,
    LENDING,
    LINK,
    NO_ENDS,
    NOT_LENDING,
    NOTHING_KEPT,
    REJOIN,
)
from meld.passes.emit_tasks.elements import ElementCopies
from meld.passes.emit_tasks.host_builtins import OWN_TASK, HostBuiltins
from meld.passes.emit_tasks.rendezvous import NUMBERS, Rendezvous, Verb
from meld.rewriting.handles import Tables
from meld.rewriting.state import State
from meld.rewriting.template import filled, template_text
from meld.rewriting.text import Text, signature
from meld.support.records import record

UNIT_FUTURE = c.Future(None)
SEPARATE = "host-memory"
"""The fact that the host is given the state memory only."""

OF_ALL = {
    "waitable-set.new": FuncType((), (I32,)),
    "waitable-set.wait": FuncType((I32, I32), (I32,)),
    "waitable-set.poll": FuncType((I32, I32), (I32,)),
    "waitable-set.drop": FuncType((I32,), ()),
    "waitable.join": FuncType((I32, I32), ()),
    "task.cancel": FuncType((), ()),
    "subtask.cancel": FuncType((I32,), (I32,)),
    "subtask.drop": FuncType((I32,), ()),
    "thread.yield": FuncType((), (I32,)),
    "context.get": FuncType((), (I32,)),
    "context.set": FuncType((I32,), ()),
    "future.new": FuncType((), (I64,)),
    "future.read": FuncType((I32, I32), (I32,)),
    "future.write": FuncType((I32, I32), (I32,)),
    "future.drop-readable": FuncType((I32,), ()),
    "future.drop-writable": FuncType((I32,), ()),
}
"""The built-ins that the template imports as ``$host.NAME``; those of futures are of futures without a value."""


def ends_of_host(module: Module) -> list[Type]:
    """The types of streams and futures, also inside others, that calls over the edge of the program carry."""
    calls = [n.type for _, n in module.noted(HostCall)] + [n.type for n in module.notes_of(HostExport)]
    found = [part for t in calls for value in function_types(t) for part in parts_of(value) if is_end(part)]
    return list(dict.fromkeys(found))


def ends_in_elements(given: Sequence[Type], calls: Iterable[CanonCall]) -> list[Type]:
    """The types of ends inside the elements that some built-ins write to streams and futures of `given` types."""
    written = {call.type for call in calls if call.builtin in ("stream.write", "future.write")}
    elements = [t.element for t in given if is_end(t) and t in written]
    return list(dict.fromkeys(part for element in elements for part in parts_of(element) if is_end(part)))


@record()
class OpenEnds:
    """Writes what deals with the host's ends into the text of the runtime.

    Attributes:
        types: of ends, with their numbers.
        given: the types of ends that cross the edge.
        host: the built-ins of the host's.
        separate: whether the host is given the state memory only, so that all elements go through it.
        inner: the types of ends that may come back: in elements that the module writes, and in arguments of calls.
        keeps: whether handles in arguments of the host's calls are the caller's until these start.
        lends: whether any of these are lent.
        leaves: whether functions that are no tasks may leave tasks that go on.
        entered: the instances whose functions of asynchronous type the host may call at once, and before which a call
            may have to wait for its turn.
    """

    text: Text
    tables: Tables
    types: EndTypes
    given: Sequence[Type]
    copies: ElementCopies
    host: HostBuiltins
    separate: bool = False
    inner: Sequence[Type] = ()
    keeps: bool = False
    lends: bool = False
    leaves: bool = False
    entered: Sequence[Instance] = ()
    _own: Function | None = None
    _copies: dict[tuple[int, Verb], str] = field(default_factory=dict)
    _domains: dict[Type, Rendezvous] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)
    _settles: list[str] = field(default_factory=list)

    @property
    def state(self) -> State:
        """The memory in which all of it is."""
        return self.tables.state

    def keep(self, arguments: Sequence[Type]) -> None:
        """Says which types arguments have that are handles. An end comes back as one of the host's stream.

        That is not good enough where one component must not both read and write it: it gets its own channel back.
        """
        self.keeps = bool(arguments)
        self.lends = any(isinstance(t, c.Borrow) for t in arguments)
        ends = [t for t in arguments if is_end(t) and t.element is not None and t.element not in NUMBERS]
        self.inner = list(dict.fromkeys([*self.inner, *ends]))

    def templates(self, params: dict[str, Any], *, several: bool) -> None:
        """Adds the functions that all ends share; `several`: whether calls by the host may wait for one another."""
        for name, shape in OF_ALL.items():
            about = UNIT_FUTURE if name.startswith("future.") else None
            asynchronous = name in ("future.read", "future.write")
            memory = self.state.memory if name in ("waitable-set.wait", "waitable-set.poll") else None
            self.text.give(
                f"$host.{name}", self.host.add(name, about, Options(memory=memory, is_async=asynchronous), shape)
            )
        for name in ("handle_entry", "lift_own", *(("lift_borrow",) if self.lends else ())):
            self.text.give(f"${name}", self.state.linked[name])
        self.text.give("$arena_free", self.state.function("arena_free"))
        area, never = self.state.reserve(8), self.state.reserve(4)
        more: dict[str, Any] = {"area": area, "never": never, "several": int(several)}
        more |= {name: code if self.inner else "" for name, code in OF_ELEMENTS.items()}
        more |= {name: code if self.leaves else "" for name, code in OWN.items()}
        more |= {name: code if self.entered else "" for name, code in OF_PRESSURE.items()}
        for name in ("open_ends.wat", "rest_of_writes.wat"):
            self.text.add(template_text(__package__, name, params | more))
        if self.inner:
            self.text.add(template_text(__package__, "open_elements.wat", params | more))
        self.text.add(filled(HOST_END, {"host_end": self._function("host_end")}))
        self._arguments()
        if self.entered:
            self._pressure()
        if self.leaves:
            self._own = self.host.add(OWN_TASK, None, Options(), FuncType((), ()))
            self.text.give("$host.own-task", self._own)
            self.text.give("$host.task.return", self.host.add("task.return", None, Options(), FuncType((), ())))
            self.text.add(template_text(__package__, "own_task.wat", params | more))

    def _pressure(self) -> None:
        for name in ("backpressure.inc", "backpressure.dec"):
            self.text.give(f"$host.{name}", self.host.add(name, None, Options(), FuncType((), ())))
        held = "(i32.const 1)"
        for instance in self.entered:
            held = f"(i32.and {filled(HELD_BACK, {'record': self.tables.record(instance)})} {held})"
        self.text.add(template_text(__package__, "pressure.wat", {"held": held}))

    def install(self, made: Mapping[str, CoreItem]) -> None:
        """After the text is installed: says what a task of the component's own is."""
        for n in () if self._own is None else self._own.notes:
            begins, event = made["own_begin"], made["root_event"]
            assert isinstance(n, HostBuiltin) and isinstance(begins, Function) and isinstance(event, Function)
            n.begins, n.options = begins, Options(is_async=True, callback=event)

    def _arguments(self) -> None:
        if not self.keeps:
            self.text.add(NOTHING_KEPT)
            return
        params = {"first_end": FIRST_STREAM, "link": "", "rejoin": "", **(LENDING if self.lends else NOT_LENDING)}
        if self.inner:
            linked = "(i32.const 0)"
            for t in self.inner:
                linked = f"(i32.or (i32.eq (local.get $type) (i32.const {self.types.number(t)})) {linked})"
            params |= {"link": filled(LINK, {"linked": linked}), "rejoin": REJOIN}
            self.text.add(template_text(__package__, "kept_ends.wat", {}))
        self.text.add(template_text(__package__, "arguments.wat", params))
        if self.lends:
            self.text.add(BORROW_KEEP)
        if not self.types.numbers:
            self.text.add(NO_ENDS)

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions of the templates that `EndFunctions` names."""
        kept = (*KEEPING, *(("borrow_keep",) if self.lends else ())) if self.keeps else ()
        return OPEN_FUNCTIONS + (PARKED_ENDS if self.inner else ()) + kept

    def finish(self) -> None:
        """Adds what depends on the types; called last, when it is known what is used."""
        self._by_type("host_new_of", FuncType((), (I64,)), "new")
        self._by_type("host_cancel_of", FuncType((I32,), (I32,)), "cancel-read", "cancel-write")
        self._by_type("host_drop_of", FuncType((I32,), ()), "drop-readable", "drop-writable")
        cases = []
        for t in self.given:
            domain = self._domains.get(t)
            if domain is not None and domain.writes:
                written = f"(call {self._import_copy(domain, Verb.WRITE)} {PARKED})"
                cases.append((self.types.number(t), f"(call $host_written (local.get $channel) {written})"))
        self._dispatch("host_write_parked", "(param $type i32) (param $channel i32)", cases)
        if self.inner:
            self._elements()
        settles = "".join(
            f"\n    (if (i32.eq (local.get $number) (i32.const {i + 1}))"
            f" (then (call {name} (local.get $channel) (local.get $payload)) (return)))"
            for i, name in enumerate(self._settles)
        )
        self.text.add(filled(SETTLE_ANY, {"settles": settles}))

    def _elements(self) -> None:
        """What `open_elements.wat` calls for the ends inside elements, by their types."""
        records, nothing = [], []
        for t in self.inner:
            domain, number = self._domains.get(t), self.types.number(t)
            for place, call in {} if domain is None else domain.writes.items():
                params = {"number": number, "place": place, "record": self.tables.record(call.instance)}
                records.append(filled(RECORD_AT, params))
            if isinstance(t, c.Future):
                options = Options(memory=self.state.memory, is_async=True)
                import_ = self.host.add("future.write", t, options, FuncType((I32, I32), (I32,)))
                size = 0 if t.element is None else Layouts().of(t.element).size
                write = self.text.use(import_)
                nothing.append(filled(WRITE_NOTHING, {"number": number, "write": write, "size": max(size, 16)}))
        self.text.add(filled(BY_TYPE_OF_ELEMENTS, {"records": "".join(records), "nothing": "".join(nothing)}))

    # --- by type ---

    def _by_type(self, name: str, shape: FuncType, *operations: str) -> None:
        """A function that does what one operation does, whatever the type; of two, the second is the writable end's."""
        cases = []
        for t in self.given:
            kind = "stream" if isinstance(t, c.Stream) else "future"
            for i, operation in enumerate(operations):
                import_ = self.host.add(f"{kind}.{operation}", t, Options(), shape)
                given = " (local.get $handle)" if shape.params else ""
                cases.append((self.types.number(t) + i, f"(call {self.text.use(import_)}{given})"))
        params = "(param $type i32)" + (" (param $handle i32)" if shape.params else "")
        self._dispatch(name, params + signature(FuncType((), shape.results)), cases)

    def _dispatch(self, name: str, head: str, cases: list[tuple[int, str]]) -> None:
        lines = [
            f"    (if (i32.eq (local.get $type) (i32.const {number})) (then (return {code})))"
            if "result" in head
            else f"    (if (i32.eq (local.get $type) (i32.const {number})) (then {code} (return)))"
            for number, code in cases
        ]
        self.text.add("\n".join([f"  (func ${name} {head}", *lines, "    (unreachable))"]))

    # --- reads and writes ---

    def copy(self, domain: Rendezvous, verb: Verb) -> str:
        """The name of ``(channel, place, address, count) → result``."""
        key = domain.number, verb
        if key not in self._copies:
            name = self._copies[key] = f"$host_{verb.value}.{domain.number}"
            self._domains[domain.type] = domain
            offset = 16 if verb is Verb.WRITE else 0
            inner = self._import_copy(domain, verb)
            self.text.add(
                f"""
  (func {name} (param $channel i32) (param $place i32) (param $ptr i32) (param $n i32) (result i32)
    (local $waitable i32)
    (local.set $waitable (i32.add (local.get $channel) (i32.const {offset})))
    ;; that the other end was dropped may be told already
    (if (i32.load $state offset=12 (local.get $waitable))
      (then (return (call $waitable_deliver (local.get $waitable)))))
    (call $host_copied (local.get $channel) (local.get $waitable)
      (call {inner} (local.get $channel) (local.get $place) (local.get $ptr) (local.get $n))))"""
            )
        return self._copies[key]

    def _import_copy(self, domain: Rendezvous, verb: Verb) -> str:
        """The same, but for what it means for the channel: the result of the host's built-in."""
        name = f"$host_{verb.value}_at.{domain.number}"
        if name not in self._asked:
            self._asked.add(name)
            begun = OFFERED if verb is Verb.WRITE and domain.type in self.inner else ""
            twice = self._is_copied_twice(domain)
            body = self._twice(domain, verb, begun) if twice else begun + self._places(domain, verb)
            self.text.add(f"  (func {name} {COPY_PARAMS} (result i32)\n{body}    (unreachable))")
        return name

    def _is_copied_twice(self, domain: Rendezvous) -> bool:
        return domain.element is not None and (self.separate or _holds_handles(domain.element))

    def _twice(self, domain: Rendezvous, verb: Verb, offered: str) -> str:
        """The body of the copy of elements through the state memory, if they hold handles of the host."""
        element, write = domain.element, verb is Verb.WRITE
        assert element is not None
        number = len(self._settles) + 1
        handles = _holds_handles(element)
        most = max((MOST_BYTES if handles or element.allocates else MOST_PLAIN_BYTES) // max(element.size, 1), 1)
        half = f"(i32.add (i32.mul (local.get $n) (i32.const {element.size})) (i32.const 16))"
        begun = f"(call {self._function('host_begin')})"
        if write:
            at, from_ = "(local.get $place)", "$noted" if handles else "$ptr"
            copies = self._at_places(domain, verb, "park", from_, "$buffer", "$n", place=at)
            if handles:
                noted = self._at_places(domain, verb, "note", "$ptr", "$noted", "$n", place=at)
                copies = filled(NOTED, {"noted": noted, "copies": copies, "half": half})
            begun = filled(PARK, {"copies": copies} | self._arena)
        params = {
            "stream": int(isinstance(domain.type, c.Stream)),
            "most": most,
            "bytes": f"(i32.shl {half} (i32.const 1))" if write and handles else half,
            "size": element.size,
            "begun": begun,
            "number": number,
            "operation": f"$host_{verb.value}_block.{domain.number}",
            "begin": begun,
            "offered": offered,
            "places": self._places(domain, verb, twice=True),
        }
        self.text.add(f"  (func {params['operation']} {COPY_PARAMS} (result i32)\n{params['places']}    (unreachable))")
        self._settles.append(f"$settle.{number}")
        if write and not handles:
            ended = f"(call {self._function('arena_free')} (i32.load $state offset=56 (local.get $channel)))"
        elif write:
            ended = filled(
                RELEASE,
                {
                    "release": self._at_places(domain, verb, "release", "$ptr", "$buffer", "$moved"),
                    "restore": self._at_places(domain, verb, "restore", "$rest", "$buffer", "$left"),
                    "size": element.size,
                }
                | self._arena,
            )
        else:
            ended = (
                self._at_places(domain, verb, "", "$buffer", "$ptr", "$moved") + f"(call {self._function('host_end')})"
            )
        self.text.add(filled(SETTLE, params | {"ended": ended}))
        return filled(TWICE, params)

    @property
    def _arena(self) -> dict[str, str]:
        return {name: self._function(name) for name in ("arena_take", "arena_put", "arena_free")}

    def _function(self, name: str) -> str:
        if name.startswith("host_") and name not in self.state.linked:
            self.state.link(__package__, "host_blocks.wat", kind=self.text.kind)
        return self.text.use(self.state.function(name))

    def _host_options(self, call: CanonCall, verb: Verb) -> Options:
        """The host's side of elements that are copied twice."""
        self._function("host_begin")
        realloc = self.state.function("arena_realloc" if verb is Verb.WRITE else "host_realloc")
        return Options(call.options.encoding, self.state.memory, realloc)

    def _at_places(
        self, domain: Rendezvous, verb: Verb, mode: str, from_: str, to: str, count: str, *, place: str = ""
    ) -> str:
        """Copies elements, whatever the place of the operation."""
        lines = ""
        for number, call in (domain.writes if verb is Verb.WRITE else domain.reads).items():
            host, element = self._host_options(call, verb), domain.type.element
            noted = from_ != "$ptr" or mode in ("release", "restore")
            copies = self.copies
            lift = host if mode and noted else call.options
            function = (
                copies.to_host(element, call, lift, host, mode) if mode else copies.from_host(element, call, host)
            )
            lines += (
                f"(if (i32.eq {place or AT_PLACE} (i32.const {number})) (then (call {self.text.use(function)}"
                f" (local.get {from_}) (local.get {to}) (local.get {count}))))\n    "
            )
        return lines

    def _places(self, domain: Rendezvous, verb: Verb, *, twice: bool = False) -> str:
        lines = ""
        kind, count = ("stream", " (local.get $n)") if isinstance(domain.type, c.Stream) else ("future", "")
        shape = FuncType((I32,) * (3 if count else 2), (I32,))
        for place, call in (domain.writes if verb is Verb.WRITE else domain.reads).items():
            options = replace(self._host_options(call, verb) if twice else call.options, is_async=True)
            if self.separate and not twice:
                options = Options(options.encoding, is_async=True)  # there are no elements to copy
            import_ = self.host.add(f"{kind}.{verb.value}", domain.type, options, shape)
            lines += (
                f"    (if (i32.eq (local.get $place) (i32.const {place})) (then (return (call {self.text.use(import_)}"
                f" (i32.load $state offset=52 (local.get $channel)) (local.get $ptr){count}))))\n"
            )
        return lines


OF_ELEMENTS = {
    "unlink": "\n    (if (i32.and (local.get $type) (i32.const 1)) (then (call $end_unlink (local.get $channel))))",
    "not_linked": "\n    (i32.store $state offset=8 (local.get $waitable) (i32.const 0))",
}
"""What is added to `open_ends.wat` where elements hold ends."""

BY_TYPE_OF_ELEMENTS = """
  (func $record_at (param $type i32) (param $place i32) (result i32){records}
    (unreachable))
  (func $host_write_nothing (param $type i32) (param $handle i32)
    (local $at i32){nothing})
"""
RECORD_AT = """
    (if (i32.and (i32.eq (local.get $type) (i32.const {number})) (i32.eq (local.get $place) (i32.const {place})))
      (then (return (i32.const {record}))))"""
WRITE_NOTHING = """
    (if (i32.eq (local.get $type) (i32.const {number}))
      (then
        (local.set $at (call $block_new (i32.const {size})))
        (drop (call {write} (local.get $handle) (local.get $at)))
        (call $block_free (local.get $at) (i32.const {size}))))"""
OFFERED = """    (i32.store $state (local.get $channel) (local.get $ptr))
    (i32.store $state offset=4 (local.get $channel) (local.get $n))
    (i32.store $state offset=12 (local.get $channel) (local.get $place))
"""
"""What is being written, should the readable end come back (`open_elements.wat`)."""

COPY_PARAMS = "(param $channel i32) (param $place i32) (param $ptr i32) (param $n i32)"
PARKED = (
    "(local.get $channel) (i32.load $state offset=44 (local.get $channel))"
    " (i32.load $state offset=36 (local.get $channel)) (i32.load $state offset=40 (local.get $channel))"
)
PARKED_ENDS = ("end_park", "end_release", "end_restore")
"""Those of `open_elements.wat`."""
OPEN_FUNCTIONS = ("end_give", "end_take", "own_park", "own_release", "own_restore", "own_lend", "own_regain")
"""The functions of the template that `EndFunctions` names."""
OWN = {
    "own_waits": """
      (if (i32.and (i32.ne (global.get $live) (i32.const 0)) (i32.ne (global.get $host.waiting) (i32.const 0)))
        (then (call $own_go)))
      """,
    "own_works": "\n    (call $own_go)",
}
"""What is added to `open_ends.wat` where functions that are no tasks may leave some (`own_task.wat`)."""

OF_PRESSURE = {
    "pressure": "\n    (call $host_pressure)",
    "let_in": "\n    (call $host_hold (i32.const 0))  ;; it is a call, too",
}
"""What is added where a call may have to wait for its turn (`pressure.wat`)."""
HELD_BACK = "(i64.ne (i64.load $state offset=16 (i32.const {record})) (i64.const 0))"
"""Whether an instance has backpressure, or a task has it for itself."""

MOST_BYTES = 4096
"""Bytes of elements that are copied twice, at most; but one element always is."""
MOST_PLAIN_BYTES = 1 << 16
"""The same of elements that hold neither handles nor addresses."""

AT_PLACE = "(i32.load $state offset=44 (local.get $channel))"

TWICE = """
    (local $buffer i32) (local $noted i32) (local $result i32) (local $blocks i32)
{offered}    (if (i32.gt_u (local.get $n) (i32.const {most})) (then (local.set $n (i32.const {most}))))
    (local.set $buffer (call $block_new {bytes}))
    {begin}
    (i32.store $state offset=36 (local.get $channel) (local.get $buffer))
    (i32.store $state offset=40 (local.get $channel) (local.get $ptr))
    (i32.store $state offset=44 (local.get $channel) (local.get $place))
    (i32.store $state offset=48 (local.get $channel) (local.get $n))
    (i32.store $state offset=56 (local.get $channel) (local.get $blocks))
    (i32.store $state offset=60 (local.get $channel) (i32.const {number}))
    (return
      (call {operation} (local.get $channel) (local.get $place) (local.get $buffer) (local.get $n)))
"""
NOTED = """(local.set $noted (i32.and (i32.add (local.get $buffer) {half}) (i32.const -8)))
    {noted}{copies}(local.set $ptr (local.get $noted))"""
"""What an instance has written is noted behind what the host reads, since the instance may change it meanwhile."""
PARK = """(local.set $result (call {arena_take}))
    {copies}
    (local.set $blocks (call {arena_take}))
    (call {arena_put} (local.get $result))"""
RELEASE = """(local.set $left (i32.sub (local.get $n) (local.get $moved)))
    (local.set $rest (i32.add (local.get $ptr) (i32.mul (local.get $moved) (i32.const {size}))))
    (local.set $blocks (call {arena_take}))
    {release}
    {restore}
    (call {arena_free} (call {arena_take}))
    (call {arena_put} (local.get $blocks))
    (call {arena_free} (i32.load $state offset=56 (local.get $channel)))"""
SETTLE = """
  (func $settle.{number} (param $channel i32) (param $payload i32)
    (local $n i32) (local $moved i32) (local $left i32) (local $ptr i32) (local $rest i32) (local $buffer i32)
    (local $blocks i32)
    (local.set $n (i32.load $state offset=48 (local.get $channel)))
    (local.set $buffer (i32.load $state offset=36 (local.get $channel)))
    (local.set $ptr (i32.load $state offset=40 (local.get $channel)))
    (local.set $moved
      (select
        (i32.shr_u (local.get $payload) (i32.const 4))
        (i32.eqz (local.get $payload))
        (i32.const {stream})))
    {ended}
    (call $block_free (local.get $buffer) {bytes}))
"""
"""Of a future, one value has gone over if the operation is completed."""
SETTLE_ANY = """
  (func $host_settle (param $channel i32) (param $payload i32)
    (local $number i32)
    (local.set $number (i32.load $state offset=60 (local.get $channel)))
    (i32.store $state offset=60 (local.get $channel) (i32.const 0)){settles}
    (unreachable))
"""

HOST_END = """
  ;; What a call of the host has returned has been copied.
  (func $host_results_end
    (call {host_end}))
"""

HANDLES = {Kind.OWN, Kind.STREAM, Kind.FUTURE, Kind.ERROR_CONTEXT}


def _holds_handles(element: Layout) -> bool:
    return bool(element.kinds() & HANDLES)


HOOKS = {
    "task_begins": "\n    (global.set $live (i32.add (global.get $live) (i32.const 1)))",
    "task_ends": (
        "\n    (global.set $live (i32.sub (global.get $live) (i32.const 1)))\n    (call $root_exited (local.get $task))"
    ),
    "hold": "\n        (if (global.get $hold) (then (return (i32.const 0))))",
    "host_first": "\n        (if (i32.load $state (local.get $word)) (then (return)))",
    "host_wait": (
        "\n      (br_if $leave (call $may_leave))"
        "\n      (br_if $more (call $host_turn_held))"
        "\n      (if (call $host_due) (then (call $host_wait) (br $more)))"
    ),
    "host_yield": ("\n    (if (call $host_due) (then (if (i32.eqz (call $may_leave)) (then (call $host_turn)))))"),
    "host_leave": "\n    (if (call $host_due) (then (return (i32.const 1))))",
    "task_cancelled": "\n    (call $root_cancelled (global.get $task))",
    "host_look": ("    (if (i32.and (local.get $bits) (i32.const 512)) (then (call $host_look)))\n"),
    "host_rest": (
        "\n    (if (i32.eq (i32.shr_u (local.get $word) (i32.const 28)) (i32.const 3))"
        "\n      (then"
        "\n        (if (i32.and (i32.load $state offset=16 (local.get $waitable)) (i32.const 1024))"
        "\n          (then (call $host_rest (local.get $waitable))))))"
    ),
    "host_cancel": (
        "\n        (if (i32.and (local.get $bits) (i32.const 512))"
        "\n          (then"
        "\n            (return"
        "\n              (call $host_cancel (local.get $channel) (local.get $waitable) (local.get $type)))))"
    ),
    "host_drop": (
        "\n    (if (i32.and (local.get $bits) (i32.const 512))"
        "\n      (then (call $host_drop (local.get $channel) (local.get $type)) (return)))"
    ),
    "host_poll": "(drop (call $host_poll))",
    "host_subtask_cancel": (
        "\n    (if (i32.and (i32.load $state offset=32 (local.get $task)) (i32.const 512))"
        "\n      (then"
        "\n        (call $host_look)"
        "\n        (if (i32.lt_u (i32.load $state offset=8 (local.get $task)) (i32.const 2))"
        "\n          (then (call $host_subtask_cancel (local.get $task))))))"
    ),
}
"""What is added to the templates where there are open ends; nothing where all is inside."""


def hooks(*, opens: bool) -> dict[str, str]:
    """The parameters of the templates for open ends."""
    return HOOKS if opens else dict.fromkeys(HOOKS, "")
