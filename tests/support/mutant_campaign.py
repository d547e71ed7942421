"""Mutants of components, core modules, texts and dumps through the compiler, by the hundred thousand, in one process.

Each mutant is read, validated, fused as the command line does it, and what comes out is validated: it is refused with
a clear error, or its product is valid. Whatever else happens is a finding: a crash, a pass that fails, an invalid
product, a text that reads otherwise than it was written, more than `SLOW` seconds of processor time, more than `LARGE`
bytes of memory. The notes of a dump are believed, so wrong ones may make a pass fail, or a wrong product, which the
command line says; such dumps are counted as `believed`.

    python tests/support/mutant_campaign.py FIRST LAST STATE     goes on where STATE, a file, ends; a line per thousand
    python tests/support/mutant_campaign.py SEED FILE            writes the mutant of one seed, and tries it
"""

from __future__ import annotations

import json
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import component_samples  # noqa: E402
import hostile_inputs  # noqa: E402
import random_async  # noqa: E402
import text_samples  # noqa: E402
from smith import MIXES, WASM_TOOLS, printed, smith  # noqa: E402

from meld.binary.validation import refusals, refusals_of_text  # noqa: E402
from meld.diagnostics import MeldError, PassFailure  # noqa: E402
from meld.driver import Options, plan_inputs  # noqa: E402
from meld.files import encode, is_binary, read_program, render  # noqa: E402
from meld.passes import Registry  # noqa: E402
from meld.passes.base import Program  # noqa: E402
from meld.passmanager import run  # noqa: E402
from meld.text.reading.program import parse  # noqa: E402

SLOW = 15
"""Seconds of processor time that a mutant may take."""
LARGE = 1 << 30
"""Bytes of memory that the process may come to hold by one mutant."""
SMALL, SMALL_TEXT = 5_000, 9_000
"""Bytes of a binary, and of a text, that mutants are made of."""
CHUNK = 1_000
KINDS = ("component", "text", "component", "dump", "component", "text", "core", "dump")
"""What the mutant of a seed is made of."""
PRINTED = 4
"""Of how many programs that are fused one is printed and read again."""

TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|\(;.*?;\)|;;[^\n]*|[^\s()"]+|[()]|\s+', re.S)
ODD_BYTES = (0x00, 0x01, 0x40, 0x7F, 0x80, 0xFF)
ODD_NUMBERS = (b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x08", b"\x80\x00", b"\xff\x7f", b"\x7f")
ODD_WORDS = ("0", "1", "4294967295", "4294967296", "-1", '""', '"a:b/c@1.0.0"', '"\\1b[8m"', "$nobody", "i32", "func")
ODD_WORDS_OF_DUMPS = (*ODD_WORDS, "(@meld.facts linked)", "(@meld.owner $nobody)", '(@meld.canon "")', "(@meld.x)")


@dataclass(frozen=True)
class Origin:
    """What mutants are made of: a binary, or the words of a text and where they may be changed.

    Attributes:
        passes: the pipeline that a dump goes on with; None for the default one.
    """

    data: bytes = b""
    words: tuple[str, ...] = ()
    places: tuple[int, ...] = ()
    passes: str | None = None


@dataclass(frozen=True)
class Mutant:
    """A changed input and how it is compiled."""

    data: bytes
    options: Options
    reread: bool


@dataclass
class Chunk:
    """What came of some seeds: how many mutants were fused, by kind, and what is to be mended."""

    first: int
    last: int
    fused: dict[str, int] = field(default_factory=dict)
    believed: int = 0
    findings: list[str] = field(default_factory=list)
    cpu: float = 0.0
    megabytes: int = 0


class Slow(BaseException):
    """A mutant took too long; no handler for errors may swallow it."""


# --- what mutants are made of ----------------------------------------------------------------------------------------


@cache
def origins(kind: str) -> list[Origin]:
    """Of a kind of `KINDS`, in an order that is the same everywhere."""
    match kind:
        case "component":
            return [Origin(data=data) for data in components()]
        case "core":
            return [Origin(data=data) for data in core_modules()]
        case "text":
            return [of_text(text) for text in map(printed, components()) if len(text) <= SMALL_TEXT]
        case "dump":
            return list(dumps())
    raise AssertionError(kind)


@cache
def components() -> list[bytes]:
    """Small components: fixtures, examples, samples of every form, and small programs that ask for much."""
    files = sorted([*(ROOT / "../shared/fixtures").rglob("*.wasm"), *(ROOT / "../shared/cases").rglob("*.wasm")])
    found = [path.read_bytes() for path in files if path.stat().st_size <= SMALL]
    texts = [path.read_text() for path in sorted((ROOT / "../shared/cases").rglob("*.wat"))]
    texts += [path.read_text() for path in sorted((ROOT / "examples").rglob("*.wat"))]
    texts += [component_samples.BUILTINS, component_samples.TYPES, component_samples.VALUES, component_samples.CUSTOMS]
    texts += [hostile_inputs.passing("", t) for t in ("u8", "string", "(list (tuple u8 string))", "(option u64)")]
    texts += [hostile_inputs.doubling(2, hostile_inputs.CORE, True), hostile_inputs.copies(2, hostile_inputs.RESOURCE)]
    texts += [hostile_inputs.stream_row(1), hostile_inputs.component_types(2), hostile_inputs.inline_exports(2)]
    found += filter(None, map(parsed, texts))
    found += [random_async.generate(seed).wasm for seed in range(6)]
    return [data for data in dict.fromkeys(found) if len(data) <= SMALL and data[4:8] != b"\x01\0\0\0"]


@cache
def core_modules() -> list[bytes]:
    """Small core modules: random ones of each mix of features, and one of every form."""
    found = [smith(seed, mix, 300) for mix in MIXES for seed in range(6)]
    found.append(parsed(text_samples.EVERYTHING))
    return [data for data in found if data is not None and len(data) <= SMALL]


def dumps() -> Iterator[Origin]:
    """The golden tests of passes: programs with notes, and the pipelines that they go on with."""
    for path in sorted((ROOT / "tests" / "golden").rglob("*.wat")):
        text = path.read_text()
        passes = re.search(r"^;; meldc:.*--passes=(\S+)", text, re.M)
        if "@meld." in text and len(text) <= SMALL:
            origin = of_text(re.sub(r"^\s*;;.*\n", "", text, flags=re.M), passes[1].strip("'\"") if passes else None)
            if origin.places:
                yield origin


def parsed(text: str) -> bytes | None:
    """The binary of a text; None where it is none, as some cases are on purpose."""
    done = subprocess.run([WASM_TOOLS, "parse", "-"], input=text.encode(), capture_output=True)
    return done.stdout if done.returncode == 0 else None


def of_text(text: str, passes: str | None = None) -> Origin:
    """A text, of which all is changed but little of the code."""
    words = tuple(TOKENS.findall(text))
    places, depth, core = [], 0, 0
    for i, word in enumerate(words):
        if word == "(":
            depth += 1
            if not core and passes is None and words[i + 1 : i + 4 : 2] == ("core", "module"):
                core = depth
        elif word == ")":
            core = 0 if core == depth else core
            depth -= 1
        elif sort(word) and (not core or i % 20 == 0):
            places.append(i)
    return Origin(words=words, places=tuple(places), passes=passes)


def sort(word: str) -> str:
    """Words of one sort can stand for one another."""
    return word[0] if word[0] in '"$@' else "0" if word[0].isdigit() else "word" if word[0].isalpha() else ""


# --- mutants ---------------------------------------------------------------------------------------------------------


def mutant(seed: int) -> Mutant:
    """The mutant of a seed."""
    kind, r = KINDS[seed % len(KINDS)], random.Random(f"mutant {seed}")
    origin = r.choice(origins(kind))
    options = Options(passes=origin.passes, reproducer=None, provenance="off")
    if origin.words:
        data = changed_text(origin, r, ODD_WORDS_OF_DUMPS if kind == "dump" else ODD_WORDS).encode()
        options.trust_notes = kind == "dump"
    else:
        data = changed_binary(origin.data, r, origins(kind))
    options.wrap = kind != "dump" and r.random() < 0.5
    return Mutant(data, options, r.randrange(PRINTED) == 0)


def changed_binary(data: bytes, r: random.Random, others: list[Origin]) -> bytes:
    """A binary with a few bytes changed, mostly in place, so that what is around it still fits."""
    changed = bytearray(data)
    for _ in range(r.choice((1, 1, 1, 2, 4))):
        at = r.randrange(7, len(changed))
        match r.randrange(9):
            case 0 | 1:
                changed[at] ^= 1 << r.randrange(8)
            case 2:
                changed[at] = r.choice(ODD_BYTES)
            case 3:
                changed[at] = (changed[at] + r.choice((-1, 1))) & 0xFF
            case 4:  # as it stands elsewhere in the same binary
                start, size = r.randrange(len(data)), r.randrange(1, 9)
                changed[at : at + size] = data[start : start + size]
            case 5:
                number = r.choice(ODD_NUMBERS)
                changed[at : at + r.choice((len(number), 1))] = number
            case 6:
                other = r.choice(others).data
                start, size = r.randrange(len(other)), r.randrange(1, 30)
                changed[at : at + size] = other[start : start + size]
            case 7:
                changed[at : at + r.randrange(4)] = r.randbytes(r.randrange(4))
            case _:
                changed[at:] = changed[at + r.randrange(8) :] if r.random() < 0.8 else b""
        if len(changed) < 8:
            break
    return bytes(changed)


def changed_text(origin: Origin, r: random.Random, odd: tuple[str, ...]) -> str:
    """A text in which a few words are others of the same sort or odd ones, or a form is twice, elsewhere or gone."""
    words, places = list(origin.words), origin.places
    for _ in range(r.choice((1, 1, 1, 2, 3))):
        at, reach = r.choice(places), r.choice((30, 300, 3000))
        near = [i for i in places if abs(i - at) < reach and sort(words[i]) == sort(words[at])]
        words[at] = r.choice(odd) if r.random() < 0.15 else words[r.choice(near)]
    if r.random() < 0.35:
        starts = [i - 1 for i in places if words[i - 1] == "("]
        start = r.choice(starts)
        end, form = form_at(words, start)
        match r.randrange(3):
            case 0:
                words[start:end] = []
            case 1:
                words[start:end] = [*form, " ", *form]
            case _:
                other = r.choice(starts)
                words[start:end] = form_at(words, other)[1]
    return "".join(words)


def form_at(words: list[str], start: int) -> tuple[int, list[str]]:
    """The end of the form that begins there, and its words."""
    depth, end = 0, start
    while end < len(words) and (depth or end == start):
        depth += (words[end] == "(") - (words[end] == ")")
        end += 1
    return end, words[start:end]


# --- one mutant ------------------------------------------------------------------------------------------------------


def outcome(one: Mutant) -> str:
    """`fused`, `refused` or `believed`; anything else is a finding."""
    try:
        program = read_program(one.data, "mutant")
        invalid = unsound(one.data)
    except MeldError as e:
        return "refused" if e.message else "an error without a message"
    try:
        program, plan = plan_inputs([program], ["mutant"], one.options, Registry.standard())
        product, _ = run(plan, program)
        binary = b"".join(render(product, "wasm"))
    except PassFailure as e:
        return "refused" if invalid else "believed" if one.options.trust_notes else f"a pass fails: {e}"
    except MeldError as e:
        return "refused" if e.message else "an error without a message"
    if invalid:
        return "refused"
    return unsound_product(product, binary, one) or "fused"


def unsound(data: bytes) -> bool:
    """Whether the engine refuses a core module of an input that we have read."""
    found = refusals(data) if is_binary(data) else refusals_of_text(data)
    if found is None:
        found = refusals(encode(parse(data.decode(), "mutant")))
    return any(not refusal.lacks for refusal in found)


def unsound_product(product: Program, binary: bytes, one: Mutant) -> str | None:
    """What is wrong with a product."""
    for refusal in refusals(binary):
        if not refusal.lacks:
            return "believed" if one.options.trust_notes else f"an invalid product: {refusal.message}"
    if one.options.wrap and not (valid(binary) or not valid(wasm_of(one.data))):
        return "an invalid component"
    if one.reread:
        again = encode(parse(b"".join(render(product, "wat")).decode(), "again"))
        if without_names(again) != without_names(binary):
            return "its text is another program"
    return None


def without_names(module: bytes) -> bytes:
    """A binary up to its names: a label may have one that no block has, which a text cannot say."""
    return module.partition(b"\x04name\x00")[0][:-3] if module[4:8] == b"\x01\0\0\0" else b""


def wasm_of(data: bytes) -> bytes:
    """An input as a binary."""
    return data if is_binary(data) else encode(parse(data.decode(), "mutant"))


def valid(data: bytes) -> bool:
    """What `wasm-tools` says."""
    done = subprocess.run([WASM_TOOLS, "validate", "--features=all", "-"], input=data, capture_output=True)
    return done.returncode == 0


@contextmanager
def in_time() -> Iterator[None]:
    """Raises `Slow` after `SLOW` seconds of processor time."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise Slow

    before = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, SLOW)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def tried(seed: int) -> str:
    """What comes of the mutant of a seed: `fused`, `refused`, or a finding."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with in_time():
            found = outcome(mutant(seed))
    except Slow:
        return f"more than {SLOW} s"
    except RecursionError:
        return "recursion without a bound"
    except Exception as e:
        return f"{type(e).__name__}: {e}"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most) << 10
    return f"{grown >> 20} MB" if grown > LARGE else found


# --- many ------------------------------------------------------------------------------------------------------------


def chunk(first: int, last: int) -> Chunk:
    """Tries the mutants of some seeds."""
    done, begin = Chunk(first, last), time.process_time()
    for seed in range(first, last):
        found = tried(seed)
        if found == "fused":
            kind = KINDS[seed % len(KINDS)]
            done.fused[kind] = done.fused.get(kind, 0) + 1
        elif found == "believed":
            done.believed += 1
        elif found != "refused":
            done.findings.append(f"{seed}: {found}"[:600])
    done.cpu = round(time.process_time() - begin, 2)
    done.megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return done


def campaign(first: int, last: int, state: Path) -> None:
    """Tries all seeds from `first` to `last` that the file does not list yet."""
    rows = [json.loads(line) for line in state.read_text().splitlines()] if state.exists() else []
    at = max([first, *(row["last"] for row in rows)])
    while at < last:
        done = chunk(at, min(at + CHUNK, last))
        with state.open("a") as file:
            print(json.dumps({name: getattr(done, name) for name in done.__dataclass_fields__}), file=file)
        at = done.last


def main(words: list[str]) -> None:
    match words:
        case [first, last, state]:
            campaign(int(first), int(last), Path(state))
        case [seed, file]:
            Path(file).write_bytes(mutant(int(seed)).data)
            print(KINDS[int(seed) % len(KINDS)], mutant(int(seed)).options, tried(int(seed)), sep="\n")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
