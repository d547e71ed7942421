"""`meldc run` with WASI, with a time limit, and by the types that a binary carries."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from adapter_values import types
from hypothesis import given, settings
from hypothesis import strategies as st
from measured import forked

import meld
from meld.abi.wit_reader import read_wit
from meld.abi.wit_text import wit
from meld.binary.reader import read_module
from meld.cli import main
from meld.diagnostics import MeldError
from meld.ir.module import CustomSection
from meld.notes.boundaries import HostExport
from meld.passes.finish.signature_manifest import SECTION
from meld.runtime.carried import describe_exports

ROOT = Path(__file__).parents[2]
CLI = ROOT.parent / "shared" / "fixtures" / "cli"
FORMS = {"parts": ("app.wasm", "prov.wasm"), "composed": ("comp.wasm",)}


def run(*args: str | Path, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return forked("run", *args, stdin=stdin, **env)


@pytest.mark.skipif(not CLI.exists(), reason="the fixtures are not here")
@pytest.mark.parametrize("form", [*FORMS, "fused"])
def test_a_command(form: str, tmp_path: Path) -> None:
    """Arguments, environment, standard streams and the exit code, as the fixture says they are unfused."""
    case = next(c for c in json.loads((CLI.parent / "manifest.json").read_text()) if c["case"] == "cli")
    paths = [CLI / name for name in FORMS.get(form, FORMS["parts"])]
    if form == "fused":
        made = tmp_path / "fused.wasm"
        assert forked(*paths, "--emit=component", "-q", "-o", made).returncode == 0
        paths = [made]
    how, want = case["run"], case["expected"]
    env = [f"--env={name}={value}" for name, value in how["env"].items()]
    done = run(*paths, *env, "--", *how["args"], stdin=how["stdin"])
    assert (done.stdout, done.returncode) == (want["stdout"], want["rc"])
    assert want["stderr"] in done.stderr
    inherited = run(*paths, "--env=GREET", "--", *how["args"], stdin=how["stdin"], GREET="yes")
    assert inherited.stdout == want["stdout"]


PREOPENED = """(module
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (call $get (i32.const 3) (i32.const 8)))))"""


def test_directories(tmp_path: Path) -> None:
    """A module of version 0.1: without a directory descriptor 3 is none (8), with one it is."""
    path = tmp_path / "m.wat"
    path.write_text(PREOPENED)
    assert run(path).returncode == 8
    assert run(path, "--dir", tmp_path).returncode == 0
    assert run(path, "--dir", f"{tmp_path}::/data").returncode == 0
    missing = run(path, "--dir", tmp_path / "none")
    assert missing.returncode == 2 and "no such directory" in missing.stderr


def test_without_wasi(tmp_path: Path) -> None:
    path = tmp_path / "m.wat"
    path.write_text('(module (func (export "run")))')
    assert run(path).returncode == 0
    for args in (["--env=A=b"], ["--", "a"]):
        done = run(path, *args)
        assert done.returncode == 2 and "this one does not" in done.stderr


@pytest.mark.parametrize("wasi", [False, True])
def test_time_limit(wasi: bool, tmp_path: Path) -> None:
    path = tmp_path / "m.wat"
    imports = '(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))' if wasi else ""
    path.write_text(f'(module {imports} (func (export "_start") (loop br 0)))')
    done = run(path, "--timeout=0.3")
    assert done.returncode == 2 and "runs for more than 0.3 s" in done.stderr
    assert run(path, "--timeout=0").returncode == 2


VALUES = r"""(component
  (import "wasi:cli/environment@0.2.0" (instance))
  (core module $m
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $free)
      (global.set $free (i32.add (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -8)))))
    (data (i32.const 0) "\01\00\00\00\10\00\00\00\03\00\00\00")
    (data (i32.const 16) "\01\00\02\00\ff\ff")
    (func (export "sum") (param $a i32) (param $b f32) (param $some i32) (param $at i32) (param $n i32)
        (param $list i32) (param $count i32) (param $case i32) (param $v i32) (param $w i32)
        (param $flags i32) (param $enum i32) (result i64)
      (i64.extend_i32_u
        (i32.add (i32.add (i32.add (local.get $a) (i32.trunc_f32_s (local.get $b)))
            (i32.add (i32.mul (local.get $some) (i32.const 1000)) (local.get $n)))
          (i32.add (i32.mul (local.get $count) (i32.const 10000))
            (i32.add
              (i32.add (i32.mul (local.get $case) (i32.const 100000)) (i32.mul (local.get $flags) (i32.const 1000000)))
              (i32.mul (local.get $enum) (i32.const 10000000)))))))
    (func (export "give") (result i32) (i32.const 0)))
  (core instance $i (instantiate $m))
  (type $r (record (field "a" u8) (field "b" f32)))
  (export $r' "r" (type $r))
  (type $v (variant (case "x") (case "y" u32) (case "z" string)))
  (export $v' "v" (type $v))
  (type $p (flags "p" "q")) (export $p' "p" (type $p))
  (type $e (enum "e" "f")) (export $e' "e" (type $e))
  (func (export "sum") (param "r" $r') (param "o" (option string)) (param "l" (list u8)) (param "v" $v')
    (param "p" $p') (param "e" $e') (result u64)
    (canon lift (core func $i "sum") (memory $i "memory") (realloc (func $i "realloc"))))
  (func (export "give") (result (result string (error (list u16))))
    (canon lift (core func $i "give") (memory $i "memory"))))"""


def test_values(tmp_path: Path) -> None:
    """Calls by component types, of a program that uses WASI: values of each kind go in, one comes out."""
    path = tmp_path / "c.wat"
    path.write_text(VALUES)
    call = 'sum({a: 7, b: -2.5}, some("abc"), [1, 2], z("q"), {p, q}, f)'
    done = run(path, "--invoke", call)
    assert (done.stdout, done.returncode) == ("13221008\n", 0), done.stderr
    assert run(path, "--invoke", "give()").stdout == "err([1, 2, 65535])\n"
    assert run(path).returncode == 2


@settings(max_examples=60, deadline=None)
@given(types)
def test_types_are_read_as_they_are_written(t: Any) -> None:
    assert read_wit(wit(t)) == t


@given(st.text(alphabet="record{}<>(),:abu8lst _", max_size=30))
def test_other_text_is_refused(text: str) -> None:
    with suppress(MeldError):
        read_wit(text)


PAIR = [ROOT / "examples/greet" / name for name in ("crowd.wat", "greeter.wat")]


def test_a_binary_carries_its_types(tmp_path: Path) -> None:
    fused = tmp_path / "fused.wasm"
    fused.write_bytes(meld.encode(meld.compile(PAIR)))
    call = 'welcome(["Ann", "Bo"])'
    done = run(fused, "--invoke", call)
    assert done.stdout == run(*PAIR, "--invoke", call).stdout and done.stdout
    assert "welcome: func(" in run(fused).stdout


ECHO = """
(component
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $return (canon task.return (result string) (memory (core memory $libc "memory"))))
  (core module $m
    (import "" "return" (func $return (param i32 i32)))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
    (func (export "echo") (param i32 i32) (result i32) (call $return (local.get 0) (local.get 1)) (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) (unreachable)))
  (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
  (func (export "echo") async (param "text" string) (result string)
    (canon lift (core func $i "echo") async (callback (core func $i "callback"))
      (memory (core memory $libc "memory")) (realloc (core func $i "realloc")))))
"""


def test_a_binary_carries_types_of_asynchronous_functions(tmp_path: Path) -> None:
    (tmp_path / "echo.wat").write_text(ECHO)
    (tmp_path / "fused.wasm").write_bytes(meld.encode(meld.compile(tmp_path / "echo.wat")))
    assert run(tmp_path / "fused.wasm", "--invoke", 'echo("hé")').stdout == '"hé"\n'
    assert "echo: async func(" in run(tmp_path / "fused.wasm").stdout


@pytest.mark.parametrize(
    "data", ["{", "[]", '{"version":2}', '{"version":1,"exports":[1,{"export":"welcome"}]}', "[" * 5000]
)
def test_a_manifest_that_does_not_fit_says_nothing(data: str) -> None:
    module = read_module(meld.encode(meld.compile(PAIR)))
    module.customs = [CustomSection(SECTION, data.encode())]
    describe_exports(module)
    assert not module.notes_of(HostExport)


def test_what_nothing_provides_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uses = '(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))'
    text = f'(module {uses} (import "env" "lost" (func)) (memory (export "memory") 1) (func (export "_start")))'
    (tmp_path / "a.wat").write_text(text)
    assert main(["run", str(tmp_path / "a.wat")]) == 2
    assert "nothing provides the import `env::lost`" in capsys.readouterr().err
    (tmp_path / "a.wat").write_text(text.replace('"env"', '"wasi_snapshot_preview1"'))
    assert main(["run", str(tmp_path / "a.wat")]) == 2
    assert (
        "the engine's WASI does not serve the program: it lacks `wasi_snapshot_preview1::lost`"
        in capsys.readouterr().err
    )


def test_wasi_of_a_fused_module_and_arguments_among_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are what a new user tries first; each names what works."""
    core = tmp_path / "fused.wat"
    core.write_text('(module (import "wasi:cli/exit@0.2.0" "exit" (func (param i32))) (func (export "f")))')
    assert main(["run", str(core), "--invoke", "f"]) == 2
    assert "hint: WASI is served to components: run the components themselves" in capsys.readouterr().err
    assert main(["run", str(core), "--", "ann"]) == 2
    err = capsys.readouterr().err
    assert "arguments cannot be given to a core module\nhint: WASI is served to components" in err
    assert main(["run", str(core), "ann"]) == 2
    assert "error: ann: no such file\nhint: arguments of the program come after `--`" in capsys.readouterr().err


def test_wasi_of_a_later_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What serves programs here has WASI 0.2; the command line of the engine has 0.3."""
    program = tmp_path / "a.wat"
    program.write_text(
        """(component
          (import "wasi:random/random@0.3.0" (instance $r (export "get-random-u64" (func (result u64)))))
          (core func $get (canon lower (func $r "get-random-u64")))
          (core module $m (import "" "get" (func $get (result i64))) (func (export "run") (result i32) i32.const 0))
          (core instance $i (instantiate $m (with "" (instance (export "get" (func $get))))))
          (func $run (result (result)) (canon lift (core func $i "run")))
          (instance $cli (export "run" (func $run)))
          (export "wasi:cli/run@0.3.0" (instance $cli)))"""
    )
    assert main(["run", str(program)]) == 2
    err = capsys.readouterr().err
    assert "it lacks `wasi:random/random@0.3.0`" in err and "hint: with --emit=component, `wasmtime run -S p3`" in err
