"""The command line of wasmtime, which has features that its Python package cannot turn on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

CLI = shutil.which("wasmtime") or str(Path(sysconfig.get_path("purelib")) / "wasmtime_cli" / "wasmtime")
needs_cli = pytest.mark.skipif(not os.access(CLI, os.X_OK), reason="needs the command line of wasmtime")

FEATURES = (
    "component-model-async=y,component-model-async-stackful=y,component-model-more-async-builtins=y,"
    "component-model-error-context=y,multi-memory=y"
)


def invoked(component: Path, calls: Sequence[str]) -> list[str]:
    """What calls print, each in a new instance, or the last line of why they trap."""
    found = []
    for call in calls:
        command = [CLI, "run", "-O", "opt-level=0", "-W", FEATURES, "--invoke", call, str(component)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        found.append(done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1])
    return found
