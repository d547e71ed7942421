"""Names of imports and exports, and labels inside types: which are well-formed, and which are too alike.

Where engines and tools differ in what they take, everything that one of them takes is well-formed: namespaces of
several parts and projections (``a:b:c/d/e``), accessors (``[get]x``), names of dependencies, locations and hashes, and
`a-1` beside `a1`.

Source: Component Model, Explainer.md, Import and Export Definitions (`exportname`, `importname`, strongly-unique).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from meld.diagnostics import MeldError

ANNOTATIONS = ("constructor", "method", "static")


class ParsedName(NamedTuple):
    """A well-formed name.

    Attributes:
        kind: ``label``, ``constructor``, ``method``, ``static``, ``interface``, or ``elsewhere`` for what names a
            place, a package or a hash, which only an import can.
        key: equal for names that are not strongly unique: of which a component cannot have two.
        resource: of an annotated name, the resource that it belongs to.
        accessor: ``get`` or ``set``.
        version: of an interface, as it is written.
    """

    kind: str
    key: tuple[str, str]
    resource: str | None = None
    accessor: str | None = None
    version: str | None = None


@lru_cache(maxsize=4096)
def parse_name(text: str) -> ParsedName:
    """Takes a name apart. Raises MeldError if it is not well-formed; the message goes on from "… name `x`"."""
    found = _interface(text) if ":" in text else _plain(text)
    if found is None and ("=<" in text and _is_elsewhere(text)):
        found = ParsedName("elsewhere", ("elsewhere", text))
    if found is None:
        raise _malformed(text)
    return found


def _interface(text: str) -> ParsedName | None:
    path, at, version = text.partition("@")
    package, *labels = path.split("/")
    words = package.split(":")
    if not labels or len(words) < 2 or package != package.lower() or not all(map(is_label, (*words, *labels))):
        return None
    return ParsedName("interface", ("interface", path.lower() + at + version), version=version if at else None)


def _plain(text: str) -> ParsedName | None:
    annotation = accessor = None
    rest = text
    for words in (ANNOTATIONS, ("get", "set")):
        word, closed, behind = rest[1:].partition("]")
        if closed and rest[0] == "[" and word in words:
            annotation, accessor = (word, None) if words is ANNOTATIONS else (annotation, word)
            rest = behind
    if annotation in ("method", "static"):
        resource, _, label = rest.partition(".")
        if is_label(resource) and is_label(label):
            return ParsedName(annotation, _plain_key(label, resource, accessor), resource, accessor)
    elif not is_label(rest):
        return None
    elif annotation is None:
        return ParsedName("label", _plain_key(rest, None, accessor), None, accessor)
    elif accessor is None:
        return ParsedName(annotation, ("constructor", rest.lower()), rest)
    return None


def _is_elsewhere(text: str) -> bool:
    """Whether it is a name of a dependency, a location or a hash, which are rare: the patterns take long to compile."""
    import re

    number = r"(?:0|[1-9][0-9]*)"
    before = rf"(?:{number}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
    build = r"[0-9a-zA-Z-]+"
    version = rf"{number}\.{number}\.{number}(?:-{before}(?:\.{before})*)?(?:\+{build}(?:\.{build})*)?"
    label = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
    package = rf"{label}(?::{label})+(?:/{label})*"
    some = rf"@(?:\*|\{{(?:>={version}|<{version}|>={version} <{version})\}})"
    hashed = r"sha(?:256|384|512)-[A-Za-z0-9+/]+={0,2}(?:\?[!-~]*)?"
    integrity = rf"integrity=<\s*{hashed}(?:\s+{hashed})*\s*>"
    forms = (
        *(rf"unlocked-dep=<{package}(?:{some})?>", rf"locked-dep=<{package}(?:@{version})?>(?:,{integrity})?"),
        *(rf"(?:relative-)?url=<[^<>]*>(?:,{integrity})?", integrity),
    )
    return re.fullmatch("|".join(forms), text) is not None


def _plain_key(label: str, resource: str | None, accessor: str | None) -> tuple[str, str]:
    """What labels that clash share: ``[method]a.b`` clashes with ``[static]a.b``, and ``[method]a.a`` with ``a``.

    A getter clashes with what has its name without `[get]`; the setter of the same property does not.
    """
    label = label.lower()
    if resource is not None and resource.lower() != label:
        label = f"{resource.lower()}.{label}"
    return "set" if accessor == "set" else "", label


def canonical_version(version: str) -> str:
    """The part of a version that those share which can stand for each other: `1`, `0.2`, `0.0.3`, `1.0.0-rc.1`."""
    numbers, dash, rest = version.partition("+")[0].partition("-")
    parts = numbers.split(".")
    kept = next((i for i, part in enumerate(parts) if part != "0"), 2) + 1
    return numbers + dash + rest if dash else ".".join(parts[:kept])


def version_problem(version: str | None, suffix: str | None) -> str | None:
    """What is wrong with the version of an interface and its attribute ``versionsuffix``; None if nothing is."""
    if version is None:
        return None if suffix is None else "has a version suffix and no version"
    full = version + (suffix or "")
    if is_semver(full):
        canonical = version if suffix is None else canonical_version(full)
        return None if version == canonical else f"the version `{full}` is split behind `{canonical}`, not `{version}`"
    what = f"the version `{full}` has to be" if suffix else f"its version `{version}` is not"
    return f"{what} three numbers with dots between, as semver has it, such as `1.2.0` or `0.3.0-rc.1`"


def is_semver(version: str) -> bool:
    """Whether a version is one by semver 2.0.0; its numbers have 64 bits."""
    core, plus, build = version.partition("+")
    core, dash, before = core.partition("-")
    numbers, parts = core.split("."), before.split(".")
    return (
        version.isascii()
        and len(numbers) == 3
        and all(_is_number(n) and int(n) < 1 << 64 for n in numbers)
        and (not dash or all(map(_is_identifier, parts)))
        and not any(part.isdigit() and not _is_number(part) for part in parts if dash)
        and (not plus or all(map(_is_identifier, build.split("."))))
    )


def _is_number(text: str) -> bool:
    return text.isdigit() and (text == "0" or text[0] != "0") and len(text) <= 20


def _is_identifier(text: str) -> bool:
    return text.replace("-", "a").isalnum()


@lru_cache(maxsize=4096)
def is_label(text: str) -> bool:
    """Whether a label is in kebab-case: words of lower-case letters and digits, or acronyms, joined by hyphens."""
    return (
        text.isascii()
        and text[:1].isalpha()
        and all(word.isalnum() and (word.islower() or word.isupper() or word.isdigit()) for word in text.split("-"))
    )


def label_problem(labels: Iterable[str], what: str) -> MeldError | None:
    """What is wrong with labels that have to be well-formed and distinct in more than case; None if nothing is."""
    seen: dict[str, str] = {}
    for label in labels:
        if not is_label(label):
            return MeldError(f"the {what} `{label}` is not in kebab-case", hint=_kebab_hint(label))
        key = label.lower()
        if key in seen:
            return MeldError(f"the {what} `{label}` is there already, as `{seen[key]}`", hint="rename one of them")
        seen[key] = label
    return None


def _malformed(text: str) -> MeldError:
    """The error of a name that is none; the hint says what it may have been meant to be."""
    if not text:
        return MeldError(
            "is empty", hint="a name is a label such as `run`, or an interface such as `ns:pkg/iface@1.2.3`"
        )
    if text.startswith("["):
        annotation, bracket, rest = text[1:].partition("]")
        if bracket and annotation in ("method", "static") and rest.count(".") != 1:
            return MeldError("does not say which resource it belongs to", hint=f"write `[{annotation}]resource.name`")
        if bracket and annotation not in (*ANNOTATIONS, "get", "set"):
            return MeldError(
                f"begins with `[{annotation}]`, which is no annotation",
                hint="there are [constructor], [method] and [static]",
            )
        hint = _kebab_hint(*rest.replace("]", ".").split("."), joined=f"[{annotation}]" + "{}")
        return MeldError("is not in kebab-case", hint=hint)
    if ":" in text and not text.startswith(("url=", "relative-url=", "locked-dep=", "unlocked-dep=", "integrity=")):
        package, slash, _ = text.partition("/")
        if not slash:
            return MeldError("names a package and no interface", hint="write `namespace:package/interface`")
        if package != package.lower():
            return MeldError(
                "has capital letters in its package", hint=f"write `{text.replace(package, package.lower())}`"
            )
        return MeldError("is not the name of an interface", hint="write `namespace:package/interface@1.2.3`")
    if "=" in text:
        return MeldError(
            "is not a name of a dependency, a location or a hash", hint="such are `url=<…>`, `integrity=<…>`"
        )
    return MeldError("is not in kebab-case", hint=_kebab_hint(text))


def _kebab_hint(*labels: str, joined: str = "{}") -> str:
    """What labels would be in kebab-case."""
    import re

    found = []
    for label in labels:
        words = re.findall(r"[A-Z]+(?![a-z])[0-9]*|[A-Za-z][a-z0-9]*|[0-9]+", label)
        name = "-".join(word.lower() for word in words)
        if not is_label(name):
            return "write words of lower-case letters and digits, the first with a letter in front, joined by hyphens"
        found.append(name)
    return f"did you mean `{joined.format('.'.join(found))}`?"
