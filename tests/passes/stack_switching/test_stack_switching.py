"""Frames of tasks on stacks of their own: the same answers and traps as where frames are saved in memory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from both import Calls, Fused
from engine_cli import CLI, FEATURES, STACKS, needs_stack_switching, on_stacks
from hosted import composed, product
from random_async import generate
from smith import WASM_TOOLS
from stack_campaign import Shape, differing

from meld.cli import main
from meld.driver import Options, build, plan_for
from meld.files import encode, load
from meld.ir.module import Module
from meld.passes import Registry
from meld.text.reading.program import parse

COUNT = os.environ.get("MELD_CASES")
CASES = (
    [(seed, hosted) for seed in range(int(COUNT)) for hosted in (False, True)] if COUNT else [(11, False), (7, True)]
)
"""Shapes of random programs. In these a frame leaves in the middle of others."""
GOLDEN = Path(__file__).parents[2] / "golden"
OUT_OF_ORDER = GOLDEN / "resumable-frames" / "out-of-order.wat"


POLLS = """(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))))
  (alias export $poll "pollable" (type $p))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $p (type $q)) (export "pollable" (type $e (eq $q)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $e))))))
  (component $slow
    (import "p" (type $p (sub resource)))
    (import "block" (func $block (param "self" (borrow $p))))
    (import "subscribe" (func $subscribe (param "when" u64) (result (own $p))))
    (core func $block' (canon lower (func $block)))
    (core func $subscribe' (canon lower (func $subscribe)))
    (core func $drop (canon resource.drop $p))
    (core func $yield (canon thread.yield))
    (core func $return (canon task.return (result u32)))
    (core module $m
      (import "" "block" (func $block (param i32)))
      (import "" "subscribe" (func $subscribe (param i64) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (import "" "yield" (func $yield (result i32)))
      (import "" "return" (func $return (param i32)))
      (func (export "f") (param i32) (local $p i32) (local $n i32)
        (local.set $n (i32.const 3))
        (loop $more
          (local.set $p (call $subscribe (i64.const 2000000)))
          (drop (call $yield))
          (call $block (local.get $p))
          (call $drop (local.get $p))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br_if $more (local.get $n)))
        (call $return (i32.add (local.get 0) (i32.const 1)))))
    (core instance $m (instantiate $m (with "" (instance
      (export "block" (func $block')) (export "subscribe" (func $subscribe'))
      (export "drop" (func $drop)) (export "yield" (func $yield)) (export "return" (func $return))))))
    (func (export "f") async (param "x" u32) (result u32) (canon lift (core func $m "f") async)))
  (instance $slow (instantiate $slow (with "p" (type $p)) (with "block" (func $poll "[method]pollable.block"))
    (with "subscribe" (func $clock "subscribe-duration"))))
  (component $caller
    (import "f" (func $f async (param "x" u32) (result u32)))
    (core module $libc (memory (export "m") 1)) (core instance $libc (instantiate $libc))
    (core func $f' (canon lower (func $f) async (memory (core memory $libc "m"))))
    (core func $set-new (canon waitable-set.new)) (core func $join (canon waitable.join))
    (core func $wait (canon waitable-set.wait (memory (core memory $libc "m"))))
    (core func $return (canon task.return (result u32)))
    (core module $m
      (import "" "m" (memory 1))
      (import "" "f" (func $f (param i32 i32) (result i32)))
      (import "" "new" (func $new (result i32)))
      (import "" "join" (func $join (param i32 i32)))
      (import "" "wait" (func $wait (param i32 i32) (result i32)))
      (import "" "return" (func $return (param i32)))
      (func (export "run") (param i32) (local $set i32)
        (local.set $set (call $new))
        (call $join (i32.shr_u (call $f (local.get 0) (i32.const 64)) (i32.const 4)) (local.get $set))
        (call $join (i32.shr_u (call $f (i32.const 100) (i32.const 68)) (i32.const 4)) (local.get $set))
        (loop $more
          (drop (call $wait (local.get $set) (i32.const 32)))
          (br_if $more (i32.ne (i32.load (i32.const 36)) (i32.const 2))))
        (loop $more
          (drop (call $wait (local.get $set) (i32.const 32)))
          (br_if $more (i32.ne (i32.load (i32.const 36)) (i32.const 2))))
        (call $return (i32.add (i32.load (i32.const 64)) (i32.load (i32.const 68))))))
    (core instance $m (instantiate $m (with "" (instance (export "m" (memory $libc "m")) (export "f" (func $f'))
      (export "new" (func $set-new)) (export "join" (func $join)) (export "wait" (func $wait))
      (export "return" (func $return))))))
    (func (export "run") async (param "x" u32) (result u32) (canon lift (core func $m "run") async)))
  (instance $caller (instantiate $caller (with "f" (func $slow "f"))))
  (export "run" (func $caller "run")))
"""
"""A task yields, and then waits within a call of the host, three times; two such tasks run at once."""


def switching(source: Path, product: Path, pool: int) -> Path:
    """Fuses a composition so that its tasks have stacks of their own; wasm-tools finds the product valid."""
    done = main([str(source), "-o", str(product), f"--passes=default,stack-switching{{pool={pool}}}", "-q"])
    assert done == 0
    subprocess.run([WASM_TOOLS, "validate", "--features=all", product], check=True)
    return product


def expected(wasm: bytes, calls: Calls) -> list[tuple[tuple[Any, ...], Any]]:
    """Calls, and what they answer where frames are saved in memory."""
    return list(zip(calls, Fused(wasm).answers(calls), strict=True))


@needs_stack_switching
@pytest.mark.parametrize(("seed", "hosted"), CASES)
def test_random_programs(seed: int, hosted: bool) -> None:
    """The two carriers of frames answer alike, up to the first trap; also where some instances are the host."""
    assert differing(seed, 3, hosted=hosted) == []


@needs_stack_switching
def test_differences_between_programs_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    program = generate(27)
    shape = Shape.closed(program, 1)
    answers = shape.frames.answers(program.calls)
    assert isinstance(answers[0], int)
    monkeypatch.setattr(shape.frames, "answers", lambda calls: [None] * len(program.loads) + [answers[0] + 1])
    assert "seed 27" in shape.differing([program])[0]


@needs_stack_switching
@pytest.mark.parametrize("pool", [0, 1, 8])
def test_out_of_order(pool: int, tmp_path: Path) -> None:
    """Tasks go on in any order; stacks are used again, run after run."""
    calls = tuple(("run", n) for n in (5, 1, 3, 7, 2))
    wanted = expected(encode(parse(OUT_OF_ORDER.read_text(), "a.wat")), calls)
    assert [answer for _, answer in wanted] == [6000, 2000, 4000, 8000, 3000]
    assert on_stacks(switching(OUT_OF_ORDER, tmp_path / "p.wasm", pool), wanted) is None
    wrong = [(call, answer + 1) for call, answer in wanted]
    assert on_stacks(tmp_path / "p.wasm", wrong) is not None


BLOCKS = """(func (export "f") (param $x i32) (result i32) (i32.const 1))
      (func (export "back") (param i32 i32 i32) (result i32)
        (drop (call $yield))
        (drop (call $yield))
        (call $return (i32.const 1000))
        (i32.const 0))"""
WAITS = BLOCKS.replace("(drop (call $yield))", "")


@needs_stack_switching
@pytest.mark.parametrize(("body", "is_switched"), [(BLOCKS, True), (WAITS, False)], ids=["blocks", "waits"])
def test_callbacks(body: str, is_switched: bool, tmp_path: Path) -> None:
    """A task has a stack of its own where its callback may block, though its function does not."""
    text = OUT_OF_ORDER.read_text()
    start, end = text.index('(func (export "f")'), text.index("(core instance $m")
    text = f"{text[:start]}{body})\n    {text[end:]}".replace(
        '(canon lift (core func $m "f") async)',
        '(canon lift (core func $m "f") async (callback (core func $m "back")))',
    )
    source = tmp_path / "a.wat"
    source.write_text(text)
    wanted = expected(encode(parse(text, "a.wat")), (("run", 1), ("run", 2)))
    assert [answer for _, answer in wanted] == [2000, 2000]
    assert on_stacks(switching(source, tmp_path / "p.wasm", 1), wanted) is None
    options = Options(passes="default,stack-switching", stop_after="stack-switching")
    module = build([source], options).program
    assert isinstance(module, Module)
    assert ["blocks" in (f.name or "") for f in module.functions].count(True) == (not is_switched)


@needs_stack_switching
def test_traps_keep_their_name(tmp_path: Path) -> None:
    """A deadlock on a stack of its own."""
    source = tmp_path / "a.wat"
    text = OUT_OF_ORDER.read_text()
    source.write_text(text.replace("(call $await (local.get $a))", "(call $await (local.get $b))"))
    product = switching(source, tmp_path / "p.wasm", 8)
    command = [CLI, "run", "-W", STACKS, "--invoke", "run", product, "5"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert "deadlock detected" in done.stderr


def test_one_carrier(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It stands where the other one does in the default pipeline; both of them, one after the other, are refused."""
    source, out = str(OUT_OF_ORDER), str(tmp_path / "p.wasm")
    plan = plan_for(load(source), Options(passes="default,stack-switching{pool=2}"), Registry.standard())
    assert ",wire-entries,stack-switching{pool=2},guard-entries," in plan.spec()
    assert "resumable-frames" not in plan.spec()
    assert main([source, "-o", out, "--passes=default,resumable-frames,stack-switching"]) == 2
    assert "has run already: the fact `resumable` holds" in capsys.readouterr().err
    assert main([source, "-o", out, "--passes=default,stack-switching{pool=-1}"]) == 2
    assert "keeps 0 to 100000 stacks, not -1" in capsys.readouterr().err


def test_without_tasks_that_block(tmp_path: Path) -> None:
    """Nothing is added to a program that needs none: the product is that of any engine."""
    source = GOLDEN / "resumable-frames" / "no-tasks.wat"
    assert main([str(source), "-o", str(tmp_path / "a.wasm"), "--passes=adapter-wiring,stack-switching"]) == 0
    assert main([str(source), "-o", str(tmp_path / "b.wasm"), "--passes=adapter-wiring,resumable-frames"]) == 0
    assert (tmp_path / "a.wasm").read_bytes() == (tmp_path / "b.wasm").read_bytes()


def hosted_on_stacks(made: bytes, product: Path, wanted: list[tuple[tuple[Any, ...], Any]]) -> str | None:
    """What is not as expected of a component, some of which is a product that needs stack switching."""
    product.write_bytes(made)
    return on_stacks(product, wanted)


HOST = """(component
  (core func $yield (canon thread.yield)) (core func $return (canon task.return (result u32)))
  (core instance $b (export "yield" (func $yield)) (export "return" (func $return)))
  (core module $m (import "" "yield" (func $yield (result i32))) (import "" "return" (func $return (param i32)))
    (func (export "h") (drop (call $yield)) (drop (call $yield)) (call $return (i32.const 7))))
  (core instance $m (instantiate $m (with "" (instance $b))))
  (func (export "h") async (result u32) (canon lift (core func $m "h") async)))"""
WAITS_FOR_HOST = """(component (import "h" (func $h async (result u32)))
  (component $c (import "h" (func $h async (result u32)))
    (core func $h (canon lower (func $h)))
    (core func $return (canon task.return (result u32)))
    (core module $m (import "" "h" (func $h (result i32))) (import "" "return" (func $return (param i32)))
      (func (export "run") (call $return (call $h))))
    (core instance $m (instantiate $m (with "" (instance (export "h" (func $h)) (export "return" (func $return))))))
    (func (export "run") async (result u32) (canon lift (core func $m "run") async)))
  (instance $c (instantiate $c (with "h" (func $h))))
  (export "run" (func $c "run")))"""


@needs_stack_switching
def test_what_waits_for_the_host(tmp_path: Path) -> None:
    """A task leaves its stack also where only the host can have it go on."""
    fused = product(WAITS_FOR_HOST, passes="default,stack-switching{pool=1}")
    assert "suspend" in fused
    made = composed(HOST, fused, ("func h",), ("func run",))
    assert hosted_on_stacks(made, tmp_path / "p.wasm", [(("run",), 7), (("run",), 7)]) is None


@needs_stack_switching
def test_host_that_blocks(tmp_path: Path) -> None:
    """What the host does within a call, on the stack that is there: it may wait in it."""
    source, out = tmp_path / "a.wat", tmp_path / "p.wasm"
    source.write_text(POLLS)
    assert (
        main([str(source), "-o", str(out), "--emit=component", "--passes=default,stack-switching{pool=1}", "-q"]) == 0
    )
    command = [CLI, "run", "-W", f"{STACKS},{FEATURES}", "--invoke", "run(5)", out]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "107"


@needs_stack_switching
def test_in_a_component(tmp_path: Path) -> None:
    """Where nothing waits for the host, components have stacks, too."""
    product = tmp_path / "p.wasm"
    passes = "--passes=default,stack-switching"
    assert main([str(OUT_OF_ORDER), "-o", str(product), "-q", passes, "--emit=component"]) == 0
    command = [CLI, "run", "-W", f"{STACKS},{FEATURES}", "--invoke", "run(5)", product]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "6000"
