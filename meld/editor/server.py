"""The language server: diagnostics, definition, references, hover, outline, over the parser of the compiler.

The server keeps one index for each open document, made anew on the first request after a change. Positions
are as the client counts them (UTF-16 unless it agrees to something else); pygls converts them.
"""

from __future__ import annotations

import asyncio
from urllib.parse import unquote, urlparse

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.workspace import TextDocument

from meld.diagnostics import Span
from meld.diagnostics.forms import Diagnostic, Severity
from meld.editor.hover import hover
from meld.editor.index import Entry, Index, index_text, outline
from meld.ir.opcodes import OPS
from meld.support.records import record
from meld.text.format import format_text
from meld.text.literals import identifier
from meld.verify.check import check_text
from meld.version import __version__

PAUSE = 0.2
"""Seconds without a change before a document is checked again."""

SEVERITIES = {
    Severity.ERROR: lsp.DiagnosticSeverity.Error,
    Severity.WARNING: lsp.DiagnosticSeverity.Warning,
    Severity.NOTE: lsp.DiagnosticSeverity.Information,
}
KINDS = {
    "func": lsp.SymbolKind.Function,
    "core func": lsp.SymbolKind.Function,
    "type": lsp.SymbolKind.Struct,
    "core type": lsp.SymbolKind.Struct,
    "global": lsp.SymbolKind.Variable,
    "memory": lsp.SymbolKind.Array,
    "table": lsp.SymbolKind.Array,
    "data": lsp.SymbolKind.Constant,
    "elem": lsp.SymbolKind.Constant,
    "tag": lsp.SymbolKind.Event,
    "core module": lsp.SymbolKind.Module,
    "component": lsp.SymbolKind.Module,
    "core instance": lsp.SymbolKind.Object,
    "instance": lsp.SymbolKind.Object,
    "export": lsp.SymbolKind.Interface,
}


@record()
class Open:
    """A document with the index of one version of it."""

    version: int | None
    text: str
    index: Index


class Server(LanguageServer):
    """The server with the indices of its documents."""

    def __init__(self, *, engine: bool = False) -> None:
        super().__init__("meldc", __version__, text_document_sync_kind=lsp.TextDocumentSyncKind.Incremental)
        self.engine = engine
        self.indices: dict[str, Open] = {}

    def index(self, uri: str) -> tuple[Index, TextDocument]:
        """The index of a document as it is now."""
        document = self.workspace.get_text_document(uri)
        known = self.indices.get(uri)
        if known is None or known.text != document.source:
            known = Open(document.version, document.source, index_text(document.source, _name(uri)))
            self.indices[uri] = known
        return known.index, document

    def offset(self, document: TextDocument, position: lsp.Position) -> int:
        """A position as a place in the text."""
        return document.offset_at_position(position)

    def range(self, document: TextDocument, span: Span) -> lsp.Range:
        """A span as the client counts it."""
        return lsp.Range(self.position(document, span.start), self.position(document, span.end))

    def position(self, document: TextDocument, offset: int) -> lsp.Position:
        """A place in the text as the client counts it."""
        text = document.source
        line = text.count("\n", 0, offset)
        column = offset - (text.rfind("\n", 0, offset) + 1)
        return document.position_codec.position_to_client_units(document.lines, lsp.Position(line, column))

    def check(self, uri: str) -> None:
        """Tells the client what is wrong with a document."""
        document = self.workspace.get_text_document(uri)
        found = check_text(document.source, _name(uri), engine=self.engine)
        diagnostics = [self.diagnostic(document, one) for one in found]
        self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, diagnostics, document.version))

    def diagnostic(self, document: TextDocument, one: Diagnostic) -> lsp.Diagnostic:
        """A diagnostic for the client; what has no place stands at the beginning."""
        start = lsp.Range(lsp.Position(0, 0), lsp.Position(0, 0))
        place = start if one.span is None else self.range(document, one.span)
        message = one.message if one.hint is None else f"{one.message}\nhint: {one.hint}"
        return lsp.Diagnostic(place, message, SEVERITIES[one.severity], code=one.rule.value, source="meldc")

    def symbol(self, document: TextDocument, entry: Entry) -> lsp.DocumentSymbol:
        """An entry of the outline, with those below it."""
        return lsp.DocumentSymbol(
            name=entry.name,
            detail=entry.kind,
            kind=KINDS.get(entry.kind.removeprefix("import "), lsp.SymbolKind.Key),
            range=self.range(document, entry.whole),
            selection_range=self.range(document, entry.span),
            children=[self.symbol(document, child) for child in entry.children],
        )


def make_server(*, engine: bool = False) -> Server:
    """The server with its handlers; `engine` has the engine validate what is in order otherwise."""
    server = Server(engine=engine)

    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: lsp.DidOpenTextDocumentParams) -> None:
        server.check(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(params: lsp.DidChangeTextDocumentParams) -> None:
        await asyncio.sleep(PAUSE)
        document = server.workspace.get_text_document(params.text_document.uri)  # the client may spell it otherwise
        if document.version == params.text_document.version:
            server.check(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: lsp.DidCloseTextDocumentParams) -> None:
        uri = params.text_document.uri
        server.indices.pop(uri, None)
        server.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, []))

    @server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
    def definition(params: lsp.DefinitionParams) -> lsp.Location | None:
        uri = params.text_document.uri
        index, document = server.index(uri)
        use = index.at(server.offset(document, params.position))
        places = [each for each in index.of(use.target) if each.definition] if use is not None else []
        return lsp.Location(uri, server.range(document, places[0].span)) if places else None

    @server.feature(lsp.TEXT_DOCUMENT_REFERENCES)
    def references(params: lsp.ReferenceParams) -> list[lsp.Location]:
        uri = params.text_document.uri
        index, document = server.index(uri)
        use = index.at(server.offset(document, params.position))
        found = index.of(use.target) if use is not None else []
        wanted = [each for each in found if params.context.include_declaration or not each.definition]
        return [lsp.Location(uri, server.range(document, each.span)) for each in wanted]

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    def hovered(params: lsp.HoverParams) -> lsp.Hover | None:
        index, document = server.index(params.text_document.uri)
        text = hover(index, server.offset(document, params.position))
        return None if text is None else lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text))

    @server.feature(lsp.TEXT_DOCUMENT_RENAME)
    def rename(params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
        uri = params.text_document.uri
        index, document = server.index(uri)
        use = index.at(server.offset(document, params.position))
        if use is None or index.program is None:
            return None
        shown = identifier(params.new_name.removeprefix("$"))
        named = [each.span for each in index.of(use.target) if document.source.startswith("$", each.span.start)]
        edits = [lsp.TextEdit(server.range(document, span), shown) for span in named]
        return lsp.WorkspaceEdit(changes={uri: edits}) if edits else None

    @server.feature(lsp.TEXT_DOCUMENT_FOLDING_RANGE)
    def folding(params: lsp.FoldingRangeParams) -> list[lsp.FoldingRange]:
        index, document = server.index(params.text_document.uri)
        places = [server.range(document, Span(index.source, g.start, g.end)) for g in index.groups]
        return [lsp.FoldingRange(p.start.line, p.end.line) for p in places if p.end.line > p.start.line]

    @server.feature(lsp.TEXT_DOCUMENT_COMPLETION, lsp.CompletionOptions(trigger_characters=["$", "."]))
    def complete(params: lsp.CompletionParams) -> list[lsp.CompletionItem]:
        index, document = server.index(params.text_document.uri)
        end = server.offset(document, params.position)
        start = end
        while start and document.source[start - 1] not in ' \t\r\n()";':
            start -= 1
        word = document.source[start:end]
        place = server.range(document, Span(index.source, start, end))
        if word.startswith("$"):
            kind = lsp.CompletionItemKind.Variable
            words = sorted({index.source.text[u.span.start : u.span.end] for u in index.uses if u.definition})
        else:
            kind, words = lsp.CompletionItemKind.Keyword, sorted(OPS)
        fitting = [each for each in words if each.startswith(word) and each != "$"]
        return [lsp.CompletionItem(each, kind=kind, text_edit=lsp.TextEdit(place, each)) for each in fitting]

    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def symbols(params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        index, document = server.index(params.text_document.uri)
        return [server.symbol(document, entry) for entry in outline(index)]

    @server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
    def formatting(params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
        from meld.diagnostics import MeldError

        _, document = server.index(params.text_document.uri)
        try:
            text = format_text(document.source, _name(params.text_document.uri))
        except MeldError:  # its place is among the diagnostics already
            return []
        whole = Span(server.indices[params.text_document.uri].index.source, 0, len(document.source))
        return [] if text == document.source else [lsp.TextEdit(server.range(document, whole), text)]

    return server


def _name(uri: str) -> str:
    """What a document is called in messages."""
    return unquote(urlparse(uri).path).rpartition("/")[2] or "document"
