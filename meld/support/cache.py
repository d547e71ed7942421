"""What one run makes and the next can use: the compiled kernel, the tables of the grammars, adapters.

These are loaded as code, so they are taken only from a directory and a file that belong to the user and that no
other user can write to; anything else is ignored. Files are written whole, and checked by their hash.

The directory is ``$MELDC_CACHE``, else ``$XDG_CACHE_HOME/meldc``, else ``~/.cache/meldc``; ``MELDC_CACHE=off`` does
without. If it cannot be written, nothing is cached.
"""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from pathlib import Path

FOREIGN = stat.S_IWGRP | stat.S_IWOTH


def load(name: str, key: bytes) -> bytes | None:
    """What was saved under a name for this key; None if nothing was, or if it cannot be trusted."""
    directory = _directory()
    if directory is None:
        return None
    try:
        place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if not _is_ours(place):
            return None
        file = os.open(_file(name, key), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
        with os.fdopen(file, "rb") as stream:
            if not stat.S_ISREG(os.fstat(file).st_mode) or not _is_ours(file):
                return None
            digest, data = stream.read(32), stream.read()
        return data if sha256(data).digest() == digest else None
    except OSError:
        return None
    finally:
        os.close(place)


def save(name: str, key: bytes, data: bytes, keep: int = 1) -> None:
    """Saves something under a name; entries for other keys are deleted, except the latest.

    Nothing happens where that fails.

    Args:
        keep: for how many keys something stays under this name.
    """
    directory = _directory()
    if directory is None:
        return
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        if not _is_ours(place):
            return
        file, temporary = _file(name, key), f".{name}.{os.getpid()}"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=place)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(sha256(data).digest() + data)
            os.replace(temporary, file, src_dir_fd=place, dst_dir_fd=place)
        except BaseException:
            os.unlink(temporary, dir_fd=place)
            raise
        others = [other for other in os.listdir(place) if other.startswith(f"{name}-")]  # noqa: PTH208 - it is open
        if len(others) > keep:
            others.sort(key=lambda other: (other == file, os.stat(other, dir_fd=place).st_mtime_ns))
            for other in others[:-keep]:
                os.unlink(other, dir_fd=place)
    except OSError:
        return
    finally:
        os.close(place)


def _directory() -> Path | None:
    chosen = os.environ.get("MELDC_CACHE")
    if chosen == "off" or os.name != "posix":
        return None
    try:
        base = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meldc"
    except RuntimeError:  # no home
        return None
    return base if base.is_absolute() else None


def _file(name: str, key: bytes) -> str:
    return f"{name}-{sha256(key).hexdigest()[:24]}"


def _is_ours(handle: int) -> bool:
    """Whether an open file or directory belongs to the user and only the user can write to it."""
    found = os.fstat(handle)
    return found.st_uid == os.geteuid() and not found.st_mode & FOREIGN
