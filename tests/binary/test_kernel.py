"""The kernel and the Python path: the same uses, the same bytes, on random modules and whatever is renumbered.

``MELD_SEEDS=1000`` makes 5,000 modules.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from smith import MIXES, SEEDS, smith

import meld
import meld.support.ahead
from meld.binary.bodies import EncodedBody
from meld.binary.reader import read_module
from meld.binary.writer import write_module
from meld.diagnostics import MeldError
from meld.ir.instructions import Code
from meld.ir.module import Function, Memory, Module
from meld.ir.types import FuncType, Limits, RecGroup, TypeDef

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT.parent / "shared" / "fixtures"
LARGE = Path(os.environ.get("MELD_INPUTS", ROOT / ".bench" / "large"))


def both(monkeypatch: pytest.MonkeyPatch, data: bytes, change: int) -> list[bytes]:
    """What is written by the kernel, and by Python, after a random change of the module."""
    written = []
    for mode in ("on", "off"):
        monkeypatch.setenv("MELDC_KERNEL", mode)
        module = read_module(data)
        shift(module, random.Random(change))
        written.append(write_module(module))
    return written


def shift(module: Module, chosen: random.Random) -> None:
    """Moves indices: what nothing needs comes in front or between; some bodies are decoded."""
    front = chosen.choice((0, 1, 70, 140))
    module.types[:0] = [RecGroup([TypeDef(FuncType())]) for _ in range(front)]
    plain = module.func_type()
    at = chosen.randrange(len(module.functions) + 1)
    made = [Function(plain, Code()) for _ in range(chosen.choice((0, 1, 130, 17_000)))]
    module.functions[at:at] = made
    if not any(isinstance(item, Memory) for item in module.imports):
        module.memories[:0] = [Memory(Limits(0)) for _ in range(chosen.choice((0, 1, 128)))]
    for function in chosen.sample(module.functions, min(3, len(module.functions))):
        if function.body is not None and chosen.random() < 0.5:
            assert function.code  # decoded: written one by one, between those that are not


def test_without_a_thread_the_kernel_runs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoThread:
        def __init__(self, target: object) -> None:
            pass

        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    data = next(found for seed in SEEDS if (found := smith(seed)) is not None)
    expected = both(monkeypatch, data, 7)
    monkeypatch.setattr(meld.support.ahead, "Thread", NoThread)
    assert both(monkeypatch, data, 7) == expected


@pytest.mark.parametrize("mix", MIXES)
def test_kernel_and_python_agree(mix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in SEEDS:
        data = smith(seed, mix)
        if data is None:
            continue
        kernel, python = both(monkeypatch, data, seed)
        assert kernel == python, f"{mix} {seed}"


@pytest.mark.parametrize("mix", MIXES)
def test_kernel_and_python_find_the_same_uses(mix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in SEEDS:
        data = smith(seed, mix)
        if data is None:
            continue
        found = []
        for mode in ("on", "off"):
            monkeypatch.setenv("MELDC_KERNEL", mode)
            bodies = [f.body for f in read_module(data).functions]
            found.append([sorted(body.entries()) for body in bodies if isinstance(body, EncodedBody)])
        assert found[0] == found[1], f"{mix} {seed}"


PROGRAMS = {
    "greet, C and QuickJS": ("greet/cons.wasm", "greet/qjsprov.wasm"),
    "shop": ("shop/consumer.wasm", "shop/provider.wasm"),
    "redact": ("arcjet-redact/redact-composed.wasm",),
}


@pytest.mark.skipif(not FIXTURES.exists(), reason="needs ../shared")
@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_come_out_the_same(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    same_products([FIXTURES / name for name in PROGRAMS[program]], monkeypatch)


@pytest.mark.skipif(not LARGE.exists(), reason="the large programs are built by benchmarks/inputs.py")
@pytest.mark.skipif(max(SEEDS) < 100, reason="takes a minute: MELD_SEEDS=101")
@pytest.mark.parametrize("language", ["js", "py"])
def test_large_programs_come_out_the_same(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    same_products([LARGE / f"{language}-{role}.wasm" for role in ("consumer", "provider")], monkeypatch)


def same_products(inputs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    products = []
    for mode in ("on", "off"):
        monkeypatch.setenv("MELDC_KERNEL", mode)
        products.append(meld.encode(meld.compile(inputs)))
    assert products[0] == products[1]


def test_what_is_malformed_is_refused_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the kernel traps on, Python says why; what Python refuses, the kernel does not let pass."""
    data = next(data for seed in range(20) if (data := smith(seed, "all")) is not None and len(data) > 400)
    chosen = random.Random(0)
    refused = 0
    for _ in range(400):
        mutated = bytearray(data)
        mutated[chosen.randrange(8, len(mutated))] = chosen.randrange(256)
        outcomes = []
        for mode in ("on", "off"):
            monkeypatch.setenv("MELDC_KERNEL", mode)
            try:
                outcomes.append(write_module(read_module(bytes(mutated))))
            except MeldError as e:
                outcomes.append(str(e).encode())
        assert outcomes[0] == outcomes[1]
        refused += outcomes[0][:4] != b"\0asm"
    assert refused > 60
