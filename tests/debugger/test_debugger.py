"""The debugger without a terminal: the program where a session stands is the one that compiling to there gives."""

from __future__ import annotations

import io
import os
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meld.cli import main
from meld.debugger.history import Edit
from meld.debugger.saving import saved_text
from meld.debugger.session import Invalid, Session, Stepped, Stopped
from meld.debugger.shell import Shell
from meld.diagnostics import MeldError
from meld.driver import Options, build
from meld.files import encode, print_text
from meld.ir.component import Component
from meld.ir.instructions import Code
from meld.ir.module import Function, Module
from meld.observers.recorder import Recorder
from meld.passes import Registry
from meld.passmanager import plan_default
from meld.runtime.instantiate import Trapped
from meld.text.function import function_text, replace_function
from meld.text.reading.program import parse_module

ROOT = Path(__file__).parents[2]
GREET = [str(ROOT / "examples/greet" / f"{name}.wat") for name in ("crowd", "greeter")]
STREAM = [str(ROOT / "examples/stream" / f"{name}.wat") for name in ("producer", "consumer")]
NAMES = [step.name for step in plan_default(Component(), Registry()).steps]
STEPS = len(NAMES)  # the last one is `finish`
WIRING = NAMES.index("adapter-wiring")  # steps before it
HEXAMPLES = int(os.environ.get("MELD_SEEDS", "12"))


@cache
def compiled(inputs: tuple[str, ...], steps: int, fuel: tuple[str, int] | None = None) -> str:
    """The text that a compilation from the start leaves."""
    options = Options(fuel=dict([fuel] if fuel else []))
    return print_text(build(list(inputs), options, steps=steps).program)


def expected(session: Session) -> str:
    """What compiling to where a session stands gives."""
    inputs = tuple(path for path, _ in session.files)
    if session.rewrite is None:
        return compiled(inputs, session.done)
    label = session.entries[session.done].step.label
    return compiled(inputs, session.done + 1, (label, session.rewrite - 1))


MOVES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["step", "back", "goto", "into"]), st.integers(0, 12)),
        st.tuples(st.sampled_from(["look", "run", "continue", "undone"]), st.just(0)),
    ),
    max_size=8,
)


@pytest.mark.parametrize("inputs", [GREET, STREAM], ids=["greet", "stream"])
@settings(max_examples=HEXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(moves=MOVES)
def test_any_way_leads_to_the_program_of_its_place(inputs: list[str], moves: list[tuple[str, int]]) -> None:
    session = Session.open(inputs, Options())
    for what, n in moves:
        before = session.done, session.rewrite
        try:
            match what:
                case "step":
                    list(session.advance(n))
                case "continue":
                    list(session.advance())
                case "back":
                    session.back(n)
                case "goto":
                    session.goto(n)
                case "into":
                    session.into(n)
                case "look":
                    [session.symbols.text(i) for i in range(len(session.symbols.symbols))]
                    session.diff(0, session.number)
                    assert session.fault() is None
                case "run":
                    session.execution(fresh=True).call('welcome(["Ann"])' if inputs is GREET else "c_get 3")
                case "undone":
                    if session.rewrite is None:
                        session.edit(print_text(session.program))
                        session.undo()
        except MeldError:
            assert (session.done, session.rewrite) == before
    assert print_text(session.program) == expected(session)


# --- moving --------------------------------------------------------------------------------------------------------


def test_breakpoints_on_passes_and_symbols() -> None:
    session = Session.open(STREAM, Options())
    session.stop_at("emit-bridge")
    _, there = session.stop_at("producer/*.shim")
    assert not there, "no shim is there yet"
    session.stop_at("rewire-calls", temporary=True)
    events = list(session.advance())
    assert [e.number for e in events if isinstance(e, Stepped)] == [1, 2, 3]
    assert isinstance(events[-1], Stopped) and session.done == 3
    *_, stop = session.advance()
    assert isinstance(stop, Stopped) and stop.breakpoint.symbol
    assert ("created", "producer/drop.shim") in [(c.what.value, s.name) for s, c in stop.changes]
    assert not any("consumer" in s.name for s, _ in stop.changes), "only what it was asked for"
    rest = [*session.advance(), *session.advance()]
    assert session.done == len(session.entries), "the other breakpoint was passed"
    later = [c.what.value for e in rest if isinstance(e, Stopped) for _, c in e.changes]
    assert set(later) <= {"removed"}, "nothing else touches a shim"
    session.goto(0)
    session.delete()
    list(session.advance())
    assert session.done == len(session.entries)
    with pytest.raises(MeldError, match="no breakpoints"):
        session.delete()


def test_looking_at_one_function_decodes_no_other(tmp_path: Path) -> None:
    """In a large program a step, a breakpoint on a symbol or a print must not cost what printing all costs."""
    copies = [tmp_path / f"{Path(path).stem}.wasm" for path in GREET]
    for copy, path in zip(copies, GREET, strict=True):
        copy.write_bytes(encode(build([path], Options(passes="")).program))
    session = Session.open(copies, Options(stop_after="merge"))
    session.stop_at("crowd/welcome")
    shell = Shell(session, io.StringIO(), io.StringIO())
    shell.perform_all(
        "list; list func; list func *realloc; print crowd/welcome; diff crowd/welcome; trace crowd/welcome"
    )
    shell.perform_all("continue; print crowd/welcome; graph crowd/welcome")
    assert shell.status == 0 and session.done == 9
    assert isinstance(session.program, Module)
    read = [f for f in session.program.functions if f.synthetic is None]
    assert len(read) >= 5 and not any(isinstance(f.body, Code) for f in read)


def test_a_breakpoint_that_is_a_slip_of_the_pen() -> None:
    session = Session.open(STREAM, Options())
    with pytest.raises(MeldError) as caught:
        session.stop_at("emit-brige")
    assert "did you mean `emit-bridge`" in str(caught.value)
    assert session.stop_at("$emit-brige")[0].symbol


def test_a_temporary_breakpoint_stops_once() -> None:
    session = Session.open(STREAM, Options())
    session.stop_at("merge", temporary=True)
    list(session.advance())
    assert session.done == 1 and not session.breakpoints
    list(session.advance())
    assert session.done == len(session.entries)


def test_inside_a_pass() -> None:
    session = Session.open(GREET, Options())
    session.goto(WIRING)
    session.stop_at("adapter-wiring")
    what, item = session.into()
    assert what and item == "crowd/greeter/greet"
    assert session.execution(fresh=True).call('welcome(["Ann"])') == ['["hello, Ann"]'], "it is interpreted there"
    assert session.diff(WIRING, WIRING + 1) == [], "nothing is done before the first rewrite"
    with pytest.raises(MeldError, match="makes 6 rewrites"):
        session.into(7)
    assert session.rewrite == 1
    with pytest.raises(MeldError, match="edited inside"):
        session.edit("(module)")
    session.back()
    assert (session.done, session.rewrite) == (WIRING, None)
    session.into()
    list(session.advance(1))
    assert (session.done, session.rewrite) == (WIRING + 1, None)
    session.goto(STEPS - 1)
    session.into(4)
    report = session.report(STEPS)
    assert report is not None and [done for *_, done in report.rewrites][:4] == [True, True, True, False]
    some, all_ = session.diff(STEPS - 1, STEPS), compiled(tuple(GREET), STEPS)
    assert some and print_text(session.program) not in (compiled(tuple(GREET), STEPS - 1), all_)


@pytest.mark.parametrize("more", [Options(limit=2), Options(fuel={"finish": 2})], ids=["limit", "fuel"])
def test_the_limits_of_a_run_hold(more: Options) -> None:
    session = Session.open(GREET, more)
    for number in (9, STEPS, STEPS - 1, 8, STEPS):
        session.goto(number)
        assert print_text(session.program) == print_text(build(GREET, more, steps=number).program)
    session.goto(8)
    session.edit(print_text(session.program))
    list(session.advance())
    end = print_text(session.program)
    session.goto(STEPS - 1)
    list(session.advance())
    assert print_text(session.program) == end


def test_stop_after_is_where_it_begins() -> None:
    assert Session.open(STREAM, Options(stop_after="merge")).done == 2


def test_the_inputs_may_change_meanwhile(tmp_path: Path) -> None:
    copies = [tmp_path / Path(path).name for path in STREAM]
    for copy, path in zip(copies, STREAM, strict=True):
        copy.write_bytes(Path(path).read_bytes())
    session = Session.open(copies, Options())
    session.goto(3)
    for copy in copies:
        copy.write_text("(module)")
    session.goto(2)
    assert print_text(session.program) == compiled(tuple(STREAM), 2)


FAILING = '''
from meld import Module, Pass, PassContext
class Breaks(Pass):
    """Break, after half of the work."""
    name = "breaks"
    def run(self, module: Module, cx: PassContext) -> None:
        module.functions.clear()
        raise ValueError("on purpose")
'''


def test_a_pass_that_fails_leaves_the_session_before_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plugin = tmp_path / "breaks.py"
    plugin.write_text(FAILING)
    session = Session.open(STREAM, Options(passes="merge,breaks,finish", plugins=[str(plugin)]))
    with pytest.raises(MeldError, match="on purpose"):
        list(session.advance())
    assert session.done == 2
    assert print_text(session.program) == compiled(tuple(STREAM), 2)
    (tmp_path / "saved.wat").write_text(saved_text(session, "saved.wat"))
    assert main(["replay", "--allow-commands", str(tmp_path / "saved.wat"), "-o", str(tmp_path / "out.wasm")]) == 2
    assert "on purpose" in capsys.readouterr().err and not (tmp_path / "out.wasm").exists()
    session.skip(["breaks"])
    list(session.advance())
    straight = build(STREAM, Options(passes="merge,finish")).program
    assert print_text(session.program) == print_text(straight)


# --- changing ------------------------------------------------------------------------------------------------------


def doubled(text: str) -> str:
    """`c_get`, so that it answers one more."""
    return text.rstrip().removesuffix(")") + "  i32.const 1\n  i32.add\n)\n"


def get_text(session: Session, name: str = "consumer/c_get") -> tuple[str, str]:
    found = session.symbols.one(f"func:*{name.rpartition('/')[2]}")
    assert isinstance(session.program, Module)
    return session.symbols.symbol_of(found).name, function_text(session.program, found)


def test_an_edit_is_a_step_that_is_done_again() -> None:
    session = Session.open(STREAM, Options())
    session.goto(3)
    name, text = get_text(session)
    session.edit(doubled(text), name)
    assert session.done == 4 and session.label(4) == "edit"
    edited = print_text(session.program)
    assert session.execution(fresh=True).call("c_get 3") == ["1"]
    list(session.advance())
    end = print_text(session.program)
    session.goto(2)
    assert print_text(session.program) == compiled(tuple(STREAM), 2)
    session.goto(4)
    assert print_text(session.program) == edited
    list(session.advance())
    assert print_text(session.program) == end
    assert session.execution(fresh=True).call("c_get 3") == ["1"]
    assert [d.symbol.name for d in session.diff(3, 4)] == [name]
    session.undo()
    assert session.done == len(session.entries) == STEPS
    assert print_text(session.program) == compiled(tuple(STREAM), STEPS)
    with pytest.raises(MeldError, match="nothing was edited"):
        session.undo()


def test_an_edit_of_the_whole_is_where_running_again_begins(tmp_path: Path) -> None:
    session = Session.open(STREAM, Options())
    session.goto(4)
    name, _ = get_text(session)
    whole = print_text(session.program)
    session.edit(whole.replace("i32.const 8192", "i32.const 4096"))
    first = print_text(session.program)
    list(session.advance())
    straight = tmp_path / "edited.wat"
    straight.write_text(first)
    rest = ",".join(NAMES[NAMES.index("rewire-calls") :])
    end = print_text(build([straight], Options(passes=rest)).program)
    assert print_text(session.program) == end
    session.goto(5)
    assert print_text(session.program) == first
    list(session.advance())
    assert print_text(session.program) == end
    session.goto(2)
    assert session.edit(doubled(get_text(session)[1]), name), "it says that the later edit is dropped"
    assert [entry.edit.spec() for entry in session.entries if entry.edit] == [f"edit {name}"]
    session.undo()
    assert [entry.edit.spec() for entry in session.entries if entry.edit] == ["edit"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(func", "closed"),
        ("(func call $nope)", "unknown function"),
        ("(func) (func)", "one function"),
        ("(memory 1)", "one function"),
        ('(func (export "x"))', "without imports and exports"),
        ("(func $f (result i32) i64.const 1)", "not valid"),
    ],
)
def test_an_edit_that_is_wrong_changes_nothing(text: str, message: str) -> None:
    session = Session.open(STREAM, Options(stop_after="merge"))
    name, _ = get_text(session)
    with pytest.raises(MeldError, match=message) as caught:
        session.edit(text, name)
    assert isinstance(caught.value, Invalid) == (message == "not valid")
    assert session.done == 2 and len(session.entries) == STEPS
    assert print_text(session.program) == compiled(tuple(STREAM), 2)


def test_what_is_invalid_may_be_kept() -> None:
    session = Session.open(STREAM, Options(stop_after="merge"))
    name, _ = get_text(session)
    session.edit("(func $f (param i32) (result i32) i64.const 1)", name, check=False)
    assert session.fault() is not None


def test_an_edit_keeps_to_the_language() -> None:
    session = Session.open(STREAM, Options())
    with pytest.raises(MeldError, match="is a component here; the edited text is a module"):
        session.edit("(module)")
    session.goto(2)
    notes = session.edit('(module (func (export "f")))')
    assert any("cannot run: `detect-pairs` needs the fact `merged`" in note for note in notes)


def test_skipping() -> None:
    session = Session.open(STREAM, Options())
    with pytest.raises(MeldError) as caught:
        session.skip(["detect-pairs"])
    assert "`emit-bridge` needs the fact `stream-pairs`" in str(caught.value)
    assert "skip detect-pairs emit-bridge" in str(caught.value)
    session.skip(["detect-pairs", "emit-bridge", "rewire-calls"])
    list(session.advance())
    rest = ",".join(name for name in NAMES if name not in ("detect-pairs", "emit-bridge", "rewire-calls"))
    assert print_text(session.program) == print_text(build(STREAM, Options(passes=rest)).program)
    with pytest.raises(MeldError, match="has run already"):
        session.skip(["merge"])
    session.goto(2)
    session.skip(["detect-pairs", "emit-bridge", "rewire-calls"], False)
    list(session.advance())
    assert print_text(session.program) == compiled(tuple(STREAM), STEPS)


def test_options() -> None:
    session = Session.open(STREAM, Options())
    session.set("emit-bridge", ["slots=16", "ring=8192"])
    list(session.advance())
    passes = session.history.plan().spec()
    assert "emit-bridge{slots=16,ring=8192}" in passes
    assert print_text(session.program) == print_text(build(STREAM, Options(passes=passes)).program)
    session.goto(2)
    with pytest.raises(MeldError, match="no option `slot`") as caught:
        session.set("emit-bridge", ["slot=3"])
    assert "did you mean `slots`" in str(caught.value)
    with pytest.raises(MeldError, match="takes an integer"):
        session.set("emit-bridge", ["slots=many"])
    session.undo()
    list(session.advance())
    assert print_text(session.program) == compiled(tuple(STREAM), STEPS)


# --- looking and running -------------------------------------------------------------------------------------------


def test_differences_are_those_of_a_journal() -> None:
    recorder = Recorder()
    build(STREAM, Options(observers=[recorder]))
    session = Session.open(STREAM, Options())
    with pytest.raises(MeldError, match="no symbol `\\*shim\\*`"):
        session.diff(0, 2, "*shim*")
    for first, last in ((0, 3), (3, 4), (4, 3), (2, 12)):
        wanted = [(d.symbol.name, d.what, d.before, d.after) for d in recorder.journal.between(first, last)]
        assert [(d.symbol.name, d.what, d.before, d.after) for d in session.diff(first, last)] == wanted
        some = [row for row in wanted if "mem" in row[0]]
        assert [(d.symbol.name, d.what, d.before, d.after) for d in session.diff(first, last, "*mem*")] == some


def test_symbols_have_texts_and_types() -> None:
    session = Session.open(GREET, Options(stop_after="adapter-wiring"))
    symbols = session.symbols
    adapter = symbols.one("crowd/greeter/greet.adapter")
    assert isinstance(adapter, Function)
    assert [s.name for s in symbols.callers(adapter)] == ["crowd/welcome"]
    assert "greeter/greet" in [s.name for s in symbols.callees(adapter)]
    (number,) = symbols.find("export:welcome")
    assert symbols.about(number) == "export welcome  = func crowd/welcome"
    assert symbols.text(number) == '(export "welcome" (func $crowd/welcome))'
    with pytest.raises(MeldError, match="did you mean `crowd/welcome`"):
        symbols.find("crowd/welcom")
    with pytest.raises(MeldError, match="means 2 symbols"):
        symbols.one("*.adapter*" if len(symbols.find("*.adapter*")) == 2 else "*/realloc")


TRAPS = """(module (func $inner unreachable) (func $outer (export "f") call $inner)
  (global $g (mut i32) (i32.const 0)) (func (export "add") (param i32 f64) (result i32 f64)
    (global.set $g (i32.add (global.get $g) (local.get 0))) (global.get $g) (f64.neg (local.get 1))))"""


def test_nothing_is_remembered_of_another_program() -> None:
    session = Session.open(STREAM, Options(stop_after="detect-pairs"))
    names = {symbol.name for symbol in session.symbols.symbols}
    new = session.execution(fresh=True)
    assert session.execution(fresh=False) is new
    assert "producer/drop.shim" not in names
    list(session.advance(1))
    assert "producer/drop.shim" in {symbol.name for symbol in session.symbols.symbols}
    assert session.execution(fresh=False) is not new
    list(session.advance())
    session.goto(3)
    assert {symbol.name for symbol in session.symbols.symbols} == names


def test_running(tmp_path: Path) -> None:
    source = tmp_path / "m.wat"
    source.write_text(TRAPS)
    session = Session.open([source], Options(passes=""))
    for call in ("add 3 1.5", "add(3, 1.5)", "add( 3 , 1.5 )"):
        assert session.execution(fresh=True).call(call) == ["3", "-1.5"]
    assert session.execution(fresh=False).call("add 3 1") == ["6", "-1.0"], "in the same instance"
    with pytest.raises(Trapped) as caught:
        session.execution(fresh=False).call("f")
    assert caught.value.backtrace == ("inner", "outer")
    assert session.execution(fresh=False).call("add 1 1") == ["1", "-1.0"], "a new instance after a trap"
    for wrong, message in (("add 1", "takes"), ("nope 1", "no function is exported"), ("add(x, 1)", "is not an i32")):
        with pytest.raises(MeldError, match=message):
            session.execution(fresh=True).call(wrong)
    with pytest.raises(MeldError, match="after `merge` it is a module"):
        Session.open(STREAM, Options()).execution(fresh=True)


FUNCTIONS = """(module
  (type $point (struct (field $x i32) (field $y (mut i64))))
  (type $binary (func (param i32 i32) (result i32)))
  (memory $m 1) (memory $n 1) (table $t 4 funcref) (tag $e (param i32)) (global $"odd name" (mut i32) (i32.const 1))
  (elem $s declare func $plain) (data $d "abc")
  (func $plain (param $a i32) (param i32) (result i32) (local $b i64)
    (block $out (br_if $out (local.get $a)) (local.set $b (i64.const -1)))
    (i32.load $n offset=4 (local.get 1)))
  (func $structs (param $p (ref $point)) (result i64) (local (ref null $point))
    (struct.set $point $y (local.get $p) (i64.const 3)) (struct.get $point $y (local.get $p)))
  (func $indirect (result i32)
    (call_indirect $t (type $binary) (i32.const 1) (i32.const 2) (i32.const 0)) (call_indirect $t (i32.const 1)))
  (func $catches (block $l (result i32) (try_table (catch $e $l) (throw $e (i32.const 1))) (i32.const 0)) drop)
  (func $rest (result funcref) (memory.init $m $d (i32.const 0) (i32.const 0) (i32.const 1)) (data.drop $d)
    (global.set $"odd name" (i32.const 2)) (ref.func $plain))
  (func (param i32) (result i32) local.get 0)
  (func (export "last") (result i32) (call 5 (i32.const 1))))"""


def test_the_text_of_a_function_is_the_function(tmp_path: Path) -> None:
    """Every function of a program is replaced by its text; the program stays the same to the byte."""
    programs = [
        parse_module(FUNCTIONS, "functions.wat"),
        build(GREET, Options()).program,
        build(STREAM, Options()).program,
    ]
    for module in programs:
        assert isinstance(module, Module)
        before, data = print_text(module), encode(module)
        for function in module.functions:
            replace_function(module, function, function_text(module, function), "edited.wat")
        assert print_text(module) == before
        assert encode(module) == data


def test_a_function_may_use_what_the_module_does_not_have_yet() -> None:
    module = parse_module(FUNCTIONS, "functions.wat")
    function = module.functions[0]
    new = "(func $better (param $a i32) (param f32) (result i32) (block (param) (result i32 i64) unreachable) drop)"
    replace_function(module, function, new, "edited.wat")
    assert function.name == "better"
    assert "(func $better" in print_text(module)
    assert Edit("", "f").spec() == "edit f"
