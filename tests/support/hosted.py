"""Programs whose host is a component: unfused, and with the program fused and wrapped as a component again.

The host stays outside, so what the program imports from it, and gives to it, crosses the boundary that hosts have. The
engine's own component support runs both.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import wasmtime
from both import Calls, unfused
from wrapped import tool

from meld.driver import Options, build
from meld.files import encode

TARGETS = ("wasm3", "wasm2")
"""With as many memories as there are, and with one."""


@cache
def product(program: str, target: str = "wasm3", passes: str | None = None) -> str:
    """A program, fused and wrapped, as text; for another target it must have one memory."""
    with TemporaryDirectory() as directory:
        source, made = Path(directory) / "program.wasm", Path(directory) / "made.wasm"
        source.write_bytes(wasmtime.wat2wasm(program))
        made.write_bytes(encode(build([source], Options(wrap=True, target=target, passes=passes)).program))
        tool("validate", "--features=all", made)
        text = tool("print", made)
        assert target == "wasm3" or len(re.findall(r"\(memory (?:\$\S+ )?\(;\d+;\) \d", text)) == 1
        return text


def composed(host: str, program: str, imports: tuple[str, ...], exports: tuple[str, ...]) -> bytes:
    """A component of both.

    Args:
        host: exports, under the same names, what the program imports.
        imports: what the program imports: a sort and a name, as ``func sleep``.
        exports: what is exported of the program, in the same way.
    """
    given = "".join(f'\n    (with "{name}" ({sort} $host "{name}"))' for sort, name in map(str.split, imports))
    shown = "".join(f'\n  (export "{name}" ({sort} $program "{name}"))' for sort, name in map(str.split, exports))
    return bytes(
        wasmtime.wat2wasm(
            f"(component\n  {named(host, '$H')}\n  {named(program, '$P')}\n  (instance $host (instantiate $H))\n"
            f"  (instance $program (instantiate $P{given})){shown})"
        )
    )


def named(component: str, name: str) -> str:
    """A component as a definition of another one."""
    head, _, rest = component.partition("(component")
    assert not head.strip()
    first = rest.split(maxsplit=1)[0] if rest.strip() else ""
    return f"(component {name}{rest.replace(first, '', 1) if first.startswith('$') else rest}"


def both(
    host: str,
    program: str,
    imports: tuple[str, ...],
    *calls: tuple[Any, ...],
    targets: tuple[str, ...] = ("wasm3",),
) -> list[Any]:
    """What calls of the program's functions answer, or why they trap, unfused and fused for each target."""
    exports = tuple(f"func {name}" for name in dict.fromkeys(name for name, *_ in calls))
    want = unfused(composed(host, program, imports, exports), calls)
    for target in targets:
        assert unfused(composed(host, product(program, target), imports, exports), calls) == want, target
    return want


__all__ = ["Calls", "both", "composed", "named", "product"]
