"""Real programs in the places of docs/deploy.md: each answers what it answers unfused. Missing tools are skipped."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from places import LARGE, PLACES, Missing, answer, free_port, said, tool
from wrapped import ROOT, fuse, meldc

FIXTURES = ROOT / "../shared/fixtures"
MANIFEST = json.loads((FIXTURES / "manifest.json").read_text()) if FIXTURES.exists() else []
CASES = {
    f"{entry['case']}/{entry['variant']}": entry
    for entry in MANIFEST
    if not entry["async"] and all((FIXTURES / name).exists() for name in entry["inputs"])
}
BIG = {"greet/c-qjs", "qjs-hello/js"}
"""Megabytes of engine: with MELD_LARGE only."""
WASM_TOOLS = ROOT / ".venv/bin/wasm-tools"


def skipping(place: Callable[..., str], *args: Any) -> str:
    """What is said there; skips the test where a tool is missing."""
    try:
        return place(*args)
    except Missing as e:
        pytest.skip(f"without {e}")


def chosen(names: set[str] | None = None) -> list[Any]:
    """The cases as parameters; those of megabytes are marked."""
    mark = pytest.mark.skipif(not LARGE, reason="large: MELD_LARGE=1")
    found = [name for name in CASES if names is None or name in names]
    return [pytest.param(name, marks=mark if name in BIG else ()) for name in found]


def inputs(name: str, form: str) -> list[Path]:
    entry = CASES[name]
    if form == "composed" and not entry["composed"]:
        pytest.skip("it is not kept composed")
    if form == "parts" and not entry["linkable_by_name"]:
        pytest.skip("its parts do not link by name")
    return [FIXTURES / path for path in ([entry["composed"]] if form == "composed" else entry["inputs"])]


def runs(name: str, component: Path, *options: str) -> None:
    """Compares what a component answers under `wasmtime run`."""
    entry, wasmtime = CASES[name], skipping(tool, "wasmtime")
    expected = entry["expected"]
    if "rc" in expected:
        run = entry["run"]
        environment = [f"--env={key}={value}" for key, value in run["env"].items()]
        done = subprocess.run(
            [wasmtime, "run", *options, *environment, str(component), *run["args"]],
            input=run["stdin"],
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (expected["rc"], expected["stdout"])
        return
    for call, want in expected.items():
        assert said(wasmtime, "run", *options, "--invoke", call, component).strip() == want


@pytest.mark.parametrize("form", ["composed", "parts"])
@pytest.mark.parametrize("name", chosen())
def test_under_the_pooling_allocator(name: str, form: str, tmp_path: Path) -> None:
    skipping(tool, "wasmtime")
    component = fuse(inputs(name, form), tmp_path / "fused.wasm", "--emit=component")
    runs(name, component, "-O", "pooling-allocator=y")


def number_of(call: str) -> int:
    """The argument of `run(10)`."""
    return int(call.partition("(")[2].rstrip(")"))


STRINGS = {"greet/c-c", "greet/c-qjs", "shop/c"}
"""Those that have `run`, from a number to a string."""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", chosen(STRINGS))
def test_as_a_core_module(name: str, place: str, tmp_path: Path) -> None:
    if name in BIG and place not in ("node", "chromium", "wasm3"):
        pytest.skip("a C compiler takes minutes for it, and so does an interpreter in Python")
    target, run = PLACES[place]
    module = tmp_path / "one.wasm"
    done = meldc(*inputs(name, "composed"), f"--target={target}", "-q", "-o", module)
    assert done.returncode == 0, done.stderr
    for call, want in CASES[name]["expected"].items():
        if call.startswith("run("):
            assert skipping(run, module, "run", number_of(call)) == json.loads(want)


@pytest.mark.parametrize("name", chosen(STRINGS))
def test_jco_transpile(name: str, tmp_path: Path) -> None:
    jco, node = skipping(tool, "jco"), skipping(tool, "node")
    component = fuse(inputs(name, "composed"), tmp_path / "fused.wasm", "--emit=component", "--target=wasm2")
    said(jco, "transpile", component, "-o", tmp_path / "js", "-q")
    (tmp_path / "js/package.json").write_text('{"type": "module"}')
    link_packages(jco, tmp_path)
    for call, want in CASES[name]["expected"].items():
        if call.startswith("run("):
            script = f"import {{run}} from './js/fused.js'; process.stdout.write(run({number_of(call)}))"
            (tmp_path / "call.mjs").write_text(script)
            assert said(node, tmp_path / "call.mjs") == json.loads(want)


def link_packages(jco: str, folder: Path) -> None:
    """The packages beside jco, where transpiled code looks for its shims of WASI."""
    packages = next((p for p in Path(jco).resolve().parents if p.name == "node_modules"), None)
    if packages is not None:
        (folder / "node_modules").symlink_to(packages)


@pytest.mark.parametrize("name", chosen())
def test_jco_opt(name: str, tmp_path: Path) -> None:
    jco = skipping(tool, "jco")
    component = fuse(inputs(name, "composed"), tmp_path / "fused.wasm", "--emit=component")
    small = tmp_path / "small.wasm"
    said(jco, "opt", component, "-o", small, "-q", "--", "-O1", "--all-features")
    assert small.stat().st_size < component.stat().st_size
    runs(name, small)


@pytest.mark.skipif("cli/c-wasi" not in CASES, reason="the fixtures are not here")
def test_jco_run(tmp_path: Path) -> None:
    """WASI: arguments, environment, streams, exit code."""
    jco, entry = skipping(tool, "jco"), CASES["cli/c-wasi"]
    component = fuse(inputs("cli/c-wasi", "parts"), tmp_path / "fused.wasm", "--emit=component", "--target=wasm2")
    run, want = entry["run"], entry["expected"]
    done = subprocess.run(
        ["env", *(f"{k}={v}" for k, v in run["env"].items()), jco, "run", str(component), *run["args"]],
        input=run["stdin"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (want["rc"], want["stdout"]), done.stderr


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """The server of examples/serve as a component."""
    source, embedded, out = ROOT / "examples/serve", tmp_path / "embedded.wasm", tmp_path / "server.wasm"
    wasm_tools = shutil.which("wasm-tools") or WASM_TOOLS
    wit = ["--world", "server", source / "server.wit", source / "server.wat"]
    said(wasm_tools, "component", "embed", *wit, "-o", embedded)
    said(wasm_tools, "component", "new", embedded, "-o", out)
    return out


@pytest.mark.parametrize(
    ("name", "command", "options"),
    [
        ("wasmtime", ["serve", "--addr=127.0.0.1:{port}"], []),
        ("jco", ["serve", "--port={port}", "--host=127.0.0.1"], ["--target=wasm2"]),
    ],
)
def test_serve(name: str, command: list[str], options: list[str], server: Path, tmp_path: Path) -> None:
    found = skipping(tool, name)
    component = fuse([server, ROOT / "examples/greet/greeter.wat"], tmp_path / "s.wasm", "--emit=component", *options)
    port = free_port()
    line = [part.format(port=port) for part in command]
    process = subprocess.Popen([found, *line, str(component)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert [answer(port, who) for who in ("Ann", "Bo")] == ["hello, Ann", "hello, Bo"]
    finally:
        process.terminate()
        process.wait(20)
