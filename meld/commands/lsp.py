"""`meldc lsp`: the language server."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.description = (
        "A language server for modules and compositions, on standard input and output: diagnostics with quick fixes, "
        "completion, signature help, inlay hints, renaming, definitions, references, hover with types and origins, the "
        "outline, folding, formatting. docs/editors.md says how editors start it."
    )
    parser.add_argument("--engine", action="store_true", help="have the engine validate what is in order otherwise")
    parser.add_argument("--stdio", action="store_true", help="what it does anyway; some editors insist")


def main(args: argparse.Namespace) -> int:
    """Serves until the client says that it is done. Raises MeldError: pygls is not installed."""
    import logging
    from importlib.util import find_spec

    from meld.diagnostics import MeldError

    if find_spec("pygls") is None or find_spec("lsprotocol") is None:
        raise MeldError("the language server needs pygls", hint="pip install 'meldc[lsp]'")
    from meld.editor.server import make_server

    logging.getLogger("pygls").setLevel(logging.ERROR)
    make_server(engine=args.engine).start_io()
    return 0
