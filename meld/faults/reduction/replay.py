"""A large program is cut down to one call: that of a function which the passes change, at a moment when it matters.

Where the test runs `meldc run`, the good program is run here, and stopped when it enters a function that the passes
change. From the memories and globals at such a moment the function can be called alone, in the program and in the
product; where the two end differently, that call is the fault, and all that came before it is data. So the candidate is
the program with those memories, whose entry calls the function with those arguments, traps unless it ends as it does
in the good program, and then puts into place what the entry left in the good run, so that the host sees the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import field, replace
from io import StringIO
from typing import Any

from meld.diagnostics import MeldError
from meld.ir.instructions import Code, Instruction, LazyBody
from meld.ir.module import SPACE_OF, DataSegment, Export, Function, Global, ImportName, Memory, Module
from meld.ir.types import NumType
from meld.notes.boundaries import HostExport
from meld.rewriting.text import Text
from meld.runtime.instantiate import Running, Trapped, instantiate
from meld.runtime.interrupt import stoppable
from meld.runtime.run import invoke_export
from meld.support.records import record

PROBE = "meld:probe"
MOMENTS = 6
"""How many calls of one function are looked at: the first ones."""
LARGEST = 16 << 20
"""Bytes of memory of a program that is looked at."""
GAP = 32
"""Zeros, or equal bytes, between two stretches of data that are told apart."""
PAGE = 65536


@record()
class State:
    """What a program holds: the bytes of each memory, the value of each mutable global."""

    memories: list[bytes]
    globals: dict[int, Any]


@record()
class Moment:
    """A call of a function: its number, its arguments, what stood when it was entered, and below which entry."""

    function: int
    arguments: tuple[Any, ...]
    state: State
    root: int
    final: State | None = None
    results: tuple[Any, ...] = ()


@record()
class _Watch:
    """What probes see in a run. `stack`: the entries that are active, by number."""

    globals: list[int]
    running: Running | None = None
    stack: list[int] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    seen: dict[int, int] = field(default_factory=dict)

    def state(self) -> State | None:
        running = self.running
        if running is None:
            return None
        exports = running.instance.exports(running.store)
        count = len(running.module.space("memories"))
        memories = [bytes(running.memory(i)) for i in range(count)]
        if sum(map(len, memories)) > LARGEST:
            return None
        values = {i: exports[f"{PROBE}{i}"].value(running.store) for i in self.globals}  # type: ignore[union-attr]
        return State(memories, values)

    def entered(self, number: int) -> Callable[..., None]:
        def probe(*arguments: Any) -> None:
            self.seen[number] = count = self.seen.get(number, 0) + 1
            state = self.state() if self.stack and count <= MOMENTS else None
            if state is not None:
                self.moments.append(Moment(number, arguments, state, self.stack[0]))

        return probe

    def begun(self, number: int) -> Callable[..., None]:
        def probe() -> None:
            self.stack.append(number)

        return probe

    def ended(self, number: int) -> Callable[..., None]:
        def probe(*results: Any) -> None:
            self.stack.pop()
            waiting = [m for m in self.moments if m.final is None and not self.stack]
            state = self.state() if waiting else None
            for moment in waiting:
                moment.final, moment.results = state, results

        return probe


def moments(module: Module, changed: Sequence[int], invoke: Sequence[str], limit: float) -> list[Moment]:
    """The first calls of some functions, given by number, in a run of a module, which is changed.

    Empty if that cannot be told: the program has parts of the host, or it fails.
    """
    if any(not isinstance(item, Function) for item in module.imports):
        return []
    variables = [i for i, item in enumerate(module.globals) if item.mutable and isinstance(item.type, NumType)]
    watch, given = _Watch(variables), dict[tuple[str, str], Any]()
    module.exports += [Export(f"{PROBE}{i}", module.globals[i]) for i in variables]
    for number in changed:
        function = module.functions[number]
        probe = _probe(module, given, f"in{number}", function.signature.params, watch.entered(number))
        if probe is not None:
            params = [Instruction("local.get", (i,)) for i in range(len(function.signature.params))]
            function.instructions[:0] = [*params, Instruction("call", (probe,))]
    for number in _roots(module):
        _wrap(module, number, given, watch)
    with suppress(MeldError, Trapped), redirect_stdout(StringIO()), redirect_stderr(StringIO()), stoppable(limit):
        watch.running = instantiate(module, given=given, lenient=True, interruptible=True)
        invoke_export(watch.running, invoke)
    return [moment for moment in watch.moments if moment.final is not None]


def entered(module: Module, invoke: Sequence[str], limit: float) -> set[int]:
    """The numbers of the functions that a run of a module enters, which is changed."""
    marks = []
    for number, function in enumerate(module.functions):
        mark = Global(NumType.I32, True, init=[Instruction("i32.const", (0,))])
        module.globals.append(mark)
        module.exports.append(Export(f"{PROBE}{number}", mark))
        function.instructions[:0] = [Instruction("i32.const", (1,)), Instruction("global.set", (mark,))]
        marks.append(f"{PROBE}{number}")
    with suppress(MeldError, Trapped), redirect_stdout(StringIO()), redirect_stderr(StringIO()), stoppable(limit):
        running = instantiate(module, lenient=True, interruptible=True)
        with suppress(MeldError, Trapped):
            invoke_export(running, invoke)
        exports = running.instance.exports(running.store)
        return {number for number, name in enumerate(marks) if exports[name].value(running.store)}  # type: ignore[union-attr]
    return set()


def weights(module: Module) -> dict[int, int]:
    """How many instructions each function may execute by calls that name their callee, its own included, by number."""
    numbers = {id(function): number for number, function in enumerate(module.functions)}
    calls: list[set[int]] = []
    sizes = []
    for function in module.functions:
        code = function.view().instructions
        sizes.append(len(code))
        calls.append({numbers[id(arg)] for one in code for arg in one.args if id(arg) in numbers})
    found = {}
    for number in range(len(sizes)):
        seen, pending = {number}, [number]
        while pending:
            new = calls[pending.pop()] - seen
            seen |= new
            pending += new
        found[number] = sum(sizes[one] for one in seen)
    return found


def _roots(module: Module) -> list[int]:
    """The numbers of the functions by which the host enters."""
    items = [e.item for e in module.exports] + [e.target for e in module.notes_of(HostExport)]
    numbers = {id(function): number for number, function in enumerate(module.functions)}
    return sorted({numbers[id(item)] for item in items if id(item) in numbers})


def _probe(module: Module, given: dict[Any, Any], name: str, types: Sequence[Any], call: Any) -> Function | None:
    if not all(isinstance(t, NumType) and t is not NumType.V128 for t in types):
        return None
    probe = Function(module.func_type(tuple(types)), imported=ImportName(PROBE, name))
    module.imports.append(probe)
    given[PROBE, name] = call
    return probe


def _wrap(module: Module, number: int, given: dict[Any, Any], watch: _Watch) -> None:
    """Has a function by which the host enters tell that it begins, and what it returns."""
    root = module.functions[number]
    begin = _probe(module, given, f"begin{number}", (), watch.begun(number))
    end = _probe(module, given, f"end{number}", root.signature.results, watch.ended(number))
    if begin is None or end is None:
        return
    inner = Function(root.type, body=root.body)
    module.functions.append(inner)
    params, results = root.signature.params, root.signature.results
    local = [len(params) + i for i in range(len(results))]
    load = [Instruction("local.get", (i,)) for i in local]
    root.body = Code(
        list(results),
        [
            Instruction("call", (begin,)),
            *(Instruction("local.get", (i,)) for i in range(len(params))),
            Instruction("call", (inner,)),
            *(Instruction("local.set", (i,)) for i in reversed(local)),
            *(*load, Instruction("call", (end,)), *load),
        ],
    )


# --- from a moment on ------------------------------------------------------------------------------------------------


def restored(module: Module, moment: Moment) -> Module:
    """The module, changed: it begins with what stood at a moment, and exports the function under a reserved name."""
    module.start = None
    module.datas = [data for data in module.datas if data.memory is None]
    for memory, content in zip(module.memories, moment.state.memories, strict=True):
        _enlarge(memory, len(content))
        constant = "i64.const" if memory.limits.is64 else "i32.const"
        for at, data in stretches(bytes(len(content)), content):
            offset = [Instruction(constant, (at,))]
            module.datas.append(DataSegment(data=data, memory=memory, offset=offset))
    for number, value in moment.state.globals.items():
        module.globals[number].init = [Instruction(_constant(module.globals[number].type), (value,))]
    module.exports.append(Export(PROBE, module.functions[moment.function]))
    return module


def _enlarge(memory: Memory, size: int) -> None:
    """Lets a memory begin with a number of bytes, if it has less."""
    page = memory.limits.page_size_log2
    least = max(memory.limits.minimum, size >> (16 if page is None else page))
    memory.limits = replace(memory.limits, minimum=least)


def _constant(t: Any) -> str:
    return f"{t.value}.const"


def stretches(before: bytes, after: bytes) -> Iterator[tuple[int, bytes]]:
    """Where bytes differ, and what stands there then; neighbours are joined."""
    before = before.ljust(len(after), b"\0")
    start = end = -1
    for at in _different(before, after):
        if start >= 0 and at - end <= GAP:
            end = at + 1
            continue
        if start >= 0:
            yield start, after[start:end]
        start, end = at, at + 1
    if start >= 0:
        yield start, after[start:end]


def _different(before: bytes, after: bytes) -> Iterator[int]:
    for begin in range(0, len(after), 256):
        if before[begin : begin + 256] != after[begin : begin + 256]:
            yield from (i for i in range(begin, min(begin + 256, len(after))) if before[i] != after[i])


def changed(before: Module, after: Module) -> list[int]:
    """The numbers of the functions of a module whose bodies are others in what passes made of it."""
    found = []
    numbers = [_numbers(module) for module in (before, after)]
    for number, (one, other) in enumerate(zip(before.functions, after.functions, strict=False)):
        a, b = one.body, other.body
        if isinstance(a, LazyBody) and isinstance(b, LazyBody) and a.source == b.source:
            continue
        codes = zip((one.view(), other.view()), numbers, strict=True)
        (own, of_one), (theirs, of_other) = ((code, places) for code, places in codes)
        if _told(own, of_one) != _told(theirs, of_other):
            found.append(number)
    return found


def _numbers(module: Module) -> dict[int, tuple[str, int]]:
    """Where items stand among those of their kind, by identity."""
    spaces = ("imports", *SPACE_OF.values(), "elements", "datas")
    return {id(item): (space, i) for space in spaces for i, item in enumerate(getattr(module, space))}


def _told(code: Code, numbers: dict[int, tuple[str, int]]) -> list[Any]:
    """The instructions of a body, with items by where they stand."""
    return [
        (one.op, tuple(numbers.get(id(arg), arg if isinstance(arg, int | float | str) else None) for arg in one.args))
        for one in code.instructions
    ]


@record()
class Ending:
    """How a call ended: what it returned, None if it trapped; and the memories."""

    results: tuple[Any, ...] | None
    memories: list[bytes] = field(default_factory=list)


def ending(module: Module, moment: Moment, limit: float) -> Ending:
    """How the call of a moment ends in a module that `restored` gave, or in what passes made of it."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()), stoppable(limit):
        try:
            running = instantiate(module, lenient=True, interruptible=True)
            found = running.instance.exports(running.store)[PROBE](running.store, *moment.arguments)  # type: ignore[operator]
        except Exception:  # a trap, in any of the forms that the engine has for it
            return Ending(None)
    results = tuple(found) if isinstance(found, list) else () if found is None else (found,)
    return Ending(results, [bytes(running.memory(i)) for i in range(len(module.space("memories")))])


def replayed(module: Module, moment: Moment, good: Ending, bad: Ending) -> bool:
    """Makes a module that `restored` gave the candidate; False if the two endings are the same."""
    module.exports = [export for export in module.exports if export.name != PROBE]
    function, root = module.functions[moment.function], module.functions[moment.root]
    if good.results is None or moment.final is None or function is root:
        return False
    for memory, content in zip(module.memories, moment.final.memories, strict=True):
        _enlarge(memory, len(content))
    text = Text(module, "replay")
    results = function.signature.results
    names = [f"$r{i}" for i in range(len(results))]
    lines = [f"(local {name} {t.value})" for name, t in zip(names, results, strict=True)]  # type: ignore[union-attr]
    params = zip(function.signature.params, moment.arguments, strict=True)
    lines += [f"({_constant(t)} {_number(value)})" for t, value in params]
    lines += [f"call {text.use(function)}", *(f"local.set {name}" for name in reversed(names))]
    check = list(_checks(module, text, dict(zip(names, results, strict=True)), good, bad))
    if bad.results is not None and not check:
        return False
    lines += [f"(if {one} (then unreachable))" for one in check]
    lines += _finally(module, text, moment, good)
    lines += [
        f"({_constant(t)} {_number(value)})" for t, value in zip(root.signature.results, moment.results, strict=True)
    ]
    text.function("replay", root.signature, "\n".join(lines))
    made = text.place()["replay"]
    assert isinstance(made, Function)
    root.body, root.local_names = made.body, made.local_names
    module.functions.remove(made)
    return True


def _number(value: Any) -> str:
    return (
        float.hex(value) if isinstance(value, float) and value == value and abs(value) != float("inf") else str(value)
    )


def _checks(module: Module, text: Text, names: dict[str, Any], good: Ending, bad: Ending) -> Iterator[str]:
    """What tells the good ending from the bad one: a result, or a byte of a memory."""
    assert good.results is not None
    for (name, t), own, other in zip(names.items(), good.results, bad.results or (), strict=False):
        if own != other:
            yield f"({t.value}.ne (local.get {name}) ({_constant(t)} {_number(own)}))"
            return
    for memory, own_bytes, other_bytes in zip(module.memories, good.memories, bad.memories, strict=False):
        at = next(_different(own_bytes, other_bytes[: len(own_bytes)].ljust(len(own_bytes), b"\0")), None)
        if at is not None:
            address = f"({'i64' if memory.limits.is64 else 'i32'}.const {at})"
            yield f"(i32.ne (i32.load8_u {text.use(memory)} {address}) (i32.const {own_bytes[at]}))"
            return


def _finally(module: Module, text: Text, moment: Moment, good: Ending) -> list[str]:
    """What the entry leaves, beyond what the call does."""
    assert moment.final is not None
    lines: list[str] = []
    for memory, own, final in zip(module.memories, good.memories, moment.final.memories, strict=True):
        for at, data in stretches(own, final):
            name = f"$final{len(lines)}"
            shown = "".join(f"\\{byte:02x}" for byte in data)
            text.parts.append(f'  (data {name} "{shown}")')
            address = f"({'i64' if memory.limits.is64 else 'i32'}.const {at})"
            lines.append(f"(memory.init {text.use(memory)} {name} {address} (i32.const 0) (i32.const {len(data)}))")
    for number, value in moment.final.globals.items():
        item: Global = module.globals[number]
        if value != moment.state.globals[number]:
            lines.append(f"(global.set {text.use(item)} ({_constant(item.type)} {_number(value)}))")
    return lines
