"""Quick fixes: what the hint of an error proposes, as a change of the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from meld.diagnostics import Span
from meld.diagnostics.forms import Diagnostic
from meld.editor.scan import Tree
from meld.support.records import record


@record(frozen=True)
class Fix:
    """A change that does away with an error: `new` in the place of the characters from `start` to `end`."""

    title: str
    start: int
    end: int
    new: str


def fixes(diagnostic: Diagnostic, tree: Tree) -> list[Fix]:
    """The fixes of an error, the likeliest first."""
    span = diagnostic.span
    if span is None:
        return []
    for pattern, make in _OF_MESSAGE:
        match = pattern.match(diagnostic.message)
        if match is not None:
            return list(make(match, span, tree))
    return list(_proposed(diagnostic, span, tree))


def _proposed(diagnostic: Diagnostic, span: Span, tree: Tree) -> Iterator[Fix]:
    """What stands in a hint: ``did you mean `a` or `b`?``, ``write `x` ``."""
    hint = re.match(r"(did you mean|write) (`.*`)", diagnostic.hint or "")
    if hint is None or (hint[1] == "write" and _PLACEHOLDER.search(hint[2])):
        return
    stretches = [(span.start, span.end), *((group.start, group.end) for group in tree.around(span.start + 1)[:2])]
    dollar = r"\$?" if hint[2].startswith("`$") else ""  # some messages leave it out
    for wrong in re.findall(r"`([^`]+)`", diagnostic.message):
        word = re.compile(rf"(?:(?<![{_WORD}]){dollar}|(?<=meld\.)){re.escape(wrong)}(?![{_WORD}])")
        found = next((m for start, end in stretches if (m := word.search(tree.text, start, end))), None)
        if found is not None:
            for new in re.findall(r"`([^`]+)`", hint[2]):
                yield Fix(f"change `{wrong}` to `{new}`", found.start(), found.end(), new)
            return


_WORD = r"0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~"
_PLACEHOLDER = re.compile(r"ns:pkg|namespace:package|resource\.name")


def _closing(match: re.Match[str], span: Span, tree: Tree) -> Iterator[Fix]:
    missing = sum(not group.closed for group in tree.groups)
    if missing:
        end = len(tree.text.rstrip())
        in_comment = ";;" in tree.text[tree.text.rfind("\n", 0, end) + 1 : end]
        title = "close the parenthesis" if missing == 1 else f"close {missing} parentheses"
        yield Fix(title, end, end, "\n" * in_comment + ")" * missing)


def _ending(match: re.Match[str], span: Span, tree: Tree) -> Iterator[Fix]:
    around = tree.around(span.start)
    if around and around[0].closed:
        at = around[0].end - 1
        blank = "" if tree.text[at - 1].isspace() else " "
        yield Fix(f"end this `{match[1]}`", at, at, f"{blank}end")


def _blank(match: re.Match[str], span: Span, tree: Tree) -> Iterator[Fix]:
    yield Fix("put a blank between them", span.start, span.start, " ")


def _removed(match: re.Match[str], span: Span, tree: Tree) -> Iterator[Fix]:
    yield Fix(f"remove this `{match[1]}`", span.start, span.end, "")


def _exchanged(match: re.Match[str], span: Span, tree: Tree) -> Iterator[Fix]:
    least, most = match[1], match[2]
    group = tree.whole(span.start, span.end)
    if group is not None:
        found = re.compile(rf"(?<![\w$])({least})(\s+)({most})(?!\w)").search(tree.text, group.start, group.end)
        if found is not None:
            yield Fix("exchange the two", found.start(), found.end(), f"{found[3]}{found[2]}{found[1]}")


Make = Callable[[re.Match[str], Span, Tree], Iterator[Fix]]

_OF_MESSAGE: list[tuple[re.Pattern[str], Make]] = [
    (re.compile(r"the text ends before `\([^`]*` is closed"), _closing),
    (re.compile(r"this `(\w+)` has no `end`"), _ending),
    (re.compile(r"a blank is missing between two tokens"), _blank),
    (re.compile(r"unexpected `(\))`"), _removed),
    (re.compile(r"(?:has|a \w+ of at least) (\d+) (?:at least )?and (?:at most )?(\d+)"), _exchanged),
]
