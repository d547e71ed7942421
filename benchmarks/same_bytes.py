"""Whether two checkouts make the same of the same inputs: bytes of products, texts of dumps.

    python benchmarks/same_bytes.py BASE OTHER [--only WORD]... [--every N]

Each checkout compiles, in a process of its own, every fixture (its parts and as it is composed), every example, every
golden file and every component of the public suites, to a core module and to a component; three inputs are dumped after
every pass. What is refused has to be refused by both; the message may differ. Prints what differs; exit code 1 if
anything does.

The fixtures and suites are looked for in ``../shared`` beside this checkout. Needs `wasm-tools` beside the interpreter.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
DUMPED = ("fixtures/greet-c-c/parts", "fixtures/shop-c/parts", "examples/stream")
"""What is dumped after every pass: the first input whose name begins like this."""

Work = list[tuple[str, list[str], str]]
"""What to do: a name, the inputs, and ``core``, ``component`` or ``dumps``."""


def sources(directory: Path) -> Iterator[tuple[str, list[Path]]]:
    """The names and files of all inputs; those that have to be made go to `directory`."""
    manifest = SHARED / "fixtures/manifest.json"
    for case in json.loads(manifest.read_text()) if manifest.exists() else []:
        for form, files in (("parts", case["inputs"]), ("composed", [case["composed"]])):
            paths = [SHARED / "fixtures" / name for name in files if name is not None]
            if paths and all(path.exists() for path in paths):
                yield f"fixtures/{case['case']}-{case['variant']}/{form}", paths
    for folder in sorted((ROOT / "examples").iterdir()):
        if found := sorted(folder.glob("*.wat")):
            yield f"examples/{folder.name}", found[::-1]
    for path in sorted((ROOT / "tests/golden").rglob("*.wat")):
        yield f"golden/{path.relative_to(ROOT / 'tests/golden')}", [path]
    suites = SHARED / "conformance/suites"
    tool = Path(sys.executable).with_name("wasm-tools")
    environment = {**os.environ, "WAST_STRICT_COMPONENT_INDICES": "0"}
    for path in sorted(suites.rglob("*.wast")):
        name = path.relative_to(suites)
        into = directory / name.with_suffix("")
        into.mkdir(parents=True)
        command = [tool, "json-from-wast", path, "-o", into / "x.json", "--wasm-dir", into]
        if subprocess.run(command, env=environment, capture_output=True).returncode:
            print(f"left out: {name}, which wasm-tools does not take", file=sys.stderr)
        for wasm in sorted(into.glob("*.wasm")):
            yield f"suites/{name}/{wasm.name}", [wasm]


def work(directory: Path, only: list[str], every: int) -> Work:
    """All that both checkouts are to do."""
    found = [(name, [str(path) for path in paths]) for name, paths in sources(directory)]
    chosen = [each for each in found if all(word in each[0] for word in only)][::every]
    out: Work = [(f"{name} {form}", paths, form) for name, paths in chosen for form in ("core", "component")]
    for prefix in DUMPED:
        name, paths = next(each for each in found if each[0].startswith(prefix))
        out.append((f"{name} dumps", paths, "dumps"))
    return out


def made(paths: list[str], form: str) -> str:
    """What the compiler of this process makes of inputs, as a hash; or that it refuses them."""
    import contextlib
    import io

    import meld
    from meld.cli import main

    if form == "dumps":
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), TemporaryDirectory() as directory:
            code = main([*paths, "-q", "--dump-after=all", "-o", str(Path(directory) / "out.wasm")])
        return f"{code} {_hash(out.getvalue().encode())} {_hash(err.getvalue().encode())}"
    try:
        return _hash(meld.encode(meld.compile(paths, wrap=form == "component")))
    except meld.MeldError as e:
        return "refused, as a defect" if getattr(e, "own", False) else "refused"
    except Exception as e:
        return f"defect: {type(e).__name__}"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def serve() -> None:
    """The part of this script that runs in a checkout: work as JSON in, results as JSON out."""
    import meld

    assert Path(meld.__file__).is_relative_to(Path.cwd()), meld.__file__
    results = {name: made(paths, form) for name, paths, form in json.load(sys.stdin)}
    json.dump(results, sys.stdout)


def results(checkout: Path, todo: Work) -> dict[str, str]:
    """What a checkout makes of the work."""
    command = [sys.executable, str(Path(__file__).resolve()), "--serve"]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        command, cwd=checkout, env=environment, input=json.dumps(todo), stdout=subprocess.PIPE, text=True, check=True
    )
    found: Any = json.loads(done.stdout)
    return dict(found)


def main() -> int:
    """Compares the two checkouts that the command line names."""
    if sys.argv[1:] == ["--serve"]:
        serve()
        return 0
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("base", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="inputs with this in their names")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth input only")
    args = parser.parse_args()
    with TemporaryDirectory() as directory, ThreadPoolExecutor() as pool:
        todo = work(Path(directory), args.only, args.every)
        sides = pool.map(lambda side: results(side.resolve(), todo), (args.base, args.other))
        base, other = sides
    differ = [name for name in base if base[name] != other[name]]
    for name in differ:
        print(f"{name}: {base[name]} / {other[name]}")
    refused = sum(result.startswith("refused") for result in base.values())
    defects = [name for name, result in base.items() if result.startswith("defect")]
    print(f"{len(base)} products compared, {refused} of them refused; {len(differ)} differ")
    for name in defects:
        print(f"not counted as a product: {name}: {base[name]}")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
