"""Streams, futures, waitable sets and error contexts as functions of the module: the built-ins that need no scheduler.

All instances share the functions of the templates: `waitables.wat`, `channels.wat`, `error_contexts.wat`. What an
instance imports becomes a stub around one of them, with the constants of the instance and the checks on its memory.

Source: Component Model, CanonicalABI.md: canon {stream,future}.*, canon waitable-set.*, canon waitable.join,
canon error-context.*.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from meld.abi.options import Options
from meld.abi.traps import Trap
from meld.abi.types import Type, function_types, is_end_or_error, show, show_bare
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.module import CoreItem, Function, Memory, Module
from meld.ir.notes import Instance
from meld.ir.types import I32, FuncType
from meld.notes.boundaries import Boundary, CanonCall, Edge, HostExport
from meld.notes.channels import FIRST_FUTURE, FIRST_STREAM, EndFunctions, EndTypes
from meld.notes.streams import Carried, Domain
from meld.passes.emit_tasks.elements import ElementCopies
from meld.passes.emit_tasks.host_builtins import HostBuiltins
from meld.passes.emit_tasks.open_ends import SEPARATE, OpenEnds, ends_in_elements, hooks
from meld.passes.emit_tasks.rendezvous import Copying, Rendezvous, Verb, rendezvous
from meld.rewriting.handles import Tables
from meld.rewriting.liveness import Reached
from meld.rewriting.template import filled, template_text
from meld.rewriting.text import Text
from meld.support.records import record

MAX_COUNT = (1 << 28) - 1
"""The most elements of one read or write (Buffer.MAX_LENGTH)."""

MESSAGE_UNITS = 1 << 16
"""Code units of a message of an error context up to which it is kept."""
MESSAGE_SPACE = 1 << 28
"""Bytes that all messages together take at most; every instance has the same share."""

HOST_ERRORS = ("error_give", "error_take")
HOST_ERROR_DROP = """    (if (i32.load $state offset=16 (local.get $error))
      (then (call $host.error-context.drop (i32.load $state offset=16 (local.get $error)))))
"""

PART = {
    "entries.wat": "waitables",
    "waitables.wat": "waitables",
    "channels.wat": "channels",
    "error_contexts.wat": "errors",
}
"""What the functions of a template belong to, for sizes by part."""

GIVEN = ("handle_add", "handle_remove", "block_new", "block_free")
"""Functions over the state memory that the templates call."""


@record()
class Channels:
    """Writes the functions of channels, waitable sets and error contexts into the text of the runtime.

    The templates call functions that the templates of tasks define:
    ``$await_end (waitable) → result``, ``$block_on_set (set)`` and ``$set_wake (set)``.

    Attributes:
        copying: writes what reads and writes; `copies` are those of elements and messages.
        open_ends: what deals with ends of the host's, if there can be any.
        shut: whether ends that would cross to the host trap.
        errors: whether there are error contexts.
        tasks: whether there is a scheduler, so that what blocks can leave the stack.
        host: the host's built-ins that the functions call.
        host_errors: whether the host may have error contexts.
    """

    text: Text
    tables: Tables
    types: EndTypes
    copying: Copying
    copies: ElementCopies
    errors: bool
    open_ends: OpenEnds | None = None
    shut: bool = False
    tasks: bool = False
    host: HostBuiltins = field(kw_only=True)
    host_errors: bool = False
    _stubs: int = 0

    @classmethod
    def of(
        cls,
        text: Text,
        module: Module,
        builtins: Mapping[Function, CanonCall],
        ends: Sequence[Type],
        *,
        opens: bool,
        tasks: bool,
        errors: bool = False,
    ) -> Channels:
        """The channels of a module; `builtins` are those that will be replaced, as `inside` returns them.

        Args:
            ends: the types of ends that the host may have, or that trap where the host would get one.
            opens: whether the module can wait for its host; else they trap.
            tasks: whether there is a scheduler.
            errors: whether the host may have error contexts.

        Raises:
            MeldError: a read or write has its buffers in a 64-bit memory.
        """
        domains = [d for d in module.notes_of(Domain) if _is_inside(d, ends)]
        tables, types = Tables.of(module), EndTypes.of(module, ends)
        copies = ElementCopies(module, tables.state)
        host = HostBuiltins(module)
        separate = SEPARATE in module.facts
        inner = ends_in_elements(ends, builtins.values())
        open_ends = OpenEnds(text, tables, types, ends, copies, host, separate, inner) if opens else None
        copying = Copying(text, types, rendezvous(domains, builtins.items(), ends), copies, open_ends)
        has_errors, shut = errors or _has_errors(module, builtins.values()), bool(ends) and not opens
        return cls(
            text, tables, types, copying, copies, has_errors, open_ends, shut, tasks, host=host, host_errors=errors
        )

    def templates(self) -> None:
        """Adds the functions that all instances share; those that carry ends have a table even without a built-in."""
        self.text.give("$state", self.tables.state.memory)
        for label in GIVEN:
            self.text.give(f"${label}", self.tables.state.function(label))
        for n, t in _carried(self.tables.module):
            if is_end_or_error(t):
                self.tables.record(n.caller)
                self.tables.record(n.callee)
        if self.open_ends is not None or self.shut or self.host_errors:
            for _, edge in self.tables.module.noted(Edge):
                self.tables.record(edge.instance)
            for export in self.tables.module.notes_of(HostExport):
                self.tables.record(export.instance)
        for name in self._templates():
            self.text.add(template_text(__package__, name, self._params), PART[name])
        if self.shut:
            self.text.add(SHUT)
        if self.host_errors:
            self._errors_of_host()
        for function in dict.fromkeys(self._ends.values()):
            self.text.add(f'  (export "{function}" (func ${function}))')

    def _templates(self) -> Iterator[str]:
        yield "entries.wat"
        yield "waitables.wat"
        if self.types.numbers:
            yield "channels.wat"
        if self.errors:
            self.tables.state.link(__package__, "messages.wat", kind=self.text.kind)
            self.text.give("$message_free", self.tables.state.function("message_free"))
            yield "error_contexts.wat"

    def _errors_of_host(self) -> None:
        """The functions by which error contexts go to the host, and come from it."""
        state = self.tables.state
        message = Options(memory=state.memory, realloc=state.function("message_realloc"))
        shapes = {
            "new": (message, FuncType((I32, I32), (I32,))),
            "debug-message": (message, FuncType((I32, I32), ())),
            "drop": (Options(), FuncType((I32,), ())),
        }
        for name, (options, shape) in shapes.items():
            builtin = f"error-context.{name}"
            self.text.give(f"$host.{builtin}", self.host.add(builtin, None, options, shape))
        self.text.add(
            template_text(__package__, "host_errors.wat", self._params | {"nobody": state.reserve(80)}), "errors"
        )

    @property
    def _params(self) -> dict[str, Any]:
        instances = len(self.tables.module.notes_of(Instance))
        return {
            "first_stream": FIRST_STREAM,
            "first_future": FIRST_FUTURE,
            "most_units": MESSAGE_UNITS,
            "error_bytes": 32 if self.host_errors else 16,
            "host_error_drop": HOST_ERROR_DROP if self.host_errors else "",
            "most_bytes": MESSAGE_SPACE // max(instances, 1),
            **hooks(opens=self.open_ends is not None),
        }

    @property
    def _ends(self) -> dict[str, str]:
        """Functions that carry ends from one instance to another: field of `EndFunctions` → name in the templates."""
        ends = {"end_lift": "end_lift", "end_lower": "end_lower"} if self.types.numbers else {}
        if self.open_ends is not None:
            ends |= {name: name for name in self.open_ends.functions}
        if self.shut:
            ends |= {"end_give": "end_shut", "end_take": "end_shut"}
        if self.host_errors:
            ends |= {name: name for name in HOST_ERRORS}
        return ends | ({"error_lift": "error_get", "error_lower": "error_lower"} if self.errors else {})

    def install(self, made: Mapping[str, CoreItem]) -> None:
        """After the text is installed: notes the functions that carry ends and error contexts."""
        functions: dict[str, Any] = {field: made[name] for field, name in self._ends.items()}
        if functions:
            self.tables.module.notes.append(EndFunctions(**functions))
        if self.open_ends is not None:
            self.open_ends.install(made)
        self.tables.module.imports += self.host.imports

    # --- stubs -------------------------------------------------------------------------------------------------------

    def stub(self, import_: Function, call: CanonCall) -> str:
        """Writes what stands for an import, one of `BUILTINS`; returns the name of its export."""
        kind, _, operation = call.builtin.partition(".")
        shape = _SHAPES[operation if kind in ("stream", "future") else call.builtin]
        name = f"channel-builtin.{self._stubs}"
        self._stubs += 1
        params = {"name": name, "record": self.tables.record(call.instance)}
        if kind in ("stream", "future"):
            params |= self._of_end(call, operation)
        if operation in ("read", "write"):
            params |= self._of_copy(import_, call, Verb(operation))
        if call.builtin in ("waitable-set.poll", "waitable-set.wait"):
            waits = call.builtin == "waitable-set.wait"
            blocks = "(call $block_on_set (local.get $set))"
            params["block"] = blocks if waits else self._params["host_poll"]
            params |= self._of_memory(call)
        if call.builtin in ("error-context.new", "error-context.debug-message"):
            params |= self._of_message(call)
        self.text.add(filled(shape, params))
        return name

    def _of_end(self, call: CanonCall, operation: str) -> dict[str, Any]:
        readable = self.types.number(call.type)
        sync = not call.options.is_async
        return {
            "type": readable | (operation in _OF_WRITABLE),
            "sync": int(sync),
        }

    def _of_copy(self, import_: Function, call: CanonCall, verb: Verb) -> dict[str, Any]:
        operation = self.copying.operations[import_]
        domain = operation.domain
        stream = isinstance(domain.type, c.Stream)
        count = "(local.get $n)" if stream else "(i32.const 1)"
        operands = f"(local.get $handle) (local.get $ptr) {count}"
        record = self.tables.record(call.instance)
        sync = not call.options.is_async
        return {
            "n": "(param $n i32)" if stream else "",
            "check_count": self._check_count() if stream else "",
            "check_range": self._check_range(domain, call, verb, count),
            "copy": self.copying.call(operation, verb, record, operands),
            "back": BACK if sync and self.tasks else "",
        }

    def _check_count(self) -> str:
        trap = self.text.trap(Trap.TOO_MANY)
        return f"(if (i32.gt_u (local.get $n) (i32.const {MAX_COUNT})) (then (call {trap}) (unreachable)))"

    def _check_range(self, domain: Rendezvous, call: CanonCall, verb: Verb, count: str) -> str:
        """The buffer of an operation lies in its memory, and is aligned. An empty one has no address."""
        element = domain.element
        if element is None:
            return ""
        memory = call.options.memory
        if memory is None:
            raise MeldError(f"its `{call.builtin}` of {show(domain.type)} has no memory")
        length = f"(i64.extend_i32_u {count})"
        length = length if element.size == 1 else f"(i64.mul {length} (i64.const {element.size}))"
        end = f"(i64.add (i64.extend_i32_u (local.get $ptr)) {length})"
        whole = f"(i64.mul (i64.extend_i32_u (memory.size {self.text.use(memory)})) (i64.const {page_size(memory)}))"
        refused = [(f"(i64.gt_u {end} {whole})", self.text.trap(Trap.BUFFER))]
        if element.align > 1:
            unaligned = self.text.trap(Trap.READ_ALIGNMENT if verb is Verb.READ else Trap.WRITE_ALIGNMENT)
            refused.append((f"(i32.and (local.get $ptr) (i32.const {element.align - 1}))", unaligned))
        trap = "(call {}) (unreachable)"
        if count == "(local.get $n)":  # asked last: hardly any buffer is empty
            trap = f"(if (local.get $n) (then {trap}))"
        return "\n    ".join(f"(if {when} (then {trap.format(which)}))" for when, which in refused)

    def _of_memory(self, call: CanonCall) -> dict[str, Any]:
        memory = call.options.memory
        if memory is None or memory.limits.is64:
            raise MeldError(f"`{call.builtin}` of `{call.instance.name}` has no memory with 32-bit addresses")
        return {"memory": self.text.use(memory), "page": page_size(memory)}

    def _of_message(self, call: CanonCall) -> dict[str, Any]:
        copy = self.copies.message_in if call.builtin == "error-context.new" else self.copies.message_out
        tagged = call.options.encoding == "latin1+utf16"
        return self._of_memory(call) | {"copy": self.text.use(copy(call)), "mask": 0x7FFFFFFF if tagged else -1}


def page_size(memory: Memory) -> int:
    """Bytes of a page."""
    return 1 << (16 if memory.limits.page_size_log2 is None else memory.limits.page_size_log2)


SHUT = "  (func $end_shut (param i32 i32) (result i32) (call {trap HOST_END}) (unreachable))"


def _is_inside(domain: Domain, ends: Sequence[Type]) -> bool:
    """Whether channels carry a domain; with `ends` also those that stay on the host only since it can see them."""
    return domain.carried == Carried.RENDEZVOUS.value or (domain.open and bool(ends))


def inside(
    module: Module, builtins: Iterable[tuple[Function, CanonCall]], ends: Sequence[Type], live: Reached
) -> Iterator[tuple[Function, CanonCall]]:
    """The built-ins but for those of streams and futures that stay on the host, which nothing calls.

    Raises:
        MeldError: something calls one; a core module has no way to reach a stream of its host.
    """
    domains = {(i, d.future, d.element): d for d in module.notes_of(Domain) for i in d.instances}
    for item, n in builtins:
        if isinstance(n.type, c.Stream | c.Future) and n.builtin in BUILTINS:
            domain = domains.get((n.instance, isinstance(n.type, c.Future), n.type.element))
            if domain is None or not _is_inside(domain, ends):
                if item in live:
                    raise _outside(n, domain)
                continue
        yield item, n


def _outside(call: CanonCall, domain: Domain | None) -> MeldError:
    why = "no pass has looked for its other end" if domain is None else domain.why
    return MeldError(
        f"`{call.builtin}` of `{call.instance.name}`: the {show_bare(call.type)} stays on the host, and a core "
        f"module cannot reach it there: {why}",
        hint=_way_out(domain),
    )


def _way_out(domain: Domain | None) -> str:
    if domain is None:
        return "run detect-pairs before emit-tasks"
    inside = "fuse the component in whose hands the other end is, too: then both ends are in the module"
    return f"{inside}; or make a component, with --emit=component" if domain.open else inside


def has_ends(module: Module) -> bool:
    """Whether calls between instances carry streams, futures or error contexts."""
    return any(is_end_or_error(t) for _, t in _carried(module))


def _has_errors(module: Module, calls: Iterable[CanonCall]) -> bool:
    """Whether anything makes error contexts, or carries them."""
    if any(call.builtin.startswith("error-context.") for call in calls):
        return True
    return any(t is c.Prim.ERROR_CONTEXT for _, t in _carried(module))


def _carried(module: Module) -> Iterator[tuple[Boundary, Type]]:
    """The types of values that calls between instances carry, with the call."""
    for _, n in module.noted(Boundary):
        yield from ((n, t) for t in function_types(n.type))


# --- the shapes of stubs ----------------------------------------------------------------------------------------------

BACK = "(if (call $leaving) (then (return (call $end_awaited))))"
"""What a synchronous read or write does when its frames are back: it is a leaf (`frames.wat`)."""

_OF_ENDS = ("new", "read", "write", "cancel-read", "cancel-write", "drop-readable", "drop-writable")
_OF_WRITABLE = frozenset({"write", "cancel-write", "drop-writable"})

_COPY = """
  (func ${name} (export "{name}") (param $handle i32) (param $ptr i32) {n} (result i32)
    {back}
    {check_count}
    {check_range}
    {copy})
"""
_CANCEL = """
  (func ${name} (export "{name}") (param $handle i32) (result i32)
    (call $channel_cancel (i32.const {record}) (i32.const {type}) (local.get $handle) (i32.const {sync})))
"""
_DROP = """
  (func ${name} (export "{name}") (param $handle i32)
    (call $channel_drop (i32.const {record}) (i32.const {type}) (local.get $handle)))
"""
_POLL = """
  (func ${name} (export "{name}") (param $set i32) (param $ptr i32) (result i32)
    (local $waitable i32) (local $word i32) (local $payload i32)
    (local.set $set (call $set_get (i32.const {record}) (local.get $set)))
    {block}
    (local.set $waitable (i32.load $state (local.get $set)))
    (if (local.get $waitable)
      (then
        (i32.store $state (local.get $set) (i32.load $state offset=8 (local.get $waitable)))
        (local.set $word (i32.load $state (local.get $waitable)))
        (local.set $payload (call $waitable_delivered (local.get $waitable)))))
    (if (i32.and (local.get $ptr) (i32.const 3)) (then (call {trap EVENT_ALIGNMENT}) (unreachable)))
    (if (i64.gt_u
          (i64.add (i64.extend_i32_u (local.get $ptr)) (i64.const 8))
          (i64.mul (i64.extend_i32_u (memory.size {memory})) (i64.const {page})))
      (then (call {trap EVENT_RANGE}) (unreachable)))
    (i32.store {memory} (local.get $ptr) (i32.and (local.get $word) (i32.const 0xfffffff)))
    (i32.store {memory} offset=4 (local.get $ptr) (local.get $payload))
    (i32.shr_u (local.get $word) (i32.const 28)))
"""
_SHAPES = {
    "new": """
  (func ${name} (export "{name}") (result i64) (call $channel_new (i32.const {record}) (i32.const {type})))
""",
    "read": _COPY,
    "write": _COPY,
    "cancel-read": _CANCEL,
    "cancel-write": _CANCEL,
    "drop-readable": _DROP,
    "drop-writable": _DROP,
    "waitable-set.new": """
  (func ${name} (export "{name}") (result i32) (call $set_new (i32.const {record})))
""",
    "waitable-set.drop": """
  (func ${name} (export "{name}") (param $set i32) (call $set_drop (i32.const {record}) (local.get $set)))
""",
    "waitable-set.poll": _POLL,
    "waitable-set.wait": _POLL,
    "error-context.new": """
  (func ${name} (export "{name}") (param $ptr i32) (param $length i32) (result i32)
    (local $error i32) (local $kept i32)
    (call $error_new (i32.const {record}) (i32.and (local.get $length) (i32.const {mask})))
    local.set $kept
    local.set $error
    (if (local.get $kept)
      (then (call {copy} (local.get $ptr) (local.get $length) (i32.add (local.get $error) (i32.const 4)))))
    (call $error_made (local.get $error)))
""",
    "error-context.debug-message": """
  (func ${name} (export "{name}") (param $error i32) (param $ptr i32)
    (local.set $error (call $error_get (i32.const {record}) (local.get $error)))
    (if (i64.gt_u
          (i64.add (i64.extend_i32_u (local.get $ptr)) (i64.const 8))
          (i64.mul (i64.extend_i32_u (memory.size {memory})) (i64.const {page})))
      (then (call {trap MESSAGE_AREA}) (unreachable)))
    (call {copy} (i32.add (local.get $error) (i32.const 4)) (local.get $ptr) (i32.const 1)))
""",
    "error-context.drop": """
  (func ${name} (export "{name}") (param $error i32)
    (call $error_drop (i32.const {record}) (local.get $error)))
""",
    "waitable.join": """
  (func ${name} (export "{name}") (param $waitable i32) (param $set i32)
    (call $waitable_join (i32.const {record}) (local.get $waitable) (local.get $set)))
""",
}
"""The writer of each built-in, by its name; for streams and futures, by its name without the kind."""

BUILTINS = frozenset(
    {f"{kind}.{name}" for kind in ("stream", "future") for name in _OF_ENDS} | {name for name in _SHAPES if "." in name}
)
"""The built-ins that `Channels.stub` knows."""
