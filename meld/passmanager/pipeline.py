"""The text of a pipeline: ``detect-pairs,emit-bridge{slots=16}``."""

from __future__ import annotations

from typing import Any

from meld.diagnostics import MeldError, Source, Span, did_you_mean
from meld.passes import Registry
from meld.passes.base import OptionInfo, Pass, options_of, parse_option
from meld.passmanager.step import Step
from meld.support.patterns import late

_NAME = late(r"\s*([A-Za-z_][\w.-]*)\s*")
_OPTION = late(r"\s*([A-Za-z_][\w-]*)\s*(?:=\s*([^,{}\s]*))?\s*,?")


def parse_pipeline(text: str, registry: Registry, *, source: str = "--passes") -> list[Step]:
    """Reads ``detect-pairs,emit-bridge{slots=16,ring=8192}``; empty text is no pass at all.

    Raises:
        MeldError: a syntax error, an unknown pass or option, a bad value; with a span in the text.
    """
    src = Source(source, text)
    steps: list[Step] = []
    at = 0
    if not text.strip():
        return steps
    while True:
        match = _NAME.match(text, at)
        if not match:
            raise MeldError(
                "expected the name of a pass", span=Span(src, at, at + 1), hint="for example `merge,finish`"
            )
        span = Span(src, match.start(1), match.end(1))
        try:
            cls = registry.get(match[1])
        except MeldError as e:
            raise MeldError(e.message, span=span, hint=e.hint) from e
        at = match.end()
        values: dict[str, Any] = {}
        if text[at : at + 1] == "{":
            values, at = _parse_options(src, at, cls)
        try:
            steps.append(Step(cls(**values), span))
        except MeldError as e:
            raise MeldError(e.message, span=span, hint=e.hint) from e
        if at >= len(text):
            return steps
        if text[at] != ",":
            raise MeldError("expected `,` or `{` after the pass", span=Span(src, at, at + 1))
        at += 1


def _parse_options(src: Source, at: int, cls: type[Pass]) -> tuple[dict[str, Any], int]:
    text = src.text
    known = {info.name: info for info in options_of(cls)}
    close = text.find("}", at)
    if close < 0:
        raise MeldError("`{` is never closed", span=Span(src, at, at + 1))
    values: dict[str, Any] = {}
    at += 1
    while text[at:close].strip():
        match = _OPTION.match(text, at, close)
        if not match:
            raise MeldError("expected `option=value`", span=Span(src, at, at + 1))
        span = Span(src, match.start(1), match.end(1))
        info = known.get(match[1].replace("_", "-"))
        if info is None:
            hint = did_you_mean(match[1], known, f"its options: {', '.join(known) or 'none'}")
            raise MeldError(f"`{cls.name}` has no option `{match[1]}`", span=span, hint=hint)
        values[info.name.replace("-", "_")] = _value(info, match[2] or "", span)
        at = match.end()
    rest = _spaces(text, close + 1)
    return values, rest


def _value(info: OptionInfo, text: str, span: Span) -> Any:
    try:
        return parse_option(info, text)
    except MeldError as e:
        raise MeldError(e.message, span=span) from e


def _spaces(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at
