"""The files that stand among the modules of this package: grammars, templates, the kernel."""

from __future__ import annotations

import pkgutil


def packaged(package: str, name: str) -> str:
    """The text of a file beside the modules of a package, wherever that was imported from."""
    data = pkgutil.get_data(package, name)
    assert data is not None, (package, name)
    return data.decode()
