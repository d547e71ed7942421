"""The streaming example at each stage of the pipeline, running under wasmtime with a host that counts."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from smith import WASM_TOOLS

import meld
from meld.runtime.host import Host
from meld.runtime.instantiate import Running, instantiate
from meld.text.reading.program import parse

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "stream"

PASSES = ("link", "merge", "detect-pairs", "emit-bridge", "rewire-calls", "handle-tables", "adapter-wiring", "finish")
"""The default pipeline."""

RUNNABLE = PASSES[1:]
"""After these there is a core module."""

BRIDGED = PASSES[4:]
"""After these the streams are inside the module."""

RING, SLOTS = 4096, 8


def tool(*args: str | Path, data: bytes | None = None) -> bytes:
    """Runs wasm-tools; its standard output."""
    done = subprocess.run([WASM_TOOLS, *map(str, args)], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@cache
def inputs(form: str, directory: Path) -> tuple[Path, ...]:
    """The two components as ``wat`` or ``wasm`` files."""
    texts = [EXAMPLE / "producer.wat", EXAMPLE / "consumer.wat"]
    if form == "wat":
        return tuple(texts)
    binaries = [directory / f"{path.stem}.wasm" for path in texts]
    for text, binary in zip(texts, binaries, strict=True):
        tool("parse", text, "-o", binary)
    return tuple(binaries)


@cache
def dump(form: str, stage: str, directory: Path) -> str:
    """The text of the program after a pass."""
    return str(meld.print_text(meld.compile(inputs(form, directory), stop_after=stage)))


@cache
def binary(form: str, stage: str, directory: Path, *, reloaded: bool = False) -> bytes:
    """The binary of the program after a pass, as it is or read back from its dump."""
    if reloaded:
        return bytes(meld.encode(parse(dump(form, stage, directory), f"{stage}.wat")))
    return bytes(meld.encode(meld.compile(inputs(form, directory), stop_after=stage)))


class Drivers:
    """The exports of the fused example, and the host behind it."""

    def __init__(self, data: bytes, host: Host) -> None:
        self.running: Running = instantiate(data, host)
        self.host = host

    def new(self) -> tuple[int, int]:
        """A stream: its readable and its writable end."""
        pair = self.running.call("p_new")
        return pair & 0xFFFF_FFFF, pair >> 32 & 0xFFFF_FFFF

    def write(self, handle: int, count: int) -> int:
        """Writes 1, 2, 3, … modulo 256, `count` bytes of it; what was accepted."""
        return int(self.running.call("p_write", handle, count))

    def read(self, handle: int, count: int) -> int:
        """Reads into the consumer's buffer; how much, or a code."""
        return int(self.running.call("c_read", handle, count))

    def got(self, count: int) -> bytes:
        """The first bytes of the consumer's buffer, as the consumer sees them."""
        return bytes(self.running.call("c_get", i) for i in range(count))

    def drop_writer(self, handle: int) -> None:
        """Drops the writable end."""
        self.running.call("p_drop", handle)

    def drop_reader(self, handle: int) -> None:
        """Drops the readable end."""
        self.running.call("c_drop", handle)


def pattern(count: int) -> bytes:
    """What the producer writes."""
    return bytes((i + 1) & 0xFF for i in range(count))


def is_local(handle: int) -> bool:
    """Whether a handle belongs to the fused module."""
    return bool(handle >> 31 & 1)
