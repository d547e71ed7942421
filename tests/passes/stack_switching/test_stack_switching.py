"""Frames of tasks on stacks of their own: the same answers and traps as where frames are saved in memory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from both import Calls, Fused
from engine_cli import CLI, FEATURES, STACKS, needs_stack_switching, on_stacks
from random_async import generate
from smith import WASM_TOOLS

from meld.cli import main
from meld.driver import Options, build, plan_for
from meld.files import encode, load
from meld.ir.module import Module
from meld.passes import Registry
from meld.text.reading.program import parse

SEEDS = range(int(os.environ["MELD_CASES"])) if "MELD_CASES" in os.environ else (1, 11, 27, 40)
"""Random programs, some 0.7 s each. In these four a frame leaves in the middle of others."""
GOLDEN = Path(__file__).parents[2] / "golden"
OUT_OF_ORDER = GOLDEN / "resumable-frames" / "out-of-order.wat"


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
@pytest.mark.parametrize("seed", SEEDS)
def test_random_programs(seed: int, tmp_path: Path) -> None:
    program = generate(seed)
    wasm = program.wasm
    (tmp_path / "a.wasm").write_bytes(wasm)
    wanted = expected(wasm, program.calls)
    found = on_stacks(switching(tmp_path / "a.wasm", tmp_path / "p.wasm", seed % 3), wanted)
    assert found is None, f"{program}\n{wanted}\n{found}"


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


HOST_WAITS = """(component (import "h" (func $h async (result u32)))
  (component $c (import "h" (func $h async (result u32)))
    (core func $h (canon lower (func $h)))
    (core func $return (canon task.return (result u32)))
    (core module $m (import "" "h" (func $h (result i32))) (import "" "return" (func $return (param i32)))
      (func (export "run") (call $return (call $h))))
    (core instance $m (instantiate $m (with "" (instance (export "h" (func $h)) (export "return" (func $return))))))
    (func (export "run") async (result u32) (canon lift (core func $m "run") async)))
  (instance $c (instantiate $c (with "h" (func $h))))
  (export "run" (func $c "run")))"""


def test_components_that_wait_for_the_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are refused by name; the default carrier takes them."""
    source, out = tmp_path / "a.wat", tmp_path / "p.wasm"
    source.write_text(HOST_WAITS)
    command = [str(source), "-o", str(out), "--emit=component"]
    assert main([*command, "--passes=default,stack-switching"]) == 2
    assert "`stack-switching` is not for components whose tasks wait for the host" in capsys.readouterr().err
    assert not out.exists()
    assert main(command) == 0


@needs_stack_switching
def test_in_a_component(tmp_path: Path) -> None:
    """Where nothing waits for the host, components have stacks, too."""
    product = tmp_path / "p.wasm"
    passes = "--passes=default,stack-switching"
    assert main([str(OUT_OF_ORDER), "-o", str(product), "-q", passes, "--emit=component"]) == 0
    command = [CLI, "run", "-W", f"{STACKS},{FEATURES}", "--invoke", "run(5)", product]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "6000"
