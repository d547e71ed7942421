"""What all tests share: the gate of the loss scenarios, and signals as a terminal has them."""

from __future__ import annotations

import signal
import threading

import lossgate
import pytest


def pytest_configure(config: pytest.Config) -> None:
    lossgate.install(config)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background of a shell ignore it
