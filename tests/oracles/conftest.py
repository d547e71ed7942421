"""Fixtures of the tests that run fused programs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from parties import Form, Fuse, Fused


@pytest.fixture(params=Form, ids=lambda form: form.name.lower())
def fuse(request: pytest.FixtureRequest, tmp_path: Path) -> Fuse:
    """``fuse(parties, …)`` compiles and runs parties; each test that asks for it runs with memories in all forms."""
    return partial(Fused, directory=tmp_path, form=request.param)
