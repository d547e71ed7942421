"""The imports of a wrapped module: lowered functions of the host, and a shim for those that need its own memory.

A function that is lowered with the memory or `realloc` of the module can only be made when the module is there, and
the module can only be made when its imports are. So it gets stand-ins from a shim module, which call through a table,
and a fixup module fills the table when the real functions are made. wit-component does the same. Functions of core
modules of the host that are instantiated behind the module have stand-ins as well, and a fixup for each instance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, fields, is_dataclass, replace
from functools import partial
from typing import Any

from meld.abi.options import Options
from meld.abi.types import Resource, Type
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.component import Definition, Sort
from meld.ir.module import KEYWORD_OF, CoreItem, Function, ImportName, Module
from meld.ir.types import I32, FuncType, NumType, ValType
from meld.notes.boundaries import CanonCall, HostBuiltin, HostCall, OuterCall, ResourceExport
from meld.notes.host_modules import HostModule, HostModuleExport
from meld.passes.wrap.agreement import Agreement
from meld.rewriting.edge import host_name, is_host_call
from meld.support.records import record
from meld.text.reading.program import parse, parse_module

OWN_TASK = """(component
  (import "task" (func $task async))
  (core func $task' (canon lower (func $task) async))
  (core module $begin
    (import "" "task" (func $task (result i32)))
    (func (export "begin") (drop (call $task))))
  (core instance $begin (instantiate $begin (with "" (instance (export "task" (func $task'))))))
  (func (export "begin") (canon lift (core func $begin "begin"))))"""
STAND_INS = "meld:host-module-behind"
"""The module name of the imports that get stand-ins for functions of core modules of the host behind the module."""
DROP = "[resource-drop]"
"""The prefix that wit-component puts before the name of a resource to name the function that drops a handle."""


@record()
class HostItems:
    """What imports of the component give (functions, resource types, modules), by the names of core imports."""

    into: list[Definition]
    found: dict[tuple[str, str], Callable[[], Definition]] = field(default_factory=dict)
    types: dict[tuple[str, str], Definition] = field(default_factory=dict)
    agreement: Agreement = field(default_factory=Agreement)
    _made: dict[tuple[Definition, str], Definition] = field(default_factory=dict)

    def add(self, item: c.Import) -> None:
        """Makes an import of the component known."""
        name = str(item.extern)
        match item.type:
            case c.ExternType(Sort.FUNC, Definition() as of):
                self.found["$root", name] = lambda: item
                self.types["$root", name] = of
            case c.ExternType(Sort.CORE_MODULE | Sort.COMPONENT):
                self.found["$root", name] = lambda: item
            case c.ExternType(Sort.TYPE, None):
                self.found["$root", DROP + name] = lambda: item
            case c.ExternType(Sort.INSTANCE, c.TypeDefinition(type=c.InstanceType() as of)):
                self._add_instance(item, of, name)

    def _add_instance(self, instance: Definition, of: c.InstanceType, name: str) -> None:
        pending: list[tuple[Callable[[], Definition], c.InstanceType, str]] = [(lambda: instance, of, name)]
        while pending:
            holder, declared, prefix = pending.pop()
            for decl in declared.decls:
                if not isinstance(decl, c.ExportDecl):
                    continue
                label = str(decl.extern)
                match decl.type:
                    case c.ExternType(Sort.FUNC, Definition() as function):
                        self.found[prefix, label] = self._alias(holder, label, Sort.FUNC)
                        self.types[prefix, label] = function
                    case c.ExternType(Sort.CORE_MODULE | Sort.COMPONENT as sort):
                        self.found[prefix, label] = self._alias(holder, label, sort)
                    case c.ExternType(Sort.TYPE, None):
                        self.found[prefix, DROP + label] = self._alias(holder, label, Sort.TYPE)
                    case c.ExternType(Sort.INSTANCE, c.TypeDefinition(type=c.InstanceType() as inner)):
                        pending.append((self._alias(holder, label, Sort.INSTANCE), inner, f"{prefix}/{label}"))

    def _alias(self, holder: Callable[[], Definition], name: str, sort: Sort) -> Callable[[], Definition]:
        def make() -> Definition:
            instance = holder()
            if (instance, name) not in self._made:
                alias = c.ExportAlias(instance, name, sort)
                self.into.append(alias)
                self._made[instance, name] = alias
            return self._made[instance, name]

        return make

    def get(self, name: ImportName) -> Definition:
        """What the host provides under a name: a function, a module, a resource to drop. Raises MeldError."""
        make = self.found.get((name.module, name.field))
        if make is None:
            raise MeldError(f"the import {name} is not in the world of the program")
        return make()

    def function(self, name: ImportName, call: HostCall) -> Definition:
        """The function of the host that a call means, which has the type that the call has. Raises MeldError."""
        found = self.get(name)
        self.agreement.require(self.types.get((name.module, name.field)), call.type, f"the import {name}")
        return found


@record()
class _Call:
    """An import of the module: what it stands for, and the name by which the host knows that."""

    function: Function
    note: HostCall | OuterCall | CanonCall | HostBuiltin
    name: ImportName

    @property
    def is_late(self) -> bool:
        """Whether it can only be lowered when the module is there."""
        match self.note:
            case HostCall(lower=options):
                return options.memory is not None or options.realloc is not None
            case HostBuiltin(begins=begins) if begins is not None:
                return True
            case CanonCall(options=options) | HostBuiltin(options=options):
                return options.memory is not None or options.realloc is not None
            case OuterCall():
                return False


@record()
class _Late:
    """A function that can only be made when the module is there, or an instance `after` it; its stand-in until then."""

    signature: FuncType
    make: Callable[[], Definition]
    after: HostModule | None = None
    stand_in: Definition | None = None


@record()
class Imports:
    """Gives a module its imports: `before` it is instantiated, and `after`.

    Attributes:
        core, options: core items of the module and canonical options, in terms of the component.
        resources: the types that the component defines for resources of the program, which it exports.
    """

    module: Module
    into: list[Definition]
    host: HostItems
    core: Callable[[CoreItem], Definition]
    options: Callable[[Options], c.CanonOptions]
    resources: dict[Resource, Definition] = field(default_factory=dict)
    late: list[_Late] = field(default_factory=list)
    shim: Definition | None = None
    _table: Definition | None = None
    _types: dict[Any, Definition] = field(default_factory=dict)

    def before(self, exported: Callable[[HostModule, str, Sort], Definition]) -> list[tuple[str, Definition]]:
        """Defines what the module is instantiated with. Imports of the same name get names of their own.

        Args:
            exported: what an instance of a core module of the host exports, when that is made.

        Raises:
            MeldError: an import that is no function of the host.
        """
        of_hosts = dict(self.module.noted(HostModuleExport))
        calls = [_call(item) for item in self.module.imports if item not in of_hosts]
        late = {call.function: self._add(call.function, partial(self._lower, call)) for call in calls if call.is_late}
        exposed = [n for n in self.module.notes_of(ResourceExport) if n.resource.is_outer]
        drops = [None if n.drop is None else self._add(n.drop, partial(self.core, n.drop)) for n in exposed]
        behind: dict[CoreItem, _Late] = {}
        for instance in self.module.notes_of(HostModule) if of_hosts else ():
            for item, export_of in of_hosts.items():
                if export_of.instance is instance and instance.late and isinstance(item, Function):
                    made = partial(exported, instance, export_of.label, Sort.CORE_FUNC)
                    behind[item] = self._add(item, made, instance)
        self._instantiate_shim()
        for export, drop in zip(exposed, drops, strict=True):
            dtor = None if drop is None else drop.stand_in
            self.resources[export.resource] = c.TypeDefinition(c.ResourceType(I32, dtor))
            self.into.append(self.resources[export.resource])
        given: dict[str, dict[str, Definition]] = {}
        for call in calls:
            stand_in = late[call.function].stand_in if call.function in late else None
            of_module = given.setdefault(call.name.module, {})
            label, n = call.name.field, 1
            while label in of_module:
                n += 1
                label = f"{call.name.field} {n}"
            of_module[label] = stand_in or self._lower(call)
            call.function.imported = ImportName(call.name.module, label)
        for item, one in behind.items():
            assert item.imported is not None and one.stand_in is not None
            item.imported = ImportName(STAND_INS, item.imported.field)
            given.setdefault(STAND_INS, {})[item.imported.field] = one.stand_in
        args: list[tuple[str, Definition]] = []
        for module, functions in given.items():
            args.append((module, c.CoreInlineInstance(list(functions.items()))))
            self.into.append(args[-1][1])
        return args

    def after(self, made: HostModule | None, start: Definition | None) -> None:
        """Makes the functions that can be made now, and has a fixup put them in their place; then something starts.

        Args:
            made: the instance of a core module of the host that is made now; None for the module.
            start: a core function that is to be called when all is in place.
        """
        ready = {str(number): one for number, one in enumerate(self.late) if one.after is made}
        if not ready and start is None:
            return
        given: list[tuple[str, Definition]] = []
        if ready:
            given.append(("table", self._stand_in_table()))
        given += [(number, one.make()) for number, one in ready.items()]
        if start is not None:
            given.append(("start", start))
        signatures = {number: one.signature for number, one in ready.items()}
        fixup = c.CoreModule(
            parse_module(fixup_text(signatures, len(self.late), start is not None), "fixup"), name="fixup"
        )
        args = c.CoreInlineInstance(given)
        self.into += [fixup, args, c.CoreInstance(fixup, [("", args)], name="fixup")]

    def _stand_in_table(self) -> Definition:
        assert self.shim is not None
        if self._table is None:
            self._table = c.CoreExportAlias(self.shim, "table", Sort.CORE_TABLE)
            self.into.append(self._table)
        return self._table

    def _add(self, function: Function, make: Callable[[], Definition], after: HostModule | None = None) -> _Late:
        self.late.append(_Late(function.signature, make, after))
        return self.late[-1]

    def _lower(self, call: _Call) -> Definition:
        made: Definition
        match call.note:
            case CanonCall(type=result, options=options):  # task.return
                given = None if result is None else self._define(result)
                made = c.CanonBuiltin("task.return", None, self.options(options), given)
            case HostBuiltin(begins=begins, options=options) if begins is not None:
                made = self._own_task(begins, options)
            case HostBuiltin(builtin=builtin, type=about, options=options):
                made = self._builtin(builtin, about, options)
            case OuterCall(builtin=builtin, resource=resource):
                of = self.resources[resource] if resource in self.resources else self.host.get(call.name)
                made = c.CanonBuiltin(builtin, of)
            case HostCall(lower=lower):
                made = c.CanonLower(self.host.function(call.name, call.note), self.options(lower))
        self.into.append(made)
        return made

    def _own_task(self, begins: Function, options: Options) -> Definition:
        """A function that begins a task of the component's own; a component must not call itself, one inside may."""
        shape = c.TypeDefinition(c.CompFuncType((), None, True))
        lifted = c.CanonLift(self.core(begins), shape, self.options(options))
        inner = parse(OWN_TASK, "own-task")
        assert isinstance(inner, c.Component)
        nested = c.NestedComponent(inner)
        instance = c.ComponentInstance(nested, [("task", lifted)])
        begin = c.ExportAlias(instance, "begin", Sort.FUNC)
        self.into += [shape, lifted, nested, instance, begin]
        return c.CanonLower(begin)

    def _builtin(self, builtin: str, about: Type | None, options: Options) -> Definition:
        of = None if about is None else self._define(about)
        assert of is None or isinstance(of, Definition)
        slot = (I32, 0) if builtin.startswith("context.") else None
        return c.CanonBuiltin(builtin, of, self.options(options), slot=slot)

    def _define(self, t: Type) -> c.CompValType:
        """Defines a value type in the component. Types without a name are the same if they have the same parts."""
        if isinstance(t, c.Prim):
            return t
        if t not in self._types:
            made = c.TypeDefinition(replace(t, **{f.name: self._part(getattr(t, f.name)) for f in fields(t)}))
            self.into.append(made)
            self._types[t] = made
        return self._types[t]

    def _part(self, part: Any) -> Any:
        """The counterpart in the component of a part of a type: a type, a resource, a tuple of them, or a label."""
        match part:
            case Resource():
                inside = self.resources.get(part)
                return inside or self.host.get(ImportName(part.module or "", f"{DROP}{part.label}"))
            case tuple():
                return tuple(map(self._part, part))
            case _ if is_dataclass(part):
                return self._define(part)
        return part

    def _instantiate_shim(self) -> None:
        if not self.late:
            return
        shim = c.CoreModule(parse_module(shim_text([one.signature for one in self.late]), "shim"), name="shim")
        self.shim = c.CoreInstance(shim, name="shim")
        self.into += [shim, self.shim]
        for number, one in enumerate(self.late):
            one.stand_in = c.CoreExportAlias(self.shim, str(number), Sort.CORE_FUNC)
            self.into.append(one.stand_in)


def _call(item: CoreItem) -> _Call:
    note = next((n for n in item.notes if is_host_call(n)), None)
    assert item.imported is not None
    if not isinstance(item, Function) or not isinstance(note, HostCall | OuterCall | CanonCall | HostBuiltin):
        raise MeldError(
            f"no component describes the import {item.imported} (a {KEYWORD_OF[type(item)]}); none can import it",
            hint="fuse to a core module, with --emit=wasm",
        )
    return _Call(item, note, host_name(item.imported, note))


def shim_text(signatures: Sequence[FuncType]) -> str:
    """The shim module: function ``i`` calls entry i of ``table``."""
    count = len(signatures)
    functions = []
    for number, signature in enumerate(signatures):
        gets = " ".join(f"local.get {i}" for i in range(len(signature.params)))
        shape = _shape(signature)
        functions.append(f'  (func (export "{number}"){shape} {gets} i32.const {number} call_indirect{shape})')
    return "\n".join(["(module", f'  (table (export "table") {count} {count} funcref)', *functions]) + ")"


def fixup_text(signatures: Mapping[str, FuncType], size: int, starts: bool) -> str:
    """A fixup module: fills entries in a row of the table at instantiation, then calls ``start`` if there is one.

    Args:
        signatures: the functions, by the numbers of the entries.
        size: how many entries the table has.
    """
    table = [f'  (import "" "table" (table {size} {size} funcref))'] if signatures else []
    functions = [f'  (import "" "{i}" (func $f{i}{_shape(signature)}))' for i, signature in signatures.items()]
    start = ['  (import "" "start" (func $start))', "  (start $start)"] if starts else []
    entries = " ".join(f"$f{i}" for i in signatures)
    elements = [f"  (elem (i32.const {next(iter(signatures))}) func {entries})"] if signatures else []
    return "\n".join(["(module", *table, *functions, *start, *elements]) + ")"


def _shape(signature: FuncType) -> str:
    """``(param …) (result …)``; lowered functions have numbers only."""

    def names(types: Sequence[ValType]) -> str:
        return " ".join(t.value for t in types if isinstance(t, NumType))

    params = f" (param {names(signature.params)})" if signature.params else ""
    return params + (f" (result {names(signature.results)})" if signature.results else "")
