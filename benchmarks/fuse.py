"""Fusing programs as whole processes: with the kernel and without, and by the published tool in Rust if it is there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from measure import BIN, FIXTURES, ROOT, Sample, command, show

PROGRAMS = {
    "stream example": [ROOT / "examples/stream/producer.wat", ROOT / "examples/stream/consumer.wat"],
    "greet, C and C": [FIXTURES / "greet/cons.wasm", FIXTURES / "greet/prov.wasm"],
    "shop, C and C, resources": [FIXTURES / "shop/consumer.wasm", FIXTURES / "shop/provider.wasm"],
    "greet, C and QuickJS": [FIXTURES / "greet/cons.wasm", FIXTURES / "greet/qjsprov.wasm"],
    "redact, Rust": [FIXTURES / "arcjet-redact/redact-composed.wasm"],
}


def main() -> None:
    """Prints the table."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out.wasm"
        for name, inputs in PROGRAMS.items():
            if not all(path.exists() for path in inputs):
                rows.append((name, "input is not here", "", "", ""))
                continue
            size = sum(path.stat().st_size for path in inputs)
            ours = command(BIN / "meldc", *inputs, "-q", "-o", out)
            os.environ["MELDC_KERNEL"] = "off"
            python = command(BIN / "meldc", *inputs, "-q", "-o", out)
            del os.environ["MELDC_KERNEL"]
            rival = None
            if all(path.suffix == ".wasm" for path in inputs):
                rival = command(BIN / "meld", "fuse", *inputs, "-o", out, "--no-attestation")
            rows.append((name, f"{size:,} B", _shown(ours), _shown(python), _shown(rival)))
    headings = ("program", "input", "meldc", "meldc, kernel off", "meld-cli (Rust)")
    show("Fusing, whole process: median (least – most)", headings, rows)


def _shown(sample: Sample | None) -> str:
    return "refuses, or not installed" if sample is None else sample.shown()


if __name__ == "__main__":
    main()
