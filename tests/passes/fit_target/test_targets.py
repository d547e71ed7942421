"""Products for a target: valid under it, and doing what they do otherwise."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from adapter_pairs import Form, Fused, Pair, Unfused, engine, images
from adapter_values import accepted, calls, forms, func_types, types
from both import unfused
from cases import trying
from hypothesis import assume, given
from hypothesis import strategies as st
from random_async import generate
from targets import NARROW, features_named, product, valid

import meld
from meld.diagnostics import MeldError
from meld.driver import Options, build, plan_for, prepare
from meld.files import decode, encode
from meld.ir.features import TARGETS
from meld.ir.module import Module
from meld.passes import Registry
from meld.passmanager import run
from meld.runtime.instantiate import Trapped, instantiate
from meld.runtime.typed import call
from meld.runtime.wave import split_call
from meld.text.reading.program import parse

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT.parent / "shared" / "fixtures"
GREET = [ROOT / "examples/greet" / name for name in ("crowd.wat", "greeter.wat")]
STREAM = [ROOT / "examples/stream" / name for name in ("producer.wat", "consumer.wat")]
SMALL = 200_000
"""Bytes of inputs that are tried by default; larger ones are with MELD_LARGE."""
CASES = int(os.environ.get("MELD_CASES", "6"))


def fixtures() -> list[Any]:
    """The synchronous fixtures: from parts, with what they answer."""
    found = []
    path = FIXTURES / "manifest.json"
    for case in json.loads(path.read_text()) if path.exists() else ():
        paths = [FIXTURES / name for name in case["inputs"]]
        large = not all(p.exists() for p in paths) or sum(p.stat().st_size for p in paths) > SMALL
        if not case["async"] and case["linkable_by_name"] and not (large and "MELD_LARGE" not in os.environ):
            found.append(pytest.param(paths, case["expected"], id=f"{case['case']}-{case['variant']}"))
    return found


@pytest.mark.parametrize("target", NARROW)
@pytest.mark.parametrize(("paths", "expected"), fixtures())
def test_fixtures(paths: list[Path], expected: dict[str, str], target: str) -> None:
    if not all(path.exists() for path in paths):
        pytest.skip("built on demand")
    module, named = product(paths, target)
    assert set(named) <= {"bulk-memory-opt", "bulk-memory", "sign-extension", "saturating-float-to-int", "multi-value"}
    for text, answer in expected.items() if "rc" not in expected else ():
        call_text = split_call(text)
        assert call_text is not None
        assert call(instantiate(module), call_text) == answer


@pytest.mark.parametrize("target", NARROW)
@pytest.mark.parametrize("paths", [GREET, STREAM], ids=["greet", "stream"])
def test_examples(paths: list[Path], target: str) -> None:
    _, named = product(paths, target)
    assert set(named) <= {"bulk-memory-opt"}
    component = build([str(p) for p in paths], Options(target=target, wrap=True)).program if paths is GREET else None
    if component is not None:
        wrapped = encode(component)
        assert not valid(wrapped, f"{target},component-model", named)


def compiled(source: bytes, target: str) -> tuple[Module, list[Any]]:
    program = decode(source, "pair")
    plan = plan_for(program, Options(target=target), Registry.standard())
    product, ran = run(plan, program)
    assert isinstance(product, Module)
    return product, [remark for one in ran for remark in one.context.remarks]


@cache
def shared_engine() -> wasmtime.Engine:
    return engine()


@pytest.mark.parametrize("target", NARROW)
@trying(0.02, 6)
@given(func_types(types), forms, forms, st.booleans(), st.data())
def test_random_values(target: str, t: Any, up: Form, down: Form, post: bool, data: st.DataObject) -> None:
    """Values of any type through adapters of the target, and what they do unfused, traps by reason."""
    assume(accepted(t))
    pair = Pair(t, up, down, post)
    one = Unfused(shared_engine(), pair)
    module, remarks = compiled(bytes(wasmtime.wat2wasm(pair.component(fixed_lists=True))), target)
    wasm, named = encode(module), features_named(remarks)
    assert set(named) <= {"bulk-memory-opt"}
    assert not valid(wasm, target, named)
    other = Fused(shared_engine(), wasm)
    for wild in (False, True, True, True, True, True):
        memories = images(pair, *data.draw(calls(pair, wild)))
        want, got = one.run(*memories), other.run(*memories)
        assert got == want, one.text
        assert got.reason == want.reason, f"{one.text}\n{want.detail}\n{got.detail}"


@pytest.mark.parametrize("seed", range(CASES))
def test_asynchronous_programs(seed: int) -> None:
    """Tasks, channels and frames without what the target lacks."""
    program = generate(seed)
    calls_ = program.calls[0], program.calls[2]
    want = unfused(program.wasm, calls_)
    target = NARROW[seed % 3]
    module, remarks = compiled(program.wasm, target)
    assert not valid(encode(module), target, features_named(remarks))
    running = instantiate(encode(module))
    for (name, *arguments), answer in zip(calls_, want, strict=True):
        try:
            got: Any = running.call(name, *arguments)
        except Trapped as e:
            got = f"trap: {e}"
        assert ("trap" in str(got)) if isinstance(answer, str) else got == answer, (name, answer, got)


PROBES = {
    "saturating-float-to-int": "(func (drop (i32.trunc_sat_f32_s (f32.const 0))))",
    "sign-extension": "(func (drop (i32.extend8_s (i32.const 0))))",
    "multi-value": "(func (result i32 i32) i32.const 0 i32.const 0)",
    "bulk-memory-opt": "(memory 1) (func (memory.copy (i32.const 0) (i32.const 0) (i32.const 0)))",
    "bulk-memory": '(memory 1) (data "x")',
    "reference-types": "(func (param externref))",
    "simd": "(func (param v128))",
    "relaxed-simd": "(func (drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0))))",
    "threads": "(func atomic.fence)",
    "tail-call": "(func $f return_call $f)",
    "exceptions": "(tag)",
    "memory64": "(memory i64 1)",
    "extended-const": '(memory 1) (data (i32.add (i32.const 0) (i32.const 0)) "x")',
    "gc": "(type (struct))",
    "function-references": "(type $t (func)) (func (param (ref null $t)))",
}


@pytest.mark.parametrize("feature", PROBES)
def test_table_of_features(feature: str) -> None:
    """A target has a feature exactly if `wasm-tools` takes what needs it under the target."""
    wasm = encode(parse(f"(module {PROBES[feature]})", "probe"))
    for target, features in TARGETS.items():
        assert (valid(wasm, target) == "") == (feature in features), target


def test_an_unknown_target() -> None:
    with pytest.raises(MeldError, match="there is no such target") as e:
        prepare(GREET, Options(target="wasm4"))
    assert "wasm3" in str(e.value.hint)


def test_default_is_as_before() -> None:
    assert meld.encode(build(GREET, Options()).program) == meld.encode(build(GREET, Options(target="wasm3")).program)


def test_in_named_pipelines() -> None:
    """What the target asks for is added; options that were given stay."""
    _, plan = prepare(GREET, Options(target="wasm1", passes="merge,adapter-wiring,finish"))
    names = [step.instance.spec() for step in plan.steps]
    assert names[-3:] == ["lower-multi-memory", "fit-target", "finish"]
    assert "adapter-wiring{simd=false}" in names
    _, plan = prepare(GREET, Options(target="lime1", passes="default"))
    assert "fit-target{target=lime1}" in [step.instance.spec() for step in plan.steps]


def test_a_module_into_which_nothing_was_fused(tmp_path: Path) -> None:
    file = tmp_path / "plain.wat"
    file.write_text('(module (func (export "f") (result i32 i32) i32.const 1 i32.const 2))')
    _, plan = prepare([str(file)], Options(target="wasm1"))
    assert any("changes nothing" in str(remark) for remark in plan.remarks)
