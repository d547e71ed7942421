"""What an editor shows of a program is text: names and notes are no links, pictures or elements that it would fetch."""

from __future__ import annotations

import re

import pytest

from meld.editor.hover import hover
from meld.editor.index import index_text

PICTURE = "![](https://example.org/leak.png)"
TICKS = "``````"
HOSTILE = f"a`b {TICKS} {PICTURE} \x1b[8m\u202egnp"
NAME = "".join(f"\\u{{{ord(c):x}}}" for c in HOSTILE)

TEXTS = {
    "import": f'(module (import "{NAME}" "{NAME}" (func $f)) (func (call $f)))',
    "name": f'(module (func $f (@name "{NAME}")) (func (call $f)))',
    "segment": f'(module (memory 1) (data $f "x" (;\n{TICKS}\n{PICTURE}\n;) "y") (func (data.drop $f)))',
    "note": f'(module (@meld.instance $a (path "{NAME}")) (func $f (@meld.owner $a)) (func (call $f)))',
    "unknown note": f'(module (func $f (@meld.other "{NAME}" "{PICTURE}")) (func (call $f)))',
    "made": "(module (func $f (@meld.synthetic <img/src=https://example.org/x>)) (func (call $f)))",
    "component": f'(component (import "f" (func $f)) (instance $i (export "f" (func $f) (; ``` {PICTURE} ;))))',
}


def outside_of_code(markdown: str) -> str:
    """Markdown without its code: blocks between fences, and what stands between as many backticks (CommonMark)."""
    lines, fence = [], ""
    for line in markdown.split("\n"):
        found = re.match(r" {0,3}(`{3,})([^`]*)$", line)
        if fence:
            fence = "" if found and not found[2].strip() and len(found[1]) >= len(fence) else fence
        elif found:
            fence = found[1]
        else:
            lines.append(re.sub(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", "", line))
    return "\n".join(lines)


def test_what_the_oracle_takes_for_code() -> None:
    assert outside_of_code(f"```wat\n{PICTURE}\n```\n{PICTURE}") == PICTURE
    assert outside_of_code(f"`` ` {PICTURE} ``a ` {PICTURE}") == f"a ` {PICTURE}"
    assert PICTURE in outside_of_code(f"```wat\nx\n```\n{PICTURE}\n```")


@pytest.mark.parametrize("what", TEXTS)
def test_hover(what: str) -> None:
    index = index_text(TEXTS[what], "m.wat")
    assert index.program is not None
    said = [hover(index, use.span.start) for use in index.uses]
    assert said and all(said)
    for text in filter(None, said):
        assert not re.search(r"!\[|\]\(|<img", outside_of_code(text)), text
        assert all(c.isprintable() or c == "\n" for c in text), text
