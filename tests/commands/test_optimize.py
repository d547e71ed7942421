"""`--optimize`: what `wasm-opt` is asked, what comes of its answers, and the tool itself where it is installed."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import wasmtime
from measured import forked
from wasmtime import component as wc

from meld.commands.wasm_opt import features
from meld.files import load

ROOT = Path(__file__).parents[2]
GREET = [ROOT / "examples/greet/crowd.wat", ROOT / "examples/greet/greeter.wat"]

FAKE = """#!{python}
import shutil, sys
with open({log!r}, "a") as log:
    print(*sys.argv[1:], file=log)
{rest}
"""
COPIES = "shutil.copyfile(sys.argv[-3], sys.argv[-1])"


def compiled(out: Path, path: str, *more: str) -> subprocess.CompletedProcess[str]:
    return forked(*GREET, "-q", "-o", out, *more, PATH=path)


def fake(directory: Path, rest: str) -> Path:
    """A `wasm-opt` that writes down its arguments; they end with `IN -o OUT`."""
    log, tool = directory / "log", directory / "wasm-opt"
    tool.write_text(FAKE.format(python=sys.executable, log=str(log), rest=rest))
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return log


def test_without_the_tool(tmp_path: Path) -> None:
    done = compiled(tmp_path / "o.wasm", str(tmp_path), "--optimize")
    assert done.returncode == 2 and "which is not on the path" in done.stderr and "Binaryen" in done.stderr
    assert not (tmp_path / "o.wasm").exists()


@pytest.mark.parametrize(("option", "level"), [("--optimize", "-O2"), ("--optimize=s", "-Os")])
def test_the_level_the_names_and_the_features(option: str, level: str, tmp_path: Path) -> None:
    log = fake(tmp_path, COPIES)
    done = compiled(tmp_path / "o.wasm", str(tmp_path), option)
    assert done.returncode == 0, done.stderr
    said = log.read_text().split()
    assert said[:3] == [level, "-g", "--mvp-features"]
    assert {"--enable-multimemory", "--enable-simd", "--enable-bulk-memory"} <= set(said)
    assert not {"--enable-gc", "--enable-threads", "--enable-memory64", "--all-features"} & set(said)
    names = [section.name for section in load(tmp_path / "o.wasm").customs]  # type: ignore[union-attr]
    assert "component-provenance" not in names and not [name for name in names if name.startswith(".debug")]
    assert "meld.signature-manifest" in names


def test_a_component_holds_what_the_tool_made(tmp_path: Path) -> None:
    log = fake(tmp_path, COPIES)
    done = compiled(tmp_path / "o.wasm", str(tmp_path), "--optimize=3", "--emit=component")
    assert done.returncode == 0, done.stderr
    assert len(log.read_text().splitlines()) == 2, "the module, and the helper module of the second memory"
    wc.Component(wasmtime.Engine(), (tmp_path / "o.wasm").read_bytes())


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ('sys.exit("bad module")', "refuses the module: bad module"),
        ("sys.exit(7)", "refuses the module: exit code 7"),
        ("pass", "refuses the module: exit code 0"),
        ('open(sys.argv[-1], "wb").write(b"\\0asm\\1\\0\\0\\0\\xff")', "wasm-opt"),
    ],
)
def test_a_tool_that_fails(rest: str, message: str, tmp_path: Path) -> None:
    fake(tmp_path, rest)
    done = compiled(tmp_path / "o.wasm", str(tmp_path), "--optimize")
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "o.wasm").exists()


def test_what_is_no_product(tmp_path: Path) -> None:
    fake(tmp_path, COPIES)
    for step in ("link", "merge"):
        done = compiled(tmp_path / "o.wasm", str(tmp_path), "--optimize", f"--stop-after={step}")
        assert done.returncode == 2 and "--optimize is about products" in done.stderr, step


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("(module (func))", []),
        ("(module (memory 1) (memory 1))", ["multimemory"]),
        ("(module (func (param v128)))", ["simd"]),
        ("(module (type (struct)))", ["gc"]),
        ("(module (memory i64 1))", ["memory64"]),
        ("(module (tag))", ["exception-handling", "gc"]),  # the engine has no exceptions without garbage collection
        ("(module (func $f (return_call $f)))", ["tail-call"]),
        ("(module (memory 1 1 shared))", ["threads"]),
    ],
)
def test_features(text: str, wanted: list[str]) -> None:
    assert features(bytes(wasmtime.wat2wasm(text))) == wanted


@pytest.mark.skipif(shutil.which("wasm-opt") is None, reason="needs wasm-opt of Binaryen (npm: binaryen)")
def test_the_tool_itself(tmp_path: Path) -> None:
    path = os.environ["PATH"]
    bare, best = tmp_path / "bare.wasm", tmp_path / "best.wasm"
    assert compiled(bare, path).returncode == 0
    done = compiled(best, path, "--optimize=3")
    assert done.returncode == 0, done.stderr
    assert best.stat().st_size < bare.stat().st_size
    engine = wasmtime.Engine()
    exports = [sorted(e.name for e in wasmtime.Module(engine, one.read_bytes()).exports) for one in (bare, best)]
    assert exports[0] == exports[1]
    done = compiled(best, path, "--optimize=3", "--emit=component")
    assert done.returncode == 0, done.stderr
    store = wasmtime.Store(engine)
    instance = wc.Linker(engine).instantiate(store, wc.Component(engine, best.read_bytes()))
    welcome = instance.get_func(store, "welcome")
    assert welcome is not None
    assert welcome(store, ["Ann", "Bo"]) == ["hello, Ann", "hello, Bo"]
