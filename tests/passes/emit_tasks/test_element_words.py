"""Why elements of streams and futures trap: the engine lifts and lowers them itself, with words of its own."""

from __future__ import annotations

import pytest
from both import Fused, Unfused

from tests.passes.emit_tasks.test_measures import program

FAR, TAGGED = 1 << 24, 1 << 31
UTF16, COMPACT = "string-encoding=utf16", "string-encoding=latin1+utf16"
LIST, STRING = "list pointer/length out of bounds of memory", "string pointer/length out of bounds of memory"
LIST_ALIGNED, STRING_ALIGNED = "list pointer is not aligned", "string pointer not aligned to 2"
CHAR = "converted integer out of range for `char`"
SOURCES = [
    ("(list u8)", [4096, FAR], [], "", LIST),
    ("(list u64)", [4096, (1 << 32) - 1], [], "", LIST),
    ("(list u32)", [4097, 2], [], "", LIST_ALIGNED),
    ("(list u32)", [4097, FAR], [], "", LIST),
    ("(list u32)", [4097, 0], [], "", LIST_ALIGNED),
    ("(list string)", [4096, 1], [0, FAR], "", STRING),
    ("(list (list u32))", [4096, 1], [1, 1], "", LIST_ALIGNED),
    ("(tuple u8 (option string))", [1, 1, 4096, FAR], [], "", STRING),
    ("char", [0xD800], [], "", CHAR),
    ("(list char)", [4096, 1], [0x110000], "", CHAR),
    ("string", [4096, FAR], [], "", STRING),
    ("string", [4097, FAR], [], UTF16, STRING_ALIGNED),
    ("string", [4096, TAGGED + FAR], [], COMPACT, STRING),
]
"""A type, its value, what is at 4096, options, and the trap."""


@pytest.mark.parametrize(("element", "value", "items", "options", "words"), SOURCES)
def test_what_the_writer_has(element: str, value: list[int], items: list[int], options: str, words: str) -> None:
    wasm = program(element, value, items, allocates=True, options=options)
    answers = Fused(wasm).answers((("run",),))
    assert answers == Unfused(wasm).answers((("run",),)) == [f"trap: {words}"]


FAR_BLOCK, ODD_BLOCK = "(return (i32.const -8))", "(return (i32.const 65537))"
TARGETS = [
    ("(list u32)", FAR_BLOCK, "", "realloc return: beyond end of memory"),
    ("(list u32)", ODD_BLOCK, "", "realloc return: result not aligned"),
    ("string", FAR_BLOCK, "", "realloc return: beyond end of memory"),
    ("string", ODD_BLOCK, UTF16, "realloc return: result not aligned"),
]


@pytest.mark.parametrize(("element", "allocator", "options", "words"), TARGETS)
def test_what_the_reader_allocates(element: str, allocator: str, options: str, words: str) -> None:
    wasm = program(element, [4096, 2], [65, 66], allocates=True, allocator=allocator, options=options)
    answers = Fused(wasm).answers((("run",),))
    assert answers == Unfused(wasm).answers((("run",),)) == [f"trap: {words}"]
