"""Random programs of which some instances are the host of the others: the engine, and fused."""

from __future__ import annotations

import itertools
import os
from functools import partial

import open_async
import pytest
from async_guests import Program
from async_scripts import Instance, Script
from hosted import TARGETS, product
from open_async import OpenShape, split, verdicts
from random_async import generate

CASES = int(os.environ.get("MELD_CASES", "20"))
"""Programs, in shapes of ten."""
OF_A_SHAPE = 10


@pytest.mark.parametrize("seed", range(max(1, CASES // OF_A_SHAPE)))
def test_random_programs(seed: int) -> None:
    for verdict in verdicts(seed, OF_A_SHAPE):
        assert verdict.word in ("same", "legal", "engine"), verdict


def test_a_call_that_waits_to_start() -> None:
    """Its stream is the caller's until then."""
    shape = OpenShape(first := generate(21, more=True))
    assert shape.verdict(generate(21014, first)).word == "same"


def _steps(*lines: str) -> list[tuple[str, int, int, int, int]]:
    """Steps of a script, from lines such as ``call 1 7``."""
    found = []
    for name, *numbers in map(str.split, lines):
        a, b, c, d = (*map(int, numbers), 0, 0, 0, 0)[:4]
        found.append((name, a, b, c, d))
    return found


def test_a_call_is_let_in() -> None:
    """Its instance is busy, but another one of the component is free: it starts, and waits inside."""
    caller = Script("f", "callback", _steps("call 1 9", "return 4", "end"))
    busy, free = (Script("f", "callback", _steps(*lines, "end")) for lines in (("yield", "return 5"), ("return 6",)))
    program = Program(0, "u32", [Instance([caller]), Instance([busy]), Instance([free])])
    assert split(program) == (1, 3)
    verdict = OpenShape(program).verdict(program)
    assert verdict.word == "legal" and verdict.unfused != verdict.fused, verdict


def _callee(kind: str, lift: str, *lines: str, plain: bool = False) -> Script:
    return Script(kind, lift, _steps(*lines, "end"), plain)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("element", ["u8", "string", ""])
@pytest.mark.parametrize(
    "told",
    [
        ("stream.cancel-write 10",),
        ("set.new 9", "join 10 9", "poll 9", "poll 9"),
        ("set.new 9", "join 10 9", "yield", "poll 9", "stream.write 10 2", "poll 9"),
        ("stream.drop-writable 10",),
    ],
    ids=["cancelled", "polled", "polled later", "dropped"],
)
def test_partly_read(target: str, element: str, told: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of a buffer of which something has been read is the host's to read until its writer is told.

    On a target of one memory the host reads copies of elements.
    """
    monkeypatch.setattr(open_async, "product", partial(product, target=target))
    root = ("stream.new 11 10", "stream.write 10 7", "stream.read 11 2 2", "give-sync 1 0 0 11", *told, "return 3")
    callers = [Instance([_callee("f", "stackful", *root)])]
    shape = OpenShape(Program(1, element, [*callers, Instance([_callee("g", "sync")])]))
    then = ("stream.drop-readable 11",), ("stream.read 11 1 6", "stream.cancel-read 11")
    for most, last in itertools.product((1, 4, 5, 7), then):
        host = _callee("g", "sync", "take 11", f"stream.read 11 {most} 7", *last)
        program = Program(1, element, [*callers, Instance([host])])
        assert split(program) == (0, 1)
        verdict = shape.verdict(program)
        assert verdict.word == "same" and not verdict.model, verdict


@pytest.mark.parametrize("element", ["u8", ""])
@pytest.mark.parametrize(
    "used",
    [
        ("stream.read 11 1 2", "stream.write 10 1", "set.new 9", "join 11 9", "poll 9", "leave 11"),
        ("stream.read 11 3 2", "stream.write 10 1", "stream.cancel-read 11"),
        ("stream.read 11 1 2", "stream.cancel-read 11"),
    ],
    ids=["waited", "read in part", "cancelled"],
)
def test_used_before_the_call_starts(element: str, used: tuple[str, ...]) -> None:
    """An argument of a call that has not started is read meanwhile, and waits for it: it can go over all the same."""
    root = ("call 1 5", "stream.new 11 10", "give 1 7 1 11", *used, *("yield",) * 4, "return 3")
    busy = _callee("f", "sync", "yield", "yield")
    host = _callee("g", "sync", "take 5", "stream.read 5 1 1", "stream.cancel-read 5", "stream.drop-readable 5")
    program = Program(1, element, [Instance([_callee("f", "stackful", *root)]), Instance([busy, host])])
    assert split(program) == (0, 1)
    verdict = OpenShape(program).verdict(program)
    assert verdict.word == "same" and not verdict.model, verdict


def test_an_event_that_is_taken() -> None:
    """An operation is cancelled that has an event, for which the callback of a call before is due."""
    root = (
        *("stream.new 8 7", "stream.write 7 1 4", "give 1 6 0 8", "stream.cancel-write 7"),
        *("call 1 3 1", "return 55"),
    )
    reads = _callee("g", "stackful", "take 5", "stream.read-sync 5 2 7", "return 96")
    waits = _callee("f", "callback", "set.new 9", "cb-wait 9")
    program = Program(1, "u8", [Instance([_callee("f", "stackful", *root)]), Instance([reads, waits])])
    assert split(program) == (0, 1)
    verdict = OpenShape(program).verdict(program)
    assert verdict.word == "same" and not verdict.model, verdict


@pytest.mark.parametrize(
    ("root", "lift", "host"),
    [
        # the host has its turn before a callback goes on that has yielded
        (("callback", "call 1 3", "cb-yield", "return 3"), "stackful", ("yield", "set.drop 0")),
        # an event of the host's is polled while the callback of another call is due for it
        (("stackful", "yield", "call 1 7", "return 14"), "sync", ("yield",)),
    ],
    ids=["the host's turn", "polled"],
)
def test_yields(root: tuple[str, ...], lift: str, host: tuple[str, ...]) -> None:
    """Code that yields beside a host that does, too."""
    first, *steps = root
    caller, callee = Script("f", first, _steps(*steps, "end")), Script("f", lift, _steps(*host, "end"))
    program = Program(1, "u32", [Instance([caller]), Instance([callee])])
    assert split(program) == (0, 1)
    verdict = OpenShape(program).verdict(program)
    assert verdict.word == "same" and not verdict.model, verdict
