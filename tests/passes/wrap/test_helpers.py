"""Helper modules: what a pooling allocator takes answers, or traps, as the program does unfused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import wasmtime
from both import unfused
from wasmtime import component as wc
from wrapped import ENGINE, Running

from meld.driver import Options, Outcome, build
from meld.files import encode
from meld.ir import component as c
from meld.ir.component import Component
from meld.ir.module import Module
from tests.passes.merge.test_start import program

CASES = int(os.environ.get("MELD_CASES", "25"))

SEVERAL = """(component
  (core module $first (memory (export "memory") 1) (table (export "table") 2 funcref)
    (global $index (mut i32) (i32.const 1))
    (func $one (result i32) (drop (i32.load (i32.const 0))) (i32.const 1))
    (func $load (result i32) (i32.load8_u (i32.const 2)))
    (elem (i32.const 1) $one)
    (data (i32.const 0) "\\01\\02\\03\\04")
    (func (export "f") (result i32)
      (i32.add (call $load) (call_indirect (result i32) (global.get $index)))))
  (core instance $first (instantiate $first))
  (core module $second (memory (export "memory") 1) (table 3 funcref)
    (global $index (mut i32) (i32.const 2))
    (func $ten (result i32) (i32.const 10))
    (elem (i32.const 2) $ten)
    {data}
    (func (export "f") (result i32) {body}
      (i32.add (i32.add (i32.load8_u (i32.const 2)) (i32.load8_u (i32.const 9)))
        (call_indirect (result i32) (global.get $index)))))
  (core instance $second (instantiate $second))
  (core module $third (import "first" "memory" (memory 1)) (import "first" "table" (table 2 funcref))
    (data (i32.const 0) "\\07\\07\\07"))
  (core instance (instantiate $third (with "first" (instance $first))))
  (func (export "f0") (result u32) (canon lift (core func $first "f")))
  (func (export "f1") (result u32) (canon lift (core func $second "f"))))"""

INIT = "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 0))"


def component(text: str, directory: Path) -> Outcome:
    path = directory / "program.wasm"
    path.write_bytes(wasmtime.wat2wasm(text))
    return build([path], Options(wrap=True))


def modules(made: Component) -> dict[str, Module]:
    return {str(core.name): core.module for core in made.of(c.CoreModule)}


def answers(made: Component, names: list[str]) -> list[object]:
    """What the calls answer under the pooling allocator; a trap is a word."""
    try:
        running = Running(encode(made))
    except (wasmtime.WasmtimeError, wasmtime.Trap) as e:
        assert "wasm trap: out of bounds" in str(e) or "undefined element" in str(e), e
        return ["trap"]
    return [running.call(name) for name in names]


def wanted(text: str, names: list[str]) -> list[object]:
    found = unfused(bytes(wasmtime.wat2wasm(text)), tuple((name,) for name in names))
    return ["trap" if str(one).startswith("trap") else one for one in found]


def test_the_pool_takes_one_memory_a_module() -> None:
    """Shows that the engine of these tests refuses what helper modules are there to avoid."""
    with pytest.raises(wasmtime.WasmtimeError, match="memories"):
        wc.Component(ENGINE, "(component (core module $m (memory 1) (memory 1)) (core instance (instantiate $m)))")
    with pytest.raises(wasmtime.WasmtimeError, match="tables"):
        wc.Component(ENGINE, "(component (core module $m (table 1 funcref) (table 1 funcref)))")


@pytest.mark.parametrize(
    ("data", "body", "moved"),
    [
        ('(data (i32.const 0) "abc") (data (i32.const 9) "d")', "", 2),
        ('(data $d (i32.const 0) "abc") (data (i32.const 9) "d")', "(data.drop $d)", 0),
        ('(data $d (i32.const 0) "abc") (data (i32.const 2) "\\08")', INIT, 0),
        ('(data (i32.const 0) "abc") (data (i32.const 65536) "")', "", 1 + 1),
        ('(data (i32.const 0) "abc") (data (i32.const 65536) "d")', "", 1),
        ('(data (i32.const 2) "abc") (data $p "d")', "(memory.init $p (i32.const 9) (i32.const 0) (i32.const 1))", 1),
    ],
)  # fmt: skip
def test_data_go_with_their_memory(data: str, body: str, moved: int, tmp_path: Path) -> None:
    """Data that nothing can tell the moment of; what code names, what may trap and what follows it stay."""
    # two functions use the first module's memory, so that the memory of the second one moves
    text = SEVERAL.format(data=data, body=body)
    made = component(text, tmp_path).program
    found = modules(made)
    main = found.pop("main")
    assert [len(main.memories), len(main.tables)] == [1, 1]
    assert sorted(len(one.memories) + len(one.tables) for one in found.values()) == [1, 1]
    assert sum(len(one.datas) for one in found.values()) == moved
    assert answers(made, ["f0", "f1"]) == wanted(text, ["f0", "f1"])


def test_random_programs(tmp_path: Path) -> None:
    moved = 0
    for seed in range(CASES):
        text, names = program(seed)
        made = component(text, tmp_path).program
        moved += len(modules(made)) - 1
        assert answers(made, names) == wanted(text, names), f"seed {seed}\n{text}"
    assert moved > CASES // 3


def test_a_table_that_cannot_move_stays(tmp_path: Path) -> None:
    """A table that may hold no null stays, and the others move; the second one is said."""
    tables = ["funcref", "(ref func) (ref.func $f)", "(ref func) (ref.func $f)"]
    parts = []
    for number, init in enumerate(tables):
        parts.append(f"""
          (core module $m{number}
            (table 2 {init}) (func $f (result i32) (i32.const {number})) (elem declare func $f)
            (func (export "f") (result i32)
              (table.set (i32.const 1) (ref.func $f)) (call_indirect (result i32) (i32.const 1))))
          (core instance $m{number} (instantiate $m{number}))
          (func (export "f{number}") (result u32) (canon lift (core func $m{number} "f")))""")
    one = component(f"(component {''.join(parts[:2])})", tmp_path)
    main = modules(one.program)["main"]
    assert [table.init is None for table in main.tables] == [False]
    assert answers(one.program, ["f0", "f1"]) == [0, 1]
    assert not [remark for remark in one.remarks if remark.origin == "wrap"]
    both = component(f"(component {''.join(parts)})", tmp_path)
    assert "stays in the module beside another one" in str(next(r for r in both.remarks if r.origin == "wrap"))
    assert Running(encode(both.program), engine=wasmtime.Engine()).call("f2") == 2


def test_a_table_with_an_initial_value_moves(tmp_path: Path) -> None:
    """Elements say it, in front of those that write over it."""
    parts = [
        f"""(core module $m{n} (type $t (func (result i32))) (table {size} funcref (ref.func $f))
          (func $f (result i32) (i32.const {n})) (func $g (result i32) (i32.const {n + 10})) (elem (i32.const 1) $g)
          (func (export "f") (param i32) (result i32)
            (drop (table.grow (ref.null func) (i32.const 1)))
            (call_indirect (type $t) (local.get 0))))
        (core instance $m{n} (instantiate $m{n}))
        (func (export "f{n}") (param "x" u32) (result u32) (canon lift (core func $m{n} "f")))"""
        for n, size in enumerate((3, 4, 2))
    ]
    made = component(f"(component {''.join(parts)})", tmp_path)
    assert len(modules(made.program)["main"].tables) == 1
    assert not [remark for remark in made.remarks if remark.origin == "wrap"]
    running = Running(encode(made.program))
    assert [running.call(f"f{n}", at) for n in range(3) for at in (0, 1)] == [0, 10, 1, 11, 2, 12]
    assert running.call("f1", 3) == 1


def test_the_table_with_most_elements_stays(tmp_path: Path) -> None:
    """Its elements come first, where none can trap: engines make an image of a table up to those of an imported one."""
    counts = (2, 9, 4)

    def part(n: int, at: int) -> str:
        elements = "$f" + " $f" * (counts[n] - 1)
        return f"""(core module $m{n} (type $t (func (result i32))) (table {counts[n]} funcref)
          (func $f (result i32) (i32.const {n})) (elem (i32.const {at}) {elements})
          (func (export "f") (param i32) (result i32) (call_indirect (type $t) (local.get 0))))
        (core instance $m{n} (instantiate $m{n}))
        (func (export "f{n}") (param "x" u32) (result u32) (canon lift (core func $m{n} "f")))"""

    for late, first in ((0, 1), (1, 0)):  # one of them out of bounds: it traps where it did
        text = f"(component {part(0, 0)} {part(1, 0)} {part(2, late)})"
        main = modules(component(text, tmp_path).program)["main"]
        assert [table.limits.minimum for table in main.tables] == [9]
        assert main.elements[0].table is not None
        assert len(main.elements[0].entries) == (9 if first else 2)


def test_much_data_are_where_engines_map_them(tmp_path: Path) -> None:
    """A module that imports a memory has its own data copied, so it defines none then."""
    first = '(data (i32.const 0) "\\01'
    much = f'(data (i32.const 64) "{"x" * 20000}")'
    text = SEVERAL.format(data="", body="").replace(first, f"{much} {first}")
    made = component(text, tmp_path).program
    main = modules(made)["main"]
    assert not main.memories and not main.datas
    everywhere = [one.module for one in made.of(c.CoreModule)]
    assert 20000 in [len(segment.data) for one in everywhere for segment in one.datas]
    assert answers(made, ["f0", "f1"]) == wanted(text, ["f0", "f1"])
