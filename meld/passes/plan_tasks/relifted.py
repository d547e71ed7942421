"""Exports that are lifted synchronously and may wait, in a module that becomes a component: lifted asynchronously.

A component that blocks in a synchronously lifted function cannot be entered by other calls meanwhile. Unfused that is
one instance of a program; fused it would be all of them, also those whose calls end the wait. So a function with a
callback that is never called stands in front of the lifted one: it hands the result over to `task.return`. Its instance
cannot be entered while it runs either, but the others can, since its frames leave the stack.

    (func $f.relifted (param i32) (result i32)
      (local.set $r (call $f (local.get 0)))
      (call $task.return …the values that lie at $r…)
      (call $post-return (local.get $r))
      (i32.const 0))                                ;; EXIT

Source: Component Model, CanonicalABI.md: canon lift, canon task.return, Loading (into flat values).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from meld.abi.core_values import LOAD_SIZE, LOWER_JOINED, load_of
from meld.abi.layout import MAX_FLAT_PARAMS, Kind, Layout, Layouts, pointer_of
from meld.abi.options import Options
from meld.abi.signatures import task_return_type
from meld.ir.module import Export, Function, ImportName, Module
from meld.ir.types import I32, FuncType, NumType
from meld.notes.boundaries import CANON_MODULE, CanonCall, Edge, HostExport
from meld.rewriting.text import Text

KIND = "async"
CALLBACK = FuncType((I32, I32, I32), (I32,))

Local = tuple[str, NumType]


def relift(module: Module, exports: Iterable[HostExport]) -> None:
    """Lifts exported functions asynchronously; an edge in front of one is left out, since tasks have none."""
    text, made = Text(module, KIND), []
    for n in exports:
        target, lift = n.target, n.lift
        for edge in target.notes:
            if isinstance(edge, Edge):
                target, lift = edge.target, edge.inner
        made.append((n, n.target, lift))
        shape = FuncType(target.signature.params, (I32,))
        text.function(f"{n.label}.relifted", shape, _body(module, text, n, target, lift))
    text.function("callback", CALLBACK, "(unreachable)")
    functions = text.place()
    for n, before, lift in made:
        function, callback = functions[f"{n.label}.relifted"], functions["callback"]
        assert isinstance(function, Function) and isinstance(callback, Function)
        function.owner = n.instance
        n.target = function
        n.lift = Options(lift.encoding, lift.memory, lift.realloc, None, True, callback)
        module.exports = [_export(e, before, function, n.label) for e in module.exports if not _is_post_return(e, n)]
        if before.note(Edge) is not None:
            module.imports.remove(before)


def _export(export: Export, before: Function, function: Function, label: str) -> Export:
    if export.item is before and export.name == label:
        return Export(export.name, function, export.span)
    return export


def _is_post_return(export: Export, n: HostExport) -> bool:
    return export.name == f"cabi_post_{n.label}"


def _body(module: Module, text: Text, n: HostExport, target: Function, lift: Options) -> str:
    """Calls the function, and hands its result over."""
    layouts = Layouts(pointer_of(lift.memory is not None and lift.memory.limits.is64))
    result = layouts.tuple_of([] if n.type.result is None else [n.type.result])
    results = [t for t in target.signature.results if isinstance(t, NumType)]
    lines = [f"(local $r{i} {t.value})" for i, t in enumerate(results)]
    given = [(f"$v{i}", t) for i, t in enumerate(result.flat)] if 1 < len(result.flat) <= MAX_FLAT_PARAMS else []
    lines += [f"(local {name} {t.value})" for name, t in given]
    lines.append(f"(call {text.use(target)}{_gets(range(len(target.signature.params)))})")
    lines += [f"(local.set $r{i})" for i in range(len(results))]
    if given:
        assert lift.memory is not None
        p = layouts.pointer.value
        if result.align > 1:
            odd = f"({p}.ne ({p}.and (local.get $r0) ({p}.const {result.align - 1})) ({p}.const 0))"
            lines.append(f"(if {odd} (then (call {{trap ALIGNMENT}}) (unreachable)))")
        lines += _loads(f"{text.use(lift.memory)}", result, 0, given)
    values = [name for name, _ in given] or [f"$r{i}" for i in range(len(results))]
    lines.append(f"(call {text.use(_task_return(module, n, lift))}{_gets(values)})")
    if lift.post_return is not None:
        lines.append(f"(call {text.use(lift.post_return)}{_gets(f'$r{i}' for i in range(len(results)))})")
    return "\n    ".join(["", *lines, "(i32.const 0)"])


def _task_return(module: Module, n: HostExport, lift: Options) -> Function:
    """The built-in that takes the result."""
    options = Options(lift.encoding, lift.memory)
    shape = task_return_type(n.type.result, options)
    name = f"{n.instance.name}/task.return"
    note = CanonCall("task.return", n.instance, n.type.result, options)
    import_ = ImportName(CANON_MODULE, "task.return")
    made = Function(
        module.func_type(shape.params, shape.results), name=name, imported=import_, owner=n.instance, notes=[note]
    )
    module.add(made)
    return made


def _loads(memory: str, layout: Layout, offset: int, into: Sequence[Local]) -> Iterator[str]:
    """Code that loads a value, from `offset` behind $r0 on, into the locals that carry it."""

    def load(op: str, at: int, to: Local) -> str:
        loaded = f"({op} {memory} offset={at} (local.get $r0))"
        have = NumType(op.partition(".")[0])
        return f"(local.set {to[0]} {loaded if have is to[1] else LOWER_JOINED[have, to[1]].format(loaded)})"

    match layout.kind:
        case Kind.RECORD:
            at = 0
            for place, part in layout.fields:
                yield from _loads(memory, part, offset + place, into[at:])
                at += len(part.flat)
        case Kind.FIXED_LIST:
            assert layout.element is not None
            for i in range(layout.length):
                element = layout.element
                yield from _loads(memory, element, offset + i * element.size, into[i * len(element.flat) :])
        case Kind.STRING | Kind.LIST:
            pointer = layout.flat[0]
            yield load(f"{pointer.value}.load", offset, into[0])
            yield load(f"{pointer.value}.load", offset + layout.size // 2, into[1])
        case Kind.VARIANT:
            case_ = f"({LOAD_SIZE[layout.discriminant]} {memory} offset={offset} (local.get $r0))"
            yield load(LOAD_SIZE[layout.discriminant], offset, into[0])
            for i, payload in enumerate(layout.cases):
                if payload is not None:
                    inner = " ".join(_loads(memory, payload, offset + layout.payload, into[1:]))
                    yield f"(if (i32.eq {case_} (i32.const {i})) (then {inner}))"
        case _:
            yield load(load_of(layout), offset, into[0])


def _gets(names: Iterable[object]) -> str:
    return "".join(f" (local.get {name})" for name in names)
