"""`--optimize`: Binaryen's `wasm-opt` on the product, with the features that it has, and the names kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meld.ir.module import Module
    from meld.passes.base import Program

TOOL = "wasm-opt"

ALWAYS = (
    "mutable-globals",
    "sign-ext",
    "nontrapping-float-to-int",
    "bulk-memory",
    "reference-types",
    "multivalue",
    "extended-const",
)
"""Features of WebAssembly 2.0, and constant expressions that compute: no engine can be asked about them."""

FEATURES: dict[str, tuple[str, ...]] = {
    "threads": ("threads",),
    "tail-call": ("tail_call",),
    "multimemory": ("multi_memory",),
    "memory64": ("memory64",),
    "exception-handling": ("exceptions",),
    "gc": ("gc", "exceptions"),
    "relaxed-simd": ("relaxed_simd",),
    "simd": ("simd", "relaxed_simd"),
}
"""Features by the names of `wasm-opt`, with the proposals of the engine that go when the feature goes."""

ALL = sorted({name for names in FEATURES.values() for name in names})


def find_tool() -> str:
    """Where `wasm-opt` is. Raises MeldError."""
    import shutil

    from meld.diagnostics import MeldError

    found = shutil.which(TOOL)
    if found is None:
        hint = "it is part of Binaryen: `npm install -g binaryen`, `apt install binaryen`, or its releases on GitHub"
        raise MeldError(f"--optimize runs `{TOOL}`, which is not on the path", hint=hint)
    return found


def optimize(program: Program, level: str, tool: str) -> Program:
    """The product, optimized: a core module, or the core modules of a component.

    Functions change places, so nothing says any more where they come from.

    Raises:
        MeldError: it is no product but a composition, or the tool refuses it.
    """
    from meld.diagnostics import MeldError
    from meld.ir.component import Component, CoreModule
    from meld.notes.boundaries import Boundary

    if isinstance(program, Component):
        cores = list(program.of(CoreModule))
        if not cores:
            raise MeldError("--optimize is about products, and this is a composition", hint="run all passes")
        for core in cores:
            core.module = _optimized(core.module, level, tool)
        return program
    if any(True for _ in program.noted(Boundary)):
        raise MeldError("--optimize is about products, and this module has calls that are pending", hint="run finish")
    return _optimized(program, level, tool)


def _optimized(module: Module, level: str, tool: str) -> Module:
    import subprocess
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from meld.diagnostics import MeldError
    from meld.files import decode, encode
    from meld.ir.module import Module
    from meld.ir.notes import Attributed, Traced

    module.notes = [n for n in module.notes if not isinstance(n, Attributed | Traced)]
    binary = encode(module)
    with TemporaryDirectory() as directory:
        source, target = Path(directory, "in.wasm"), Path(directory, "out.wasm")
        source.write_bytes(binary)
        flags = [f"--enable-{name}" for name in (*ALWAYS, *features(binary))]
        command = [tool, f"-O{level}", "-g", "--mvp-features", *flags, str(source), "-o", str(target)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        except OSError as e:
            raise MeldError(f"`{tool}` does not run: {e.strerror}") from e
        if done.returncode or not target.exists():
            said = done.stderr.strip() or f"exit code {done.returncode}"
            raise MeldError(f"`{TOOL}` refuses the module: {said[:600]}", hint="compile without --optimize")
        data = target.read_bytes()
    made = decode(data, f"what `{TOOL}` made")
    if not isinstance(made, Module):
        raise MeldError(f"`{TOOL}` made no core module")
    made.name = made.name or module.name
    return made


def features(binary: bytes) -> list[str]:
    """The features without which the engine refuses a module, by the names of `wasm-opt`."""
    import wasmtime

    found = []
    for name, proposals in FEATURES.items():
        config = wasmtime.Config()
        for proposal in ALL:
            setattr(config, f"wasm_{proposal}", proposal not in proposals)
        try:
            wasmtime.Module.validate(wasmtime.Engine(config), binary)
        except wasmtime.WasmtimeError:
            found.append(name)
    return found
