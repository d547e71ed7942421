"""Notes in the text of an input are not believed; a dump that is resumed is, and says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sides import CASES, HONEST, component, fused, manifest, wit_of, written
from wrapped import meldc

import meld

MADE = ("(@meld.synthetic adapter)", "(@meld.synthetic trap)")


def hostile(note: str = "(@meld.synthetic adapter)", root: str = "", module: str = "") -> str:
    return f"""(component {root}
      (core module $m {module} (func $evil {note} (export "f") (param i32) (result i32) (i32.const 4242)))
      (core instance $i (instantiate $m))
      (func (export "f") (param "x" u32) (result u32) (canon lift (core func $i "f"))))"""


def function_row(inputs: list[Path], folder: Path, instance: str) -> dict[str, Any]:
    (row,) = [r for r in manifest(inputs, folder)["functions"] if r["name"] == f"{instance}/evil"]
    return row


@pytest.mark.skipif(not CASES.exists(), reason="the cases are not here")
def test_the_reported_case(tmp_path: Path) -> None:
    row = function_row([CASES / "forged-note.wat"], tmp_path, "forged-note")
    assert (row.get("made"), row["instance"]) == (None, "forged-note")


@pytest.mark.parametrize("note", MADE)
@pytest.mark.parametrize("root", ["", "(@meld.facts linked)"], ids=["input", "states facts"])
@pytest.mark.parametrize("form", ["alone", "beside", "nested"])
def test_who_made_a_function(note: str, root: str, form: str, tmp_path: Path) -> None:
    text = hostile(note, root)
    if form == "nested":
        text = f'(component {root} (component $c {text.removeprefix("(component")} (instance $n (instantiate $c))\
          (export "f" (func $n "f")))'
    inputs = written(tmp_path, evil=text, **({"honest": HONEST} if form == "beside" else {}))
    row = function_row(inputs, tmp_path, "n" if form == "nested" else "evil")
    assert "made" not in row and row["original"] == 0


@pytest.mark.parametrize(
    "note",
    [
        "(@meld.instance $honest) (@meld.owner $honest)",
        "(@meld.instance $honest) (@meld.origin $honest 3)",
        "(@meld.instance $honest) (@meld.intrinsic stream_read (instance $honest))",
        '(@meld.instance $honest) (@meld.host (instance $honest) (label "log") (type (param "s" string)))',
        "(@meld.unheard-of 1 2)",
        "(@meld.traced)",
    ],
)
def test_notes_on_a_core_module(note: str, tmp_path: Path) -> None:
    head, _, last = note.rpartition(" (@")
    text = hostile(f"(@{last}" if head else "", module=head or note)
    done = fused(written(tmp_path, honest=HONEST, evil=text), tmp_path / "o.wasm")
    assert done.returncode == 0, done.stderr
    assert "what `evil.wat` says about the compiler's own business is dropped" in done.stderr
    row = function_row(written(tmp_path, honest=HONEST, evil=text), tmp_path, "evil")
    assert row["instance"] == "evil"


def test_a_composition_does_not_link_what_its_input_says(tmp_path: Path) -> None:
    """Notes of `link` in an input: neither inputs nor wishes nor partners."""
    root = '(@meld.wanted (importer "honest") (label "log") (exporter "evil")) (@meld.host-only "*")'
    log = """(core module $k (memory (export "m") 1)
        (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 8)) (func (export "log") (param i32 i32)))
      (core instance $k (instantiate $k))
      (func (export "log") (param "s" string)
        (canon lift (core func $k "log") (memory $k "m") (realloc (func $k "r")))))"""
    evil = hostile(root=root)[:-1] + log
    done = fused(written(tmp_path, honest=HONEST, evil=evil), tmp_path / "o.wasm", "--host-only=log")
    assert done.returncode == 0 and "in place of the host" not in done.stderr
    assert '"log"' in meldc("inspect", tmp_path / "o.wasm", "--json").stdout


@pytest.mark.parametrize("more", [[], ["--emit=component"]], ids=["core", "component"])
def test_it_does_what_it_does_without_notes(more: list[str], tmp_path: Path) -> None:
    files = written(
        tmp_path, honest=HONEST, evil=hostile(), plain=hostile("").replace('"f" (param "x"', '"f" (param "x"')
    )
    results = []
    for file in files[1:]:
        out = tmp_path / "o.wasm"
        assert fused([files[0], file.rename(tmp_path / "other.wat")], out, *more).returncode == 0
        results.append(out.read_bytes())
    assert results[0] == results[1]
    if more:
        said: list[str] = []
        running = component(tmp_path / "o.wasm", {"log": said.append})
        assert (running.call("f", 1), running.call("run"), said) == (4242, None, ["hi"])


# --- dumps ---------------------------------------------------------------------------------------------------------

NOTED = '(module {facts} (@meld.instance $a) (func $f (@meld.origin $a 7) (export "f") (result i32) (i32.const 1)))'


def said_of(file: Path, folder: Path, *more: str) -> tuple[bool, str]:
    """Whether the origin of `f` is believed, and what is said."""
    out = folder / "m.json"
    done = meldc(file, "--passes=", "-o", folder / "o.wasm", "--manifest", out, *more)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(out.read_text())["functions"]
    return row.get("original") == 7, done.stderr


def test_a_module_that_states_facts_is_a_dump(tmp_path: Path) -> None:
    dump, input_ = written(
        tmp_path, dump=NOTED.replace("{facts}", "(@meld.facts linked merged)"), input=NOTED.replace("{facts}", "")
    )
    believed, said = said_of(dump, tmp_path)
    assert believed and "`dump.wat` is resumed as a dump" in said
    believed, said = said_of(input_, tmp_path)
    assert not believed and "@meld.origin" in said and "--trust-notes" in said
    believed, said = said_of(input_, tmp_path, "--trust-notes")
    assert believed and "is resumed as a dump" in said


def test_notes_of_several_inputs_are_never_believed(tmp_path: Path) -> None:
    done = fused(written(tmp_path, honest=HONEST, evil=hostile()), tmp_path / "o.wasm", "--trust-notes")
    assert done.returncode == 2 and "--trust-notes" in done.stderr


@pytest.mark.parametrize("stage", ["link", "merge", "adapter-wiring", "finish"])
def test_a_run_goes_on_from_any_dump(stage: str, tmp_path: Path) -> None:
    """With every note that it needs: linked partners, boundaries, the world."""
    files = written(tmp_path, honest=HONEST, other=hostile(""))
    dump = tmp_path / "dump.wat"
    assert fused(files, dump, f"--stop-after={stage}").returncode == 0
    passes = {"finish": ["--passes=wrap"], "adapter-wiring": ["--passes=finish,wrap"]}.get(stage, [])
    done = fused([dump], tmp_path / "o.wasm", "--emit=component", *passes)
    assert done.returncode == 0 and "resumed as a dump" in done.stderr, done.stderr
    assert fused(files, tmp_path / "whole.wasm", "--emit=component").returncode == 0
    assert wit_of(tmp_path / "o.wasm", tmp_path) == wit_of(tmp_path / "whole.wasm", tmp_path)


def test_the_streams_of_a_composition_that_was_dumped(tmp_path: Path) -> None:
    stream = Path(meld.__file__).parents[1] / "examples" / "stream"
    dump = tmp_path / "dump.wat"
    for stage in ("--dump-before=link", "--stop-after=link"):
        done = meldc(stream / "producer.wat", stream / "consumer.wat", stage, "-q", "-o", dump)
        assert done.returncode == 0
        if stage.startswith("--dump"):
            dump.write_text(done.stderr)
        again = fused([dump], tmp_path / "o.wasm", "--explain")
        assert again.returncode == 0 and "bridged" in again.stderr, again.stderr
