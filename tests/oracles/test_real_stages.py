"""Real components after each pass: what stands there is valid, and answers as the composition does.

What is pending is supplied by the host in Python. Programs with WASI imports are only validated on the way: nothing
here serves WASI to a core module.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from smith import wasm_tools
from wrapped import ROOT

import meld
from meld.driver import Options, build
from meld.ir.module import Module
from meld.passes.base import Program
from meld.passmanager import Observer, Ran
from meld.runtime.instantiate import instantiate
from meld.runtime.typed import call
from meld.runtime.wave import split_call
from meld.text.reading.program import parse
from tests.oracles.test_five_components import Five, five
from tests.passes.wrap.test_wrap import MANIFEST, files

__all__ = ["five"]

FIXTURES = ROOT / "../shared/fixtures"
LARGE = 1 << 20
"""Bytes of inputs beyond which a program is tried only with ``MELD_LARGE``: its text takes minutes."""


def answers(module: Module, calls: list[str]) -> list[Any]:
    running = instantiate(module)
    return [call(running, split_call(text)) for text in calls]


def after_each_pass(inputs: list[Path], want: dict[str, str], tmp_path: Path, wrap: bool) -> None:
    names = []

    class Stages(Observer):
        def after(self, ran: Ran, program: Program) -> None:
            names.append(ran.step.name)
            text = meld.print_text(program)
            wasm_tools("validate", "--features=all", data=text.encode())
            if isinstance(program, Module) and want and not wrap:
                again = parse(text, ran.step.name)
                assert isinstance(again, Module)
                assert dict(zip(want, answers(again, list(want)), strict=True)) == want, ran.step.name

    build(inputs, Options(observers=[Stages()], wrap=wrap))
    assert names[:2] == ["link", "merge"] or names[0] == "merge"
    assert names[-1] == ("wrap" if wrap else "finish")


CASES = [
    pytest.param(case, form, id=f"{case['case']}-{case['variant']}-{form}")
    for case in MANIFEST
    for form in ("parts", "composed")
    if not case["async"] and files(case, form) and all(path.exists() for path in files(case, form))
]


@pytest.mark.skipif(not FIXTURES.exists(), reason="the fixtures are not here")
@pytest.mark.parametrize("wrap", [False, True], ids=["module", "component"])
@pytest.mark.parametrize(("case", "form"), CASES)
def test_fixtures(case: dict[str, Any], form: str, wrap: bool, tmp_path: Path) -> None:
    inputs = files(case, form)
    large = sum(path.stat().st_size for path in inputs) > LARGE
    often = form == "parts" and not large and (not wrap or case["case"] in ("greet", "cli"))
    if not often and "MELD_LARGE" not in os.environ:
        pytest.skip("takes long; MELD_LARGE=1 tries it")
    want = {} if "stdout" in case["expected"] else case["expected"]
    after_each_pass(inputs, want, tmp_path, wrap)


@pytest.mark.parametrize("form", ["parts", "composed"])
def test_five_components(five: Five, form: str, tmp_path: Path) -> None:
    inputs = five.parts if form == "parts" else [five.composed]
    want = {"run(1)": '"ab.ab.*.ab*.few.6.ab*.1.1.0.ab.ab.*.ab*.ab*.ab*.1.1.0."'}
    after_each_pass(inputs, want, tmp_path, False)
