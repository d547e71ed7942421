"""The files of a new plugin package, as `meldc new-pass` lays them out."""

from __future__ import annotations

import re

from meld.diagnostics import MeldError
from meld.passes import BUILTIN, GROUP

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
