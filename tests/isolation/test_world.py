"""The world of a program is what its composition says, whatever sections its core modules have."""

from __future__ import annotations

from pathlib import Path

import pytest
from sides import CASES, HONEST, Core, component, fused, wit_of, written
from wrapped import fuse

import meld
from meld.binary.reader import read_module
from meld.diagnostics import MeldError
from meld.files import print_text
from meld.notes.world import World
from meld.rewriting.target_features import read
from meld.text.reading.program import parse

WORLD = r"\00asm\0d\00\01\00\00\19\16wit-component-encoding\04\00\07\43\01\41\02\01\41\06\01\6f\02\77\77\01\70\00"
"""The beginning of a world that is not this program's; whoever believes it fails, or does worse."""

SECTIONS = (
    "meld:world",
    "component-type:meld",
    "component-type:world:bindings",
    "component-type",
    "meld.signature-manifest",
    "component-provenance",
    "meldwhatever",
)


def hostile(section: str, data: str = WORLD) -> str:
    return f'(component (core module $m (@custom "{section}" "{data}")) (core instance (instantiate $m)))'


def says_hi(wasm: Path) -> list[str]:
    """What the program says to the host's `log`, as a component and as the engine reads it."""
    said: list[str] = []
    component(wasm, {"log": said.append}).call("run")
    return said


@pytest.mark.skipif(not CASES.exists(), reason="the cases are not here")
def test_the_reported_case(tmp_path: Path) -> None:
    honest, evil = CASES / "world-honest.wat", CASES / "world-hostile.wat"
    made = fuse([honest, evil], tmp_path / "o.wasm")
    assert wit_of(made, tmp_path) == wit_of(honest, tmp_path)
    assert says_hi(made) == ["hi"]


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("order", [1, -1], ids=["honest-first", "hostile-first"])
def test_sections_of_inputs_are_not_believed(section: str, order: int, tmp_path: Path) -> None:
    files = written(tmp_path, honest=HONEST, hostile=hostile(section))
    made = fuse(files[::order], tmp_path / "o.wasm")
    assert wit_of(made, tmp_path) == wit_of(files[0], tmp_path)
    assert says_hi(made) == ["hi"]
    assert fused(files[::order], tmp_path / "core.wasm").returncode == 0
    alone = fused(files[:1], tmp_path / "alone.wasm")
    assert alone.returncode == 0
    for name in {section, "component-type:meld"}:
        found, wanted = (
            [bytes(s.data) for s in read_module((tmp_path / file).read_bytes()).customs if s.name == name]
            for file in ("core.wasm", "alone.wasm")
        )
        assert len(found) == len(wanted)
        assert name.startswith("component-provenance") or found == wanted


def test_nor_those_of_one_composed_component(tmp_path: Path) -> None:
    whole = f"(component (component $h {hostile('meld:world').removeprefix('(component ')} (instance (instantiate $h))"
    (file,) = written(tmp_path, whole=whole + HONEST.removeprefix("(component"))
    made = fuse([file], tmp_path / "o.wasm")
    assert wit_of(made, tmp_path) == wit_of(file, tmp_path)
    assert says_hi(made) == ["hi"]


@pytest.mark.parametrize("name", ["external_debug_info", "signature", "jwt"])
def test_what_is_said_of_one_module_is_not_said_of_the_program(name: str, tmp_path: Path) -> None:
    files = written(tmp_path, honest=HONEST, hostile=hostile(name, r"\01+\0bbulk-memory"))
    done = fused(files, tmp_path / "o.wasm")
    assert f"`{name}`" in done.stderr
    assert name not in [s.name for s in read_module((tmp_path / "o.wasm").read_bytes()).customs]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (r"\01+\0bbulk-memory", ["bulk-memory", "multimemory"]),
        (r"\02+\07simd128=\08sign-ext", ["multimemory", "sign-ext", "simd128"]),
        (r"\02+\0bmultimemory-\07atomics", None),
    ],
)
def test_features_are_merged_and_extended(said: str, found: list[str] | None, tmp_path: Path) -> None:
    """What one input uses the program uses, and what was generated for it; who says nothing is looked through."""
    files = written(tmp_path, honest=HONEST, hostile=hostile("target_features", said))
    done = fused(files, tmp_path / "o.wasm")
    (section,) = [s for s in read_module((tmp_path / "o.wasm").read_bytes()).customs if s.name == "target_features"]
    names = [name for _, name in read(section.data)]
    assert names == sorted(names)
    if found is None:
        assert "malformed" in done.stderr or "inputs disallow `atomics`" in done.stderr
    else:
        assert set(found) - {"multimemory"} <= set(names)


def test_a_dump_keeps_the_world(tmp_path: Path) -> None:
    """A program that is written out before `wrap` and read again is wrapped as it would have been."""
    (file,) = written(tmp_path, honest=HONEST)
    module = meld.compile([file])
    again = parse(print_text(module), "dump.wat")
    assert [w.data for w in again.notes_of(World)] == [w.data for w in module.notes_of(World)]
    dump = tmp_path / "dump.wat"
    dump.write_text(print_text(meld.compile([file], passes="merge,finish")))
    done = fused([dump], tmp_path / "o.wasm", "--passes=wrap")
    assert done.returncode == 0 and "resumed as a dump" in done.stderr
    assert wit_of(tmp_path / "o.wasm", tmp_path) == wit_of(file, tmp_path)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ('(param "s" (list (tuple u64 u64)))', "another type for the import"),
        ('(param "s" (list u8))', "another type for the import"),
        ('(param "t" string)', "another type for the import"),
    ],
)
def test_wrap_checks_what_it_writes(declared: str, message: str, tmp_path: Path) -> None:
    """The world of a module against what its functions expect: core types do not tell a string from a list."""
    types = "(type $t (tuple u64 u64)) (type $l (list $t)) (type $b (list u8))"
    param = declared.replace("(list (tuple u64 u64))", "$l").replace("(list u8)", "$b")
    other = HONEST.replace("(component\n", f"(component\n{types}\n").replace('(param "s" string)', param)
    honest, wrong = written(tmp_path, honest=HONEST, wrong=other)
    module = meld.compile([honest], passes="merge,finish")
    module.notes_of(World)[0].data = (
        meld.compile([wrong], passes="merge,handle-tables,adapter-wiring,finish").notes_of(World)[0].data
    )
    from meld.passes.base import PassContext
    from meld.passes.wrap import Wrap

    with pytest.raises(MeldError, match=message):
        Wrap().run(module, PassContext("wrap"))


def test_wrap_checks_exports_and_resources(tmp_path: Path) -> None:
    """Results, and handles: each declared resource means one resource of the program."""
    text = """(component
      (import "a" (type $a (sub resource))) (import "b" (type $b (sub resource)))
      (core module $m (func (export "f") (param i32 i32)) (func (export "g") (result i32) (i32.const 0)))
      (core instance $i (instantiate $m))
      (type $oa (own $a)) (type $ob (own $b))
      (func (export "f") (param "x" $oa) (param "y" $oX) (canon lift (core func $i "f")))
      (func (export "g") (result u32) (canon lift (core func $i "g"))))"""
    right, mixed, signed = written(
        tmp_path,
        right=text.replace("$oX", "$ob"),
        mixed=text.replace("$oX", "$oa"),
        signed=text.replace("$oX", "$ob").replace("(result u32)", "(result s32)"),
    )
    from meld.passes.base import PassContext
    from meld.passes.wrap import Wrap

    for wrong, message in ((mixed, "the export `f`"), (signed, "the export `g`")):
        module = meld.compile([right], passes="merge,handle-tables,adapter-wiring,finish")
        module.notes_of(World)[0].data = (
            meld.compile([wrong], passes="merge,handle-tables,adapter-wiring,finish").notes_of(World)[0].data
        )
        with pytest.raises(MeldError, match=message):
            Wrap().run(module, PassContext("wrap"))
    assert fuse([right], tmp_path / "o.wasm").exists()


def test_the_core_module_still_suits_the_tools(tmp_path: Path) -> None:
    files = written(tmp_path, honest=HONEST, hostile=hostile("component-type:meld"))
    assert fused(files, tmp_path / "o.wasm").returncode == 0
    said: list[str] = []
    core = Core(tmp_path / "o.wasm", {("$root", "log"): lambda host, at, n: said.append(host.text("memory", at, n))})
    core.call("run")
    assert said == ["hi"]
