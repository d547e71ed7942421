"""The engine's validation of core modules, called without its Python interface.

Importing that interface takes as long as fusing a small program; loading its library and validating what a small
program holds takes some 2 ms. Validation is a call of native code, so an input is validated on another thread while
passes run, and the answer is demanded before anything is written.

What a component says around its core modules is validated by `meld.validity`.

Source: the C interface of wasmtime (`wasmtime/module.h`, `wasmtime/wat.h`).
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from meld.binary.cursor import Cursor
from meld.diagnostics import MeldError
from meld.support.patterns import late
from meld.support.records import record

FEATURES = (
    "threads",
    "tail_call",
    "reference_types",
    "simd",
    "relaxed_simd",
    "bulk_memory",
    "multi_value",
    "multi_memory",
    "memory64",
    "exceptions",
    "function_references",
    "gc",
    "wide_arithmetic",
    "custom_page_sizes",
)
"""What the engine is told to accept; the names are those of its configuration."""
ON_X64_LINUX = ("stack_switching",)
"""The same, where the engine has it at all. It aborts if such code runs, so no other engine of ours is told."""

MISSING = late(
    r"\brequires? the .*(?:feature|proposal)\b|\bfeature required for\b|\bfeature to be enabled\b"
    r"|\bis disabled\b|\bnon-empty tag result type\b"
    r"|\bfeature is not active\b|\bmust be enabled\b|\bis not enabled\b|\bimports are not supported\b"
)
"""The engine refuses what this version of it does not have; that is not the program's fault."""

OFFSET = late(r"\s*\(at offset 0x([0-9a-f]+)\)\s*$")
"""How the engine ends what it says: where, in the binary that it was given."""

_MODULE, _COMPONENT, _CODE = 1, 4, 10
_HEADER = b"\0asm\1\0\0\0"


class _Bytes(ctypes.Structure):
    """`wasm_byte_vec_t`."""

    _fields_ = (("size", ctypes.c_size_t), ("data", ctypes.c_void_p))


class _Library:
    """The functions of the engine's library that validation needs, and an engine that has every feature."""

    def __init__(self) -> None:
        self.dll: Any = ctypes.CDLL(_library())
        size, pointer, message = ctypes.c_size_t, ctypes.c_void_p, ctypes.POINTER(_Bytes)
        for name, arguments, result in (
            ("wasm_config_new", (), pointer),
            ("wasm_engine_new_with_config", (pointer,), pointer),
            ("wasmtime_module_validate", (pointer, ctypes.c_char_p, size), pointer),
            ("wasmtime_wat2wasm", (ctypes.c_char_p, size, message), pointer),
            ("wasmtime_error_message", (pointer, message), None),
            ("wasmtime_error_delete", (pointer,), None),
            ("wasm_byte_vec_delete", (message,), None),
        ):
            function = getattr(self.dll, name)
            function.argtypes, function.restype = arguments, result
        config = self.dll.wasm_config_new()
        is_x64_linux = sys.platform == "linux" and os.uname().machine == "x86_64"
        for name in (*FEATURES, *(ON_X64_LINUX if is_x64_linux else ())):
            switch = getattr(self.dll, f"wasmtime_config_wasm_{name}_set")
            switch.argtypes, switch.restype = (pointer, ctypes.c_bool), None
            switch(config, True)
        self.engine = self.dll.wasm_engine_new_with_config(config)

    def validate(self, module: bytes) -> str | None:
        """What the engine says against a core module."""
        return self._message(self.dll.wasmtime_module_validate(self.engine, module, len(module)))

    def binary_of(self, text: bytes) -> bytes | None:
        """The binary of a text; None if the engine does not read it."""
        out = _Bytes()
        if self._message(self.dll.wasmtime_wat2wasm(text, len(text), ctypes.byref(out))) is not None:
            return None
        return self._taken(out)

    def _message(self, error: int | None) -> str | None:
        if error is None:
            return None
        out = _Bytes()
        self.dll.wasmtime_error_message(error, ctypes.byref(out))
        self.dll.wasmtime_error_delete(error)
        return self._taken(out).decode("utf-8", "replace")

    def _taken(self, out: _Bytes) -> bytes:
        data = ctypes.string_at(out.data, out.size) if out.data else b""
        self.dll.wasm_byte_vec_delete(ctypes.byref(out))
        return data


def _library() -> str:
    """The path of the engine's library, as its package names it (`wasmtime/_ffi.py`)."""
    spec = PathFinder.find_spec("wasmtime")
    if spec is not None and spec.origin is not None and sys.platform == "linux":
        path = Path(spec.origin).parent / f"linux-{os.uname().machine}" / "_libwasmtime.so"
        if path.exists():
            return str(path)
    from wasmtime._ffi import filename

    return str(filename)


@cache
def _loaded() -> _Library:
    return _Library()


@record(frozen=True)
class Refusal:
    """What the engine says against a core module.

    Attributes:
        module: its number, from 0, in the order in which a binary holds core modules, nested ones included.
        message: what is wrong.
        function: whose body is wrong, by its number among the functions that the module defines.
        offset: where: in the body, or in the module.
    """

    module: int
    message: str
    function: int | None = None
    offset: int | None = None

    @property
    def lacks(self) -> bool:
        """Whether the engine lacks a feature, so that the module may be in order."""
        return MISSING.search(self.message) is not None


def refusals(data: bytes | memoryview) -> list[Refusal]:
    """What the engine says against the core modules of a binary: the first thing of each.

    Raises:
        MeldError: the sections are malformed.
    """
    found = []
    for number, module in enumerate(core_modules(data)):
        binary = bytes(module)
        said = _loaded().validate(binary)
        if said is not None:
            message = " ".join(said.split())
            match = OFFSET.search(message)
            place = _place(binary, int(match[1], 16)) if match else (None, None)
            found.append(Refusal(number, OFFSET.sub("", message), *place))
    return found


def refusals_of_text(text: bytes) -> list[Refusal] | None:
    """What the engine says against the core modules of a text; None if it does not read the text."""
    binary = _loaded().binary_of(text)
    return None if binary is None else refusals(binary)


def core_modules(data: bytes | memoryview) -> Iterator[memoryview]:
    """The core modules of a binary: itself, or those of a component and of the components in it.

    Raises:
        MeldError: the sections are malformed.
    """
    pending = [memoryview(data)]
    while pending:
        current = pending.pop()
        if current[:8] == _HEADER:
            yield current
            continue
        cursor, inner = Cursor(current, start=8), []
        while cursor.more():
            number = cursor.u8("section")
            section = cursor.sub(cursor.u32("size"), "section")
            if number in (_MODULE, _COMPONENT):
                inner.append(current[section.pos : section.end])
        pending += reversed(inner)


def bodies(module: bytes) -> Iterator[tuple[int, int]]:
    """Where the bodies of a core module start, behind their sizes, and end.

    Raises:
        MeldError: the sections are malformed.
    """
    cursor = Cursor(module, start=8)
    while cursor.more():
        number = cursor.u8("section")
        section = cursor.sub(cursor.u32("size"), "section")
        if number == _CODE:
            for _ in range(section.count("functions")):
                body = section.sub(section.u32("size"), "body")
                yield body.pos, body.end


def _place(module: bytes, offset: int) -> tuple[int | None, int]:
    """The number of the body that an offset lies in, and the offset in it."""
    try:
        for function, (start, end) in enumerate(bodies(module)):
            if start <= offset <= end:
                return function, offset - start
    except MeldError:  # then the offset is all that can be said
        pass
    return None, offset
