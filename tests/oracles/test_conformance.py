"""The public conformance suites: what passes unfused passes fused, or is refused by name.

Topics 1 to 8: streams and futures, asynchronous calls, threads, synchronous calls, strings, resources, values,
linking. A trap passes if it says why in the engine's words.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from suites import files, groups, outcomes, runner

import meld


@pytest.mark.parametrize("path", files("12345678"))
def test_suite(path: Path, tmp_path: Path) -> None:
    fused: dict[str, str] = {}
    for wasm, group, wanted in groups(path, tmp_path):
        if wasm not in fused:
            fused[wasm] = f"{wasm}.fused"
            Path(fused[wasm]).write_bytes(meld.encode(meld.compile([wasm])))
        got = outcomes(runner().worker_fused, {**group, "wasm": fused[wasm]})
        for directive, want, row in zip(group["dirs"], wanted, got, strict=True):
            where = f"{path}:{directive['line']}"
            if want[0] != "pass" or row[0] == "nonflat":  # values that the runner cannot compare
                continue
            assert row[0] == "pass", f"{where}: {row}"
