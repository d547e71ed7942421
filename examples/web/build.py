"""Fuses the two asynchronous components of ../async and writes one HTML file that runs them in a browser."""

from __future__ import annotations

import sys
from base64 import b64encode
from pathlib import Path

import meld

HERE = Path(__file__).parent
INPUTS = [HERE.parent / "async" / name for name in ("producer.wasm", "consumer.wasm")]


def main() -> None:
    """Writes the page to the path that is given, or beside this file."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "lines.html"
    code = meld.encode(meld.compile(INPUTS))
    page = (HERE / "page.html").read_text(encoding="utf-8")
    target.write_text(page.replace("@MODULE@", b64encode(code).decode()), encoding="utf-8")
    print(f"{target}: {len(code)} bytes of WebAssembly; open it in a browser")


if __name__ == "__main__":
    main()
