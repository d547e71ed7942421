"""The compiler in processes of its own whose time and memory are measured; one that has it imported forks them all."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

CPU = 60
"""Seconds of the processor after which a process is stopped."""

MEMORY = 3 << 30
"""Bytes that a process gets at most, so that the machine survives a failing test."""


class Measured(NamedTuple):
    """What came of a run: exit code (negative: a signal), standard error, peak bytes, seconds of the processor."""

    code: int
    said: str
    memory: int
    cpu: float


class Compiler:
    """Runs of the command line, one at a time."""

    def __enter__(self) -> Compiler:
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.close()
        self._server.stdout.close()
        self._server.wait()

    def run(self, folder: Path, *args: str | Path) -> Measured:
        """Runs it with arguments; `folder` gets the file that standard error is written to."""
        assert self._server.stdin is not None and self._server.stdout is not None
        said = folder / "stderr.txt"
        self._server.stdin.write(json.dumps([str(said), *map(str, args)]) + "\n")
        self._server.stdin.flush()
        code, memory, cpu = json.loads(self._server.stdout.readline())
        return Measured(code, said.read_text(), memory, cpu)


def _serve() -> None:
    from meld import cli, driver  # noqa: F401
    from meld.passes import adapter_wiring, merge  # noqa: F401
    from meld.text.reading import program  # noqa: F401
    from meld.validity import components  # noqa: F401

    for line in sys.stdin:
        said, *args = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(said, args)
        _, status, used = os.wait4(child, 0)
        answer = (os.waitstatus_to_exitcode(status), used.ru_maxrss * 1024, used.ru_utime + used.ru_stime)
        print(json.dumps(answer), flush=True)


def _run(said: str, args: list[str]) -> None:
    """The forked process: never returns."""
    from meld.cli import main

    resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(2, 1)
    code: object = 70
    try:
        code = main(args)
    except SystemExit as e:
        code = e.code
    except BaseException as e:  # what Python would end with 1 and a traceback
        print(f"crashed: {e!r}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    _serve()
