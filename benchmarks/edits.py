"""A large text in the language server: read and checked as a whole, and after an edit inside one function.

Times are of the processor, not of the clock. The server waits 0.2 s for the next change before it checks; that is not
part of the figures.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from measure import Row, Sample, show_rows

from meld.editor.documents import Document
from meld.editor.server import Server

FUNCTIONS, TIMES = 420, 9
PIECES = (
    "local.get $a local.set $x",
    "local.get $x i32.const {number} i32.add local.set $x",
    "local.get $a local.get $b call $f{function} drop",
    "global.get $g local.get $a i32.store offset=8",
    "block $l local.get $b br_if $l nop end",
    "(if (local.get $a) (then (local.set $y (i64.const 5))))",
    "(local.set $x (i32.load offset=4 align=1 (local.get $x)))",
)


def text() -> str:
    """A module of a megabyte: functions of a few dozen lines, flat and folded."""
    rng = random.Random(1)
    functions = []
    for number in range(FUNCTIONS):
        pieces = [
            rng.choice(PIECES).format(number=rng.randrange(1 << 20), function=rng.randrange(FUNCTIONS))
            for _ in range(46)
        ]
        head = f"(func $f{number} (param $a i32) (param $b i32) (result i32) (local $x i32) (local $y i64)"
        functions.append("\n    ".join([head, *pieces, "local.get $x)"]))
    return "(module (memory 1) (global $g (mut i32) (i32.const 0))\n  " + "\n  ".join(functions) + ")"


def _edits(whole: str) -> Iterator[str]:
    """Versions of the text, each with one more instruction in the middle."""
    for _ in range(TIMES):
        at = whole.index("local.get $a", len(whole) // 2)
        whole = whole[:at] + "nop " + whole[at:]
        yield whole


def _seconds(server: Server, version: int, text: str) -> float:
    """How long it takes to find what stands where in a version of the text, and what is wrong with it."""
    document = Document("file:///large.wat", version, text)
    server.put(document)
    began = time.process_time()
    assert not server.found(server.index(document))
    return time.process_time() - began


def rows() -> list[Row]:
    """Index and diagnostics of a whole text, and of each version after an edit."""
    whole, server = text(), Server()
    first = _seconds(server, 0, whole)
    edit = Sample(tuple(_seconds(server, version, edited) for version, edited in enumerate(_edits(whole), 1)))
    size = f"{len(whole) / 1e6:.1f} MB of text"
    return [
        Row(f"language server: read and check {size}", Sample((first,))),
        Row(f"after an edit in one function of {size}", edit, target="< 0.5 s", reached=f"{edit.median:.2f} s"),
    ]


if __name__ == "__main__":
    show_rows("Edits of a large text", rows())
