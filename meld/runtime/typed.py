"""Calls of component functions by their types, from text: ``run(12)``, ``docs:shop/cart@0.1.0#total([1, 2])``."""

from __future__ import annotations

from meld.abi.layout import Layouts
from meld.abi.wit_text import wit_function
from meld.diagnostics import MeldError, did_you_mean
from meld.ir.module import Module
from meld.notes.boundaries import HostExport
from meld.runtime.instantiate import Running
from meld.runtime.wave import CallText, read_arguments
from meld.runtime.wave_text import text_of


def find_export(module: Module, name: str) -> HostExport:
    """The component function that a module exports under a name, or as that of one interface.

    Raises:
        MeldError: there is none, or several interfaces have it, or the module says nothing of component functions.
    """
    exports = module.notes_of(HostExport)
    if not exports:
        raise MeldError(
            f"`{name}(…)` is a call by component types, of which the module says nothing",
            where=module.where or None,
            hint="a binary without the manifest has no types: run the components, or text that --emit=wat writes; "
            "or call a core function: --invoke NAME ARG…",
        )
    wanted = name.replace("/", "#") if "#" not in name and "/" in name and ":" not in name else name
    for export in exports:
        if export.label in (name, wanted):
            return export
    found = [export for export in exports if export.label.rpartition("#")[2] == name or _short(export) == wanted]
    if len(found) == 1:
        return found[0]
    labels = ", ".join(f"`{export.label}`" for export in found or exports)
    where = module.where or None
    if found:
        raise MeldError(f"several interfaces export `{name}`", where=where, hint=f"say which: {labels}")
    short = {one: export for export in exports for one in (export.label, export.label.rpartition("#")[2])}
    hint = did_you_mean(name, short, f"there are: {labels}")
    raise MeldError(f"no component function is exported as `{name}`", where=where, hint=hint)


def _short(export: HostExport) -> str:
    """``cart#total`` of ``docs:shop/cart@0.1.0#total``."""
    interface, _, function = export.label.rpartition("#")
    return f"{interface.rpartition('/')[2].partition('@')[0]}#{function}"


def call(running: Running, text: CallText) -> str | None:
    """Calls what the text says; returns the result as text, None if there is none.

    Raises:
        MeldError: name or arguments do not fit.
        Trapped: it trapped.
    """
    export = find_export(running.module, text.name)
    layouts = Layouts()
    for t in [*(t for _, t in export.type.params), export.type.result]:
        if t is not None:
            layouts.of(t)  # refuses what no validator accepts
    values = read_arguments(text, export.type.params)
    result = running.invoke(export, values)
    return None if export.type.result is None else text_of(result, export.type.result)


def signature(export: HostExport) -> str:
    """A component function for people: ``run: func(n: u32) -> string``."""
    return f"{export.label}: {wit_function(export.type)}"
