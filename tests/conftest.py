"""What all tests share: the gate of the loss scenarios."""

from __future__ import annotations

import lossgate
import pytest


def pytest_configure(config: pytest.Config) -> None:
    lossgate.install(config)
