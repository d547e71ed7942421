"""`--emit=component` on real components: they answer as they do unfused, show the same world, and compose further."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from wasmtime import component as wc
from wrapped import ENGINE, ROOT, Running, Wasi, fuse, meldc, tool, wit

UNPOOLED = wasmtime.Engine()
"""For core modules that `wasm-tools component new` wraps: all memories are in one module."""

FIXTURES = ROOT / "../shared/fixtures"
pytestmark = pytest.mark.skipif(not FIXTURES.exists(), reason="the fixtures are not here")

MANIFEST = json.loads((FIXTURES / "manifest.json").read_text()) if FIXTURES.exists() else []


def files(case: dict[str, Any], form: str) -> list[Path]:
    named = case["inputs"] if form == "parts" else [case["composed"]]
    return [FIXTURES / name for name in named if name is not None]


CASES = [
    pytest.param(case, form, id=f"{case['case']}-{case['variant']}-{form}")
    for case in MANIFEST
    for form in ("parts", "composed")
    if not case["async"] and files(case, form) and all(path.exists() for path in files(case, form))
]


def config(**fields: Any) -> wc.Record:
    record = wc.Record()
    for name, value in fields.items():
        setattr(record, name.replace("_", "-"), value)
    return record


REDACT = "mail bob@example.com or Xavier at 10.0.0.1, call 5551234 thanks abcdefg"
REDACT_CONFIG = config(entities=None, context_window_size=3, skip_custom_detect=False, skip_custom_redact=False)
CALLS: dict[str, list[tuple[Any, ...]]] = {
    "greet": [("run", 10), ("run", 0), ("run", 1000), ("run", 100000)],
    "shop": [("run", 12), ("run", 49), ("run", 0), ("describe", ["x", "y€"]), ("describe", [])],
    "arcjet-redact": [("redact", REDACT, REDACT_CONFIG), ("redact", "", REDACT_CONFIG)],
    "cli": [("wasi:cli/run@0.2.12#run",)],
}
"""Calls of a case, in the values of the engine's Python interface."""


def answers(path: Path, case: dict[str, Any], directory: Path, engine: wasmtime.Engine = ENGINE) -> list[Any]:
    run = case.get("run", {})
    wasi = Wasi(directory, run.get("args", ()), run.get("env", {}), run.get("stdin", ""))
    running = Running(path, wasi=wasi, engine=engine)
    return [running.call(*call) for call in CALLS[case["case"]]] + list(wasi.left())


@pytest.mark.parametrize(("case", "form"), CASES)
def test_answers_as_unfuse(case: dict[str, Any], form: str, tmp_path: Path) -> None:
    made = fuse(files(case, form), tmp_path / "fused.wasm")
    found = answers(made, case, tmp_path)
    assert found == answers(FIXTURES / case["composed"], case, tmp_path)
    expected = case["expected"]
    for (name, *args), answer in zip(CALLS[case["case"]], found, strict=False):
        text = f"{name}({', '.join(map(str, args))})"
        if text in expected and isinstance(answer, str):
            assert f'"{answer}"' == expected[text]
    if "stdout" in expected:
        assert found == [("exit", expected["rc"]), expected["stdout"], expected["stderr"]]


@pytest.mark.parametrize(
    "path",
    ["greet/cons.wasm", "greet/comp-cc.wasm", "greet/prov.wasm", "cli/comp.wasm", "cli/app.wasm", "cli/prov.wasm"],
)
def test_same_world(path: str, tmp_path: Path) -> None:
    """Functions, interfaces, `use`, resources of the host: what the tools see of the component is what they saw."""
    assert wit(fuse([FIXTURES / path], tmp_path / "fused.wasm")) == wit(FIXTURES / path)


@pytest.mark.parametrize("path", ["greet/comp-cc.wasm", "cli/comp.wasm"])
def test_tools_take_the_core_module(path: str, tmp_path: Path) -> None:
    """`wasm-tools component new` makes the component too, from the core module alone."""
    case = next(case for case in MANIFEST if case["composed"] == path)
    core, made = tmp_path / "core.wasm", tmp_path / "made.wasm"
    assert meldc(FIXTURES / path, "-q", "-o", core).returncode == 0
    tool("component", "new", core, "-o", made)
    assert sorted(wit(made).split()) == sorted(wit(FIXTURES / path).split())  # types come in another order
    assert answers(made, case, tmp_path, UNPOOLED) == answers(FIXTURES / path, case, tmp_path)


def test_composes_further(tmp_path: Path) -> None:
    """Either side of a pair, fused alone and wrapped, composes with the other side as it came, and fuses with it."""
    sides = {name: FIXTURES / "greet" / f"{name}.wasm" for name in ("cons", "prov")}
    wrapped = {name: fuse([path], tmp_path / f"{name}.wasm") for name, path in sides.items()}
    want = Running(FIXTURES / "greet/comp-cc.wasm").call("run", 1000)
    pairs = [(wrapped["cons"], sides["prov"]), (sides["cons"], wrapped["prov"]), (wrapped["cons"], wrapped["prov"])]
    for consumer, provider in pairs:
        composed = tmp_path / "composed.wasm"
        tool("compose", consumer, "-d", provider, "-o", composed)
        assert Running(composed).call("run", 1000) == want
        for inputs in ([consumer, provider], [composed]):
            again = fuse(inputs, tmp_path / "again.wasm")
            assert Running(again).call("run", 1000) == want


def test_resources_for_others(tmp_path: Path) -> None:
    """A provider of a resource, fused alone and wrapped: its consumer uses it as before; nothing leaks."""
    consumer, provider = (FIXTURES / "shop" / f"{name}.wasm" for name in ("consumer", "provider"))
    case = next(case for case in MANIFEST if case["case"] == "shop")
    want = answers(FIXTURES / case["composed"], case, tmp_path)
    wrapped = fuse([provider], tmp_path / "provider.wasm")
    core, made = tmp_path / "core.wasm", tmp_path / "made.wasm"
    passes = "--passes=merge,expose-resources,handle-tables,adapter-wiring,finish"
    assert meldc(provider, "-q", passes, "-o", core).returncode == 0
    tool("component", "new", core, "-o", made)
    for one in (wrapped, made):
        assert wit(one) == wit(provider)
        for other in (consumer, fuse([consumer], tmp_path / "consumer.wasm")):
            tool("compose", other, "-d", one, "-o", tmp_path / "composed.wasm")
            assert answers(tmp_path / "composed.wasm", case, tmp_path, UNPOOLED) == want


def test_text_and_dumps(tmp_path: Path) -> None:
    """As text the component is the same; and every dump leads to the same bytes."""
    source = FIXTURES / "cli/comp.wasm"
    binary = fuse([source], tmp_path / "fused.wasm", "--dump-after=all", f"--dump-dir={tmp_path / 'dumps'}")
    text = fuse([source], tmp_path / "fused.wat")
    tool("parse", text, "-o", tmp_path / "parsed.wasm")
    case = next(case for case in MANIFEST if case["case"] == "cli")
    assert answers(tmp_path / "parsed.wasm", case, tmp_path) == answers(source, case, tmp_path)
    dumps = sorted((tmp_path / "dumps").glob("*.wat"))
    assert dumps[-1].name.endswith("after-wrap.wat")
    for dump in dumps[:-1]:
        assert fuse([dump], tmp_path / "again.wasm").read_bytes() == binary.read_bytes(), dump.name
