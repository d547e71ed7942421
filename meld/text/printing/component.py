"""Printing of components: one canonical form, near that of `wasm-tools print`.

Every definition stands on a line of its own (types, instances and nested components with several parts on several), and
refers to others by their unique name, or by number if they have none. What is printed parses back to the same objects
and prints to the same text; every WAT tool reads it.

Source: Component Model, Explainer.md (text format).
"""

from __future__ import annotations

from dataclasses import fields

from meld.ir import component as c
from meld.ir.component import Component, Definition
from meld.text.literals import quoted, quoted_bytes
from meld.text.printing.component_names import ScopeNames
from meld.text.printing.component_types import TypePrinter
from meld.text.printing.module import Budget, module_lines
from meld.text.printing.names import declaration


def print_component(component: Component) -> str:
    """The canonical text of a component, with a newline at the end.

    Raises:
        MeldError: something refers to a definition that does not stand in the component, or the nesting is too deep.
    """
    printer = ComponentPrinter()
    name = [] if component.name is None else [declaration(component.name or "#empty", component.name)]
    printer.component(component, " ".join(["(component", *name]))
    return "\n".join(printer.lines) + "\n"


class ComponentPrinter(TypePrinter):
    """Writes lines; `lines` is the text so far."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = Budget()

    def component(self, component: Component, head: str) -> None:
        """A component; `head` is its open parenthesis with keyword, name and notes."""
        self.enter(ScopeNames(component.definitions, self._scope, component.notes))
        annotations = [f"(@meld.facts {' '.join(component.facts)})"] if component.facts else []
        annotations += map(self.note, component.notes)
        if annotations or component.definitions:
            self.open(head)
            for text in annotations:
                self.line(text)
            self.declarations(component.definitions)
            self.close()
        else:
            self.line(head + ")")
        self.leave()

    def definition(self, item: Definition) -> None:
        """One definition of a component."""
        match item:
            case c.CoreModule():
                head = self._inside("core module", item, item.module.name)
                self.lines += module_lines(item.module, head, self.depth, budget=self.budget)
            case c.NestedComponent(component=nested):
                self.component(nested, self._inside("component", item, nested.name))
            case c.CoreInstance(module=module, args=args):
                head = f"{self.head('core instance', item)} (instantiate {self.ref(module)}"
                self.block(head, [f"(with {quoted(n)} (instance {self.ref(a)}))" for n, a in args], ")")
            case c.CoreInlineInstance(exports=core_exports):
                parts = [f"(export {quoted(n)} {self.sorted_ref(d, core=False)})" for n, d in core_exports]
                self.block(self.head("core instance", item), parts)
            case c.ComponentInstance(component=target, args=args):
                head = f"{self.head('instance', item)} (instantiate {self.ref(target)}"
                self.block(head, [f"(with {quoted(n)} {self.sorted_ref(a)})" for n, a in args], ")")
            case c.InlineInstance(exports=exports):
                parts = [f"(export {self.extern(n)} {self.sorted_ref(d)})" for n, d in exports]
                self.block(self.head("instance", item), parts)
            case c.CanonLift(function=function, type=t, options=options):
                lift = f"(canon lift (core func {self.ref(function)}){self.options(options)})"
                self.line(f"{self.head('func', item)} (type {self.ref(t)}) {lift})")
            case c.CanonLower(function=function, options=options):
                lower = f"(canon lower (func {self.ref(function)}){self.options(options)})"
                self.line(f"{self.head('core func', item)} {lower})")
            case c.CanonBuiltin():
                self.line(f"{self.head('core func', item)} (canon {self._builtin(item)}))")
            case c.StartDefinition(function=function, args=values, results=results):
                parts = [self.ref(function), *(f"(value {self.ref(v)})" for v in values)]
                parts += [f"(result {self.head('value', r)}))" for r in results]
                self.line(" ".join(["(start", *map(self.note, item.notes), *parts]) + ")")
            case c.Export(extern=extern, target=target, type=t):
                ascribed = f" {self.extern_type(t)}" if t else ""
                self.line(f"{self.head('export', item)} {self.extern(extern)} {self.sorted_ref(target)}{ascribed})")
            case c.Custom(section=section):
                self.line(f"(@custom {quoted(section.name)} {quoted_bytes(section.data)})")
            case _:
                self.declaration(item)

    def _inside(self, keyword: str, item: Definition, name: str | None) -> str:
        """The head of a module or component in place, still open, with what is said of the definition itself.

        Annotations here belong to what is inside, so notes on the definition are wrapped, and so is the name that
        the thing gives itself, if it is another.
        """
        parts = [f"({keyword}", *filter(None, [self.scope.declaration(item)])]
        if name != item.name:
            parts.append("(@meld.own-name)" if name is None else f"(@meld.own-name {quoted(name)})")
        if item.notes:
            parts.append(f"(@meld.outside {' '.join(self.note(note) for note in item.notes)})")
        return " ".join(parts)

    def _builtin(self, item: c.CanonBuiltin) -> str:
        parts = [item.builtin]
        if item.type is not None:
            parts.append(self.ref(item.type))
        if item.table is not None:
            parts.append(self.ref(item.table))
        if item.slot is not None:
            parts.append(f"{self.type(item.slot[0])} {item.slot[1]}")
        if item.result is not None:
            parts.append(f"(result {self.value_type(item.result)})")
        if item.cancellable:
            parts.append("cancellable")
        return " ".join(parts) + self.options(item.options)

    def options(self, options: c.CanonOptions) -> str:
        """The options of a canonical definition, each with a blank in front."""
        texts: dict[str, str] = {}
        for f in fields(options):
            value = getattr(options, f.name)
            if f.name != "order" and value is not None and value is not False:
                texts[f.name] = _option(f.name, self.ref(value) if isinstance(value, Definition) else value)
        order = dict.fromkeys([*options.order, *texts])
        return "".join(f" {texts[name]}" for name in order if name in texts)


def _option(attribute: str, value: object) -> str:
    """An option by its attribute in `CanonOptions`."""
    if attribute == "encoding":
        return f"string-encoding={value}"
    keyword = attribute.removeprefix("is_").replace("_", "-")
    return keyword if value is True else f"({keyword} {value})"
