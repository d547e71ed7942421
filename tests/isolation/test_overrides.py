"""What `link` feeds in place of the host is said, and `--host-only` keeps imports for the host."""

from __future__ import annotations

from pathlib import Path

import pytest
from sides import HONEST, Core, fused, written

TAKES = """(component
  (core module $k (memory (export "memory") 1) (global $n (export "n") (mut i32) (i32.const 0))
    (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 8))
    (func (export "log") (param i32 i32) (global.set $n (local.get 1)))
    (func (export "heard") (result i32) (global.get $n)))
  (core instance $k (instantiate $k))
  (func (export "heard") (result u32) (canon lift (core func $k "heard")))
  (func (export "log") (param "s" string)
    (canon lift (core func $k "log") (memory $k "memory") (realloc (func $k "r")))))"""

USES = """(component
  (import "a:b/log@1.2.0" (instance $i (export "n" (func (result u32)))))
  (core func $n (canon lower (func $i "n")))
  (core module $m (import "" "n" (func $n (result i32))) (func (export "run") (result i32) (call $n)))
  (core instance $c (instantiate $m (with "" (instance (export "n" (func $n))))))
  (func (export "run") (result u32) (canon lift (core func $c "run"))))"""
GIVES = """(component
  (core module $m (func (export "n") (result i32) (i32.const 666)))
  (core instance $c (instantiate $m))
  (func $n (result u32) (canon lift (core func $c "n")))
  (instance $i (export "n" (func $n)))
  (export "a:b/log@1.3.1" (instance $i)))"""


def test_an_override_is_said(tmp_path: Path) -> None:
    done = fused(written(tmp_path, honest=HONEST, hostile=TAKES), tmp_path / "o.wasm")
    assert done.returncode == 0
    assert "`hostile` feeds `log` of `honest` in place of the host" in done.stderr
    assert Core(tmp_path / "o.wasm", {}).names == []


def test_so_is_one_of_another_version(tmp_path: Path) -> None:
    done = fused(written(tmp_path, honest=USES, hostile=GIVES), tmp_path / "o.wasm")
    assert "`hostile` feeds `a:b/log@1.2.0` (by `a:b/log@1.3.1`) of `honest`" in done.stderr
    assert Core(tmp_path / "o.wasm", {}).call("run") == 666


def test_what_the_user_asked_for_needs_no_remark(tmp_path: Path) -> None:
    done = fused(written(tmp_path, honest=HONEST, hostile=TAKES), tmp_path / "o.wasm", "--link=honest:log=hostile")
    assert done.returncode == 0 and "in place of the host" not in done.stderr


@pytest.mark.parametrize("glob", ["a:b/log@1.2.0", "a:b/log", "a:b/*", "a:*", "*"])
def test_interfaces_are_kept_for_the_host(glob: str, tmp_path: Path) -> None:
    done = fused(written(tmp_path, honest=USES, hostile=GIVES), tmp_path / "o.wasm", f"--host-only={glob}")
    assert done.returncode == 0 and "in place of the host" not in done.stderr
    core = Core(tmp_path / "o.wasm", {("a:b/log@1.2.0", "n"): lambda host: 42})
    assert core.call("run") == 42


def test_functions_are_kept_for_the_host(tmp_path: Path) -> None:
    files = written(tmp_path, honest=HONEST, hostile=TAKES)
    assert fused(files, tmp_path / "o.wasm", "--host-only=x*", "--host-only=lo?").returncode == 0
    said: list[str] = []
    core = Core(
        tmp_path / "o.wasm", {("$root", "log"): lambda host, at, n: said.append(host.text("honest/memory", at, n))}
    )
    core.call("run")
    assert (said, core.call("heard")) == (["hi"], 0)


def test_only_what_it_names(tmp_path: Path) -> None:
    done = fused(written(tmp_path, honest=HONEST, hostile=TAKES), tmp_path / "o.wasm", "--host-only=wasi:*")
    assert "`hostile` feeds `log` of `honest`" in done.stderr


def test_wishes_that_contradict_each_other(tmp_path: Path) -> None:
    more = ["--host-only=log", "--link=honest:log=hostile"]
    done = fused(written(tmp_path, honest=HONEST, hostile=TAKES), tmp_path / "o.wasm", *more)
    assert done.returncode == 2 and "--host-only" in done.stderr
    done = fused(written(tmp_path, honest=HONEST), tmp_path / "o.wasm", "--host-only=log")
    assert done.returncode == 2 and "two inputs" in done.stderr


def test_a_composition_that_is_dumped_keeps_the_wish(tmp_path: Path) -> None:
    files = written(tmp_path, honest=HONEST, hostile=TAKES)
    done = fused(files, tmp_path / "o.wasm", "--host-only=log", "--dump-before=link", "-q")
    (tmp_path / "dump.wat").write_text(done.stderr)
    assert fused([tmp_path / "dump.wat"], tmp_path / "again.wasm").returncode == 0
    assert Core(tmp_path / "again.wasm", {("$root", "log"): lambda *_: None}).names == [("$root", "log")]
