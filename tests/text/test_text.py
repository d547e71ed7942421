"""The text of core modules: what is printed means the same, what is malformed is shown with its line."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import wasmtime
from smith import MIXES, SEEDS, printed, smith, wasm_tools
from text_samples import EVERYTHING, MALFORMED

from meld.binary.reader import read_module
from meld.binary.writer import write_module
from meld.diagnostics import MeldError
from meld.ir.instructions import Catch, Code, Handler, Instruction, LazyBody, MemArg
from meld.ir.module import DataSegment, ElementSegment, Function, Global, Memory, Module, Table, Tag
from meld.ir.opcodes import OPS, Imm, Op
from meld.ir.types import (
    EXTERNREF,
    FUNCREF,
    I32,
    I64,
    AbstractHeap,
    ArrayType,
    FieldType,
    FuncType,
    Limits,
    RecGroup,
    RefType,
    StructType,
    TypeDef,
)
from meld.text.printing.program import print_program
from meld.text.reading.program import parse, parse_module


def comes_back(module: Module) -> str:
    """Prints a module and checks that its text means the module and prints to itself; the text."""
    text = print_program(module)
    again = parse_module(text, "printed")
    assert print_program(again) == text
    assert write_module(parse_module(text, "printed")) == write_module(module)
    return text


def test_a_text_with_everything_means_what_wasm_tools_reads() -> None:
    module = parse_module(EVERYTHING, "everything.wat")
    ours, theirs = write_module(module), wasm_tools("parse", "-", data=EVERYTHING.encode())
    assert printed(ours) == printed(theirs)
    assert wasm_tools("validate", "--features", "all", "-", data=ours) == b""
    text = comes_back(module)
    assert printed(wasm_tools("parse", "-", data=text.encode())) == printed(ours)


@pytest.mark.parametrize("mix", MIXES)
def test_random_modules_come_back(mix: str) -> None:
    found = 0
    for seed in SEEDS:
        data = smith(seed, mix)
        if data is None:
            continue
        found += 1
        module = read_module(data)
        if seed % 2:
            _give_names(module, random.Random(seed))
        text = comes_back(module)
        assert printed(wasm_tools("parse", "-", data=text.encode())) == printed(write_module(module)), (mix, seed)
    assert found > len(SEEDS) / 2


def _give_names(module: Module, chance: random.Random) -> None:
    """Names of all kinds, many of them twice."""
    names = [None, "a", "a", "b c", "", "x#2", "a#2", "é\u202e", 'q"\\', "$", "\U0001f600"]
    for named in [*module.items(), *module.elements, *module.datas, *module.typedefs()]:
        named.name = chance.choice(names)
    for function in module.functions:
        instructions = function.instructions
        count = len(function.signature.params) + len(function.code.locals)
        function.local_names = {i: chance.choice(["p", "p", "q", "", "z z"]) for i in range(0, count, 2)}
        for instruction in instructions:
            if instruction.op in ("block", "loop", "if", "try_table"):
                instruction.label = chance.choice([None, "l", "l", "m", ""])
    for typedef in module.typedefs():
        if isinstance(typedef.shape, StructType):
            typedef.field_names = {i: chance.choice(["f", "g", ""]) for i in range(0, len(typedef.shape.fields), 2)}
    module.name = chance.choice(names)


def test_the_engine_reads_what_we_print() -> None:
    for seed in range(8):
        data = smith(seed, "mvp")
        if data is not None:
            text = print_program(read_module(data))
            assert printed(bytes(wasmtime.wat2wasm(text))) == printed(data)


def _specimen(op: Op, module: Module) -> list[Instruction]:
    """An instruction with immediates that are not the usual ones, in a block where it needs one."""
    struct, array, func = module.typedefs()
    memory, table = module.memories[1], module.tables[1]
    values = {
        Imm.BLOCK: func,
        Imm.LABEL: 0,
        Imm.LABELS: (1, 0, 1),
        Imm.LOCAL: 1,
        Imm.FUNC: module.functions[0],
        Imm.TYPE: struct if op.name.startswith("struct") else array if op.name.startswith("array") else func,
        Imm.TABLE: table,
        Imm.MEMORY: memory,
        Imm.GLOBAL: module.globals[0],
        Imm.TAG: module.tags[0],
        Imm.ELEM: module.elements[0],
        Imm.DATA: module.datas[0],
        Imm.FIELD: 1,
        Imm.COUNT: 3,
        Imm.MEMARG: MemArg(max(op.align - 1, 0), 1 << 33, memory),
        Imm.I32: -(1 << 31),
        Imm.I64: (1 << 63) - 1,
        Imm.F32: 0x7FA00001,
        Imm.F64: 0x3FB999999999999A,
        Imm.V128: 0x0123456789ABCDEF_FEDCBA9876543210,
        Imm.LANE: 1,
        Imm.LANES: tuple(range(31, 15, -1)),
        Imm.HEAP: array,
        Imm.REF: RefType(True, array),
        Imm.RESULTS: (RefType(False, AbstractHeap.I31),),
        Imm.CATCHES: (Catch("catch", module.tags[0], 0), Catch("catch_all_ref", None, 1)),
        Imm.HANDLERS: (Handler(module.tags[0], 0), Handler(module.tags[0], None)),
    }
    instruction = Instruction(op.name, tuple(values[imm] for imm in op.imms if imm is not Imm.FENCE))
    opening = Instruction("block", (None,), label="b")
    end = Instruction("end")
    match op.name:
        case "block" | "loop" | "if" | "try_table" | "try":
            instruction.label = "mine"
            return [opening, instruction, end, end]
        case "else":
            return [opening, Instruction("if", (None,)), instruction, end, end]
        case "catch" | "catch_all" | "rethrow":
            head = [Instruction("catch_all")] if op.name == "rethrow" else []
            return [opening, Instruction("try", (I32,)), *head, instruction, end, end]
        case "delegate":
            return [opening, Instruction("try", (I32,)), instruction, end]
        case "end":
            return [opening, instruction]
        case _:
            return [opening, instruction, end]


@pytest.mark.parametrize("named", [True, False])
def test_every_instruction_comes_back(named: bool) -> None:
    def name(text: str) -> str | None:
        return text if named else None

    struct = TypeDef(StructType((FieldType(I32, True), FieldType(I64, True))), name("s"))
    struct.field_names = {1: "field"} if named else {}
    array, func = TypeDef(ArrayType(FieldType(I32, True)), name("a")), TypeDef(FuncType((I32,), (I32,)), name("f"))
    module = Module(types=[RecGroup([struct]), RecGroup([array]), RecGroup([func])])
    module.memories = [Memory(Limits(1)), Memory(Limits(1, is64=True), name=name("m"))]
    module.tables = [Table(FUNCREF, Limits(1)), Table(FUNCREF, Limits(1), name=name("t"))]
    module.globals = [Global(I32, init=[Instruction("i32.const", (0,))], name=name("g"))]
    module.tags = [Tag(func, name=name("tag"))]
    module.elements = [ElementSegment(type=EXTERNREF, expressions=[], name=name("e"))]
    module.datas = [DataSegment(data=b"", name=name("d"))]
    for op in OPS.values():
        function = Function(func, Code([I32], []), local_names={1: "x y"} if named else {}, name=name(op.name))
        module.functions.append(function)
        function.code.instructions += _specimen(op, module)
    text = comes_back(module)
    again = parse_module(text, "again")
    for before, after in zip(module.functions, again.functions, strict=True):
        assert [i.op for i in after.instructions] == [i.op for i in before.instructions]
    assert printed(wasm_tools("parse", "-", data=text.encode())) == printed(write_module(module))


def test_bodies_stay_text_until_someone_looks() -> None:
    text = print_program(
        parse_module("(module (memory 1) (func $f (param i32) (result i32) local.get 0 i32.load))", "")
    )
    module = parse_module(text, "lazy")
    assert isinstance(module.functions[0].body, LazyBody)
    scope = module.functions[0].body.scope
    scope.memories[0] = other = Memory(Limits(7))
    assert module.functions[0].instructions[1].args[0].memory is other


def test_types_that_are_only_written_out_come_last_in_order() -> None:
    text = """(module (func (result i64) (block (param f32) (unreachable))) (func (call_indirect (param f64)))
      (table 1 funcref) (type (func (param i32))) (func (param i32)) (func))"""
    assert write_module(parse_module(text, "")) == wasm_tools("parse", "-", data=text.encode())


NOTES = """\
(module $program
  (@meld.facts linked merged)
  (@meld.pair (domain $d0) (producer $a) (consumer $"b b"))
  (@meld.instance $a)
  (@meld.instance $"b b" (path "x/y"))
  (@meld.domain $d0 (instances $a $"b b") (carried bridge))
  (@plugin.note (some "thing\\ff" ()) [x,y])
  (type $t (@meld.unheard-of 1) (func (param i32)))
  (import "meld:boundary" "0" (func $call (@meld.owner $a) (@meld.unheard-of $call) (type $t) (param $x i32)))
  (memory $m (@meld.origin $a 3) 1)
  (memory $n (@meld.synthetic stream-bridge) 1)
  (elem $e (@meld.origin $"b b" 0 (module 1)) func $f)
  (func $f (@meld.origin $"b b" 4 (module 1)) (type $t) (param $x i32)
    i32.const 1 (@meld.index $n)
    call $call (@meld.unheard-of 2)
  )
  (@custom "mine" (after code) "\\00\\ff")
)
"""


def test_notes_come_back() -> None:
    module = parse_module(NOTES, "notes")
    text = comes_back(module)
    assert text == NOTES
    a, b = (note for note in module.notes if note.tag == "instance")
    function = module.functions[0]
    assert (function.owner, function.origin) == (b, (4, 1))
    assert module.notes[0].producer == (a,)  # type: ignore[attr-defined]
    assert module.memories[1].synthetic == "stream-bridge"
    assert function.instructions[0].args[0].item is module.memories[1]
    assert function.instructions[1].notes is not None
    module.memories.reverse()
    assert "i32.const 0 (@meld.index $n)" in print_program(module)
    assert wasm_tools("validate", "--features", "all", "-", data=text.encode()) == b""


def test_names_are_made_unique_and_come_back() -> None:
    module = parse_module("(module (func $f) (func $g (param $x i32)) (func $h))", "")
    for function in module.functions:
        function.name = "f"
    text = comes_back(module)
    assert '(func $f#2 (@name "f")' in text
    assert {function.name for function in parse_module(text, "").functions} == {"f"}


@pytest.mark.parametrize(("text", "message", "marked"), MALFORMED)
def test_malformed_text_is_shown_with_its_line(text: str, message: str, marked: str) -> None:
    with pytest.raises(MeldError) as caught:
        module = parse(text, "bad.wat")
        print_program(module)
    assert message in caught.value.message
    span = caught.value.span
    assert span is not None
    assert text[span.start : span.end].startswith(marked)
    assert str(caught.value).startswith(f"bad.wat:{span.line}:{span.column}: ")
    assert "^" in str(caught.value)


def test_names_close_to_the_one_meant_are_offered() -> None:
    for text, offered in [
        ("(module (func i32.ad))", "i32.add"),
        ("(module (func call $fooo) (func $foo))", "$foo"),
        ("(module (func (parm i32)))", "param"),
        ("(module (fnc))", "(func"),
        ("(module (func (param $left i32) local.get $lef))", "$left"),
    ]:
        with pytest.raises(MeldError) as caught:
            print_program(parse_module(text, ""))
        assert offered in (caught.value.hint or "")


def test_text_cut_anywhere_is_refused() -> None:
    text = EVERYTHING.strip()
    for end in range(0, len(text) - 1, 7):
        with pytest.raises(MeldError):
            parse(text[:end], "cut")


def test_text_with_changed_characters_gives_clear_errors_only() -> None:
    chance = random.Random(5)
    text = EVERYTHING.strip()
    for _ in range(300):
        at = chance.randrange(len(text))
        changed = text[:at] + chance.choice('()"$;x1 \0é@') + text[at + chance.randrange(3) :]
        try:
            print_program(parse(changed, "changed"))
        except MeldError as e:
            assert e.span is not None or e.where is not None


DEEP = 100_000


@pytest.mark.parametrize(
    "body",
    [
        "(i32.eqz " * DEEP + "(i32.const 0)" + ")" * DEEP + " drop",
        "block " * DEEP + "end " * DEEP,
        "(if (i32.const 0) (then " * DEEP + "))" * DEEP,
        "(block $x " * DEEP + "br $x" + ")" * DEEP,
        "(; " * DEEP + ";) " * DEEP,
    ],
    ids=["folded", "blocks", "ifs", "labels", "comments"],
)
def test_deep_nesting_is_no_trouble(body: str) -> None:
    module = parse_module(f"(module (func {body}))", "deep")
    assert read_module(write_module(module)).functions[0].view().instructions == module.functions[
        0
    ].view().instructions or ("$x" in body)


@pytest.mark.parametrize(
    "text", ["(" * DEEP, "(module (func " + "(" * DEEP, "(module (@x " + "(" * DEEP + ")" * DEEP + "))"]
)
def test_deep_nonsense_is_refused(text: str) -> None:
    with pytest.raises(MeldError):
        parse(text, "deep")


def test_grammars_work_without_a_place_to_keep_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from meld.diagnostics import Source
    from meld.text.grammar.syntax import Syntax

    (tmp_path / "file").write_text("")
    monkeypatch.delenv("MELDC_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert Syntax("module", ("wat.lark",)).parse(Source("t", "(module)")).data == "module"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):
        assert Syntax("module", ("wat.lark",)).parse(Source("t", "(module)")).data == "module"
    (kept,) = (tmp_path / "meldc").iterdir()
    kept.write_bytes(b"spoilt")
    assert Syntax("module", ("wat.lark",)).parse(Source("t", "(module)")).data == "module"


def _run(binary: bytes, argument: int) -> int:
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    instance = wasmtime.Instance(store, wasmtime.Module(engine, binary), [])
    result = instance.exports(store)["f"](store, argument)  # type: ignore[operator]
    assert isinstance(result, int)
    return result


def test_what_was_parsed_and_printed_computes_the_same() -> None:
    text = """(module
      (memory 1) (data (i32.const 8) "\\01\\02\\03\\04") (table funcref (elem $twice $square))
      (func $twice (param i32) (result i32) (i32.shl (local.get 0) (i32.const 1)))
      (func $square (param $x i32) (result i32) local.get $x local.get $x i32.mul)
      (func (export "f") (param $n i32) (result i32) (local $sum i32) ;; a comment
        (block $done
          (loop $next
            (br_if $done (i32.eqz (local.get $n)))
            (local.set $sum (i32.add (local.get $sum)
              (call_indirect (param i32) (result i32)
                (if (result i32) (i32.and (local.get $n) (i32.const 1))
                  (then (local.get $n)) (else (i32.load8_u offset=8 (local.get $n))))
                (i32.and (local.get $n) (i32.const 1)))))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $next)))
        local.get $sum))"""
    module = parse_module(text, "sum")
    printed_again = parse_module(print_program(module), "again")
    for n in (0, 1, 2, 3, 5):
        expected = sum(i * i if i & 1 else 2 * (b"\1\2\3\4" + bytes(9))[i] for i in range(1, n + 1))
        assert _run(write_module(module), n) == expected
        assert _run(write_module(printed_again), n) == expected
        assert _run(bytes(wasmtime.wat2wasm(print_program(module))), n) == expected
