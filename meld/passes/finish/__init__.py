"""The pass `finish`: dead items are dropped, and pending imports are refused."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from meld.abi.options import Options
from meld.abi.types import Resource, show
from meld.binary.bodies import EncodedBody
from meld.binary.limits import COUNTS
from meld.diagnostics import MeldError
from meld.ir.component import CompFuncType
from meld.ir.module import (
    HELD_BACK,
    CoreItem,
    CustomSection,
    Function,
    Global,
    ImportName,
    Item,
    Memory,
    Module,
    Table,
    Tag,
)
from meld.ir.notes import Attributed, Note, Traced
from meld.notes.boundaries import BOUNDARY_MODULE, CANON_MODULE, Boundary, CanonCall, Edge, HostCall, HostExport
from meld.notes.tasks import TaskHalf
from meld.passes.base import Pass, PassContext, option
from meld.passes.finish import signature_manifest as manifest
from meld.passes.finish.empty_memories import drop_empty
from meld.passes.finish.merge_types import merge_types
from meld.rewriting.edge import export_options, is_host_call, names_apart
from meld.rewriting.liveness import DROPPED, reachable
from meld.rewriting.memory_use import order_by_use
from meld.rewriting.outer import uses_memory
from meld.rewriting.rebind import rebind_notes
from meld.rewriting.references import declare, declared
from meld.rewriting.target_features import extend


class Finish(Pass):
    """Drop dead items, merge equal types and imports; leave nothing pending.

    Exports, the start function and active segments are live, and so is what they reach. Live, too, is what lifting an
    export or lowering an import of the program needs (memory, `realloc`, `post-return`); these items are exported, as
    `memory` and `cabi_realloc` where all need the same. A private memory that stays empty is dropped, too: any
    access of it traps. The memory that most functions use comes first, and so does the table: engines and encodings
    favour index 0. A boundary or a canonical built-in that is still an import is refused.

        (import "host" "log" (func $a/log (param i32)))
        (import "host" "log" (func $b/log (param i32)))
        (func $dead …)
        (func $a/run (export "run") (call $a/log …) (call $b/log …))
    becomes
        (import "host" "log" (func $log (param i32)))
        (func $a/run (export "run") (call $log …) (call $log …))
    """

    name = "finish"
    requires = frozenset({"merged"})
    establishes = frozenset({"finished"})
    after = ("rewire-calls", "adapter-wiring")
    repeatable = True
    lines: bool = option(True, "attribute generated functions by source lines (DWARF)")
    provenance: bool = option(True, "say where each function comes from (section `component-provenance`)")
    compact: bool = option(False, "that section in its short form, version 4")
    signatures: bool = option(True, "say how each export is called (section `meld.signature-manifest`)")

    def run(self, module: Module, cx: PassContext) -> None:
        before = sum(1 for _ in module.items())
        if not cx.gate.refused and HELD_BACK not in module.facts:
            _refuse_pending(module)
        if cx.allows("drop options"):
            cx.stats["unused options"] = _drop_options(module)
        cx.stats["empty memories"] = drop_empty(module, cx)
        _drop_dead(module, cx)
        if len(module.datas) > COUNTS["datas"] and cx.allows("join data"):
            _join_data(module, cx)
        if cx.allows("order memories"):
            order_by_use(module)
        if self.lines and cx.allows("attribute"):
            _attribute(module, cx)
        if self.provenance and not module.notes_of(Traced) and cx.allows("trace"):
            module.notes.append(Traced(compact=self.compact))
        cx.stats["merged imports"] = _merge_imports(module, cx)
        cx.stats["merged types"] = merge_types(module) if cx.allows("merge types") else 0
        if cx.allows("export options"):
            export_options(module)
        _tell_apart(module, cx)
        if cx.allows("extend features"):
            extend(module)
        if self.signatures and cx.allows("sign"):
            _sign(module)
        cx.stats["dropped items"] = before - sum(1 for _ in module.items())


def _join_data(module: Module, cx: PassContext) -> None:
    """Makes as few data segments as engines take."""
    from meld.passes.finish.join_data import join_data

    most, before = COUNTS["datas"], len(module.datas)
    joined, zeros = join_data(module, most)
    cx.stats["joined data segments"] = joined
    if joined:
        what = f"{before} data segments became {before - joined}, since engines take {most} at most"
        cx.remark(f"{what}; {zeros} zeros between them are written")


def _attribute(module: Module, cx: PassContext) -> None:
    """Makes the encoder attribute code to source lines, unless the module has debug information of its own."""
    generated = any(f.synthetic is not None for f in module.functions)
    own = any(section.name.startswith(".debug_") for section in module.customs)
    if (_has_lines(module, cx) or generated) and not own and not module.notes_of(Attributed):
        module.notes.append(Attributed())


def _has_lines(module: Module, cx: PassContext) -> bool:
    """Whether inputs say which lines their code comes from."""
    sections = {f.body.section: None for f in module.functions if isinstance(f.body, EncodedBody)}
    found = False
    for section in sections:
        if section.debug:
            try:
                found = bool(section.lines()) or found
            except MeldError as e:
                cx.remark(f"{section.where}: {e.message}; its lines are left out")
    return found


def _sign(module: Module) -> None:
    """Writes the signature manifest, unless nothing is exported from a component."""
    module.customs = [section for section in module.customs if section.name != manifest.SECTION]
    if module.notes_of(HostExport):
        module.customs.append(CustomSection(manifest.SECTION, manifest.section(module)))


def _refuse_pending(module: Module) -> None:
    pending = [item for item in module.imports if _is_pending(item)]
    live = reachable(module) if pending else set()
    for item in pending:
        if item not in live:
            continue
        for n in item.notes:
            if isinstance(n, TaskHalf):
                raise MeldError(
                    f"the values of the call of `{n.label}` {show(n.type)} from `{n.caller.name}` are not yet copied",
                    hint="adapter-wiring writes what copies them",
                )
            if isinstance(n, Boundary):
                raise MeldError(
                    f"the call of `{n.label}` {show(n.type)} from `{n.caller.name}` is still a boundary",
                    hint="adapter-wiring makes an adapter of it",
                )
            if isinstance(n, Edge):
                raise MeldError(
                    f"the handles in `{n.label}` {show(n.type)} of `{n.instance.name}` are still to be translated",
                    hint="handle-tables and adapter-wiring do it",
                )
            outside = item.imported is not None and item.imported.module != CANON_MODULE
            if isinstance(n, CanonCall) and not (outside and is_host_call(n)):
                raise MeldError(
                    f"the canonical built-in `{n.builtin}` of `{n.instance.name}` cannot be fused yet",
                )
        if item.imported and item.imported.module == BOUNDARY_MODULE:
            raise MeldError(f"the import {item.imported} has lost the note that says what it stands for")


def _is_pending(item: CoreItem) -> bool:
    """Whether an import may be pending: only the interpreter could serve it."""
    at_boundary = item.imported is not None and item.imported.module == BOUNDARY_MODULE
    return at_boundary or any(isinstance(n, Boundary | CanonCall | Edge) for n in item.notes)


def _merge_imports(module: Module, cx: PassContext) -> int:
    """Merges imports of the same name and type; returns how many were dropped."""
    first: dict[Any, Item] = {}
    new: dict[Item, Item] = {}
    for item in module.imports:
        if item.imported:
            have = first.setdefault((item.imported, _type_of(item), _options_of(item)), item)
            if have is not item and cx.allows("merge", item):
                new[item] = have
                have.owner = None
                have.name = item.imported.field
    if new:
        module.imports = [item for item in module.imports if item not in new]
        module.replace_uses(new)
        rebind_notes(module, new)
    return len(new)


def _tell_apart(module: Module, cx: PassContext) -> None:
    """Gives imports of one name that mean different things names of their own."""
    for item, name in names_apart(module).items():
        if item.imported is not None and cx.allows("rename", item):
            cx.remark(f"{item.imported} is lowered in several ways; one is imported as `{name}`, see the manifest")
            item.imported = ImportName(item.imported.module, name)


def _options_of(item: CoreItem) -> Options | None:
    """The options of a call of the host: with another memory it is another function."""
    call = item.note(HostCall)
    return None if call is None else call.lower


def _type_of(item: CoreItem) -> Any:
    """The type of an import; two imports are merged only if it is equal."""
    match item:
        case Function() | Tag():
            return item.type.shape
        case Table():
            return (item.type, item.limits)
        case Memory():
            return item.limits
        case Global():
            return (item.type, item.mutable)


def _drop_options(module: Module) -> int:
    """Drops memories and `realloc`s that a call of the host or an export names although its type does not need them."""
    dropped = 0
    for _, call in module.noted(HostCall):
        call.lower, count = _used(call.lower, call.type, imported=True)
        dropped += count
    for n in module.notes_of(HostExport):
        n.lift, count = _used(n.lift, n.type, imported=False)
        dropped += count
    return dropped


def _used(options: Options, t: CompFuncType, *, imported: bool) -> tuple[Options, int]:
    """The options without those that a plain call of a type does not use, and how many these are."""
    unused = sum(one is not None for one in (options.memory, options.realloc))
    if not unused or options.is_async or uses_memory(t, options, imported=imported):
        return options, 0
    return replace(options, memory=None, realloc=None), unused


# --- liveness ------------------------------------------------------------------------------------------------------


def _drop_dead(module: Module, cx: PassContext) -> None:
    live = reachable(module)
    held = [
        item for space in DROPPED for item in getattr(module, space) if item not in live and not cx.allows("drop", item)
    ]
    if held:
        live = reachable(module, held)
    before = declared(module)

    def kept(items: list[Any]) -> list[Any]:
        return [item for item in items if item in live]

    for space in DROPPED:
        setattr(module, space, kept(getattr(module, space)))
    declare(module, [f for f in before if f in live])
    for resource in module.notes_of(Resource):
        if resource.dtor not in live:
            resource.dtor = None  # nothing drops an own handle of it
    for holder in (module, *module.items()):
        if holder.notes:
            holder.notes = [n for n in holder.notes if not _dangling(n, live)]


def _dangling(n: Note, live: set[Any]) -> bool:
    return any(isinstance(value := getattr(n, f.name), Item) and value not in live for f in fields(n))
