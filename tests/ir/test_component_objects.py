"""Components from the binary format as objects: what refers to what, and what cannot be written."""

from __future__ import annotations

import component_samples as samples
import pytest
from smith import printed, wasm_tools

from meld.binary.component.codes import PREAMBLE
from meld.binary.component.reader import read_component
from meld.binary.component.writer import write_component
from meld.diagnostics import MeldError
from meld.ir.component import (
    CanonBuiltin,
    CanonLift,
    CanonLower,
    CanonOptions,
    CompFuncType,
    Component,
    CoreExternType,
    CoreInstance,
    CoreModule,
    CoreType,
    Custom,
    Definition,
    EnumType,
    Export,
    ExportAlias,
    ExternName,
    ExternType,
    Import,
    InlineInstance,
    ListType,
    ModuleType,
    NestedComponent,
    OuterAlias,
    Own,
    Prim,
    ResourceType,
    Sort,
    StartDefinition,
    TypeDefinition,
)
from meld.ir.module import Module
from meld.ir.types import I32, FuncType, RecGroup, TypeDef


def load(text: str, where: str = "") -> Component:
    return read_component(wasm_tools("parse", data=text.encode()), where)


def only(component: Component, kind: type[Definition]) -> Definition:
    (found,) = component.of(kind)
    return found


# --- reading -------------------------------------------------------------------------------------------------------


def test_references_are_the_definitions_themselves() -> None:
    component = load(samples.BUILTINS)
    by_name = {item.name: item for item in component.definitions if item.name}
    lift = by_name["lifted"]
    assert isinstance(lift, CanonLift)
    assert (lift.function, lift.type) == (by_name["f"], by_name["text"])
    assert (lift.options.memory, lift.options.realloc) == (by_name["m"], by_name["realloc"])
    assert (lift.options.post_return, lift.options.encoding) == (by_name["post"], "latin1+utf16")
    lower = by_name["lowered"]
    assert isinstance(lower, CanonLower) and lower.function is lift
    reads = [item for item in component.of(CanonBuiltin) if item.builtin == "stream.read"]
    assert [(item.type, item.options.is_async) for item in reads] == [(by_name["s"], True)]
    cancels = [item for item in component.of(CanonBuiltin) if item.builtin == "future.cancel-write"]
    assert [item.options.is_async for item in cancels] == [False, True]
    slots = [item.slot for item in component.of(CanonBuiltin) if item.builtin.startswith("context.")]
    assert slots == [(I32, 0), (I32, 1)]
    with_dtor = by_name["with-dtor"]
    assert isinstance(with_dtor, TypeDefinition) and with_dtor.type == ResourceType(I32, by_name["post"])


def test_outer_aliases_find_the_definition_of_the_enclosing_component() -> None:
    component = load(samples.TYPES)
    by_name = {item.name: item for item in component.definitions if item.name}
    c = by_name["c"]
    assert isinstance(c, NestedComponent)
    alias = only(c.component, OuterAlias)
    assert isinstance(alias, OuterAlias)
    assert (alias.target, alias.depth, alias.of) == (by_name["fixed"], 1, Sort.TYPE)
    inner = only(c.component, NestedComponent)
    assert isinstance(inner, NestedComponent)
    targets = [(a.target, a.depth) for a in inner.component.of(OuterAlias)]
    assert targets == [(by_name["fixed"], 2), (by_name["ct"], 2)]
    module_type = next(t for t in component.of(CoreType) if isinstance(t.type, ModuleType))
    (outer,) = [d for d in module_type.type.decls if isinstance(d, OuterAlias)]
    assert (outer.target, outer.depth) == (by_name["ct"], 1)


def test_places_of_what_is_nested() -> None:
    component = load("(component (component) (component (core module) (core module)))", "a.wasm")
    nested = [item.component for item in component.of(NestedComponent)]
    assert [n.where for n in nested] == ["a.wasm: component 0", "a.wasm: component 1"]
    modules = [item.module.where for item in nested[1].of(CoreModule)]
    assert modules == ["a.wasm: component 1: core module 0", "a.wasm: component 1: core module 1"]


def test_names_and_custom_sections() -> None:
    component = load(samples.CUSTOMS)
    assert component.name == "named"
    assert [item.name for item in component.of(Import)] == ["f"]
    assert [item.section.name for item in component.of(Custom)] == ["first", "producers", "second", "last"]
    assert bytes(component.definitions[0].section.data) == b"\0\x01"
    for item in component.of(Import):
        item.name = "renamed"
    component.name = None
    text = printed(write_component(component))
    assert text.startswith("(component\n") and '(import "f" (func $renamed' in text


def test_values() -> None:
    component = load(samples.VALUES)
    start = only(component, StartDefinition)
    assert isinstance(start, StartDefinition)
    export = only(component, Export)
    assert isinstance(export, Export)
    assert start.args == [component.definitions[0]]
    assert export.target is start.results[0]
    assert component.space(Sort.VALUE) == [component.definitions[0], *start.results, export]


@pytest.mark.parametrize(
    ("encoded", "name", "rewritten"),
    [
        ("00 05 613a622f63", ExternName("a:b/c"), True),
        ("01 05 613a622f63", ExternName("a:b/c"), False),
        ("02 05 613a622f63 00", ExternName("a:b/c"), False),
        ("02 07 613a622f634031 01 01 04 2e322e33", ExternName("a:b/c@1", version_suffix=".2.3"), True),
        (
            "02 07 613a622f634031 02 01 04 2e322e33 02 01 78",
            ExternName("a:b/c@1", version_suffix=".2.3", external_id="x"),
            True,
        ),
        ("02 01 61 02 00 05 613a622f63 02 00", ExternName("a", implements="a:b/c", external_id=""), True),
    ],
)
def test_forms_of_names(encoded: str, name: ExternName, rewritten: bool) -> None:
    payload = b"\x01" + bytes.fromhex(encoded) + b"\x05\0"
    data = PREAMBLE + b"\x07\x03\x01\x42\0" + b"\x0a" + bytes((len(payload),)) + payload
    component = read_component(data)
    assert [item.extern for item in component.of(Import)] == [name]
    written = write_component(component)
    assert (written == data) is rewritten
    assert printed(written) == printed(data)


def test_the_order_of_options_is_kept() -> None:
    text = samples.BUILTINS
    swapped = text.replace("async (memory $m) (realloc $realloc)", "(realloc $realloc) async (memory $m)")
    assert swapped != text
    data = wasm_tools("parse", data=swapped.encode())
    assert write_component(read_component(data)) == data


# --- writing -------------------------------------------------------------------------------------------------------


def test_built_by_hand() -> None:
    """A component that no binary was read for."""
    resource = TypeDefinition(ResourceType(I32), name="r")
    exported = Export(ExternName("r"), resource)
    owned = TypeDefinition(Own(exported))
    listed = TypeDefinition(ListType(Prim.U8))
    enum = TypeDefinition(EnumType(("red", "green")))
    colour = Export(ExternName("colour"), enum)
    colours = TypeDefinition(ListType(colour))
    function = TypeDefinition(CompFuncType((("xs", colours), ("r", owned)), Prim.STRING, is_async=True))
    bundle = InlineInstance([(ExternName("a", external_id="b"), colour)])
    taken = ExportAlias(bundle, "a", Sort.TYPE)
    alias = OuterAlias(listed, 5, Sort.TYPE)  # the depth is found, not believed
    nested = NestedComponent(Component([alias, Export(ExternName("t"), alias)]))
    imported = Import(ExternName("f"), ExternType(Sort.FUNC, TypeDefinition(CompFuncType((), None))), name="f")
    assert isinstance(imported.type.type, TypeDefinition)
    component = Component([imported.type.type, imported, resource, exported, owned, listed, enum, colour], name="made")
    component.definitions += [colours, function, bundle, taken, nested]
    data = write_component(component)
    wasm_tools("validate", "--features", "all", data=data)
    assert write_component(read_component(data)) == data
    text = printed(data)
    assert "(alias outer $made 4 (type (;0;)))" in text
    assert '(type (;8;) (func async (param "xs" 7) (param "r" 3) (result string)))' in text
    assert '(import "f" (func $f (;0;) (type 0)))' in text


def test_recursion_groups() -> None:
    a, b = TypeDef(FuncType()), TypeDef(FuncType())
    group = RecGroup([a, b], explicit=True)
    first, second = CoreType(a, group), CoreType(b, group)
    data = write_component(Component([first, second]))
    assert "(core rec" in printed(data)
    for wrong in ([second, first], [first, TypeDefinition(Prim.U8), second], [first], [second]):
        with pytest.raises(MeldError, match="recursion group"):
            write_component(Component([*wrong]))
    alone = read_component(write_component(Component([CoreType(TypeDef(FuncType((I32,))))])))
    assert only(alone, CoreType).type.shape == FuncType((I32,))


def refused(component: Component) -> str:
    with pytest.raises(MeldError) as caught:
        write_component(component)
    return str(caught.value)


def test_references_to_nothing_are_refused_by_name() -> None:
    missing = TypeDefinition(Prim.U8, name="gone")
    text = refused(Component([TypeDefinition(ListType(missing), name="list")], name="c"))
    assert text.startswith("component $c, type $list: the type $gone is used where it is not defined")
    imported = Import(ExternName("f"), ExternType(Sort.FUNC, TypeDefinition(CompFuncType((), None))), name=None)
    text = refused(Component([Export(ExternName("out"), imported)], where="a.wasm"))
    assert text.startswith('a.wasm, func "out": the func "f" is used where it is not defined')
    later = TypeDefinition(Prim.U8, name="later")
    assert "type $later is used" in refused(Component([TypeDefinition(ListType(later)), later]))
    text = refused(Component([NestedComponent(Component([OuterAlias(missing, 1, Sort.TYPE)], name="in"))]))
    assert text.startswith("component $in, type (unnamed): an outer alias refers to the type $gone")
    typedef = TypeDef(FuncType(), name="t")
    extern = ModuleType([("a", "b", CoreExternType("func", typedef))])
    assert "core type `t`" in refused(Component([CoreType(extern)]))


def test_references_of_another_sort_are_refused() -> None:
    module = CoreModule(Module(), name="m")
    instance = CoreInstance(module, [("a", module)], name="i")
    u8 = TypeDefinition(Prim.U8, name="u8")
    assert "core module" in printed(write_component(Component([module])))
    assert "type $u8 stands where something of sort core module is due" in refused(Component([u8, CoreInstance(u8)]))
    assert "something of sort instance is due" in refused(Component([u8, ExportAlias(u8, "x", Sort.FUNC)]))
    assert "a core sort is due" in refused(Component([module, u8, CoreInstance(module, [("a", u8)])]))
    assert write_component(Component([module, instance]))


def test_what_has_no_encoding_is_refused() -> None:
    u8 = TypeDefinition(Prim.U8)
    assert "cancellable" in refused(Component([CanonBuiltin("thread.yield", cancellable=True)]))
    assert "unknown canonical built-in `stream.splice`" in refused(Component([CanonBuiltin("stream.splice")]))
    assert "something of sort type is missing" in refused(Component([CanonBuiltin("stream.new")]))
    assert "without a slot" in refused(Component([CanonBuiltin("context.get")]))
    options = CanonOptions(encoding="ebcdic")
    assert "`ebcdic`" in refused(Component([CanonBuiltin("error-context.new", options=options)]))
    assert "no proper type" in refused(Component([Import(ExternName("f"), ExternType(Sort.FUNC))]))
    assert "no proper type" in refused(Component([u8, Import(ExternName("f"), ExternType(Sort.CORE_FUNC, u8))]))
    assert "asynchronous destructor" in refused(Component([TypeDefinition(ResourceType(I32, dtor_async=True))]))
    endless = Component()
    endless.definitions.append(NestedComponent(endless))
    assert "nest more than 100 deep" in refused(endless)
