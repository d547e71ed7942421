"""`meldc new-pass`: a plugin package to begin with."""

from __future__ import annotations

import argparse
import re

from meld.diagnostics import MeldError
from meld.passes import BUILTIN, GROUP


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.description = (
        "Lay out a package for a pass of your own: pyproject.toml with its entry point, the pass, a golden test that "
        "passes, a README. docs/passes.md goes on from there."
    )
    parser.epilog = "example:\n  meldc new-pass fold-constants     makes meld-fold-constants/ here"
    parser.add_argument("name", metavar="NAME", help="the name of the pass, as in a pipeline")
    parser.add_argument("folder", metavar="DIR", nargs="?", default=".", help="where the package's folder goes; here")


def main(args: argparse.Namespace) -> int:
    """Writes the files, and says what can be done with them. Raises MeldError: the folder is there already."""
    from pathlib import Path

    from meld.diagnostics import MeldError
    from meld.files import write_file

    distribution, files = layout(args.name)
    folder = Path(args.folder) / distribution
    if folder.exists():
        raise MeldError("is there already", where=str(folder), hint="remove it, or name another DIR")
    for path, text in files.items():
        target = folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise MeldError(f"cannot make the folder: {e.strerror}", where=str(target.parent)) from e
        write_file(target, text.encode())
    print("\n".join([*(f"{folder / path}" for path in files), f"now: meldc test {folder / 'tests'}"]))
    return 0


NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "0.1.0"
description = "A pass of meldc: {name}"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["meldc"]

[project.entry-points."{group}"]
{name} = "{package}:{cls}"

[tool.hatch.build.targets.wheel]
packages = ["{package}"]

[tool.pytest.ini_options]
meldc_golden = "tests"
"""

PACKAGE = '''\
"""The pass `{name}` of meldc."""

from meld import Module, Pass, PassContext


class {cls}(Pass):
    """Say in one line what the pass does."""

    name = "{name}"
    requires = frozenset({{"merged"}})

    def run(self, module: Module, cx: PassContext) -> None:
        cx.remark(f"{{len(module.functions)}} function(s)")
'''

GOLDEN = """\
;; What the pass does to a small program.
;; meldc: --plugin=../{package}/__init__.py --passes={name}
;; remark: 1 function(s)
;; run: f(3) == 3
(module
  (@meld.facts linked merged)
  (func $f (export "f") (param i32) (result i32)
    local.get 0))
"""

README = """\
# {distribution}

A pass of meldc.

```sh
meldc a.wasm b.wasm --plugin={package}/__init__.py --passes=merge,{name},finish -o fused.wasm    # as it is
pip install .                                                    # for good: then --plugin is not needed
meldc passes {name}                                              # what it does, and its options
meldc test tests                                                 # its tests; `pytest` runs them too
```
"""

FILES = {"pyproject.toml": PYPROJECT, "README.md": README, "{package}/__init__.py": PACKAGE, "tests/{name}.wat": GOLDEN}


def layout(name: str) -> tuple[str, dict[str, str]]:
    """The folder of a package for a new pass, and its files by path in it.

    Raises:
        MeldError: the name is none for a pass, or is taken.
    """
    if not NAME.fullmatch(name):
        raise MeldError(f"`{name}` is no name for a pass", hint="small letters, digits and hyphens: `fold-constants`")
    if name in BUILTIN:
        raise MeldError(f"the compiler has a pass `{name}`", hint="a plugin cannot replace it; choose another name")
    distribution = f"meld-{name}"
    values = {
        "name": name,
        "distribution": distribution,
        "package": distribution.replace("-", "_"),
        "cls": "".join(part.capitalize() for part in name.split("-")),
        "group": GROUP,
    }
    return distribution, {path.format(**values): text.format(**values) for path, text in FILES.items()}
