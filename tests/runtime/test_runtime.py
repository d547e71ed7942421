"""The host under wasmtime, and `meldc run`."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime

from meld.abi.intrinsics import INTRINSICS
from meld.binary.reader import read_module
from meld.cli import main
from meld.diagnostics import MeldError
from meld.runtime.host import Host
from meld.runtime.instantiate import Running, Trapped, engine, expose_memories, instantiate

STREAMS = """
  (import "pulseengine:async" "stream_new" (func $new (result i64)))
  (import "pulseengine:async" "stream_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "pulseengine:async" "stream_read" (func $read (param i32 i32 i32 i32) (result i32)))
"""
EXPORTED = """
  (export "new" (func $new)) (export "write" (func $write)) (export "read" (func $read))
  (func (export "inner_read") (param i32 i32 i32 i32) (result i32)
    (call $read (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
"""


def wasm(text: str) -> bytes:
    """A module's fields as a binary."""
    return bytes(wasmtime.wat2wasm(f"(module {text})"))


def start(text: str, host: Host | None = None, **more: object) -> Running:
    """An instance of a module given by its fields."""
    return instantiate(wasm(text), host, **more)  # type: ignore[arg-type]


class TestMemories:
    """The host reads and writes the memory that a call names."""

    TEXT = f"""{STREAMS} (memory 1) (memory $b 1) (memory $none 0) {EXPORTED}
      (data (memory 0) (i32.const 0) "zero") (data (memory $b) (i32.const 0) "ones")"""

    @pytest.mark.parametrize("read", ["read", "inner_read"])
    @pytest.mark.parametrize(("index", "expected"), [(0, b"zero"), (1, b"ones")])
    def test_by_index(self, index: int, expected: bytes, read: str) -> None:
        running = start(self.TEXT)
        pair = running.call("new")
        assert running.call("write", pair >> 32, 0, 4, index) == 4
        assert running.call(read, pair & 0xFFFF_FFFF, 100, 9, 1 - index) == 4
        assert running.memory(1 - index)[100:105] == expected + b"\0"
        assert running.memory(index)[100:105] == bytes(5)

    @pytest.mark.parametrize("index", [2, 3, -1])
    def test_one_that_is_too_small_or_not_there_traps(self, index: int) -> None:
        running = start(self.TEXT)
        writable = running.call("new") >> 32
        with pytest.raises(Trapped, match="out of bounds" if index == 2 else "does not have"):
            running.call("write", writable, 0, 4, index)

    def test_that_is_imported(self) -> None:
        store = wasmtime.Store(engine())
        memory = wasmtime.Memory(store, wasmtime.MemoryType(wasmtime.Limits(1, 1)))
        text = f'{STREAMS} (import "env" "m" (memory 1)) {EXPORTED} (data (i32.const 0) "outer")'
        running = start(text, given={("env", "m"): memory}, store=store)
        pair = running.call("new")
        assert running.call("write", pair >> 32, 0, 5, 0) == 5
        assert running.call("read", pair & 0xFFFF_FFFF, 50, 5, 0) == 5
        assert memory.read(store, 50, 55) == running.memory()[50:55] == b"outer"

    def test_that_is_shared_between_threads(self) -> None:
        running = start(f'{STREAMS} (memory 1 1 shared) {EXPORTED} (data (i32.const 0) "shared")')
        pair = running.call("new")
        assert running.call("write", pair >> 32, 0, 6, 0) == 6
        assert running.call("inner_read", pair & 0xFFFF_FFFF, 50, 6, 0) == 6
        assert bytes(running.memory()[50:56]) == b"shared"

    def test_that_grew(self) -> None:
        running = start(
            f"{STREAMS} (memory 0) {EXPORTED} "
            '(func (export "grow") (drop (memory.grow (i32.const 1))) (i32.store8 (i32.const 9) (i32.const 7)))'
        )
        pair = running.call("new")
        with pytest.raises(Trapped, match="out of bounds"):
            running.call("write", pair >> 32, 9, 1, 0)
        running.call("grow")
        assert running.call("write", pair >> 32, 9, 1, 0) == 1
        assert running.call("read", pair & 0xFFFF_FFFF, 65535, 2, 0) == 1
        assert running.memory()[65535] == 7

    def test_in_the_start_function(self) -> None:
        running = start(
            f"""{STREAMS} (memory 1) (data (i32.const 0) "early") {EXPORTED}
            (func $start (drop (call $write
              (i32.wrap_i64 (i64.shr_u (call $new) (i64.const 32))) (i32.const 0) (i32.const 5) (i32.const 0))))
            (start $start)"""
        )
        assert dict(running.host.calls) == {"stream_new": 1, "stream_write": 1}
        assert running.call("read", 1, 100, 9, 0) == 5
        assert bytes(running.memory()[100:105]) == b"early"

    def test_the_module_is_not_changed(self) -> None:
        module = read_module(wasm("(memory 1)"))
        exposed = expose_memories(module)
        assert not module.exports and [e.name for e in exposed.exports] == ["meld:memory/0"]
        assert expose_memories(exposed).exports == exposed.exports
        assert instantiate(module).functions() == []

    def test_a_reserved_name_is_refused(self) -> None:
        with pytest.raises(MeldError, match="reserved"):
            start('(memory 1) (func (export "meld:memory/0"))')


class TestHooks:
    """What a host can be told."""

    def test_forbidden_calls_trap_and_count(self) -> None:
        running = start(f"{STREAMS} (memory 1) {EXPORTED}", Host(forbid=["stream_write"]))
        pair = running.call("new")
        with pytest.raises(Trapped, match="stream_write must not be called"):
            running.call("write", pair >> 32, 0, 1, 0)
        assert running.host.calls["stream_write"] == 1 and running.host.total == 2

    def test_local_handles_trap_or_are_invalid(self) -> None:
        text = f"{STREAMS} (memory 1) {EXPORTED}"
        with pytest.raises(Trapped, match="0x80000001 belongs to the module"):
            start(text).call("read", 0x8000_0001, 0, 1, 0)
        assert start(text, Host(refuse_local=False)).call("read", 0x8000_0001, 0, 1, 0) == -2

    def test_all_intrinsics_are_served(self) -> None:
        text = "".join(
            f'(import "{"pulseengine:async"}" "{i.name}" (func ${i.name} {"(param i32)" * len(i.params)} '
            f"{f'(result {i.results[0].value})' if i.results else ''}))"
            for i in INTRINSICS.values()
        )
        text += "(memory 1)" + "".join(f'(export "{name}" (func ${name}))' for name in INTRINSICS)
        running = start(text)
        for kind in ("stream", "future"):
            pair = running.call(f"{kind}_new")
            readable, writable = pair & 0xFFFF_FFFF, pair >> 32
            length = [4] if kind == "stream" else []
            assert running.call(f"{kind}_write", writable, 0, *length, 0) in (1, 4)
            assert running.call(f"{kind}_read", readable, 0, *length, 0) in (1, 4)
            assert running.call(f"{kind}_cancel_read", readable) == 0
            assert running.call(f"{kind}_cancel_write", writable) == 0
            running.call(f"{kind}_drop_readable", readable)
            running.call(f"{kind}_drop_writable", writable)
        assert dict(running.host.calls) == dict.fromkeys(INTRINSICS, 1)


class TestImports:
    """Who provides what."""

    def test_what_has_lost_its_note_traps_by_name(self) -> None:
        running = start(
            '(import "meld:boundary" "a->b/f" (func $f)) (import "meld:canon" "task.return" (func $t (param i32)))'
            '(export "f" (func $f)) (export "t" (func $t))'
        )
        with pytest.raises(Trapped, match=r"not interpreted: the call a->b/f has no note.*text dump does"):
            running.call("f")
        with pytest.raises(Trapped, match=r"not interpreted: the canonical built-in task\.return"):
            running.call("t", 1)

    def test_what_is_given_is_called(self) -> None:
        running = start(
            '(import "meld:boundary" "a->b/f" (func $f (param i32) (result i32))) (export "f" (func $f))',
            given={("meld:boundary", "a->b/f"): lambda x: x + 1},
        )
        assert running.call("f", 41) == 42

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('(import "x" "y" (func))', 'nothing provides the import "x" "y"'),
            ('(import "x" "y" (memory 1))', 'nothing provides the import "x" "y"'),
            ('(import "pulseengine:async" "nope" (func))', "nothing provides"),
            ('(import "pulseengine:async" "stream_new" (func (result i32)))', "is not of the type"),
            ('(import "meld:boundary" "f" (func (param v128)))', "nothing provides"),
            ('(import "meld:boundary" "f" (func (param anyref)))', "cannot supply"),
        ],
    )
    def test_the_rest_is_refused(self, text: str, message: str) -> None:
        with pytest.raises(MeldError, match=message):
            start(text)


class TestTraps:
    """What a caller sees when something goes wrong."""

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ("unreachable", "unreachable"),
            ("(drop (i32.load (i32.const -1)))", "out of bounds memory access"),
            ("(call $f)", "call stack exhausted"),
            ("(throw $t)", "exception"),
            ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", "divide by zero"),
        ],
    )
    def test_a_line_and_the_functions(self, body: str, message: str) -> None:
        running = start(f'(memory 1) (tag $t) (func $f (export "f") {body})')
        with pytest.raises(Trapped, match=message) as caught:
            running.call("f")
        assert "\n" not in str(caught.value) and caught.value.backtrace[0] == "f"

    def test_in_the_start_function(self) -> None:
        with pytest.raises(Trapped, match="unreachable"):
            start("(func $s unreachable) (start $s)")

    def test_out_of_fuel(self) -> None:
        running = start('(func (export "f") (loop br 0))', fuel=100_000)
        with pytest.raises(Trapped, match="fuel"):
            running.call("f")

    def test_an_invalid_module_is_an_error(self) -> None:
        module = read_module(wasm('(func (export "f") (result i32) (i32.const 1))'))
        module.functions[0].type = module.func_type()
        with pytest.raises(MeldError, match="refuses"):
            instantiate(module)

    @pytest.mark.parametrize("args", [(), (1, 2), ("a",), (1 << 32,), (-(1 << 31) - 1,), (1.5,)])
    def test_arguments_that_do_not_fit(self, args: tuple[object, ...]) -> None:
        with pytest.raises(MeldError, match=r"takes 1 arguments|is not an i32"):
            start('(func (export "f") (param i32))').call("f", *args)


PROGRAM = """
  (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "swap") (param f32 i64) (result i64 f32) (local.get 1) (local.get 0))
  (func (export "v") (param v128) (result v128) (local.get 0))
  (func (export "null") (result externref) (ref.null extern))
  (func (export "ref") (param externref))
  (func $inner unreachable) (func $boom (export "boom") (call $inner))
"""


class TestRun:
    """The command line."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> str:
        path = tmp_path / "program.wasm"
        path.write_bytes(wasm(PROGRAM))
        return str(path)

    @pytest.mark.parametrize(
        ("words", "out"),
        [
            ("add 0x7fffffff 1", "-2147483648\n"),
            ("add -1 4294967295", "-2\n"),
            ("swap 0.1 -5", "-5\n0.1\n"),
            ("swap 0x1.8p3 9223372036854775808", "-9223372036854775808\n12.0\n"),
            ("swap nan 1_000", "1000\nnan\n"),
            ("swap -inf 0b11", "3\n-inf\n"),
            ("swap 1e-45 0", "0\n1e-45\n"),
            ("null", "null\n"),
        ],
    )
    def test_results(self, file: str, words: str, out: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["run", file, "--invoke", *words.split()]) == 0
        assert capsys.readouterr() == (out, "")

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("add 1", "`add` takes (i32, i32), not 1 arguments"),
            ("add 1 x", "`x` is not an i32"),
            ("add 1 99999999999", "99999999999 is not an i32"),
            ("add 1 1.5", "`1.5` is not an i32"),
            ("swap 0x1p99999 1", "is not an f32"),
            ("ref 1", "cannot be given on the command line"),
            ("v 1", "cannot be given on the command line"),
            ("nope", "exported functions: `add`, `swap`"),
            ("memory", "no function is exported as `memory`"),
        ],
    )
    def test_usage(self, file: str, words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["run", file, "--invoke", *words.split()]) == 2
        out, err = capsys.readouterr()
        assert out == "" and message in err

    def test_a_trap_is_told_with_its_functions(self, file: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["run", file, "--invoke", "boom"]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.splitlines() == [
            "meldc: the program trapped: wasm `unreachable` instruction executed",
            "  in inner",
            "  in boom",
        ]

    def test_without_a_name_the_exports_are_listed(self, file: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["run", file]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[:2] == ["memory memory", "func   add (i32, i32) -> (i32)"]
        assert "func   ref ((ref null extern)) -> ()" in lines

    @pytest.mark.parametrize("name", ["_start", "run"])
    def test_without_a_name_the_entry_is_called(
        self, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "m.wasm"
        path.write_bytes(wasm(f'(func (export "{name}") (result i32) (i32.const 7))'))
        assert main(["run", str(path)]) == 0
        assert capsys.readouterr().out == "7\n"

    def test_an_import_that_nobody_provides(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "m.wasm"
        path.write_bytes(wasm('(import "wasi" "write" (func))'))
        assert main(["run", str(path)]) == 2
        assert 'nothing provides the import "wasi" "write"' in capsys.readouterr().err

    def test_components_are_fused_first(self, capsys: pytest.CaptureFixture[str]) -> None:
        example = Path(__file__).parents[2] / "examples" / "stream"
        files = [str(example / f"{name}.wat") for name in ("producer", "consumer")]
        assert main(["run", *files, "--invoke", "p_new"]) == 0
        bridged = int(capsys.readouterr().out)
        assert main(["run", *files, "--stop-after=merge", "--invoke", "p_new"]) == 0
        on_host = int(capsys.readouterr().out)
        assert bridged >> 31 & 1 == 1 and on_host == 2 << 32 | 1
