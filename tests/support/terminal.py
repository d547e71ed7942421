"""A program in a pseudo-terminal, and what its screen shows."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pyte

ROWS, COLUMNS = 200, 120
PATIENCE = 60
"""Seconds until something that is waited for is missed."""


class Terminal:
    """`meldc` with arguments in a terminal."""

    def __init__(self, *args: str | Path, cwd: Path, env: dict[str, str]) -> None:
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        command = [sys.executable, "-m", "meld", *map(str, args)]
        environment = {**os.environ, "TERM": "linux", "PYTHONPATH": str(Path(__file__).parents[2]), **env}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env=environment, preexec_fn=_controlling
        )
        os.close(slave)

    def __enter__(self) -> Terminal:
        self.wait(Terminal.is_ready)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self.master)

    @property
    def text(self) -> str:
        """What the screen shows."""
        return "\n".join(line.rstrip() for line in self.screen.display).strip()

    def is_ready(self) -> bool:
        """Whether the last line is a prompt with the cursor behind it."""
        line = self.screen.display[self.screen.cursor.y].rstrip()
        return bool(re.fullmatch(r"\(\d+ \S+\)", line)) and self.screen.cursor.x == len(line) + 1

    def wait(self, condition: Callable[[Terminal], bool]) -> str:
        """Waits until something holds of the screen, and returns what it shows."""
        end = time.monotonic() + PATIENCE
        while not condition(self):
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f"waited in vain; the screen shows:\n{self.text}"
            try:
                data = os.read(self.master, 65536)
            except OSError:
                data = b""
            assert data, f"it has ended; the screen shows:\n{self.text}"
            self.stream.feed(data)
        return self.text

    def type(self, keys: str) -> None:
        """Types keys."""
        os.write(self.master, keys.encode())

    def command(self, line: str) -> str:
        """Types a command, and returns what it answers, up to the next prompt."""
        self.screen.reset()
        self.type(line + "\r")
        return self.wait(Terminal.is_ready).partition("\n")[2].rpartition("\n")[0]

    def showing(self, part: str) -> str:
        """Waits until the screen shows something."""
        return self.wait(lambda terminal: part in terminal.text)

    def end(self) -> int:
        """Waits for the end of the program, and returns its exit code."""
        return self.process.wait(PATIENCE)


def _controlling() -> None:
    """Makes the terminal the one whose keys become signals."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
