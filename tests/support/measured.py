"""The compiler in processes that are forked from one that has it imported: no start of Python, and each is measured.

What a forked process does is what `python -m meld` does from `meld.cli.main` on. All of them have the hash seed of the
one that forks; tests of reproducible bytes, of the start and of what is imported start processes of their own.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

CPU = 60
"""Seconds of the processor after which a process is stopped."""

PATIENCE = 300
"""Seconds after which a process that waits is stopped."""

MEMORY = 3 << 30
"""Bytes that a process gets at most, so that the machine survives a failing test."""


class Measured(NamedTuple):
    """What came of a run: exit code (negative: a signal), standard error, peak bytes, seconds of the processor."""

    code: int
    said: str
    memory: int
    cpu: float


class Server:
    """The process that forks. It ends with the one that made it, whose end of the pipe is closed then."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        self._lock = threading.Lock()
        atexit.register(self._process.communicate)

    def run(
        self,
        args: Sequence[str | Path],
        out: str | Path,
        err: str | Path,
        cwd: Path,
        *,
        limited: bool = False,
        env: Mapping[str, str] | None = None,
        stdin: str | Path = os.devnull,
    ) -> tuple[int, int, float]:
        """Runs `meldc ARGS`, its input and output in files; exit code, peak bytes and seconds of the processor.

        `env` is added to the environment.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        files = [str(path) for path in (stdin, out, err)]
        environment = {**os.environ, **(env or {})}
        request = {"args": [*map(str, args)], "files": files, "cwd": str(cwd), "limited": limited, "env": environment}
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            code, memory, cpu = json.loads(self._process.stdout.readline())
        return code, memory, cpu


@cache
def server() -> Server:
    """One for all tests of this process."""
    return Server()


def forked(*args: str | Path, cwd: Path = ROOT, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """What `meldc ARGS` does, as `subprocess.run` with captured text tells it; `env` is added to the environment."""
    with TemporaryDirectory() as folder:
        given, out, err = (Path(folder, name) for name in ("in", "out", "err"))
        given.write_text(stdin)
        code, _, _ = server().run(args, out, err, cwd, env=env, stdin=given)
        return subprocess.CompletedProcess(["meldc", *args], code, out.read_text(), err.read_text())


class Compiler:
    """Runs of the command line with limits."""

    def __enter__(self) -> Compiler:
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def run(self, folder: Path, *args: str | Path) -> Measured:
        """Runs it with arguments; `folder` gets the file that standard error is written to."""
        said = folder / "stderr.txt"
        code, memory, cpu = server().run(args, said, said, Path.cwd(), limited=True)
        return Measured(code, said.read_text(), memory, cpu)


SMALL = """(component
  (import "log" (func $log (param "s" string)))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core func $lowered (canon lower (func $log) (memory $memory "memory")))
  (core module $m (import "" "log" (func (param i32 i32))) (func (export "run")))
  (core instance $i (instantiate $m (with "" (instance (export "log" (func $lowered))))))
  (func (export "run") (canon lift (core func $i "run"))))"""


def _used() -> list[str]:
    """The modules that a run imports. It runs in a process of its own: it starts threads, which no fork takes over."""
    with TemporaryDirectory() as folder:
        source, names = Path(folder, "small.wat"), Path(folder, "names")
        source.write_text(SMALL)
        child = os.fork()
        if child == 0:
            from meld.cli import main

            with _ended():
                assert main([str(source), "--emit=component", "-q", "-o", str(Path(folder, "small.wasm"))]) == 0
                names.write_text("\n".join(name for name in sys.modules if name.partition(".")[0] == "meld"))
                raise SystemExit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        return names.read_text().split()


def _serve() -> None:
    sys.path[0] = str(ROOT)
    for name in _used():
        importlib.import_module(name)
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        request = json.loads(line)
        assert len([*Path("/proc/self/task").iterdir()]) == 1, "threads do not survive a fork"
        child = os.fork()
        if child == 0:
            _run(**request)
        _, status, used = os.wait4(child, 0)
        answer = (os.waitstatus_to_exitcode(status), used.ru_maxrss * 1024, used.ru_utime + used.ru_stime)
        print(json.dumps(answer), flush=True)


@contextmanager
def _ended() -> Iterator[None]:
    """Ends the process, whatever becomes of the block: what Python would end with 1 and a traceback is 70."""
    code: object = 70
    try:
        yield
    except SystemExit as e:
        code = e.code
    except BaseException as e:
        print(f"crashed: {e!r}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)


def _run(args: list[str], files: list[str], cwd: str, limited: bool, env: dict[str, str]) -> None:
    """The forked process: never returns."""
    from meld.cli import main

    with _ended():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.alarm(PATIENCE)
        if limited:
            resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU))
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        modes = (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOCTTY] * 2)
        for number, (path, mode) in enumerate(zip(files, modes, strict=True)):
            os.dup2(os.open(path, mode, 0o644), number)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = ["meldc", *args]
        main()


if __name__ == "__main__":
    _serve()
