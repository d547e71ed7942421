"""Notes of a dump that do not fit the program: refused, or a trap; nothing else happens."""

from __future__ import annotations

import contextlib
import re
from functools import cache
from typing import Any

import wasmtime
from adapter_pairs import Form, Pair
from cases import trying
from hypothesis import given
from hypothesis import strategies as st

import meld
from meld.diagnostics import MeldError
from meld.files import decode
from meld.ir import component as c
from meld.notes.boundaries import HostExport
from meld.passes import Registry
from meld.passmanager import plan_default, run
from meld.runtime.instantiate import Trapped, instantiate
from meld.text.reading.program import parse_module
from tests.runtime.test_interpreter import RESOURCES, TWO


def merged(text: str) -> str:
    program = decode(bytes(wasmtime.wat2wasm(text)), "composition")
    plan = plan_default(program, Registry.standard())
    module, _ = run(plan, program, steps=plan.position("merge", option="stage"))
    return meld.print_text(module)


@cache
def handles() -> str:
    return merged(RESOURCES.replace("{run}", f"{TWO} (call $twice (local.get $b))").replace("{keep}", ""))


@cache
def strings() -> str:
    t = c.CompFuncType((("a", c.Prim.STRING), ("b", c.ListType(c.Prim.U16))), c.Prim.STRING)
    return merged(Pair(t, Form("utf16")).component())


NOTE = re.compile(r"\(@meld\.(boundary|canon|resource|export|instance).*")
WORD = re.compile(r"[^\s()]+|\([^\s()]+(?: [^\s()]+)*\)")


@trying(0.1)
@given(st.sampled_from([handles, strings]), st.data())
def test_notes_changed_by_hand(text: Any, data: st.DataObject) -> None:
    source = text()
    words = [
        (note.start() + word.start(), note.start() + word.end())
        for note in NOTE.finditer(source)
        for word in WORD.finditer(note.group())
    ]
    places = data.draw(st.lists(st.sampled_from(words), min_size=1, max_size=3))
    changed = source
    for start, end in sorted(places, reverse=True):
        a, b = data.draw(st.sampled_from(words))
        new = data.draw(st.sampled_from(["", "u8", "(list u8)", "(own $r)", "x", source[a:b]]))
        changed = changed[:start] + new + changed[end:]
    with contextlib.suppress(MeldError, Trapped):
        running = instantiate(parse_module(changed, "changed"), lenient=True)
        for export in running.module.notes_of(HostExport):
            if not export.type.params:
                running.invoke(export, [])
        running.call("run")
