"""The language server in a real session over standard input and output, and the highlighter."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

pytest.importorskip("pygls", reason="the language server is an extra: meldc[lsp]")

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

from meld.diagnostics import MeldError
from meld.editor.documents import Document
from meld.editor.hover import hover
from meld.editor.index import index_text, outline
from meld.text.format import format_text
from meld.verify.check import check_text

ROOT = Path(__file__).parents[2]
URI = "file:///work/t.wat"

MODULE = """\
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (type $t (func (param i32) (result i32)))
  (import "host" "f" (func $imported (@meld.origin $a 3) (type $t)))
  (memory $m (@meld.owner $a) 1)
  (func $helper (@meld.synthetic adapter) (type $t) (param $x i32) (result i32)
    (block $out (br_if $out (local.get $x)))
    (call $imported (local.get $x)))
  (func $run (export "run") (type $t)
    ;; 𝒙 takes two units of UTF-16
    (; 𝒙 ;) local.get 0
    call $helper
    i32.load $m))
"""


class Session:
    """A client of one server, with one document."""

    def __init__(self, client: LanguageClient, published: list[lsp.PublishDiagnosticsParams]) -> None:
        self.client = client
        self.published = published
        self.text = ""
        self.version = 1

    async def open(self, text: str) -> list[lsp.Diagnostic]:
        """Opens the document; returns what is wrong with it."""
        self.text = text
        before = len(self.published)
        item = lsp.TextDocumentItem(URI, "wat", 1, text)
        self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(item))
        return await self.diagnostics(before)

    async def change(self, old: str, new: str) -> list[lsp.Diagnostic]:
        """Changes a part of the document; returns what is wrong with it then."""
        before = len(self.published)
        self.replace(old, new)
        return await self.diagnostics(before)

    def replace(self, old: str, new: str) -> None:
        """Changes a part of the document."""
        start, end = self.position(old), self.position(old, len(old))
        self.text = self.text.replace(old, new, 1)
        edit = lsp.TextDocumentContentChangePartial(lsp.Range(start, end), new)
        self.version += 1
        identifier = lsp.VersionedTextDocumentIdentifier(self.version, URI)
        self.client.text_document_did_change(lsp.DidChangeTextDocumentParams(identifier, [edit]))

    async def diagnostics(self, before: int) -> list[lsp.Diagnostic]:
        for _ in range(600):
            if len(self.published) > before:
                return list(self.published[-1].diagnostics)
            await asyncio.sleep(0.05)
        raise AssertionError("the server says nothing")

    def position(self, word: str, behind: int = 0, nth: int = 0) -> lsp.Position:
        """Where a word stands, in UTF-16."""
        at = -1
        for _ in range(nth + 1):
            at = self.text.index(word, at + 1)
        at += behind
        start = self.text.rfind("\n", 0, at) + 1
        column = len(self.text[start:at].encode("utf-16-le")) // 2
        return lsp.Position(self.text.count("\n", 0, at), column)

    def word(self, place: lsp.Range) -> str:
        """What stands at a place."""
        line = self.text.split("\n")[place.start.line].encode("utf-16-le")
        return line[2 * place.start.character : 2 * place.end.character].decode("utf-16-le")

    def at(self, word: str, nth: int = 0) -> dict[str, Any]:
        return {
            "text_document": lsp.TextDocumentIdentifier(URI),
            "position": self.position(word, 1, nth),
        }

    async def definition(self, word: str, nth: int = 0) -> lsp.Range:
        found = await self.client.text_document_definition_async(lsp.DefinitionParams(**self.at(word, nth)))
        assert isinstance(found, lsp.Location)
        return found.range

    async def references(self, word: str, declaration: bool = True) -> list[lsp.Range]:
        context = lsp.ReferenceContext(declaration)
        params = lsp.ReferenceParams(context=context, **self.at(word))
        return [found.range for found in await self.client.text_document_references_async(params) or []]

    async def hover(self, word: str, nth: int = 0) -> str:
        found = await self.client.text_document_hover_async(lsp.HoverParams(**self.at(word, nth)))
        return "" if found is None else found.contents.value  # type: ignore[union-attr]


class Served:
    """A server that serves one session after the other, since starting one takes longer than a session."""

    def __init__(self, *args: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.published: list[lsp.PublishDiagnosticsParams] = []
        self.client = LanguageClient("tests", "1")

        @self.client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def publish(params: lsp.PublishDiagnosticsParams) -> None:
            self.published.append(params)

        self.run(self.start(*args))

    async def start(self, *args: str) -> None:
        """From the start of the process to `initialized`."""
        await self.client.start_io(sys.executable, "-m", "meld", "lsp", *args, cwd=ROOT)
        await self.client.initialize_async(lsp.InitializeParams(capabilities=lsp.ClientCapabilities()))
        self.client.initialized(lsp.InitializedParams())

    async def stop(self) -> None:
        """From `shutdown` to the end of the process."""
        await self.client.shutdown_async(None)
        self.client.exit(None)
        await self.client.stop()

    def run(self, what: Coroutine[Any, Any, None]) -> None:
        """Runs something that talks to the server."""
        self.loop.run_until_complete(asyncio.wait_for(what, 120))

    def session(self, body: Callable[[Session], Awaitable[None]]) -> None:
        """Runs a session with one document, which is closed at its end."""

        async def main() -> None:
            one = Session(self.client, self.published)
            await body(one)
            before = len(self.published)
            self.client.text_document_did_close(lsp.DidCloseTextDocumentParams(lsp.TextDocumentIdentifier(URI)))
            assert await one.diagnostics(before) == []

        self.run(main())


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A server as editors start it; it has the engine validate what is in order otherwise."""
    one = Served("--engine")
    yield one
    one.run(one.stop())
    one.loop.close()


def test_a_module(served: Served) -> None:
    async def body(s: Session) -> None:
        assert await s.open(MODULE) == []
        # definitions: of an item, of a type, of what an annotation names, of a local, of a label
        for word, nth, line in (
            ("$helper", 1, 6),
            ("$imported", 1, 4),
            ("$t)", 1, 3),
            ("$a)", 1, 2),
            ("$a 3", 0, 2),
            ("$x)", 0, 6),
            ("$out", 1, 7),
            ("$m)", 0, 5),
        ):
            place = await s.definition(word, nth)
            assert (place.start.line, s.word(place)) == (line, word[: len(s.word(place))])
        # references, with and without the definition
        assert [place.start.line for place in await s.references("$imported")] == [4, 8]
        assert [place.start.line for place in await s.references("$imported", declaration=False)] == [8]
        assert {s.word(place) for place in await s.references("$x")} == {"$x"}
        assert [place.start.line for place in await s.references("$x")] == [6, 7, 8]
        assert [place.start.line for place in await s.references("$t ")] == [3, 4, 6, 9]
        # hover: types, origins, owners
        helper = await s.hover("$helper", 1)
        assert "func $helper: (i32) -> (i32)" in helper
        assert "made by the compiler: `adapter`" in helper
        imported = await s.hover("$imported")
        assert 'imported as `"host" "f"`' in imported
        assert "comes from the instance `$a`: function 3" in imported
        assert "belongs to the instance `$a`" in await s.hover("$m")
        assert "memory $m: 1.." in await s.hover("$m")
        assert "type $t: (i32) -> (i32)" in await s.hover("$t")
        assert "(@meld.instance $a)" in await s.hover("$a)")
        assert "i32.load: (i32) -> (i32)" in await s.hover("i32.load")
        assert await s.hover("takes two") == ""

    served.session(body)


def test_the_outline(served: Served) -> None:
    fields = re.sub(r" \(@meld\.(owner|origin)[^)]*\)", "", MODULE[MODULE.index("  (type") :])

    async def body(s: Session) -> None:
        host = '(core module $p (func $f (export "f") (param i32) (result i32) i32.const 0))'
        given = "(core instance $h (instantiate $p))"
        instance = '(core instance $i (instantiate $m (with "host" (instance $h))))'
        assert await s.open(f"(component $c {host} {given}\n(core module $m\n{fields}{instance})") == []
        params = lsp.DocumentSymbolParams(lsp.TextDocumentIdentifier(URI))
        found: Any = await s.client.text_document_document_symbol_async(params)
        shown = [(each.name, each.detail, [child.name for child in each.children]) for each in found]
        assert shown == [
            ("$p", "core module", ["$f"]),
            ("$h", "core instance", []),
            ("$m", "core module", ["$t", "$imported", "$m", "$helper", "$run"]),
            ("$i", "core instance", []),
        ]
        assert [child.name for child in found[2].children[-1].children] == ['"run"']
        assert found[2].range.start.line == 1
        assert s.word(found[2].selection_range) == "$m"

    served.session(body)


def test_diagnostics_follow_the_text(served: Served) -> None:
    async def body(s: Session) -> None:
        assert await s.open(MODULE) == []
        (first,) = await s.change("call $helper", "call $helpr")
        assert first.message == "unknown function `$helpr`\nhint: did you mean `$helper`?"
        assert (s.word(first.range), first.range.start.line) == ("$helpr", 12)
        assert first.severity is lsp.DiagnosticSeverity.Error
        two = await s.change("(local.get $x)))\n    (call", "(local.gt $x)))\n    (call")
        assert [each.message.splitlines()[0] for each in two] == [
            "unknown instruction `local.gt`",
            "unknown function `$helpr`",
        ]
        # what is in order can still be asked about
        assert "func $imported" in (await s.hover("$imported")).replace("import ", "")
        assert await s.change("(local.gt $x)))\n    (call", "(local.get $x)))\n    (call") != []
        assert await s.change("$helpr", "$helper") == []
        (cut,) = await s.change("i32.load $m))", "i32.load $m")
        assert "the text ends before" in cut.message

    served.session(body)


def test_characters_outside_of_the_basic_plane(served: Served) -> None:
    async def body(s: Session) -> None:
        await s.open(MODULE)
        (found,) = await s.change("local.get 0", "local.gett 0")
        assert s.word(found.range) == "local.gett"

    served.session(body)


def test_the_engine_if_asked(served: Served) -> None:
    async def body(s: Session) -> None:
        assert await s.open(MODULE) == []
        (found,) = await s.change("local.get 0", "i64.const 0")
        assert found.message == "type mismatch: expected i32, found i64"
        assert (found.range.start.line, found.code, found.source) == (12, "engine", "meldc")

    served.session(body)


def test_formatting(served: Served) -> None:
    async def body(s: Session) -> None:
        await s.open("(module (func $f) ;; here\n)")
        options = lsp.FormattingOptions(tab_size=2, insert_spaces=True)
        params = lsp.DocumentFormattingParams(lsp.TextDocumentIdentifier(URI), options)
        (edit,) = await s.client.text_document_formatting_async(params) or []
        assert edit.new_text == "(module\n  (type (func))\n  (func $f (type 0) ;; here\n  )\n)\n"
        assert edit.range == lsp.Range(lsp.Position(0, 0), lsp.Position(1, 1))

    served.session(body)


def test_without_pygls() -> None:
    code = "import sys; sys.modules['pygls'] = None; from meld.cli import main; sys.exit(main(['lsp']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "meldc: error: the language server needs pygls\nhint: pip install 'meldc[lsp]'\n"


TEXTS = [path.read_text() for path in sorted(ROOT.glob("tests/golden/**/*.wat"))]
PIECES = [
    "(",
    ")",
    '"',
    ";;",
    "(;",
    "$x",
    "$",
    "(@meld.owner $a)",
    "(func",
    "i32.const",
    "𝒙",
    "\0",
    "(component",
    "\u2028",
]


@pytest.mark.parametrize("seed", range(int(os.environ.get("MELD_SEEDS", "8"))))
def test_broken_text_is_asked_about(seed: int) -> None:
    """While somebody types, the text is broken: it is checked, indexed and formatted, or refused, and nothing fails."""
    rng = random.Random(seed)
    for _ in range(10):
        text = rng.choice(TEXTS)
        for _ in range(rng.randint(1, 4)):
            start = rng.randrange(len(text))
            end = min(len(text), start + rng.randint(0, 20))
            piece = rng.choice([*PIECES, text[start:end] * 2, ""])
            text = text[:start] + piece + text[end:] or "("
        for diagnostic in check_text(text, "t"):
            assert diagnostic.message
        index = index_text(text, "t")
        outline(index)
        for use in index.uses:
            assert hover(index, use.span.start)
        with contextlib.suppress(MeldError):
            formatted = format_text(text, "t")
            assert format_text(formatted, "t") == formatted


@pytest.mark.parametrize("piece", ["(func ", "(block ", "(@a ", "(component ", "(;", '"', "(type (func))"])
def test_deep_and_long_text(piece: str) -> None:
    text = "(module " + piece * (20_000 if "type" not in piece else 2_000)
    assert check_text(text, "t")
    index_text(text, "t")


class TestHighlighting:
    @pytest.mark.parametrize("path", sorted(ROOT.glob("tests/golden/**/*.wat")), ids=lambda path: path.stem)
    def test_nothing_is_lost_or_strange(self, path: Path) -> None:
        from pygments.token import Error

        from meld.editor.highlight import MeldLexer

        text = path.read_text()
        tokens = list(MeldLexer(stripnl=False, ensurenl=False).get_tokens(text))
        assert "".join(value for _, value in tokens) == text
        assert not any(kind in Error for kind, _ in tokens)

    def test_kinds(self) -> None:
        from pygments.token import Comment, Keyword, Name, Number, String

        from meld.editor.highlight import MeldLexer

        text = "(module (@meld.owner $a) ;; why\n (func $f (param i32) i32.const 0x1p3 (; (; deep ;) ;) call $f)"
        tokens = MeldLexer().get_tokens(text + ' (data "x\\"y"))')
        found = {value: kind for kind, value in tokens}
        assert found["module"] is Keyword
        assert found["meld.owner"] is Name.Decorator
        assert found["$f"] is Name.Variable
        assert found["i32"] is Keyword.Type
        assert found["i32.const"] is Name.Builtin
        assert found["0x1p3"] is Number.Hex
        assert found['"x\\"y"'] is String.Double
        assert found[";; why"] is Comment.Single
        assert found["call"] is Name.Builtin

    def test_pygments_finds_it(self) -> None:
        from pygments.lexers import get_lexer_by_name, guess_lexer_for_filename

        assert get_lexer_by_name("meld").name == "WebAssembly text of meldc"
        assert guess_lexer_for_filename("x.meld.wat", MODULE).name == "WebAssembly text of meldc"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("file:///work/a%20b%23%25%C3%A4.wat", "a b#%ä.wat"),
        ("file:///c%3A/work/t.wat", "t.wat"),
        ("untitled:Untitled-1", "Untitled-1"),
    ],
)
def test_a_document_whatever_its_uri(uri: str, name: str, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client may escape a URI otherwise than the server would, and otherwise from one message to the next."""
    monkeypatch.setattr(sys.modules[__name__], "URI", uri)
    assert Document(uri, 1, "").name == name

    async def body(one: Session) -> None:
        assert await one.open("(module (func $f))") == []
        (found,) = await one.change("(func $f)", "(func $f call $g)")
        assert found.message.startswith("unknown function `$g`")
        monkeypatch.setattr(sys.modules[__name__], "URI", uri.replace("%3A", ":").replace("%C3%A4", "%c3%a4"))
        assert "func $f" in await one.hover("$f")
        assert await one.change("$g", "$f") == []
        assert unquote(one.published[-1].uri) == unquote(uri)

    served.session(body)


def test_changes_of_names(served: Served) -> None:
    async def body(one: Session) -> None:
        await one.open(MODULE)
        found = await one.client.text_document_prepare_rename_async(lsp.PrepareRenameParams(**one.at("$helper")))
        assert isinstance(found, lsp.PrepareRenamePlaceholder)
        assert (one.word(found.range), found.placeholder) == ("$helper", "$helper")
        assert (
            await one.client.text_document_prepare_rename_async(lsp.PrepareRenameParams(**one.at("i32.load"))) is None
        )
        edit = await one.client.text_document_rename_async(lsp.RenameParams(new_name="aid", **one.at("$helper")))
        assert edit is not None and edit.changes is not None
        assert [(one.word(e.range), e.new_text) for e in edit.changes[URI]] == [("$helper", "$aid")] * 2
        with pytest.raises(JsonRpcException, match="something else would be meant"):
            await one.client.text_document_rename_async(lsp.RenameParams(new_name="run", **one.at("$helper")))

    served.session(body)


def test_folding_completion_signatures_and_types(served: Served) -> None:
    async def body(one: Session) -> None:
        await one.open(MODULE)
        document = lsp.TextDocumentIdentifier(URI)
        folds = await one.client.text_document_folding_range_async(lsp.FoldingRangeParams(document))
        assert folds is not None and (0, 13) in {(f.start_line, f.end_line) for f in folds}
        params = lsp.CompletionParams(document, one.position("$helper\n", 3))
        found = await one.client.text_document_completion_async(params)
        assert isinstance(found, list) and [item.label for item in found] == ["$helper"]
        assert found[0].detail == "func: (i32) -> (i32)"
        params = lsp.CompletionParams(document, one.position("i32.load", 6))
        found = await one.client.text_document_completion_async(params)
        assert isinstance(found, list) and "i32.load8_s" in {item.label for item in found}
        where = {"text_document": document, "position": one.position("(local.get $x)))\n  (func")}
        shown = await one.client.text_document_signature_help_async(lsp.SignatureHelpParams(**where))
        assert shown is not None and shown.active_parameter == 0
        assert shown.signatures[0].label == "call $imported (param i32) (result i32)"
        everything = lsp.Range(lsp.Position(0, 0), one.position("", len(one.text)))
        hints = await one.client.text_document_inlay_hint_async(lsp.InlayHintParams(document, everything))
        assert hints is not None and (9, ": (i32) -> (i32)") in {(hint.position.line, hint.label) for hint in hints}

    served.session(body)


def test_two_errors_and_their_fixes(served: Served) -> None:
    """The server survives a text with several errors, answers for the rest, and its fixes mend the text."""

    async def body(one: Session) -> None:
        await one.open(MODULE)
        await one.change("call $helper", "call $helpr")
        wrong = await one.change("(local.get $x)))\n    (call", "(local.gt $x)))\n    (call")
        assert [one.word(each.range) for each in wrong] == ["local.gt", "$helpr"]
        assert "local $x: i32" in await one.hover("$x)))\n  (func")
        assert "func $imported" in (await one.hover("$imported (local")).replace("import ", "")
        assert (await one.definition("$imported (local")).start.line == 4
        document = lsp.TextDocumentIdentifier(URI)
        for each, new in ((wrong[1], "$helper"), (wrong[0], "local.get")):
            params = lsp.CodeActionParams(document, each.range, lsp.CodeActionContext([each]))
            (action, *_) = await one.client.text_document_code_action_async(params) or []
            assert isinstance(action, lsp.CodeAction) and action.edit is not None and action.edit.changes is not None
            (edit,) = action.edit.changes[URI]
            assert (edit.range, edit.new_text, action.kind) == (each.range, new, lsp.CodeActionKind.QuickFix)
        assert len(await one.change("$helpr", "$helper")) == 1
        assert await one.change("local.gt", "local.get") == []

    served.session(body)


def test_no_answer_is_about_an_older_text(served: Served) -> None:
    """Changes and questions come faster than the text is read: each answer is about the text that was there."""

    async def body(one: Session) -> None:
        functions = "".join(f"\n  (func $f{n} (local $x{n} i32) (drop (local.get $x{n})))" for n in range(300))
        await one.open(f"(module{functions}\n  (func $last call $f0))")
        questions = []
        for n in range(1, 8):
            one.replace(f"call $f{n - 1}))", f"call $f{n}))")
            at = one.at(f"$f{n}))")
            questions.append(one.client.text_document_definition_async(lsp.DefinitionParams(**at)))
        found = await asyncio.gather(*questions)
        assert [one.range.start.line for one in found if isinstance(one, lsp.Location)][-1] == 8
        assert await one.change("$f7))", "$f8 (;\f;)))") == []  # a form feed ends no line
        assert (await one.definition("$f8 (;")).start.line == 9

    served.session(body)
