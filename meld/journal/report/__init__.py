"""`meldc report`: a run as one page of HTML, which needs nothing else.

What the page shows is data in it (`data`), which its script turns into elements on demand; the pictures
of the graph are made here (`picture`). Names come from programs: the script sets texts only, never markup.
"""

from __future__ import annotations

import json
import re
from html import escape

from meld.journal import Journal
from meld.journal.report.data import data_of
from meld.journal.report.picture import figures
from meld.support.packaged import packaged

UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
"""Characters that show nothing, or turn around what is beside them."""


def page(journal: Journal) -> str:
    """The page of a run."""
    data = json.dumps(data_of(journal), ensure_ascii=False, separators=(",", ":"))
    parts = {
        "title": escape(_title(journal)),
        "style": _file("page.css"),
        "script": _file("page.js"),
        "figures": _seen(figures(journal)),
        "data": _seen(data).replace("<", "\\u003c"),  # so that nothing in it ends the element
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _file("page.html"))


def _seen(text: str) -> str:
    return UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)


def _title(journal: Journal) -> str:
    return " + ".join(_seen(name) for name, _, _ in journal.inputs) or "a run"


def _file(name: str) -> str:
    return packaged(__name__, name)
