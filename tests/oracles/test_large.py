"""Programs of tens of megabytes, made by toolchains: fused with `--emit=component`, they answer as before.

`make test-large` installs the tools into a directory and names it in ``MELD_LARGE``. They are no part of what a
developer has to have, and the programs take minutes to compile, so the tests are skipped without it.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import pytest
from both import Unfused
from engine_cli import CLI, FEATURES, needs_cli
from places import answer, free_port
from wrapped import ROOT, Running, Wasi, fuse, tool, wit

import meld
from meld.ir.module import Module
from tests.binary.test_source_lines import code_by_function, component, places

SOURCES = ROOT / "tests/large"
FIXTURES = ROOT / "../shared/fixtures"
TOOLS = (ROOT / os.environ.get("MELD_LARGE", "-")).resolve()
PYTHON, MODULES = TOOLS / "venv/bin", TOOLS / "node_modules"

pytestmark = pytest.mark.skipif(not TOOLS.is_dir(), reason="needs tools: make test-large")
needs_node = pytest.mark.skipif(not MODULES.is_dir() or shutil.which("node") is None, reason="needs componentize-js")


def command(*args: str | Path, cwd: Path) -> None:
    done = subprocess.run([str(arg) for arg in args], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr


def from_javascript(source: Path, wit: Path, world: str, directory: Path, without: str) -> Path:
    """A component of a script, with StarlingMonkey. `without`: which imports of the host it does not need."""
    script = directory / "componentize.mjs"
    shutil.copy(SOURCES / script.name, script)
    if not (directory / "node_modules").exists():
        (directory / "node_modules").symlink_to(MODULES)
    out = directory / f"{source.stem}.wasm"
    command("node", script, source, wit, world, out, without, cwd=directory)
    return out


def from_python(source: Path, wit: Path, world: str, directory: Path, *more: str) -> Path:
    """A component of a Python module."""
    shutil.copy(source, directory)
    out = directory / f"{source.stem}.wasm"
    tool_ = PYTHON / "componentize-py"
    command(tool_, "-d", wit, "-w", world, "componentize", *more, source.stem, "-o", out, cwd=directory)
    return out


def from_quickjs(source: Path, wit: Path, world: str, directory: Path) -> Path:
    """A component of a script, with QuickJS and without imports of WASI."""
    out = directory / f"{source.stem}.wasm"
    options = ["--wit", wit, "--world", world, "--js", source, "--stub-wasi", "-o", out]
    command(MODULES / ".bin/componentize-qjs", *options, cwd=directory)
    return out


def served(program: Path, requests: list[tuple[str, bytes]]) -> list[tuple[int, str | None, bytes]]:
    """What a handler of WASI 0.3 answers under `wasmtime serve`: status, who says so, the body."""
    port, found, compiled = free_port(), [], program.with_suffix(".cwasm")
    command(CLI, "compile", "-O", "opt-level=0", "-W", FEATURES, program, "-o", compiled, cwd=program.parent)
    options = ["--allow-precompiled", "-W", FEATURES, "-S", "p3,cli,http", f"--addr=127.0.0.1:{port}"]
    process = subprocess.Popen([CLI, "serve", *options, str(compiled)], stdout=DEVNULL, stderr=DEVNULL)
    try:
        answer(port, "")  # it is there
        for path, body in requests:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=100)
            connection.request("POST", path, body)
            response = connection.getresponse()
            found.append((response.status, response.getheader("x-by"), response.read()))
    finally:
        process.terminate()
        process.wait(20)
    return found


def same(inputs: list[Path], directory: Path, *calls: tuple[Any, ...]) -> list[Any]:
    """What calls answer, in one store: linked and unfused, and fused. Returns the answers and what was printed."""
    linked = directory / "linked.wasm"
    linked.write_bytes(meld.encode(meld.compile(inputs, stop_after="link")))
    found = []
    for path in (linked, fuse(inputs, directory / "fused.wasm")):
        wasi = Wasi(directory)
        running = Running(path, wasi=wasi)
        found.append([running.call(*call) for call in calls] + list(wasi.left()))
    assert found[1] == found[0]
    return found[0]


WITHOUT_HTTP = "http,fetch-event"


@needs_node
@pytest.mark.skipif(not FIXTURES.exists(), reason="the fixtures are not here")
def test_c_and_javascript(tmp_path: Path) -> None:
    source = FIXTURES / "greet/src"
    world = source / "greet.wit"
    made = from_javascript(source / "gp.js", world, "provider", tmp_path, "random,stdio,clocks," + WITHOUT_HTTP)
    found = same([FIXTURES / "greet/cons.wasm", made], tmp_path, ("run", 10), ("run", 1000))
    assert found[:2] == ["hello 45", "hello 499500"]


@pytest.mark.parametrize("more", [(), ("-s",)], ids=["wasi", "no-wasi"])
def test_python_and_python(more: tuple[str, ...], tmp_path: Path) -> None:
    sides = [(SOURCES / f"pair_{world}.py", world) for world in ("consumer", "provider")]
    inputs = [from_python(path, SOURCES / "pair.wit", world, tmp_path, *more) for path, world in sides]
    found = same(inputs, tmp_path, ("run", 10), ("again", ["a", "ß"]), ("run", 1000))
    assert found[0].startswith("GRÜSSE €😀! 45 it0:0:0.0 it1:1:0.25") and found[1] == ["A!", "SS!"]


@pytest.mark.skipif(not FIXTURES.exists(), reason="the fixtures are not here")
@pytest.mark.parametrize("producer", ["python", pytest.param("quickjs", marks=needs_node)])
def test_python_streams(producer: str, tmp_path: Path) -> None:
    """A component of Python, 20 MB, and one of Python or a script stream to each other: as the manifest says."""
    source = FIXTURES / "flow-py/src"
    inputs = [from_python(source / "cons.py", source / "flow.wit", "consumer", tmp_path, "-s")]
    if producer == "python":
        inputs.append(from_python(source / "prod.py", source / "flow.wit", "producer", tmp_path, "-s"))
    else:
        inputs.append(from_quickjs(SOURCES / "flow_producer.js", source / "flow.wit", "producer", tmp_path))
    cases = json.loads((FIXTURES / "manifest.json").read_text())
    expected: dict[str, str] = next(case["expected"] for case in cases if case["case"] == "flow-py")
    calls = tuple(("run", int(re.sub(r"\D", "", text))) for text in expected)
    want = [json.loads(text) for text in expected.values()]
    linked = meld.encode(meld.compile(inputs, stop_after="link"))
    assert Unfused(linked).answers(calls) == want
    out = fuse(inputs, tmp_path / "fused.wasm")
    assert not re.search(r"^ +import ", wit(out), re.MULTILINE)
    assert Unfused(out.read_bytes()).answers(calls) == want
    module = meld.compile(inputs)
    assert isinstance(module, Module) and not module.imports


@needs_node
def test_javascript_python_javascript(tmp_path: Path) -> None:
    """A resource of a script, used by a script and by Python; records, variants, options; WASI."""
    world = SOURCES / "three.wit"
    app = from_javascript(SOURCES / "three_app.js", world, "app", tmp_path, WITHOUT_HTTP)
    provider = from_javascript(SOURCES / "three_provider.js", world, "provider", tmp_path, WITHOUT_HTTP)
    middle = from_python(SOURCES / "three_middle.py", world, "middle", tmp_path)
    found = same([app, middle, provider], tmp_path, ("run", 5), ("run", 0))
    assert found[0].startswith("js€# 13 js€#,,é nothing p00 p14950") and found[2] == "said 5\nsaid 0\n"


@needs_node
def test_world_with_http(tmp_path: Path) -> None:
    """A script imports all of WASI that it may need: the fused component asks for the same."""
    made = from_javascript(SOURCES / "three_provider.js", SOURCES / "three.wit", "provider", tmp_path, "")
    assert "wasi:http" in wit(made)
    assert wit(fuse([made], tmp_path / "fused.wasm")) == wit(made)


@needs_node
@needs_cli
@pytest.mark.skipif(not FIXTURES.exists(), reason="the fixtures are not here")
def test_a_served_handler(tmp_path: Path) -> None:
    """An HTTP handler of WASI 0.3 in Python, whose streams are the host's, and a component of C that it calls."""
    wit, greet = tmp_path / "wit", FIXTURES / "greet"
    shutil.copytree(MODULES / "@bytecodealliance/jco/lib/wit/builtin/0.3.0", wit / "deps")
    (wit / "deps/demo-app").mkdir()
    shutil.copy(greet / "src/greet.wit", wit / "deps/demo-app")
    shutil.copy(SOURCES / "handler.wit", wit)
    inputs = [from_python(SOURCES / "handler.py", wit, "handler", tmp_path), greet / "prov.wasm"]
    linked = tmp_path / "linked.wasm"
    linked.write_bytes(meld.encode(meld.compile(inputs, stop_after="link")))
    requests = [("/a?b", b""), ("/echo", b"some text"), ("/long", b"x" * 200_000)]
    want = [
        (200, "python", b"hello %s%s %d 4950" % (path.encode(), body.upper(), len(body))) for path, body in requests
    ]
    assert served(linked, requests) == want
    assert served(fuse(inputs, tmp_path / "fused.wasm"), requests) == want


@pytest.mark.parametrize("level", ["-O0", "-O1"])
def test_lines_of_c(level: str, tmp_path: Path) -> None:
    """A program with its C library: each instruction has the file and line that it had before."""
    cores = []
    for name, target in (("app", "wasm32-wasi"), ("provider", "wasm32-freestanding")):
        core = tmp_path / f"{name}.core.wasm"
        more = ["-nostdlib", "-Wl,--no-entry"] if name == "provider" else []
        compiler = [PYTHON / "python", "-m", "ziglang", "cc", f"--target={target}", level, "-g"]
        command(*compiler, "-fno-sanitize=undefined", *more, SOURCES / f"lines_{name}.c", "-o", core, cwd=tmp_path)
        embedded = tmp_path / "embedded.wasm"
        tool("component", "embed", SOURCES / "lines.wit", "-w", name, core, "-o", embedded)
        adapter = MODULES / "@bytecodealliance/jco/lib/wasi_snapshot_preview1.command.wasm"
        adapt = [f"--adapt=wasi_snapshot_preview1={adapter}"] if name == "app" else []
        tool("component", "new", embedded, *adapt, "-o", component(core))
        cores.append(core)
    fused = tmp_path / "fused.wasm"
    fused.write_bytes(meld.encode(meld.compile([component(core) for core in cores])))
    after, compared = code_by_function(fused.read_bytes()), 0
    for core in cores:
        instance = component(core).stem
        for name, addresses in code_by_function(core.read_bytes()).items():
            there = after.get(f"{instance}/{name}", [])
            if len(there) == len(addresses):  # two may have the same name
                assert places(fused, there) == places(core, addresses), name
                compared += len(there)
    assert compared > 10_000
