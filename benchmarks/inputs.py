"""The large inputs, built once with the tools that people use: componentize-js (npm) and componentize-py (PyPI).

They go to ``.bench/large``, or where ``MELD_INPUTS`` says. What cannot be built is said, and its rows are left empty.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from measure import LARGE, ROOT

WIT = """package demo:app;
interface greet { hello: func(name: string) -> string; sum: func(xs: list<u32>) -> u32; }
world provider { export greet; }
world consumer { import greet; export run: func(n: u32) -> string; }
"""

JS = {
    "provider": """export const greet = {
  hello(name) { return "hello " + name; },
  sum(xs) { let s = 0; for (const x of xs) s = (s + x) >>> 0; return s; },
};
""",
    "consumer": """import { hello, sum } from 'demo:app/greet';
export function run(n) { return hello(String(sum(Uint32Array.from({ length: n }, (_, i) => i)))); }
""",
}
COMPONENTIZE = """import { componentize } from '@bytecodealliance/componentize-js';
import { readFile, writeFile } from 'node:fs/promises';
const [source, wit, world, out] = process.argv.slice(2);
const { component } = await componentize(await readFile(source, 'utf8'),
  { witPath: wit, worldName: world, disableFeatures: ['random', 'stdio', 'clocks', 'http', 'fetch-event'] });
await writeFile(out, component);
"""

PY = {
    "provider": """from wit_world import exports


class Greet(exports.Greet):
    def hello(self, name: str) -> str:
        return "hello " + name

    def sum(self, xs: list[int]) -> int:
        return sum(xs) & 0xFFFFFFFF
""",
    "consumer": """import wit_world
from wit_world.imports import greet


class WitWorld(wit_world.WitWorld):
    def run(self, n: int) -> str:
        return greet.hello(str(greet.sum(list(range(n)))))
""",
}


def pair(language: str) -> list[Path] | None:
    """The consumer and the provider of a language, ``js`` or ``py``; None if they are not there."""
    paths = [LARGE / f"{language}-{role}.wasm" for role in ("consumer", "provider")]
    return paths if all(path.exists() for path in paths) else None


def build_js(work: Path) -> None:
    """Builds the pair that carries StarlingMonkey."""
    (work / "componentize.mjs").write_text(COMPONENTIZE)
    _run("npm", "install", "--no-audit", "--no-fund", "@bytecodealliance/componentize-js", cwd=work)
    for role, source in JS.items():
        (work / f"{role}.js").write_text(source)
        _run("node", "componentize.mjs", f"{role}.js", "greet.wit", role, str(LARGE / f"js-{role}.wasm"), cwd=work)


def build_py(work: Path) -> None:
    """Builds the pair that carries CPython."""
    venv.create(work / "venv", with_pip=True)
    bin_ = work / "venv" / "bin"
    _run(str(bin_ / "pip"), "install", "--quiet", "componentize-py", cwd=work)
    for role, source in PY.items():
        (work / f"{role}_app.py").write_text(source)
        made = str(LARGE / f"py-{role}.wasm")
        wit = ("-d", "greet.wit", "-w", role)
        _run(str(bin_ / "componentize-py"), *wit, "componentize", f"{role}_app", "-o", made, cwd=work)


def _run(*words: str, cwd: Path) -> None:
    subprocess.run(words, cwd=cwd, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Builds what is not there."""
    for language, build in (("js", build_js), ("py", build_py)):
        if pair(language) is not None:
            continue
        work = ROOT / ".bench" / f"build-{language}"
        work.mkdir(parents=True, exist_ok=True)
        LARGE.mkdir(parents=True, exist_ok=True)
        (work / "greet.wit").write_text(WIT)
        print(f"building the {language} pair …", file=sys.stderr)
        try:
            build(work)
        except (OSError, subprocess.CalledProcessError) as e:
            print(f"the {language} pair cannot be built here: {e}", file=sys.stderr)


if __name__ == "__main__":
    main()
