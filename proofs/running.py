"""What a running program exports, by kind."""

from __future__ import annotations

from typing import Any

import wasmtime


def memory(exports: Any, name: str) -> wasmtime.Memory:
    """An exported memory."""
    item = exports[name]
    assert isinstance(item, wasmtime.Memory), f"{name} is no memory"
    return item


def function(exports: Any, name: str) -> wasmtime.Func:
    """An exported function."""
    item = exports[name]
    assert isinstance(item, wasmtime.Func), f"{name} is no function"
    return item
