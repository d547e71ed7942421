"""The verifier: silent on what the compiler makes, and loud, with the place, on each kind of damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import meld
from meld.files import decode
from meld.ir.component import (
    Component,
    ComponentInstance,
    CoreInstance,
    CoreModule,
    Export,
    ExternName,
    NestedComponent,
)
from meld.ir.instructions import Code, Instruction, LazyBody, MemArg
from meld.ir.module import DataSegment, Function, Global, ImportName, Memory, Module
from meld.ir.notes import NOTES, Instance, Note, note, number, ref
from meld.ir.types import I32, FuncType, Limits, StructType, TypeDef
from meld.notes.boundaries import Boundary
from meld.notes.streams import Pair
from meld.text.reading.program import parse
from meld.verify.program import MAX_PROBLEMS, verify

ROOT = Path(__file__).parents[2]
STREAM = [ROOT / "examples/stream/producer.wat", ROOT / "examples/stream/consumer.wat"]
GREET = [ROOT / "examples/greet/crowd.wat", ROOT / "examples/greet/greeter.wat"]
STAGES = ("link", "merge", "detect-pairs", "emit-bridge", "rewire-calls", "adapter-wiring", "guard-entries", "finish")


def function(module: Any, name: str) -> Function:
    return next(f for f in module.space("functions") if f.name == name)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("inputs", [STREAM, GREET], ids=["stream", "greet"])
def test_nothing_is_wrong_with_what_the_compiler_makes(inputs: list[Path], stage: str) -> None:
    program = meld.compile(inputs, stop_after=stage)
    assert verify(program) == []
    again = parse(meld.print_text(program), stage)
    assert verify(again, decode=True) == []


# --- damage to modules: what is done, and what is said where ---

Damage = Callable[[Module], None]
DAMAGES: dict[str, tuple[Damage, str]] = {}


def damage(expected: str) -> Callable[[Damage], Damage]:
    def register(f: Damage) -> Damage:
        DAMAGES[f.__name__] = (f, expected)
        return f

    return register


@damage("function $user, instruction 1: `call` refers to function $helper, which is not in the module")
def called_function_removed(m: Module) -> None:
    assert isinstance(function(m, "user").code, Code)
    m.functions.remove(function(m, "helper"))


@damage("function $lazy, instruction 1: `call` refers to function $helper, which is not in the module")
def function_of_an_undecoded_body_removed(m: Module) -> None:
    assert isinstance(function(m, "lazy").body, LazyBody)
    m.functions.remove(function(m, "helper"))


@damage("function $user, instruction 2: `i32.load` refers to memory $other, which is not in the module")
def memory_never_added(m: Module) -> None:

    function(m, "user").instructions.insert(
        2, Instruction("i32.load", (MemArg(2, 0, Memory(Limits(1), name="other")),))
    )


@damage("function $user, instruction 0: there is no local 9: there are 2")
def local_out_of_range(m: Module) -> None:
    function(m, "user").instructions[0] = Instruction("local.get", (9,))


@damage("function $user, instruction 1: there is no label 3: 0 blocks are open")
def label_out_of_range(m: Module) -> None:
    function(m, "user").instructions[1] = Instruction("br", (3,))


@damage("function $user, instruction 0: this `block` has no `end`")
def block_without_end(m: Module) -> None:
    function(m, "user").instructions.insert(0, Instruction("block", (None,)))


@damage("function $user, instruction 2: `end` closes nothing")
def end_without_block(m: Module) -> None:
    function(m, "user").instructions.insert(2, Instruction("end"))


@damage("function $user, instruction 1: `else` stands in no block that could have it")
def else_without_if(m: Module) -> None:
    function(m, "user").instructions.insert(1, Instruction("else"))


@damage("function $user, instruction 0: unknown instruction `i32.plus`")
def unknown_instruction(m: Module) -> None:
    function(m, "user").instructions[0] = Instruction("i32.plus")


@damage("function $user, instruction 1: `call` does not take `0` as its func")
def number_instead_of_object(m: Module) -> None:
    function(m, "user").instructions[1] = Instruction("call", (0,))


@damage("function $user, instruction 1: `call` takes 1 immediates, not 0")
def immediate_forgotten(m: Module) -> None:
    function(m, "user").instructions[1] = Instruction("call")


@damage('export "user": is exported already')
def exported_twice(m: Module) -> None:
    m.exports.append(m.exports[0])


@damage('export "user": refers to function $user, which is not in the module')
def exported_function_removed(m: Module) -> None:
    m.functions.remove(function(m, "user"))


@damage("the start function is function $gone, which is not in the module")
def start_not_in_the_module(m: Module) -> None:
    m.start = Function(m.func_type(), Code(), name="gone")


@damage("function $helper: is the start function, and takes parameters or has results")
def start_with_parameters(m: Module) -> None:
    m.start = function(m, "helper")


@damage("data segment 0: refers to memory $elsewhere, which is not in the module")
def segment_in_a_memory_that_is_not_there(m: Module) -> None:
    m.datas.append(
        DataSegment(data=b"", memory=Memory(Limits(1), name="elsewhere"), offset=[Instruction("i32.const", (0,))])
    )


@damage("data segment 0: has an offset and nothing that it is in, or the other way round")
def segment_without_offset(m: Module) -> None:
    m.datas.append(DataSegment(data=b"", memory=m.memories[0]))


@damage("function $helper: belongs to the instance `b`, which is not in the module")
def owner_not_in_the_module(m: Module) -> None:
    function(m, "helper").owner = Instance(name="b")


@damage("function $helper: has an origin, and no owner that it comes from")
def origin_without_owner(m: Module) -> None:
    function(m, "helper").origin = (0, 0)


@damage("(@meld.pair): `b` is not in the domain `d`")
def pair_of_a_stranger(m: Module) -> None:
    pair = m.notes_of(Pair)[0]
    pair.consumer = (Instance(name="b"),)
    m.notes += pair.consumer


@damage("(@meld.pair): `domain` refers to the domain `d`, which is not in the module")
def domain_removed(m: Module) -> None:
    m.notes.remove(m.notes_of(Pair)[0].domain)


@damage("function $call, (@meld.boundary): `target` refers to function $gone, which is not in the module")
def boundary_to_a_removed_function(m: Module) -> None:
    note = function(m, "call").notes[0]
    assert isinstance(note, Boundary)
    note.target = Function(m.func_type(), Code(), name="gone")


@damage(
    "function $call, (@meld.boundary): its type lowers to (i64) -> (), and the function is () -> (i32)",
)
def boundary_of_another_type(m: Module) -> None:
    function(m, "call").type = m.func_type((), (I32,))


@damage("function $call: is a call between components that is still to be adapted, and the fact `wired` holds")
def fact_that_does_not_hold(m: Module) -> None:
    m.facts.append("wired")


@damage("the fact `merged` is stated 2 times")
def fact_twice(m: Module) -> None:
    m.facts.append("merged")


@damage("function $helper: stands 2 times in the module")
def function_twice(m: Module) -> None:
    m.functions.append(function(m, "helper"))


@damage('function $helper: is imported as "a" "b" and stands among the definitions')
def import_among_definitions(m: Module) -> None:
    function(m, "helper").imported = ImportName("a", "b")


@damage("function $helper: has no content")
def definition_without_body(m: Module) -> None:
    function(m, "helper").body = None


@damage("global $g: has no content")
def global_without_value(m: Module) -> None:
    m.globals.append(Global(I32, name="g"))


@damage("function $helper: refers to a type without a name, which is not in the module")
def type_not_in_the_module(m: Module) -> None:
    function(m, "helper").type = TypeDef(FuncType())


@damage("function $helper: has a type that is not a function type")
def struct_as_function_type(m: Module) -> None:
    m.types[0].types[0].shape = StructType()


@damage("a Global stands among the functions of the module")
def thing_in_the_wrong_list(m: Module) -> None:
    m.functions.append(Global(I32))  # type: ignore[arg-type]


@damage("memory $m: has 5 at least and 2 at most")
def limits_upside_down(m: Module) -> None:
    m.memories[0].limits = Limits(5, 2)


@damage("function $lazy: has a body over a scope that the module does not list")
def scope_forgotten(m: Module) -> None:
    m.scopes.clear()


@damage("the program is malformed beyond checking")
def nonsense(m: Module) -> None:
    function(m, "user").type = None  # type: ignore[assignment]


MODULE = """\
(module
  (@meld.facts merged)
  (@meld.instance $a)
  (@meld.domain $d (instances $a))
  (@meld.pair (domain $d) (producer $a) (consumer $a))
  (type $t (func (param i32)))
  (import "meld:boundary" "call" (func $call
    (@meld.boundary (caller $a) (callee $a) (label "f") (target $helper) (type (param "x" s64))) (param i64)))
  (memory $m 1)
  (func $helper (type $t))
  (func $user (export "user") (param i32) (local i32) local.get 0 call $helper)
  (func $lazy (param i32) (call $helper (local.get 0))))
"""


def from_text() -> Module:
    module = parse(MODULE, "m.wat")
    assert isinstance(module, Module)
    return module


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_and_placed(name: str) -> None:
    module = from_text()
    assert verify(module, decode=True) == []
    apply, expected = DAMAGES[name]
    apply(module)
    problems = verify(module)
    assert any(str(problem).startswith(expected) for problem in problems), list(map(str, problems))


@pytest.mark.parametrize("kernel", ["on", "off"])
def test_bodies_that_are_still_bytes(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those over a scope with dead entries are searched without being decoded; one of many is found."""
    monkeypatch.setenv("MELDC_KERNEL", kernel)
    many = "".join(f"(func $f{i} (param i32) (call $helper (local.get 0)))" for i in range(50))
    text = f"(module (type $t (struct)) (func $helper (param i32)) (func $dead) {many} (func $user (call $dead)))"
    module = decode(meld.encode(parse(text, "m")), "m.wasm")
    assert isinstance(module, Module)
    dead = function(module, "dead")
    module.functions.remove(dead)
    found = verify(module)
    assert [str(p) for p in found] == [
        "function $user, instruction 0: `call` refers to function $dead, which is not in the module"
    ]
    assert found[0].item is function(module, "user")
    assert all(isinstance(f.body, LazyBody) for f in module.functions)


def test_the_text_that_a_problem_is_in() -> None:
    module = from_text()
    module.functions.remove(function(module, "helper"))
    error = str(verify(module)[-1].error())
    assert error.startswith("m.wat:")
    assert "which is not in the module" in error


def test_a_plugin_says_what_makes_its_notes_consistent() -> None:
    @note("hot")
    class Hot(Note):
        """On a function: how often it is called; a test's."""

        calls: int = number()
        instead: Function = ref("functions")

        def problems(self, holder: Any, program: Any) -> list[str]:
            return ["is called less than never"] if self.calls < 0 else []

    try:
        text = "(module (func $f (@meld.hot (calls 3) (instead $g))) (func $g (@meld.hot (calls -1) (instead $f))))"
        module = parse(text, "m.wat")
        assert [str(p) for p in verify(module)] == ["function $g, (@meld.hot): is called less than never"]
        module.functions.pop(0)  # type: ignore[union-attr]
        assert "`instead` refers to function $f, which is not in the module" in str(verify(module)[0])
    finally:
        del NOTES["hot"]


def test_a_program_that_is_wrong_everywhere() -> None:
    module = Module(functions=[Function(TypeDef(FuncType()), Code()) for _ in range(1000)])
    assert len(verify(module)) == MAX_PROBLEMS


# --- compositions ---


def nested() -> Component:
    program = parse("(component (component $c (core module $m) (core instance $i (instantiate $m))))", "c.wat")
    assert isinstance(program, Component)
    return program


def test_definitions_refer_to_earlier_ones() -> None:
    program = nested()
    (outer,) = program.of(NestedComponent)
    outer.component.definitions.reverse()
    assert [str(p) for p in verify(program)] == [
        "component $c, core instance $i: `module` refers to core module $m, which stands only behind it"
    ]
    outer.component.definitions.pop()
    assert "which is not in the component" in str(verify(program)[0])


def test_definitions_are_of_the_right_sort() -> None:
    program = nested()
    (outer,) = program.of(NestedComponent)
    (instance,) = outer.component.of(CoreInstance)
    program.definitions.append(ComponentInstance(outer, []))
    outer.component.definitions.append(CoreInstance(instance))
    assert [p.message for p in verify(program)] == ["`module` has to be a core module, and is core instance $i"]


def test_exports_of_a_component_are_unique() -> None:
    program = nested()
    (outer,) = program.of(NestedComponent)
    program.definitions += [Export(ExternName("x"), outer), Export(ExternName("x"), outer)]
    assert [str(p) for p in verify(program)] == ['export "x": "x" is exported already']


def test_modules_inside_are_looked_into() -> None:
    text = "(component $o (component $c (core module $m (func $f call $g) (func $g))))"
    program = parse(text, "c.wat")
    assert verify(program) == []
    module: Any = next(program.definitions[0].component.of(CoreModule)).module  # type: ignore
    module.functions.pop()
    assert [p.place for p in verify(program)] == ["component $c, core module $m, function $f, instruction 0"]
