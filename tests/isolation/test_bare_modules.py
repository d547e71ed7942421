"""Core modules that nobody instantiates get `pulseengine:async` and nothing else, and only for streams."""

from __future__ import annotations

from pathlib import Path

import pytest
from sides import CASES, HONEST, Core, component, fused, wit_of, written
from wrapped import fuse

NEW = '(import "pulseengine:async" "stream_new" (func $new (result i64)))'
ASKS = "(type $s (stream u8)) (core func (canon stream.new $s))"
EXPORTS = """(memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
  (func (export "cabi_post_run")) (func (export "_initialize")) (func (export "_start"))
  (func (export "meld:memory/0")) (func (export "run") (result i64) (call $new))
  (func (export "own") (result i32) (i32.const 7))"""


def bare(imports: str = NEW, inside: str = "", asks: str = ASKS) -> str:
    return f"(component (core module $evil {imports} {inside}) {asks})"


HOSTS = {("$root", "log"): lambda host, at, n: None, ("pulseengine:async", "stream_new"): lambda host: 0}


@pytest.mark.skipif(not CASES.exists(), reason="the cases are not here")
def test_the_reported_case(tmp_path: Path) -> None:
    honest, evil = CASES / "bare-honest.wat", CASES / "bare-hostile.wat"
    for files in ([honest, evil], [evil, honest], [evil]):
        done = fused(files, tmp_path / "o.wasm")
        assert done.returncode == 0 and "it is not run" in done.stderr
        calls: list[int] = []
        core = Core(tmp_path / "o.wasm", {("$root", "secret"): lambda host, calls=calls: calls.append(1) or 42})
        assert calls == []
        assert core.names == ([] if files == [evil] else [("$root", "secret")])
        names = [export.name for export in core.module.exports if export.name != "meld:trapped"]
        assert names == ([] if files == [evil] else ["run"])
        if files != [evil]:
            assert core.call("run") == 0 and calls == [1]


def test_as_a_component_it_is_not_there(tmp_path: Path) -> None:
    honest, evil = written(tmp_path, honest=HONEST, hostile=bare(inside="(func $s unreachable) (start $s)", asks=""))
    made = fuse([honest, evil], tmp_path / "o.wasm")
    assert wit_of(made, tmp_path) == wit_of(honest, tmp_path)
    said: list[str] = []
    component(made, {"log": said.append}).call("run")
    assert said == ["hi"]


@pytest.mark.parametrize(
    "more",
    [
        '(import "$root" "log" (func (param i32 i32)))',
        '(import "env" "memory" (memory 1))',
        '(import "env" "table" (table 1 funcref))',
        '(import "env" "g" (global i32))',
        '(import "pulseengine:async" "memory" (memory 1))',
        '(import "pulseengine:async" "nope" (func))',
        '(import "wasi:cli/exit" "exit" (func (param i32)))',
        '(import "meld:boundary" "a->b" (func))',
        '(import "meld:canon" "resource.rep" (func (param i32) (result i32)))',
        '(import "pulseengine:async" "stream_read" (func (param i32) (result i32)))',
    ],
)
def test_anything_else_is_refused_by_name(more: str, tmp_path: Path) -> None:
    files = written(tmp_path, honest=HONEST, hostile=bare(f"{NEW} {more}"))
    done = fused(files, tmp_path / "o.wasm")
    assert done.returncode == 2
    module, name = more.split('"')[1], more.split('"')[3]
    assert "the core module `evil`" in done.stderr and f'"{module}" "{name}"' in done.stderr


@pytest.mark.parametrize("asks", ["", "(canon waitable-set.new)", "(canon task.return)"])
def test_what_does_not_ask_for_streams_is_not_run(asks: str, tmp_path: Path) -> None:
    more = f"(core func {asks})" if asks else ""
    files = written(tmp_path, honest=HONEST, hostile=bare(inside="(func $s unreachable) (start $s)", asks=more))
    assert fused(files, tmp_path / "o.wasm").returncode == 0
    Core(tmp_path / "o.wasm", HOSTS)  # its start function would trap


def test_names_of_others_are_not_taken(tmp_path: Path) -> None:
    """`memory` and `cabi_realloc` are those that the host's calls need, and what tools act on is qualified."""
    for files in (written(tmp_path, hostile=bare(inside=EXPORTS), honest=HONEST), written(tmp_path, honest=HONEST)):
        done = fused(files, tmp_path / "o.wasm")
        assert done.returncode == 0, done.stderr
        said: list[str] = []
        hosts = HOSTS | {("$root", "log"): lambda host, at, n, said=said: said.append(host.text("memory", at, n))}
        core = Core(tmp_path / "o.wasm", hosts)
        core.call("run")
        assert said == ["hi"]
        names = {export.name for export in core.module.exports}
        assert not names & {"cabi_realloc", "cabi_post_run", "_initialize", "_start", "meld:memory/0"}
        if len(files) == 2:
            assert core.call("own") == 7
            assert {f"hostile/{n}" for n in ("memory", "cabi_realloc", "run", "_initialize", "meld:memory/0")} <= names


def test_nor_the_name_of_what_has_no_core_form(tmp_path: Path) -> None:
    """A function of the host that the program exports again is not replaced by a core function of that name."""
    again = '(component (import "log" (func $log (param "s" u32))) (export "log" (func $log)))'
    inside = '(func (export "log") (param i32))'
    done = fused(written(tmp_path, again=again, hostile=bare(inside=inside)), tmp_path / "o.wasm")
    assert done.returncode == 0, done.stderr
    names = {export.name for export in Core(tmp_path / "o.wasm", HOSTS).module.exports}
    assert names == {"hostile/log"}
