"""meldc: a compiler that fuses WebAssembly components into one core module.

The public API, which is also all that a plugin needs:

    import meld

    module = meld.compile(["producer.wat", "consumer.wat"])          # a fused Module
    module = meld.compile(["a.wasm", "b.wasm"], stop_after="merge")
    data = meld.encode(module)                                        # core wasm
    print(meld.print_text(module))                                    # the IR as text
    program = meld.load("dump.wat")                                   # Component or Module
"""

import sys  # built in: no file in the current folder can stand for it


def _leave_the_current_folder() -> None:
    """With `python -m meld` the interpreter looks for modules in the current folder first: not with us.

    This is done before anything else is imported. The package itself is found already, wherever it lies.
    """
    words = sys.orig_argv[1:]
    option = words.index("-m") if "-m" in words else None
    named = words[option + 1] if option is not None else "meld" if "-mmeld" in words else ""
    if named == "meld" and sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
        del sys.path[0]


_leave_the_current_folder()

from typing import TYPE_CHECKING, Any  # noqa: E402

from meld.version import __version__ as __version__  # noqa: E402

if TYPE_CHECKING:
    from meld.diagnostics import MeldError as MeldError
    from meld.driver import compile as compile
    from meld.files import encode as encode
    from meld.files import load as load
    from meld.files import print_text as print_text
    from meld.ir.component import Component as Component
    from meld.ir.instructions import Instruction as Instruction
    from meld.ir.module import Function as Function
    from meld.ir.module import Global as Global
    from meld.ir.module import Memory as Memory
    from meld.ir.module import Module as Module
    from meld.ir.module import Table as Table
    from meld.ir.notes import Note as Note
    from meld.ir.notes import note as note
    from meld.passes.base import Pass as Pass
    from meld.passes.base import PassContext as PassContext
    from meld.passes.base import option as option
    from meld.rewriting.splice import splice as splice

_PUBLIC = {
    "MeldError": "meld.diagnostics",
    "compile": "meld.driver",
    "encode": "meld.files",
    "load": "meld.files",
    "print_text": "meld.files",
    "Component": "meld.ir.component",
    "Instruction": "meld.ir.instructions",
    "Function": "meld.ir.module",
    "Global": "meld.ir.module",
    "Memory": "meld.ir.module",
    "Module": "meld.ir.module",
    "Table": "meld.ir.module",
    "Note": "meld.ir.notes",
    "note": "meld.ir.notes",
    "splice": "meld.rewriting.splice",
    "Pass": "meld.passes.base",
    "PassContext": "meld.passes.base",
    "option": "meld.passes.base",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    """Imports late: `meldc --help` must not pay for the compiler."""
    if name in _PUBLIC:
        from importlib import import_module

        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'meld' has no attribute {name!r}")
