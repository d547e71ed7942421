"""Whether two components have the same world, by our rules of subtyping."""

from __future__ import annotations

from pathlib import Path

import wasmtime
from wrapped import tool

from meld.driver import Options, build
from meld.files import decode, encode
from meld.ir.component import Component, NestedComponent
from meld.validity.components import Validator
from meld.validity.core_items import Mismatch
from meld.validity.subtyping import Fitting


def difference(*programs: bytes) -> str | None:
    """Why one of two components cannot stand for the other, either way; None if their types are equal."""
    nested = []
    for data in programs:
        component = decode(data, "component")
        assert isinstance(component, Component)
        nested.append(NestedComponent(component))
    validator = Validator()
    validator.component(Component(list(nested)))
    one, other = (validator.meaning[item] for item in nested)
    for given, wanted in ((one, other), (other, one)):
        try:
            Fitting(validator.known).type(given, wanted)
        except Mismatch as e:
            return str(e)
    return None


def same_world(program: str, folder: Path) -> Path:
    """The product of a component in a folder, fused and wrapped: it is valid, and of the same world."""
    source, made = folder / "program.wasm", folder / "made.wasm"
    source.write_bytes(wasmtime.wat2wasm(program))
    made.write_bytes(encode(build([source], Options(wrap=True)).program))
    tool("validate", "--features=all", made)
    assert difference(source.read_bytes(), made.read_bytes()) is None
    return made


def inside(text: str, head: str = "(component") -> str:
    """What stands between the parentheses of a component or module, after its head."""
    _, _, rest = text.partition(head)
    return rest.rstrip().removesuffix(")")
