"""The text of a large program: read with bodies left as they are, read with all bodies decoded, and printed."""

from __future__ import annotations

import gc
import time

from measure import FIXTURES, NO_INPUT, Row, Sample, show_rows, timed

import meld
from meld.binary.reader import read_module
from meld.text.reading.program import parse_module

TIMES = 3


def rows() -> list[Row]:
    """Rates in MB of text per second."""
    gc.disable()  # as the command does
    paths = [FIXTURES / "greet/cons.wasm", FIXTURES / "greet/qjsprov.wasm"]
    if not all(path.exists() for path in paths):
        return [Row("read and print text", NO_INPUT)]
    module = meld.compile(paths, stop_after="merge")
    for segment in module.datas:
        segment.data = segment.data[:100]  # code is what is measured
    binary = meld.encode(module)
    printed = [_printed(binary) for _ in range(TIMES)]
    text = printed[0][1]
    took = Sample(tuple(seconds for seconds, _ in printed))
    size = len(text) / 1e6
    lazy = timed(lambda: parse_module(text, "dump"), TIMES)

    def decode() -> None:
        for function in parse_module(text, "dump").functions:
            if function.body is not None:
                function.view()

    decoded = timed(decode, TIMES)
    what = f"{size:.0f} MB of text"
    return [
        Row(f"read {what}, bodies lazy", lazy.rate(size), target="≥ 6 MB/s", reached=_rate(lazy, size)),
        Row(f"read {what}, all bodies decoded", decoded.rate(size), target="≥ 3 MB/s", reached=_rate(decoded, size)),
        Row(f"print {what}", took.rate(size), target="≥ 10 MB/s", reached=_rate(took, size)),
    ]


def _printed(binary: bytes) -> tuple[float, str]:
    """How long it takes to print a program that was just read, and its text."""
    module = read_module(binary)
    began = time.perf_counter()
    text = meld.print_text(module)
    return time.perf_counter() - began, text


def _rate(sample: Sample, size: float) -> str:
    return f"{size / sample.median:.1f} MB/s"


if __name__ == "__main__":
    show_rows("Text", rows())
