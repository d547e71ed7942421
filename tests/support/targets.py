"""Products for a target: compiled, and judged by `wasm-tools validate --features`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smith import WASM_TOOLS

from meld.driver import Options, build
from meld.files import encode
from meld.ir.module import Module

NARROW = ("wasm1", "lime1", "wasm2")
_NAMED = re.compile(r"`([\w-]+)` by ")


def features_named(remarks: Sequence[Any]) -> list[str]:
    """The features that the inputs need, as the remark of `fit-target` names them."""
    said = [str(remark.message) for remark in remarks if remark.origin == "fit-target"]
    return [name for text in said for name in _NAMED.findall(text)]


def valid(wasm: bytes, target: str, also: Sequence[str] = ()) -> str:
    """What `wasm-tools` says against a module under a target and further features; empty if nothing."""
    features = ",".join([target, *also])
    done = subprocess.run([WASM_TOOLS, "validate", f"--features={features}", "-"], input=wasm, capture_output=True)
    return done.stderr.decode() if done.returncode else ""


def product(paths: Sequence[Path], target: str, **more: Any) -> tuple[Module, list[str]]:
    """The core module for a target, valid under it and the features that a remark names, and these."""
    outcome = build([str(path) for path in paths], Options(target=target, **more))
    wasm, named = encode(outcome.program), features_named(outcome.remarks)
    assert not valid(wasm, target, named), (target, named, valid(wasm, target, named))
    assert isinstance(outcome.program, Module)
    return outcome.program, named
