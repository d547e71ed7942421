"""The `repr` of the objects of a program: kind and name.

The objects refer to each other in circles, so the `repr` of a dataclass would not end.
"""

from __future__ import annotations

from typing import Any


class Named:
    """Base of classes whose objects are shown as ``<Function producer/p_write>``."""

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__repr__ = Named.__repr__  # type: ignore[method-assign]  # a dataclass keeps what its class has

    def __repr__(self) -> str:
        name = getattr(self, "name", None) or getattr(self, "where", None) or f"{id(self):#x}"
        return f"<{type(self).__name__} {name}>"
