"""What a running program exports, by kind."""

from __future__ import annotations

import wasmtime
from wasmtime._instance import InstanceExports
from wasmtime._instance import InstanceExports


def memory(exports: InstanceExports, name: str) -> wasmtime.Memory:
    """An exported memory."""
    item = exports[name]
    assert isinstance(item, wasmtime.Memory), f"{name} is no memory"
    return item


def function(exports: InstanceExports, name: str) -> wasmtime.Func:
    """An exported function."""
    item = exports[name]
    assert isinstance(item, wasmtime.Func), f"{name} is no function"
    return item
