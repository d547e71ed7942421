"""Printing of the types of components, and of the declarations inside component, instance and module types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.component import CompValType, Definition, Prim, Sort
from meld.ir.notes import Note, Opaque, note_to_sexp
from meld.ir.types import (
    Limits,
    NumType,
    RecGroup,
    RefType,
    TypeDef,
)
from meld.text.literals import quoted
from meld.text.printing.component_names import ModuleTypeNames, ScopeNames
from meld.text.printing.names import TypeText
from meld.text.sexp import annotation_text

MAX_NESTING = 100
"""Components, component types and instance types within each other; the text parsers of others stop there too."""


class TypePrinter(TypeText):
    """Writes lines. `scope` has the names of what is being printed, `depth` the levels of indentation."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0
        self.nested = 0
        self._scope: ScopeNames | None = None
        self._module_type: ModuleTypeNames | None = None

    # --- lines ---

    def line(self, text: str) -> None:
        self.lines.append("  " * self.depth + text)

    def open(self, text: str) -> None:
        self.line(text)
        self.depth += 1

    def close(self, text: str = ")") -> None:
        self.depth -= 1
        self.line(text)

    def block(self, head: str, parts: Sequence[str], tail: str = "") -> None:
        """`head`, then the parts on lines of their own; without parts one line. `tail` closes what else is open."""
        if parts:
            self.open(head)
            for part in parts:
                self.line(part)
            self.close(")" + tail)
        else:
            self.line(head + ")" + tail)

    # --- names ---

    @property
    def scope(self) -> ScopeNames:
        assert self._scope is not None
        return self._scope

    def enter(self, scope: ScopeNames) -> None:
        """Goes into a component or a type with declarations. Raises MeldError beyond `MAX_NESTING`."""
        if self.nested >= MAX_NESTING:
            raise MeldError(f"components or their types are nested more than {MAX_NESTING} deep")
        self.nested += 1
        self._scope = scope

    def leave(self) -> None:
        self.nested -= 1
        self._scope = self.scope.parent

    def ref(self, item: Definition) -> str:
        return self.scope.reference(item)

    def sorted_ref(self, item: Definition, *, core: bool = True) -> str:
        """``(func $f)``; without `core` the keyword of a core sort stands alone."""
        if item.sort is None:
            raise MeldError("a reference to a definition that has no sort")
        keyword = item.sort.value if core else item.sort.value.removeprefix("core ")
        return f"({keyword} {self.ref(item)})"

    def head(self, keyword: str, item: Definition) -> str:
        """``(keyword $name notes…``, still open."""
        return " ".join(["(" + keyword, *filter(None, [self.scope.declaration(item)]), *map(self.note, item.notes)])

    def extern(self, name: c.ExternName) -> str:
        """The name of an import or export with its attributes."""
        attributes = {
            "implements": name.implements,
            "version-suffix": name.version_suffix,
            "external-id": name.external_id,
        }
        return " ".join([quoted(name.name), *(f"({k} {quoted(v)})" for k, v in attributes.items() if v is not None)])

    def note(self, note: Note) -> str:
        """An annotation."""
        label = note.label if isinstance(note, Opaque) else f"meld.{note.tag}"
        return annotation_text(label, note_to_sexp(note, self.scope.note_reference))

    # --- types of values and functions ---

    def value_type(self, t: CompValType) -> str:
        return t.value if isinstance(t, Prim) else self.ref(t)

    def defined_type(self, t: c.DefValType | c.CompFuncType | c.ResourceType) -> str:
        """The right-hand side of a type definition that fits on a line."""

        def optional(x: CompValType | None) -> str:
            return "" if x is None else " " + self.value_type(x)

        match t:
            case Prim():
                return t.value
            case c.Record(fields):
                return _form("record", [f"(field {quoted(n)} {self.value_type(x)})" for n, x in fields])
            case c.Variant(cases):
                return _form("variant", [f"(case {quoted(n)}{optional(x)})" for n, x in cases])
            case c.ListType(element, length):
                return _form("list", [self.value_type(element), *([] if length is None else [str(length)])])
            case c.MapType(key, value):
                return _form("map", [self.value_type(key), self.value_type(value)])
            case c.Tuple(elements):
                return _form("tuple", map(self.value_type, elements))
            case c.Flags(names):
                return _form("flags", map(quoted, names))
            case c.EnumType(names):
                return _form("enum", map(quoted, names))
            case c.Option(element):
                return _form("option", [self.value_type(element)])
            case c.Result(ok, error):
                failed = [] if error is None else [f"(error {self.value_type(error)})"]
                return _form("result", [*([] if ok is None else [self.value_type(ok)]), *failed])
            case c.Own(resource):
                return f"(own {self.ref(resource)})"
            case c.Borrow(resource):
                return f"(borrow {self.ref(resource)})"
            case c.Stream(item):
                return f"(stream{optional(item)})"
            case c.Future(item):
                return f"(future{optional(item)})"
            case c.CompFuncType(params, result, is_async):
                parts = [f"(param {quoted(n)} {self.value_type(x)})" for n, x in params]
                parts += [] if result is None else [f"(result {self.value_type(result)})"]
                return _form("func async" if is_async else "func", parts)
            case c.ResourceType():
                return self._resource(t)
        raise TypeError(f"not a type: {t!r}")

    def _resource(self, t: c.ResourceType) -> str:
        parts = [f"(rep {self.type(t.rep)})"]
        if t.dtor is not None:
            callback = f" (callback {self.ref(t.dtor_callback)})" if t.dtor_callback is not None else ""
            parts.append(f"(dtor {'async ' if t.dtor_async else ''}{self.ref(t.dtor)}{callback})")
        return _form("resource", parts)

    def extern_type(self, t: c.ExternType, declaration: str = "") -> str:
        """``(func (type 3))``; `declaration` is what stands after the keyword."""
        match t.sort, t.type:
            case ((Sort.FUNC | Sort.COMPONENT | Sort.INSTANCE | Sort.CORE_MODULE), Definition() as definition):
                what = f"(type {self.ref(definition)})"
            case Sort.VALUE, None if t.eq_value is not None:
                what = f"(eq {self.ref(t.eq_value)})"
            case Sort.VALUE, (Prim() | Definition()) as value:
                what = self.value_type(value)
            case Sort.TYPE, None:
                what = "(sub resource)"
            case Sort.TYPE, (Prim() | Definition()) as bound:
                what = f"(eq {self.value_type(bound)})"
            case _:
                raise MeldError(f"an import or export of sort {t.sort.value} without the type that it needs")
        return " ".join(["(" + t.sort.value, *filter(None, [declaration]), what + ")"])

    # --- declarations ---

    def declaration(self, item: Definition) -> None:
        """A definition that also occurs in component and instance types."""
        match item:
            case c.TypeDefinition(type=(c.ComponentType() | c.InstanceType()) as nested):
                self.open(self.head("type", item))
                keyword = "component" if isinstance(nested, c.ComponentType) else "instance"
                self.enter(ScopeNames(nested.decls, self._scope))
                self.open(f"({keyword}") if nested.decls else self.line(f"({keyword})")
                self.declarations(nested.decls)
                if nested.decls:
                    self.close()
                self.leave()
                self.close()
            case c.TypeDefinition(type=t) if not isinstance(t, c.ComponentType | c.InstanceType):
                self.line(f"{self.head('type', item)} {self.defined_type(t)})")
            case c.CoreType(type=c.ModuleType() as module_type):
                self._module(item, module_type)
            case c.CoreType(type=TypeDef() as typedef):
                self.line(f"{self.head('core type', item)} {self.shape(typedef)})")
            case c.ExportAlias(instance=instance, export=export, of=of):
                self.line(f"(alias export {self.ref(instance)} {quoted(export)} {self.head(of.value, item)}))")
            case c.CoreExportAlias(instance=instance, export=export, of=of):
                self.line(f"(alias core export {self.ref(instance)} {quoted(export)} {self.head(of.value, item)}))")
            case c.OuterAlias(of=of):
                self.line(f"{self._outer(item, self.scope)} {self.head(of.value, item)}))")
            case c.Import(extern=extern, type=t):
                declared = self.head("", item)[1:].strip()
                self.line(f"(import {self.extern(extern)} {self.extern_type(t, declared)})")
            case c.ExportDecl(extern=extern, type=t):
                parts = [*map(self.note, item.notes), self.extern(extern)]
                parts.append(self.extern_type(t, self.scope.declaration(item)))
                self.line(f"(export {' '.join(parts)})")
            case _:
                raise MeldError(f"a component cannot be printed with a {type(item).__name__} in this place")

    def declarations(self, decls: list[Definition]) -> None:
        """All of them, core types of one recursion group together."""
        done: set[int] = set()
        for item in decls:
            if not (isinstance(item, c.CoreType) and item.group is not None):
                self.definition(item)
            elif id(item.group) not in done:
                done.add(id(item.group))
                self._core_group([d for d in decls if isinstance(d, c.CoreType) and d.group is item.group], item.group)

    def definition(self, item: Definition) -> None:
        """One definition; a component has more kinds than a type."""
        self.declaration(item)

    @staticmethod
    def _outer(item: c.OuterAlias, scope: ScopeNames) -> str:
        return f"(alias outer {item.depth} {scope.enclosing(item.depth).reference(item.target)}"

    # --- core types ---

    def _core_group(self, members: list[c.CoreType], group: RecGroup) -> None:
        if group.explicit or len(members) != 1:
            self.open("(core rec")
            for item in members:
                assert isinstance(item.type, TypeDef)
                self.line(f"{self.head('type', item)} {self.shape(item.type)})")
            self.close()
        else:
            self.declaration(members[0])

    def _module(self, item: Definition, module_type: c.ModuleType) -> None:
        names = ModuleTypeNames(module_type)
        self.open(self.head("core type", item))
        self._module_type = names
        parts = [line for decl in module_type.decls for line in self._module_declaration(decl, names)]
        self.block("(module", parts)
        self._module_type = None
        self.close()

    def _module_declaration(
        self,
        decl: RecGroup | c.OuterAlias | tuple[str, str, c.CoreExternType] | tuple[str, c.CoreExternType],
        names: ModuleTypeNames,
    ) -> list[str]:
        match decl:
            case RecGroup(types=types, explicit=explicit):
                lines = [f"(type {names.declarations[t]} {self.shape(t)})" for t in types]
                return ["(rec", *("  " + line for line in lines), ")"] if explicit or len(types) != 1 else lines
            case c.OuterAlias():
                target = self.scope if decl.depth == 1 else self.scope.enclosing(decl.depth - 1)
                found = f"{target.reference(decl.target)} (type {names.declarations[decl]})"
                return [f"(alias outer {decl.depth} {found})"]
            case (str() as module, str() as name, c.CoreExternType() as t):
                return [f"(import {quoted(module)} {quoted(name)} {self._core_extern(t)})"]
            case (str() as name, c.CoreExternType() as t):
                return [f"(export {quoted(name)} {self._core_extern(t)})"]
        raise MeldError("a module type with a declaration of an unknown kind")

    def _core_extern(self, t: c.CoreExternType) -> str:
        match t.kind, t.type:
            case (("func" | "tag"), TypeDef() as typedef):
                return f"({t.kind} (type {self.type_name(typedef)}))"
            case "table", RefType() as element if t.limits is not None:
                return f"(table {self.limits(t.limits)} {self.type(element)})"
            case "memory", Limits() as limits:
                return f"(memory {self.limits(limits)})"
            case "global", (NumType() | RefType()) as value:
                return f"(global {self.globaltype(value, t.mutable)})"
        raise MeldError(f"a module type with a {t.kind} of a type that it cannot have")

    def type_name(self, typedef: TypeDef) -> str:
        """How a core type is referred to, in the component or in the module type that is being printed."""
        names = self._module_type.core_types if self._module_type else self.scope.core_types
        try:
            return names[typedef]
        except KeyError:
            raise MeldError("a core type is used in a component that does not define it") from None


def _form(keyword: str, parts: Iterable[str]) -> str:
    return "(" + " ".join([keyword, *parts]) + ")"
