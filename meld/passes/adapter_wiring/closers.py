"""Closers: an instance must not call out while the host runs its `realloc` or `post-return`.

Source: Component Model, CanonicalABI.md: `canon lift`, `canon lower` (`may_leave`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from meld.abi.options import Options
from meld.ir.module import Export, Function, Module
from meld.ir.notes import Instance, Note
from meld.notes.boundaries import CanonCall, HostCall, HostExport
from meld.notes.tasks import TaskCall
from meld.passes.adapter_wiring.call import Called

_CLOSED = ".closed"
_INDIRECT = frozenset({"call_indirect", "return_call_indirect", "call_ref", "return_call_ref"})


def called_by_host(module: Module) -> list[Called]:
    """Each `realloc` and `post-return` that the host calls and that may call out, with its instance; each once."""
    leaves: dict[Function, bool] = {}
    found: dict[Called, None] = {}
    for options, instance in _host_options(module):
        for function in (options.realloc, options.post_return):
            if function is None or _is_closer(function):
                continue
            if function not in leaves:
                leaves[function] = may_call_out(function)
            if leaves[function]:
                found[function, instance] = None
    return list(found)


def closer_name(function: Function) -> str:
    """The name of the closer of a function."""
    return f"{function.name or 'function'}{_CLOSED}"


def _is_closer(function: Function) -> bool:
    """Whether an earlier run of the pass has made the function."""
    return function.synthetic == "adapter" and (function.name or "").endswith(_CLOSED)


def _host_options(module: Module) -> Iterator[tuple[Options, Instance]]:
    for export in module.notes_of(HostExport):
        yield export.lift, export.instance
    for _, n in module.noted(Note):
        match n:
            case HostCall():
                yield n.lower, n.instance
            case CanonCall():
                yield n.options, n.instance


def may_call_out(function: Function) -> bool:
    """Whether a function may reach what leaves the instance: an import, a built-in or a call that is a task, which may
    be functions of the module by now; by calls, or by an indirect call of anything."""
    seen, pending = {function}, [function]
    while pending:
        one = pending.pop()
        if one.imported is not None or one.note(CanonCall) is not None or one.note(TaskCall) is not None:
            return True
        for i in one.view().instructions:
            if i.op in _INDIRECT:
                return True
            for callee in i.args if i.op in ("call", "return_call") else ():
                if isinstance(callee, Function) and callee not in seen:
                    seen.add(callee)
                    pending.append(callee)
    return False


def call_closed(module: Module, closed: Mapping[Called, Function]) -> None:
    """Makes the host call the closing wrapper in place of each function."""

    def options(before: Options, instance: Instance) -> Options:
        def stands(function: Function | None) -> Function | None:
            return None if function is None else closed.get((function, instance), function)

        return replace(before, realloc=stands(before.realloc), post_return=stands(before.post_return))

    for export in module.notes_of(HostExport):
        before = export.lift.post_return
        export.lift = options(export.lift, export.instance)
        if before is not None and export.lift.post_return is not before:
            _reexport(module, before, export.lift.post_return, f"cabi_post_{export.label}")
    for _, n in module.noted(Note):
        match n:
            case HostCall():
                n.lower = options(n.lower, n.instance)
            case CanonCall():
                n.options = options(n.options, n.instance)


def _reexport(module: Module, before: Function, now: Function | None, name: str) -> None:
    """The export of a post-return function: the one of its name, or of a name that it got because that was taken."""
    assert now is not None
    at = [i for i, e in enumerate(module.exports) if e.item is before and "cabi_post_" in e.name]
    for i in [i for i in at if module.exports[i].name == name] or at[:1]:
        module.exports[i] = Export(module.exports[i].name, now, module.exports[i].span)
