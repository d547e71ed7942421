"""Diagnostics as text for people, as JSON, and as SARIF 2.1.0 (OASIS) for editors and code review."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any
from urllib.parse import quote

from meld.diagnostics import MeldError, Remark, Span
from meld.support.records import record
from meld.support.terminal import json_text


class Severity(Enum):
    """How bad it is; the values are the levels of SARIF."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Rule(Enum):
    """Who found it; the value is the rule's name in JSON and SARIF."""

    INPUT = "input"
    VERIFIER = "verifier"
    ENGINE = "engine"
    REMARK = "remark"


RULES = {
    Rule.INPUT: "The input, an option or the program cannot be used as it is.",
    Rule.VERIFIER: "The program is not consistent.",
    Rule.ENGINE: "The engine does not validate the program.",
    Rule.REMARK: "A pass says what it decided, and why.",
}


@record(frozen=True)
class Diagnostic:
    """One thing to say about a file.

    Attributes:
        message: one sentence without a full stop.
        file: the file, as it was named.
        span: the place in its text.
        where: the place in the program, or in a binary: ``function $f, instruction 3``.
        hint: what to do about it.
    """

    severity: Severity
    rule: Rule
    message: str
    file: str | None = None
    span: Span | None = None
    where: str | None = None
    hint: str | None = None

    @classmethod
    def of_error(cls, error: MeldError, rule: Rule = Rule.INPUT, file: str | None = None) -> Diagnostic:
        """The diagnostic of an error."""
        file = error.span.source.name if error.span is not None else file
        return cls(Severity.ERROR, rule, error.message, file, error.span, error.where, error.hint)

    @classmethod
    def of_remark(cls, remark: Remark) -> Diagnostic:
        """The diagnostic of a remark."""
        return cls(Severity.NOTE, Rule.REMARK, remark.message, where=remark.origin)

    def __str__(self) -> str:
        """As `MeldError` prints itself, with what it is in front."""
        where = self.where
        if self.span is None and self.file is not None and not (where or "").startswith(self.file):
            where = f"{self.file}: {where}" if where else self.file
        message = f"{where}: {self.message}" if self.span is not None and where else self.message
        return f"{self.severity.value}: {MeldError(message, span=self.span, where=where, hint=self.hint)}"


FORMS = ("text", "json", "sarif")


def render(diagnostics: Sequence[Diagnostic], form: str) -> str:
    """All diagnostics in a form of `FORMS`, with a newline at the end if there is anything to say."""
    match form:
        case "text":
            return "".join(f"meldc: {diagnostic}\n" for diagnostic in diagnostics)
        case "json":
            document: Any = {"diagnostics": [_json(diagnostic) for diagnostic in diagnostics]}
        case "sarif":
            document = _sarif(diagnostics)
        case other:
            raise AssertionError(other)
    return json_text(document, 2) + "\n"


def _end(span: Span) -> tuple[int, int]:
    """Line and column, from 1, of the place behind a span."""
    return span.source.text.count("\n", 0, span.end) + 1, span.end - span.source.text.rfind("\n", 0, span.end)


def _json(diagnostic: Diagnostic) -> dict[str, Any]:
    place: dict[str, Any] = {}
    if diagnostic.span is not None:
        end_line, end_column = _end(diagnostic.span)
        place = {
            "line": diagnostic.span.line,
            "column": diagnostic.span.column,
            "endLine": end_line,
            "endColumn": end_column,
        }
    found = {
        "severity": diagnostic.severity.value,
        "rule": diagnostic.rule.value,
        "message": diagnostic.message,
        "file": diagnostic.file,
        **place,
        "where": diagnostic.where,
        "hint": diagnostic.hint,
    }
    return {key: value for key, value in found.items() if value is not None}


def _sarif(diagnostics: Sequence[Diagnostic]) -> dict[str, Any]:
    from meld.version import __version__

    driver = {
        "name": "meldc",
        "version": __version__,
        "rules": [{"id": rule.value, "shortDescription": {"text": text}} for rule, text in RULES.items()],
    }
    results = [_result(diagnostic) for diagnostic in diagnostics]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _result(diagnostic: Diagnostic) -> dict[str, Any]:
    text = diagnostic.message if diagnostic.hint is None else f"{diagnostic.message}\nhint: {diagnostic.hint}"
    location: dict[str, Any] = {}
    if diagnostic.file is not None:
        physical: dict[str, Any] = {"artifactLocation": {"uri": quote(diagnostic.file)}}
        if diagnostic.span is not None:
            line, column = _end(diagnostic.span)
            start = {"startLine": diagnostic.span.line, "startColumn": diagnostic.span.column}
            physical["region"] = {**start, "endLine": line, "endColumn": column}
        location["physicalLocation"] = physical
    if diagnostic.where is not None:
        location["logicalLocations"] = [{"fullyQualifiedName": diagnostic.where}]
    result = {"ruleId": diagnostic.rule.value, "level": diagnostic.severity.value, "message": {"text": text}}
    return {**result, "locations": [location]} if location else result
