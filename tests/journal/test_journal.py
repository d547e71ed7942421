"""The journal of a run: what it says changed is what changed, and writing it changes nothing."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wasmtime

import meld.observers.recorder as recorder_module
from meld.cli import main
from meld.diagnostics import MeldError
from meld.driver import Options, build
from meld.files import decode, encode
from meld.ir.component import Component
from meld.ir.instructions import Instruction
from meld.ir.module import Module
from meld.ir.notes import Opaque
from meld.journal import Journal, What
from meld.journal.file import to_json
from meld.journal.lines import blocks, unified
from meld.journal.report import page
from meld.journal.runs import beside, compare
from meld.journal.trace import blame, life_row, lives, steps_text
from meld.observers.parts import parts_of, space_of, text_of
from meld.observers.recorder import Recorder
from meld.observers.texts import DefinitionPrinter, ItemPrinter, StableNames
from meld.passes import Registry
from meld.passes.base import PassContext, Program
from meld.passmanager import Observer, Ran, Step, plan_default

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
FIXTURES = ROOT / "../shared/fixtures"
needs_shared = pytest.mark.skipif(not FIXTURES.is_dir(), reason="../shared is not there")
STEPS = len(plan_default(Component(), Registry()).steps)
STREAM = [EXAMPLES / "stream" / f"{name}.wat" for name in ("producer", "consumer")]
GREET = [EXAMPLES / "greet" / f"{name}.wat" for name in ("crowd", "greeter")]
SHOP = [FIXTURES / "shop" / f"{name}.wasm" for name in ("consumer", "provider")]
LOWERED = "detect-pairs,emit-bridge,rewire-calls,handle-tables,adapter-wiring,lower-multi-memory,finish"
SEEDS = int(os.environ.get("MELD_SEEDS", "60"))

PROGRAMS = [
    pytest.param(STREAM, None, id="stream"),
    pytest.param(GREET, None, id="greet"),
    pytest.param(STREAM, LOWERED, id="stream, one memory"),
    pytest.param(GREET, LOWERED, id="greet, one memory"),
    pytest.param(SHOP, None, id="shop", marks=needs_shared),
]

DECODE = '''
from meld import Module, Pass, PassContext

class Decode(Pass):
    """Decode every body, and change nothing."""
    name = "decode"

    def run(self, module: Module, cx: PassContext) -> None:
        for function in module.functions:
            assert isinstance(function.instructions, list)
'''


class Everything(Observer):
    """Prints everything after every step, as a journal would if it were slow; `steps` has the texts by symbol."""

    def __init__(self) -> None:
        self.names = StableNames()
        self.keys: dict[Any, tuple[str, str]] = {}
        self.steps: list[dict[Any, str]] = []

    def before(self, number: int, step: Step, program: Program) -> None:
        if not self.steps:
            self.look(program)

    def after(self, ran: Ran, program: Program) -> None:
        self.look(program)

    def look(self, program: Program) -> None:
        show = ItemPrinter(self.names)
        texts = {} if isinstance(program, Module) else DefinitionPrinter().texts(program)
        parts = list(parts_of(program, self.names))
        self.steps.append({key: texts[thing] if texts else text_of(key, thing, show) for key, thing in parts})

    def changes(self, number: int) -> dict[What, list[tuple[str | None, str | None]]]:
        """The texts before and after of what a step created, changed and removed, sorted."""
        before = self.steps[number - 1] if number else {}
        after = self.steps[number]
        pairs = [(before.get(key), after.get(key)) for key in before | after]
        found: dict[What, list[tuple[str | None, str | None]]] = {what: [] for what in What}
        for old, new in pairs:
            if old != new:
                found[What.CREATED if old is None else What.REMOVED if new is None else What.CHANGED].append((old, new))
        return {what: sorted(some, key=repr) for what, some in found.items()}


def record(inputs: list[Path], passes: str | None = None, **more: Any) -> tuple[Journal, bytes, Everything]:
    recorder, everything = Recorder(), Everything()
    outcome = build(inputs, Options(passes=passes, observers=[recorder, everything], **more))
    return recorder.journal, encode(outcome.program), everything


@pytest.fixture(scope="module")
def journals() -> dict[str, Journal]:
    return {name: record(inputs)[0] for name, inputs in (("stream", STREAM), ("greet", GREET))}


@pytest.mark.parametrize("keep", [recorder_module.KEEP_ALL, 0], ids=["all texts", "few texts"])
@pytest.mark.parametrize(("inputs", "passes"), PROGRAMS)
def test_what_it_says_changed_is_what_changed(
    inputs: list[Path], passes: str | None, keep: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "KEEP_ALL", keep)
    journal, _, everything = record(inputs, passes)
    assert len(journal.steps) == len(everything.steps) > 5
    for step in journal.steps:
        for what, wanted in everything.changes(step.number).items():
            mine = [(journal.blob(c.before), journal.blob(c.after)) for c in step.changes if c.what is what]
            if keep or what is What.CHANGED:
                assert sorted(mine, key=repr) == wanted, (step.label, what)
            else:  # a text that was not kept is one of those that are there
                assert len(mine) == len(wanted)
                assert {pair for pair in mine if pair != (None, None)} <= set(wanted)
        assert sum(step.counts.values()) == len(everything.steps[step.number])


def edit(module: Module, r: random.Random) -> None:
    """Changes something small, as a pass may: in place, or by something new."""
    function = r.choice([f for f in module.functions if f.imported is None])
    segment = r.choice(module.datas)
    match r.randrange(12):
        case 0 if segment.offset:
            segment.offset[0].args = (r.randrange(9),)
        case 1 if segment.offset:
            segment.offset += [Instruction("i32.const", (r.randrange(9),)), Instruction("i32.add")]
        case 2:
            segment.data = r.randbytes(r.randrange(90))
        case 3 if len(module.datas) > 2:
            module.datas.remove(segment)
        case 4:
            r.shuffle(module.datas)
        case 5:
            r.choice([function, segment]).notes.append(Opaque(label="x.y", body=[]))
        case 6:
            function.local_names = {0: r.choice("abc")}
        case 7:
            assert function.instructions is not None  # decoded, and not changed
        case 8:
            function.instructions.insert(0, Instruction("nop"))
        case 9:
            function.synthetic = r.choice(["helper", None])
        case 10:
            module.replace_uses({function: r.choice([f for f in module.functions if f.type is function.type])})
        case 11:
            function.notes.clear()


@pytest.mark.parametrize("keep", [recorder_module.KEEP_ALL, 0], ids=["all texts", "few texts"])
@pytest.mark.parametrize("seed", range(SEEDS // 10))
def test_random_edits(seed: int, keep: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "KEEP_ALL", keep)
    r = random.Random(seed)
    functions = "".join(f"(func $f{n} (param i32) (call $f{r.randrange(9)} (local.get 0)))" for n in range(9))
    datas = "".join(f'(data $d{n} {r.choice(["", f"(i32.const {n})"])} "{n}")' for n in range(9))
    module = decode(bytes(wasmtime.wat2wasm(f"(module (memory 1) {functions} {datas})")), "program")
    assert isinstance(module, Module)
    recorder, everything = Recorder(), Everything()
    step = plan_default(Component(), Registry.standard()).steps[0]
    for watching in (recorder, everything):
        watching.before(1, step, module)
    for number in range(1, 30):
        for _ in range(r.randrange(3)):
            edit(module, r)
        ran = Ran(number, step, PassContext("edit"), 0.0, 0.0)
        for watching in (recorder, everything):
            watching.after(ran, module)
        record = recorder.journal.steps[number]
        for what, wanted in everything.changes(number).items():
            mine = [(recorder.journal.blob(c.before), recorder.journal.blob(c.after)) for c in record.changes]
            if keep or what is What.CHANGED:
                found = [one for one, c in zip(mine, record.changes, strict=True) if c.what is what]
                assert sorted(found, key=repr) == wanted, (number, what)
        symbols = {s.name: s for s in recorder.journal.symbols if s.kind in ("func", "data")}
        live = [symbols[everything.names.name(space_of(i), i)] for i in (*module.functions, *module.datas)]
        for kind, sizes in (("func", [s.code for s in record.sizes]), ("data", [s.data for s in record.sizes])):
            assert sum(sizes) == sum(s.size for s in live if s.kind == kind)
        assert sum(s.functions for s in record.sizes) == len(module.functions)


@pytest.mark.parametrize(("inputs", "passes"), PROGRAMS)
def test_differences_over_several_steps_are_those_of_the_texts(inputs: list[Path], passes: str | None) -> None:
    journal, _, everything = record(inputs, passes)
    last = len(journal.steps) - 1
    for first, end in ((2, last), (3, last - 1), (last, 2)):
        a, b = everything.steps[first], everything.steps[end]
        wanted = sorted(((a.get(k), b.get(k)) for k in a | b if a.get(k) != b.get(k)), key=repr)
        assert sorted(((d.before, d.after) for d in journal.between(first, end)), key=repr) == wanted


@pytest.mark.parametrize(("inputs", "passes"), PROGRAMS)
def test_a_run_with_a_journal_is_the_same_run(
    inputs: list[Path], passes: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = set()
    for kernel in ("on", "off"):
        monkeypatch.setenv("MELDC_KERNEL", kernel)
        found.add(encode(build(inputs, Options(passes=passes)).program))
        found.add(record(inputs, passes)[1])
    assert len(found) == 1


@needs_shared
def test_bodies_that_are_decoded_have_the_same_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = tmp_path / "decode.py"
    plugin.write_text(DECODE)
    steps = "detect-pairs,{}emit-bridge,rewire-calls,handle-tables,adapter-wiring,finish"
    lazy, _, _ = record(SHOP, steps.format(""))
    decoded, _, _ = record(SHOP, steps.format("decode,"), plugins=[str(plugin)])
    assert decoded.step("decode").changes == []
    texts = [
        {(j.symbols[i].kind, j.symbols[i].name): j.text(i, len(j.steps) - 1) for i in range(len(j.symbols))}
        for j in (lazy, decoded)
    ]
    assert texts[0] == texts[1]
    monkeypatch.setenv("MELDC_KERNEL", "on")
    kernel, _, _ = record(SHOP, steps.format(""))
    assert kernel.blobs == lazy.blobs
    assert [s.changes for s in kernel.steps] == [s.changes for s in lazy.steps]


def test_sizes_and_graphs(journals: dict[str, Journal]) -> None:
    journal, product, _ = record(STREAM)
    last = journal.steps[-1]
    made = {size.made for size in last.sizes if size.made}
    assert made == {"stream-bridge", "adapter-shim"}
    code = sum(size.code for size in last.sizes)
    encoded = sum(f.body.size for f in decode(product, "product").functions)
    assert 0.95 * encoded < code <= encoded  # memories besides the first take a byte more
    before, after = journal.graph(1), journal.graph(len(journal.steps) - 1)
    assert before is not None and after is not None
    assert {(e.source, e.target, e.kind) for e in before.edges} >= {("consumer", "producer", "partner")}
    assert [(e.source, e.target, e.kind) for e in after.edges] == [("producer", "consumer", "bridged")]
    assert {n.name: n.kind for n in after.nodes} == {"producer": "instance", "consumer": "instance", "state": "memory"}
    greet = journals["greet"].graph(len(journals["greet"].steps) - 1)
    assert greet is not None
    assert [(e.source, e.target, e.kind) for e in greet.edges] == [("crowd", "greeter", "adapter")]


# --- files ---------------------------------------------------------------------------------------------------------


def test_a_file_is_the_journal(journals: dict[str, Journal], tmp_path: Path) -> None:
    for journal in journals.values():
        path = tmp_path / "journal.json"
        journal.save(path)
        read = Journal.load(path)
        assert read == journal
        assert to_json(read).encode() == path.read_bytes()


MALFORMED = ["", "{}", "[]", "nonsense", "\x00", "[" * 9999]
MALFORMED += ['{"format": 99}', '{"format": 1}', '{"format": 1, "symbols": [']


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_no_journal(text: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.json"
    path.write_text(text)
    with pytest.raises(MeldError, match="journal"):
        Journal.load(path)


def damaged(data: Any, rng: random.Random) -> None:
    """Changes one thing somewhere in a document."""
    while True:
        keys = list(data) if isinstance(data, dict) else list(range(len(data)))
        if not keys:
            return
        key = rng.choice(keys)
        inner = data[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.8:
            data = inner
            continue
        match rng.randrange(3):
            case 0:
                del data[key]
            case 1:
                data[key] = rng.choice([None, -1, 10**9, "x", "\ud800", [], {}, True, 0.5, [[]]])
            case _ if isinstance(data, list):
                data.insert(key, inner)
        return


def test_damage_is_refused_or_harmless(journals: dict[str, Journal], tmp_path: Path) -> None:
    text = to_json(journals["stream"])
    path = tmp_path / "journal.json"
    refused = 0
    for seed in range(SEEDS):
        data = json.loads(text)
        damaged(data, random.Random(seed))
        path.write_text(json.dumps(data))
        try:
            journal = Journal.load(path)
            "\n".join(steps_text(journal)), page(journal).encode(), list(lives(journal, [0]))
            list(journal.between(0, len(journal.steps) - 1)), compare(journals["stream"], journal)
        except MeldError:
            refused += 1
    assert refused > SEEDS / 3


# --- views ---------------------------------------------------------------------------------------------------------


def test_blame_gives_the_text_and_the_steps(journals: dict[str, Journal]) -> None:
    for journal in journals.values():
        for symbol in range(len(journal.symbols)):
            for step in journal.steps:
                if not journal.alive(symbol, step.number):
                    continue
                text = journal.text(symbol, step.number)
                assert text is not None
                lines = blame(journal, symbol, step.number)
                assert [line.text for line in lines] == text.splitlines()
                touched = {s.number for s, _ in journal.history(symbol) if s.number <= step.number}
                assert {line.step.number for line in lines} <= touched


def test_steps_stand_beside_each_other_by_name() -> None:
    names = ["input", "link", "merge", "finish"]
    assert list(beside(names, names)) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    more = ["input", "link", "mine", "merge", "finish"]
    assert list(beside(names, more)) == [(0, 0), (1, 1), (None, 2), (2, 3), (3, 4)]
    assert list(beside(more, names)) == [(0, 0), (1, 1), (2, None), (3, 2), (4, 3)]


def test_a_pass_more_in_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pass that changes nothing does not make all behind it differ."""
    (tmp_path / "mine.py").write_text(
        'from meld import Module, Pass\n\nclass Mine(Pass):\n    """Nothing."""\n    name = "mine"\n'
        "    def run(self, module: Module, cx) -> None:\n        pass\n\n"
        'class Other(Mine):\n    """Nothing either."""\n    name = "other"\n'
    )
    (tmp_path / "m.wat").write_text('(module (func (export "f") (nop)) (func $dead))')
    runs = []
    for number, passes in enumerate(("other", "mine,other")):
        runs.append(str(tmp_path / f"{number}.json"))
        args = [str(tmp_path / "m.wat"), f"--passes={passes}", f"--plugin={tmp_path / 'mine.py'}", "--verify=off"]
        assert main([*args, "-o", str(tmp_path / "o.wasm"), f"--journal={runs[-1]}"]) == 0
    capsys.readouterr()
    assert main(["diff", *runs]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("(not in this run) | mine: the same" in line for line in lines)
    assert not any("symbols differ" in line for line in lines)


def test_the_life_of_a_function(journals: dict[str, Journal]) -> None:
    journal = journals["stream"]
    row = life_row(journal, journal.find("consumer/c_drop")[0])
    assert (row["origin"], row["owner"], row["alive"]) == ("consumer 4", "consumer", True)
    assert [(event["pass"], event["what"]) for event in row["events"]] == [
        ("merge", "created"),
        ("rewire-calls", "changed"),
    ]
    assert "+    call $consumer/stream_drop_readable.shim" in row["events"][1]["diff"]


def pairs_of_texts() -> Iterator[tuple[list[str], list[str]]]:
    for seed in range(300):
        rng = random.Random(seed)
        before = [rng.choice("abcdef") for _ in range(rng.randrange(30))]
        after = list(before)
        for _ in range(rng.randrange(5)):
            if after and rng.random() < 0.5:
                del after[rng.randrange(len(after))]
            else:
                after.insert(rng.randrange(len(after) + 1), rng.choice("abcxyz"))
        yield before, after


def test_differences_can_be_applied() -> None:
    for before, after in pairs_of_texts():
        made: list[str] = []
        for same, a1, a2, b1, b2 in blocks(before, after):
            assert not same or before[a1:a2] == after[b1:b2]
            made += before[a1:a2] if same else after[b1:b2]
        assert made == after
        for context in (0, 3):
            assert patched(before, unified(before, after, "x", context)) == after


def patched(before: list[str], diff: list[str]) -> list[str]:
    """Applies a unified diff by its numbers."""
    after, at = [], 0
    for line in diff[2:]:
        if line.startswith("@@"):
            start, _, length = line.split()[1][1:].partition(",")
            begin = int(start) - (length != "0")
            after += before[at:begin]
            at = begin
        elif line[0] == "+":
            after.append(line[1:])
        else:
            assert before[at] == line[1:]
            after += [line[1:]] * (line[0] == " ")
            at += 1
    return after + before[at:]


def test_texts_without_end_are_compared_at_once() -> None:
    before = [f"line {i}" for i in range(60_000)]
    after = [f"other {i}" for i in range(60_000)]
    assert blocks(before, after) == [(False, 0, 60_000, 0, 60_000)]
    middle = [*before[:30_000], "new", *before[30_000:]]
    assert len(unified(before, middle, "x")) == 2 + 1 + 6 + 1


# --- commands ------------------------------------------------------------------------------------------------------


@pytest.fixture
def meldc(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> tuple[int, str, str]:
        code = main(args)
        out, err = capsys.readouterr()
        return code, out, err

    inputs = list(map(str, STREAM))
    assert run(*inputs, "-q", "-o", "o.wasm", "--journal=a.json")[0] == 0
    passes = "--passes=detect-pairs,emit-bridge{slots=4},rewire-calls,handle-tables,adapter-wiring,guard-entries,finish"
    assert run(*inputs, "-q", "-o", "o.wasm", "--journal=b.json", passes)[0] == 0
    return run


def test_trace(meldc: Any) -> None:
    code, out, _ = meldc("trace", "a.json")
    assert code == 0
    assert [line.split()[1] for line in out.splitlines()][:4] == ["pass", "input", "link", "merge"]
    assert json.loads(meldc("trace", "a.json", "--json")[1])["steps"][5]["changed"] == 5
    code, out, _ = meldc("trace", "a.json", "--symbol=$consumer/c_drop")
    assert code == 0
    assert "   5 rewire-calls: changed" in out.splitlines()
    assert out.startswith("func consumer/c_drop (from consumer 4)\n")
    _, out, _ = meldc("trace", "a.json", "--symbol=func:consumer/*")
    assert "func consumer/c_drop: created by merge, changed by rewire-calls" in out
    assert "func consumer/drop.shim: created by emit-bridge" in out
    _, out, _ = meldc("trace", "a.json", "--symbol=consumer/c_drop", "--blame")
    assert [line.split("│")[0].split() for line in out.splitlines()] == [
        ["merge"],
        ["merge", "0"],
        ["rewire-calls", "1"],
        ["merge"],
    ]
    _, out, _ = meldc("trace", "a.json", "--symbol=consumer/c_drop", "--blame", "--at=merge")
    assert "rewire-calls" not in out
    _, out, _ = meldc("trace", "a.json", "--symbol=consumer/c_drop", "--instruction=1")
    assert out.splitlines()[1:] == [
        "   2 merge: call $consumer/stream_drop_readable",
        "   5 rewire-calls: call $consumer/stream_drop_readable.shim  ;; was call $consumer/stream_drop_readable",
    ]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["trace", "a.json", "--symbol=consumer/c_dorp"], "did you mean `consumer/c_drop`"),
        (["trace", "a.json", "--symbol=consumer/c_drop", "--instruction=9"], "it has 2, numbered from 0"),
        (["trace", "a.json", "--symbol=consumer/*", "--blame"], "name one of func:consumer/"),
        (["trace", "a.json", "--symbol=consumer/c_drop", "--blame", "--at=rewire"], "did you mean `rewire-calls`"),
        (["trace", "a.json", "--symbol=consumer/c_drop", "--blame", "--at=input"], "created by merge"),
        (["trace", "a.json", "--blame"], "--symbol=NAME"),
        (["trace", "o.wasm"], "is not a journal"),
        (["trace", "none.json"], "cannot read"),
        (["diff", "a.json", "merge", "finnish"], "did you mean `finish`"),
        (["diff", "a.json", "77"], f"it has steps 0 to {STEPS}"),
        (["report", "o.wasm"], "is not a journal"),
        (["report", "a.json", "-o", "no/such/place.html"], "cannot write"),
    ],
)
def test_errors_teach(args: list[str], said: str, meldc: Any) -> None:
    code, out, err = meldc(*args)
    assert (code, out) == (2, "")
    assert said in err


def test_diff(meldc: Any) -> None:
    _, step, _ = meldc("diff", "a.json", "rewire-calls")
    _, points, _ = meldc("diff", "a.json", "4", "rewire-calls#1")
    assert step == points
    assert step.count("+++ func") == 5
    _, out, _ = meldc("diff", "a.json", "merge", "rewire-calls", "--stat", "--only=consumer/c_*")
    assert out.splitlines() == ["~ func consumer/c_read  +1 -1", "~ func consumer/c_drop  +1 -1"]
    rows = json.loads(meldc("diff", "a.json", "input", "merge", "--json")[1])
    assert {row["what"] for row in rows} == {"created", "removed"}
    _, back, _ = meldc("diff", "a.json", "rewire-calls", "merge", "--stat", "--only=consumer/c_*")
    assert back == out


def test_two_runs(meldc: Any) -> None:
    _, out, _ = meldc("diff", "a.json", "a.json")
    assert out == f"the same after each of {STEPS} steps\n"
    _, out, _ = meldc("diff", "a.json", "b.json", "--stat")
    lines = out.splitlines()
    assert lines[0].startswith(" 4 emit-bridge | emit-bridge{slots=4}: ")
    assert "the first difference is after step 4, emit-bridge" in lines
    assert any(line.startswith("~ func producer/stream_new.shim") for line in lines)
    data = json.loads(meldc("diff", "a.json", "b.json", "--json")[1])
    assert (data["same"], data["first"]) == (False, 4)


PLUGIN = '''
from meld import Module, Pass, PassContext

class Bump(Pass):
    """Add one to each `i32.const 7`."""
    name = "bump"

    def run(self, module: Module, cx: PassContext) -> None:
        for function in module.functions:
            for instruction in function.instructions:
                if instruction.op == "i32.const" and instruction.args == (7,):
                    with cx.rewrite("bump", function) as go:
                        if go:
                            instruction.args = (8,)
'''


def test_rewrites_are_part_of_a_life(meldc: Any) -> None:
    Path("m.wat").write_text("(module (func $a (result i32) i32.const 7) (func $b (result i32) i32.const 7))")
    Path("bump.py").write_text(PLUGIN)
    args = ("m.wat", "--plugin=bump.py", "--passes=bump", "--limit=1", "-o", "m.wasm", "--journal=m.json")
    assert meldc(*args)[0] == 0
    assert "   1 bump: rewrite `bump`" in meldc("trace", "m.json", "--symbol=a")[1].splitlines()
    _, out, _ = meldc("trace", "m.json", "--symbol=b")
    assert "   1 bump: rewrite `bump` was refused" in out.splitlines()
    assert "changed" not in out


def test_a_run_of_nothing_has_no_journal(meldc: Any) -> None:
    code, _, err = meldc("o.wasm", "--passes=", "-o", "p.wasm", "--journal=n.json")
    assert code == 0 and "there is no journal" in err and not Path("n.json").exists()


def test_a_run_that_fails_has_one(meldc: Any) -> None:
    crash = PLUGIN.replace("for function", "raise IndexError('no such thing')\n        for function")
    Path("crash.py").write_text(crash)
    Path("m.wat").write_text("(module (func $a (result i32) i32.const 7))")
    code, _, _ = meldc("m.wat", "--plugin=crash.py", "--passes=bump", "-o", "m.wasm", "--journal=n.json")
    assert code == 2
    code, out, _ = meldc("trace", "n.json")
    assert code == 0 and "the run failed: pass bump" in out and "no such thing" in out
    assert meldc("report", "n.json", "-o", "n.html")[0] == 0 and "no such thing" in Path("n.html").read_text()


def test_large_functions_that_nobody_touched_have_no_text(
    meldc: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(recorder_module, "KEEP_ALL", 0)
    assert meldc(*map(str, STREAM), "-q", "-o", "o.wasm", "--journal=c.json")[0] == 0
    code, _, err = meldc("trace", "c.json", "--symbol=consumer/c_get", "--blame")
    assert code == 2
    assert "no pass has changed it since `merge`" in err
    _, out, _ = meldc("trace", "c.json", "--symbol=consumer/c_get")
    assert "its text was not kept" in out
    assert "rewire-calls" in meldc("trace", "c.json", "--symbol=consumer/c_drop", "--blame")[1]
