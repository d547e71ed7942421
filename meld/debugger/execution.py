"""Running the exports of a program, in a way that an interrupt from the terminal stops it.

Python does not see a signal while the engine runs. So the program runs in a thread of its own, and the one that has the
terminal waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from meld.ir.module import Module
from meld.runtime.instantiate import Running, Trapped, instantiate, interrupt
from meld.runtime.run import arguments, show
from meld.runtime.typed import call, signature
from meld.runtime.wave import split_call


class Execution:
    """An instance. `over` says that it trapped or was stopped, and is of no use any more."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.over = False
        self._running: Running | None = None

    def call(self, text: str) -> list[str]:
        """Calls an export: ``name(VALUE, …)`` by component types or core ones, or ``name ARG ARG``.

        Returns:
            Its results as text.

        Raises:
            MeldError: the module cannot be run, or name or arguments do not fit.
            Trapped: it trapped.
        """
        try:
            return self._guarded(lambda: self._call(text))
        except Trapped:
            self.over = True
            raise

    def _call(self, text: str) -> list[str]:
        if self._running is None:
            self._running = instantiate(self.module, lenient=True, interruptible=True)
            if self.over:  # it was interrupted while the engine compiled
                raise Trapped("interrupted")
        running = self._running
        name, words = _core_call(text, running)
        if name is None:
            typed = split_call(text, "call")
            assert typed is not None
            result = call(running, typed)
            return [] if result is None else [result]
        results = running.call(name, *arguments(running, name, words))
        types = running.signature(name).results
        values = [results] if len(types) == 1 else results or []
        return [show(value, t) for value, t in zip(values, types, strict=True)]

    def _guarded(self, work: Callable[[], list[str]]) -> list[str]:
        """Does work in a thread; an interrupt stops the program there."""
        outcome: list[Any] = []

        def body() -> None:
            try:
                outcome.append(work())
            except BaseException as e:
                outcome.append(e)

        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(0.2)
        except KeyboardInterrupt:
            self.over = True
            interrupt()
            thread.join(2)
            raise
        (result,) = outcome
        if isinstance(result, BaseException):
            raise result
        found: list[str] = result
        return found


def _core_call(text: str, running: Running) -> tuple[str | None, Sequence[str]]:
    """Name and arguments of a call by core types; no name if it is one by component types."""
    from meld.notes.boundaries import HostExport

    typed = {export.label for export in running.module.notes_of(HostExport)}
    name, parenthesis, rest = text.partition("(")
    name = name.strip()
    if not parenthesis:
        name, *words = text.split()
        return name, words
    if name not in running.functions() or name in typed:
        return None, ()
    inside = rest.rstrip().removesuffix(")")
    return name, [word.strip() for word in inside.split(",")] if inside.strip() else []


def callable_exports(module: Module) -> list[str]:
    """How each exported function is called: ``name(a: u32) -> string``, or core types."""
    from meld.ir.describe import item_type
    from meld.ir.module import Function
    from meld.notes.boundaries import HostExport

    typed = {export.label: export for export in module.notes_of(HostExport)}
    found = []
    for export in module.exports:
        if export.name in typed:
            found.append(signature(typed[export.name]))
        elif isinstance(export.item, Function):
            found.append(f"{export.name}: core {item_type(export.item)}")
    return found
