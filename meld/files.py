"""Programs in files: load, decode, encode, write. Files are written whole or not at all."""

from __future__ import annotations

import codecs
import os
import sys
from functools import cache
from itertools import count
from mmap import ACCESS_READ, mmap
from os import PathLike
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO

from meld.diagnostics import MeldError, did_you_mean
from meld.ir.module import Module
from meld.passes.base import Program
from meld.support.terminal import in_utf8

STANDARD = "-"
"""As a file's name: the standard input, or the standard output."""

MAX_INPUT = 1 << 30
"""Bytes; larger inputs are refused."""

MAPPED = 1 << 20
"""Bytes from which on a file is mapped and not read."""


def load(path: str | PathLike[str], *, located: bool = False) -> Program:
    """Reads a program from a file: a component or a module, binary or text. Raises MeldError.

    Args:
        located: keep the place in the text of every instruction.
    """
    return read_program(read_file(Path(path)), path, located=located)


def read_program(data: bytes | memoryview, path: str | PathLike[str], *, located: bool = False) -> Program:
    """The program in the bytes of a file. Raises MeldError."""
    name = str(path)
    program = decode(data, name) if is_binary(data) else load_text(decode_text(data, name), name, located=located)
    program.where = in_utf8(Path(path).name)
    return program


def decode(data: bytes | memoryview, where: str) -> Program:
    """Reads a binary: a core module or a component, as its header says. Raises MeldError."""
    match data[4:8]:
        case b"\x01\x00\x00\x00":
            from meld.binary.reader import read_module

            return read_module(data, where=where)
        case b"\x0d\x00\x01\x00":
            from meld.binary.component.reader import read_component

            return read_component(data, where=where)
    if len(data) < 8:
        raise MeldError("the file ends inside its header", where=f"{where}: offset {len(data):#x}")
    raise MeldError(f"unknown version {data[4:8].hex(' ')} of the binary format", where=f"{where}: offset 0x4")


def is_binary(data: bytes | memoryview) -> bool:
    """Whether it is the binary format, as its first bytes say."""
    return data[:4] == b"\0asm"


def read_file(path: Path) -> bytes | memoryview:
    """The contents of an input, mapped where it is large; ``-`` is the standard input. Raises MeldError."""
    if str(path) == STANDARD:
        data = standard_input()
        if not data:
            raise MeldError("the standard input is empty")
        return data
    try:
        found = path.stat()
        if S_ISDIR(found.st_mode):
            raise MeldError("is a directory", where=str(path), hint="an input is a .wasm or .wat file")
        if found.st_size > MAX_INPUT:
            raise MeldError("larger than 1 GiB", where=str(path))
        if S_ISREG(found.st_mode):
            with path.open("rb") as file:
                if found.st_size >= MAPPED:
                    return memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))
                data = file.read()
        else:
            data = _piped(path)
    except FileNotFoundError:
        raise MeldError("no such file", where=str(path), hint=_sibling(path)) from None
    except OSError as e:
        raise MeldError(f"cannot read: {e.strerror}", where=str(path)) from e
    if not data:
        raise MeldError("the file is empty", where=str(path))
    return data


@cache
def _piped(path: Path) -> bytes:
    """What comes from a pipe or a device, such as the shell has for `<(COMMAND)`: read once, as standard input is."""
    return path.read_bytes()


@cache
def standard_input() -> bytes:
    """What comes from the standard input: read once, since a command may load its inputs more than once."""
    try:
        return sys.stdin.buffer.read()
    except OSError as e:
        raise MeldError(f"cannot read: {e.strerror}", where="standard input") from e


def _sibling(path: Path) -> str | None:
    """A hint that offers the files beside a missing one whose names resemble its name."""
    try:
        names = sorted(each.name for each in path.parent.iterdir())
    except OSError:
        return None
    return did_you_mean(path.name, names)


def load_text(text: str, name: str, *, located: bool = False) -> Program:
    """Reads text. Raises MeldError, which shows the line."""
    from meld.text.reading.program import parse

    return parse(text, name, located=located)


def decode_text(data: bytes | memoryview, name: str) -> str:
    """The text of a file. Raises MeldError if it is not UTF-8."""
    try:
        text = str(data, "utf-8")
    except UnicodeDecodeError as e:
        where = f"{name}: offset {e.start:#x}"
        raise MeldError("neither a WebAssembly binary nor UTF-8 text", where=where, hint=_encoding(data)) from None
    if text.startswith("\ufeff"):
        hint = "the text format has none: save the file as UTF-8 without it"
        raise MeldError("the file begins with a byte order mark", where=name, hint=hint)
    return text


def _encoding(data: bytes | memoryview) -> str | None:
    """A hint for text in another encoding."""
    if bytes(data[:2]) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "it looks like UTF-16: save it as UTF-8"
    begin = bytes(data[:4096]).lstrip()
    return "save it as UTF-8" if begin.startswith((b"(module", b"(component", b";;", b"(;", b"(@")) else None


def encode(program: Program) -> bytes:
    """The binary of a program."""
    if isinstance(program, Module):
        from meld.binary.limits import check_counts
        from meld.binary.writer import write_module

        check_counts(program)
        return write_module(program)
    from meld.binary.component.writer import write_component

    return write_component(program)


def print_text(program: Program) -> str:
    """The program as text, annotations included."""
    from meld.text.printing.program import print_program

    return print_program(program)


def write_file(path: Path, *pieces: bytes | memoryview) -> None:
    """Writes a file through a temporary one beside it, so that it is never half-written; ``-`` is standard output.

    Raises:
        MeldError: it cannot be written.
    """
    if str(path) == STANDARD:
        sys.stdout.flush()
        sys.stdout.buffer.writelines(pieces)
        sys.stdout.buffer.flush()
        return
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as special:  # a device or a pipe is written to as it is; a directory is an error
                special.writelines(pieces)
            return
        temporary, file = _beside(path)
        try:
            with file:
                file.writelines(pieces)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as e:
        raise MeldError(f"cannot write: {e.strerror}", where=str(path)) from e


def _beside(path: Path) -> tuple[Path, BinaryIO]:
    """A new file beside another, with a name that is not taken."""
    for number in count():
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{number}")
        try:
            return temporary, temporary.open("xb", buffering=1 << 20)
        except FileExistsError:
            continue
    raise AssertionError


def render(program: Program, emit: str) -> list[bytes | memoryview]:
    """The product in pieces; `emit` is ``wasm`` or ``wat``."""
    if emit == "wat":
        return [print_text(program).encode()]
    if isinstance(program, Module):
        from meld.binary.limits import check_counts, check_size
        from meld.binary.writer import module_pieces

        check_counts(program)
        pieces = module_pieces(program)
        check_size(pieces)
        return pieces
    return [encode(program)]
