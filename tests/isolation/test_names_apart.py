"""A core module has no two imports of one name with different meanings, and the manifest says how each is served."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sides import CASES, HONEST, Core, component, fused, manifest, written

from meld.binary.reader import read_module


def saying(name: str, text: str, options: str = "", at: int = 16) -> str:
    """A component that says a text to the host's `log`, from a memory of its own."""
    bytes_ = "".join(f"\\{b:02x}" for b in text.encode("utf-16-le" if "utf16" in options else "utf-8"))
    return f"""(component
      (import "log" (func $log (param "s" string)))
      (core module $mem (memory (export "memory") 1) (data (i32.const {at}) "{bytes_}")
        (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
      (core instance $mem (instantiate $mem))
      (core func $log' (canon lower (func $log) (memory $mem "memory") {options}))
      (core module $m (import "" "log" (func $log (param i32 i32)))
        (func (export "f") (call $log (i32.const {at}) (i32.const {len(text)}))))
      (core instance $i (instantiate $m (with "" (instance (export "log" (func $log'))))))
      (func (export "{name}") (canon lift (core func $i "f"))))"""


class Serving:
    """A host that goes by the manifest."""

    def __init__(self, inputs: list[Path], folder: Path) -> None:
        self.rows = manifest(inputs, folder)["imports"]
        self.said: list[str] = []
        hosts = {(row["module"], row["name"]): self._serve(row) for row in self.rows}
        self.core = Core(folder / "manifested.wasm", hosts)

    def _serve(self, row: dict[str, Any]) -> Any:
        def log(host: Core, at: int, size: int) -> None:
            wide = row["encoding"] == "utf16"
            memory = host.exports[row["memory"]]
            self.said.append(
                bytes(memory.read(host.store, at, at + size * (1 + wide))).decode("utf-16-le" if wide else "utf-8")
            )

        assert row["function"] == "log"
        return log


@pytest.mark.skipif(not CASES.exists(), reason="the cases are not here")
def test_the_reported_case(tmp_path: Path) -> None:
    inputs = [CASES / "two-lowers-honest.wat", CASES / "two-lowers-hostile.wat"]
    host = Serving(inputs, tmp_path)
    host.core.call("run")
    host.core.call("evil")
    assert host.said == ["hi", "." * 14]
    # a host that goes by names alone refuses the module; it does not read the honest memory for the hostile call
    done = fused(inputs, tmp_path / "o.wasm")
    assert done.returncode == 0 and "`two-lowers-hostile/log`" in done.stderr
    with pytest.raises(KeyError):
        Core(tmp_path / "o.wasm", {("$root", "log"): lambda *_: None})


@pytest.mark.parametrize(
    "parties",
    [
        {"b": saying("b", "from b")},
        {"b": saying("b", "from b"), "c": saying("c", "from c")},
        {"b": saying("b", "weit", "string-encoding=utf16")},
        {"b": saying("b", "from b", '(realloc (func $mem "r"))')},
    ],
    ids=["memory", "three", "encoding", "realloc"],
)
@pytest.mark.parametrize("order", [1, -1], ids=["honest-first", "honest-last"])
def test_told_apart(parties: dict[str, str], order: int, tmp_path: Path) -> None:
    inputs = written(tmp_path, honest=HONEST, **parties)[::order]
    host = Serving(inputs, tmp_path)
    names = Counter(host.core.names)
    assert max(names.values()) == 1 and len(names) == 1 + len(parties)
    for name in ("run", *parties):
        host.core.call(name)
    texts = {"b": "weit" if "utf16" in parties["b"] else "from b", "c": "from c"}
    assert host.said == ["hi", *(texts[name] for name in parties)]
    # what keeps the plain name goes by the plain names of the memory and the allocator
    for row in host.rows:
        if row["name"] == "log":
            assert (row["memory"], row["encoding"]) == ("memory", "utf8") and row["realloc"] in (None, "cabi_realloc")
        else:
            assert row["name"].endswith("/log")


def test_the_module_itself_says_it_too(tmp_path: Path) -> None:
    import json

    inputs = written(tmp_path, honest=HONEST, b=saying("b", "from b"))
    assert fused(inputs, tmp_path / "o.wasm").returncode == 0
    module = read_module((tmp_path / "o.wasm").read_bytes())
    (section,) = [bytes(s.data) for s in module.customs if s.name == "meld.signature-manifest"]
    (row,) = json.loads(section)["imports"]
    assert (row["name"], row["function"], row["memory"]) == ("b/log", "log", "b/memory")
    assert fused(inputs[:1], tmp_path / "alone.wasm").returncode == 0
    module = read_module((tmp_path / "alone.wasm").read_bytes())
    (section,) = [bytes(s.data) for s in module.customs if s.name == "meld.signature-manifest"]
    assert "imports" not in json.loads(section)


def test_one_meaning_is_one_import(tmp_path: Path) -> None:
    number = """(component (import "n" (func $n (result u32))) (core func $l (canon lower (func $n)))
      (core module $m (import "" "n" (func $n (result i32))) (func (export "f") (result i32) (call $n)))
      (core instance $i (instantiate $m (with "" (instance (export "n" (func $l))))))
      (func (export "NAME") (result u32) (canon lift (core func $i "f"))))"""
    inputs = written(tmp_path, a=number.replace("NAME", "a"), b=number.replace("NAME", "b"))
    assert fused(inputs, tmp_path / "o.wasm").returncode == 0
    core = Core(tmp_path / "o.wasm", {("$root", "n"): lambda host: 5})
    assert (core.names, core.call("a"), core.call("b")) == ([("$root", "n")], 5, 5)


@pytest.mark.parametrize("passes", [None, "link,merge,handle-tables,adapter-wiring,finish,finish"])
def test_as_a_component_the_engine_knows(passes: str | None, tmp_path: Path) -> None:
    inputs = written(tmp_path, honest=HONEST, b=saying("b", "weit", "string-encoding=utf16"), c=saying("c", "from c"))
    more = [f"--passes={passes}"] if passes else []
    done = fused(inputs, tmp_path / "o.wasm", "--emit=component", *more)
    assert done.returncode == 0, done.stderr
    said: list[str] = []
    running = component(tmp_path / "o.wasm", {"log": said.append})
    for name in ("run", "b", "c"):
        running.call(name)
    assert said == ["hi", "weit", "from c"]
