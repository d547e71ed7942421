"""What engines and the JavaScript API take of a module: an error with the number, who has the most, and a way out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from smith import WASM_TOOLS
from wrapped import meldc, tool

import meld
from meld.binary import limits
from meld.binary.limits import COUNTS, check_counts, check_size, check_tables
from meld.diagnostics import MeldError
from meld.ir.module import Export, Function, Global, Memory, Module, Table
from meld.ir.notes import Instance
from meld.ir.types import FUNCREF, I32, FuncType, Limits, RecGroup, TypeDef
from meld.runtime.instantiate import instantiate

FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures"


def instances(count: int, what: str) -> str:
    """So many instances of a component with a core module that has `what`, and an export of each."""
    made = "\n".join(f'(instance $i{n} (instantiate $c)) (export "f{n}" (func $i{n} "f"))' for n in range(count))
    return f"""(component
  (component $c
    (core module $m {what} (func (export "f") (result i32) (i32.load8_u (i32.const 0))))
    (core instance $i (instantiate $m))
    (func (export "f") (result u32) (canon lift (core func $i "f"))))
  {made})"""


def test_150_components_with_memories(tmp_path: Path) -> None:
    path, out = tmp_path / "many.wat", tmp_path / "o.wasm"
    path.write_text(instances(150, "(memory 1)"))
    done = meldc(path, "-o", out)
    assert done.returncode == 2 and not out.exists()
    assert "the module has 150 memories; engines take 100 at most: 1 of `i0`, 1 of `i1`, 1 of `i2`" in done.stderr
    assert "--target=wasm2" in done.stderr
    done = meldc(path, "--target=wasm2", "-q", "-o", out)
    assert done.returncode == 0, done.stderr
    tool("validate", "--features=wasm2", out)


def test_150_components_with_tables(tmp_path: Path) -> None:
    path, out = tmp_path / "many.wat", tmp_path / "o.wasm"
    call = '(type $t (func)) (table 2 2 funcref) (memory 1) (func (export "g") (call_indirect (type $t) (i32.const 1)))'
    path.write_text(
        instances(150, call).replace(
            '(canon lift (core func $i "f")))',
            '(canon lift (core func $i "f"))) (func (export "g") (canon lift (core func $i "g")))',
        )
        + ""
    )
    text = path.read_text()
    exports = "\n".join(f'(export "g{n}" (func $i{n} "g"))' for n in range(150))
    path.write_text(text.removesuffix(")") + exports + ")")
    done = meldc(path, "-o", out)
    assert done.returncode == 2 and not out.exists()
    done = meldc(path, "--target=lime1", "-q", "-o", out)
    assert done.returncode == 0, done.stderr
    tool("validate", "--features=lime1", out)


@pytest.mark.parametrize("kind", [kind for kind in COUNTS if kind not in ("elements", "datas", "tags")])
def test_counts(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind: up to the limit, and one more. The limits themselves are those of engines; here they are 3."""
    monkeypatch.setitem(limits.COUNTS, kind, 3)
    module = filled(kind, 3)
    check_counts(module)
    with pytest.raises(MeldError, match=f"the module has 4 {kind}; engines take 3 at most") as e:
        check_counts(filled(kind, 4))
    assert e.value.hint == limits.WAYS_OUT[kind]
    alone = filled(kind, 4)
    alone.facts.clear()
    with pytest.raises(MeldError) as e_alone:
        check_counts(alone)
    assert "split it into several modules" in str(e_alone.value.hint)
    if kind not in ("types", "imports"):
        assert "3 of `big`, 1 of `small`" in e.value.message


def filled(kind: str, count: int) -> Module:
    t = TypeDef(FuncType())
    module = Module(types=[RecGroup([t])], facts=["merged"])
    big, small = Instance(name="big"), Instance(name="small")
    for n in range(count):
        owner = small if n == 0 else big
        match kind:
            case "types":
                module.types = [RecGroup([TypeDef(FuncType())]) for _ in range(count)]
            case "functions" | "imports":
                module.functions.append(Function(t, owner=owner))
            case "exports":
                module.exports.append(Export(f"e{n}", Function(t, owner=owner)))
            case "globals":
                module.globals.append(Global(I32, owner=owner))
            case "tables":
                module.tables.append(Table(FUNCREF, Limits(0), owner=owner))
            case "memories":
                module.memories.append(Memory(Limits(0), owner=owner))
    if kind == "imports":
        module.imports, module.functions = list(module.functions), []
    return module


def test_the_ways_out_lead_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two components with 15 functions each, where a module may have 20: one may be left out, or its exports may."""
    chain = "".join(f"(func $f{n} (result i32) (call $f{n + 1}))" for n in range(14))
    inputs = []
    for name in ("a", "b"):
        path = tmp_path / f"{name}.wat"
        path.write_text(
            f"""(component (core module $m {chain} (func $f14 (result i32) (i32.const 7)) (export "f" (func $f0)))
              (core instance $i (instantiate $m))
              (func (export "{name}") (result u32) (canon lift (core func $i "f"))))"""
        )
        inputs.append(path)
    monkeypatch.setitem(limits.COUNTS, "functions", 20)
    with pytest.raises(MeldError, match="functions; engines take 20 at most: ") as e:
        check_counts(meld.compile(inputs))
    assert e.value.hint == limits.WAYS_OUT["functions"]
    for fewer, dropped in ((inputs, ["b"]), (inputs[:1], [])):
        module = meld.compile(fewer, drop_exports=dropped)
        check_counts(module)
        assert instantiate(meld.encode(module)).call("a") == 7


def test_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    check_tables(Module(tables=[Table(FUNCREF, Limits(limits.MAX_TABLE))]))
    check_counts(Module(tables=[Table(FUNCREF, Limits(2**32 - 1))]))  # valid, and only a product is for an engine
    with pytest.raises(MeldError, match="10000001 elements at first"):
        check_tables(Module(tables=[Table(FUNCREF, Limits(limits.MAX_TABLE + 1), name="t")]))
    monkeypatch.setattr(limits, "MAX_MODULE", 10)
    check_size([b"12345", b"12345"])
    with pytest.raises(MeldError, match="the module takes 11 bytes; engines take 10 at most") as e:
        check_size([b"12345", b"123456"])
    assert "provenance" in str(e.value.hint)


@pytest.mark.skipif("MELD_LARGE" not in os.environ, reason="takes minutes: MELD_LARGE=1")
@pytest.mark.parametrize(("count", "code"), [(1_000_000, 0), (1_000_001, 2)])
def test_a_million_functions(count: int, code: int, tmp_path: Path) -> None:
    """Each is exported from a table, so that none is dead."""
    source, out = tmp_path / "m.wasm", tmp_path / "o.wasm"
    names = " ".join(["$f"] * 2)
    path = tmp_path / "m.wat"
    calls = "(func)" * (count - 1)
    path.write_text(f"(module (func $f) {calls} (table 2 2 funcref) (elem (i32.const 0) func {names}))")
    tool("parse", path, "-o", source)
    done = meldc(source, "--passes=", "-o", out)
    assert done.returncode == code, done.stderr
    assert WASM_TOOLS


@pytest.mark.skipif("MELD_LARGE" not in os.environ or not FIXTURES.exists(), reason="takes minutes: MELD_LARGE=1")
def test_22_copies_of_quickjs(tmp_path: Path) -> None:
    inputs = []
    for n in range(22):
        path = tmp_path / f"q{n}.wasm"
        path.write_bytes((FIXTURES / "greet" / "qjsprov.wasm").read_bytes())
        inputs.append(path)
    out = tmp_path / "o.wasm"
    done = meldc(*inputs, "--provenance=compact", "-o", out)
    assert done.returncode == 0, done.stderr
    assert "116732 data segments became 100000" in done.stderr
    tool("validate", "--features=all", out)
