"""Names that the linker makes of the names of files: they are names of the component model, and each is given once."""

from __future__ import annotations

from pathlib import Path

import pytest
from wrapped import Running, fuse, wit

ANSWER = """(component
  (core module $m (func (export "f") (result i32) (i32.const {number})))
  (core instance $i (instantiate $m))
  (func (export "answer") (result u32) (canon lift (core func $i "f"))))"""


@pytest.mark.parametrize(
    ("stems", "names"),
    [
        (["one", "two"], ["answer", "two-answer"]),
        (["a_b", "Some File.v2", "2nd_input"], ["answer", "some-file-v2-answer", "x2nd-input-answer"]),
        (["a", "b_c", "b-c", "B.c"], ["answer", "b-c-answer", "b-c-answer-x2", "b-c-answer-x3"]),
        (["a", "ß→"], ["answer", "input-answer"]),
    ],
)
def test_two_inputs_export_the_same_name(stems: list[str], names: list[str], tmp_path: Path) -> None:
    inputs = [tmp_path / f"{stem}.wat" for stem in stems]
    for number, path in enumerate(inputs):
        path.write_text(ANSWER.format(number=number))
    made = fuse(inputs, tmp_path / "fused.wasm")
    assert [f"export {name}: func() -> u32;" in wit(made) for name in names] == [True] * len(names)
    assert [Running(made).call(name) for name in names] == list(range(len(names)))
