"""The order of start work: what instantiation of several modules does, when it is one module that is instantiated."""

from __future__ import annotations

from collections.abc import Sequence

from meld.ir.builtins import CONTEXT_BUILTINS, THREAD_BUILTINS
from meld.ir.instructions import Code, Instruction
from meld.ir.module import DataSegment, ElementSegment, Export, Function, Memory, Module, Table
from meld.ir.notes import Instance
from meld.notes.boundaries import CanonCall
from meld.notes.host_modules import MODULE, HostModule
from meld.rewriting.constants import is_in_bounds
from meld.rewriting.labels import code
from meld.rewriting.own_task import own_task
from meld.rewriting.splice import Spliced
from meld.support.records import record

OF_TASKS = CONTEXT_BUILTINS | THREAD_BUILTINS
"""The built-ins by which a start function can tell that it runs as a task of its own."""


@record()
class HostInstantiation:
    """An instance of a core module of the host that is made behind the fused module; why, for people, and where."""

    note: HostModule
    why: str
    where: str


@record()
class Instantiation:
    """One core instance, in order of instantiation.

    Attributes:
        spliced: what was spliced for it.
        defined: the memories and tables that it defines.
        instance: the component instance that it belongs to.
    """

    spliced: Spliced
    defined: list[Memory | Table]
    instance: Instance


def order_start(module: Module, events: Sequence[Instantiation | HostInstantiation]) -> None:
    """Makes the start of `module` do what the instantiations did, in their order.

    Unfused, instance by instance: element segments, data segments, start function. Fused, all active element segments
    come first, then the data segments, then the start function. What would come too early then moves into a start
    wrapper: those segments become passive, and are written by it (`_Early` says which stay).

    An instance of the host behind the module may see and do what a start function may. What comes after it is a
    function of its own, which is exported and called when that instance is made.

    A start function is a synchronous call. Where the instance has context slots or threads, an import stands for it.
    """
    with_tasks = {n.instance for _, n in module.noted(CanonCall) if n.builtin in OF_TASKS}
    work: list[Instruction] = []
    before: HostModule | None = None
    early = _Early()
    for event in events:
        if isinstance(event, HostInstantiation):
            _start(module, work, before)
            work, before = [], event.note
            early.reached()
            continue
        early.enter(event)
        for element in event.spliced.elements:
            if element.table is not None and not early.admits(element, element.table):
                work += _write_elements(element)
        for data in event.spliced.datas:
            if data.memory is not None and not early.admits(data, data.memory):
                work += _write_data(data)
        if event.spliced.start:
            start, instance = event.spliced.start, event.instance
            if instance in with_tasks:
                start = own_task(module, instance, start, "start function", f"{instance.name}/start")
            work += code("call $start", start=start)
            early.reached()
    _start(module, work, before)


def _start(module: Module, work: list[Instruction], after: HostModule | None) -> None:
    """Makes some code the start of `module`, or what is called after an instance of the host is made."""
    match work:
        case []:
            return
        case [Instruction(op="call", args=(Function() as start,))] if after is None:
            module.start = start
            return
    name = "start" if after is None else f"start-after-{after.name}"
    wrapper = Function(module.func_type(), Code([], work), name=name, synthetic="start-wrapper")
    module.functions.append(wrapper)
    if after is None:
        module.start = wrapper
    else:
        after.then = f"{MODULE}/{after.name}/start"
        module.exports.append(Export(after.then, wrapper))


class _Early:
    """Which segments stay active, though they are written before the start functions of earlier instances run.

    Those that cannot trap and whose memory or table no code has reached yet: an instance that is made after a start
    function has run is unknown to it. Engines map such data copy on write, and never run what copies it.
    """

    def __init__(self) -> None:
        self._fresh: set[Memory | Table] = set()
        self._ordered = False  # what may trap is written by the start wrapper from here on
        self._risky_data = False

    def enter(self, event: Instantiation) -> None:
        """An instance is made: what it defines has not been reached."""
        self._fresh |= set(event.defined)

    def admits(self, segment: DataSegment | ElementSegment, target: Memory | Table) -> bool:
        """Whether a segment stays active. One that does not is written late, and so are those behind it."""
        safe = is_in_bounds(segment)
        if isinstance(segment, DataSegment):
            self._risky_data |= not safe
        elif self._risky_data and not safe:
            self._ordered = True  # active, it would trap before the data of an earlier instance do
        if not self._ordered:
            return True
        if safe and target in self._fresh:
            return True
        self._fresh.discard(target)
        return False

    def reached(self) -> None:
        """A start function runs: it may reach everything that there is."""
        self._ordered = True
        self._fresh.clear()


def _write_elements(segment: ElementSegment) -> list[Instruction]:
    """Code that writes a segment as instantiation does; the segment becomes passive."""
    text = "$offset  i32.const 0  i32.const $count  table.init $table $segment  elem.drop $segment"
    offset, count = segment.offset or [], len(segment.entries)
    made = code(text, offset=offset, count=count, table=segment.table, segment=segment)
    segment.table = segment.offset = None
    segment.explicit_table = False
    return made


def _write_data(segment: DataSegment) -> list[Instruction]:
    """Code that writes a segment as instantiation does; the segment becomes passive."""
    text = "$offset  i32.const 0  i32.const $count  memory.init $memory $segment  data.drop $segment"
    offset, count = segment.offset or [], len(segment.data)
    made = code(text, offset=offset, count=count, memory=segment.memory, segment=segment)
    segment.memory = segment.offset = None
    segment.explicit_memory = False
    return made
