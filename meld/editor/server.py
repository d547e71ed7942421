"""The language server, over the parser of the compiler: what it answers is in the other modules of this package.

A document is read once for each version, on a thread of its own, and all requests about that version wait for the same
reading. So the server goes on taking changes while a large text is read, and what was not begun for an older version is
dropped. After an edit inside of one function, only that one is read and checked anew (`meld.editor.edits`). Positions
are as the client counts them (`meld.editor.documents`).
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from meld.diagnostics import MeldError
from meld.diagnostics.forms import Diagnostic, Severity
from meld.editor.completion import complete
from meld.editor.documents import Document, key_of
from meld.editor.fixes import fixes
from meld.editor.hover import hover
from meld.editor.index import Entry, Index, index_text, outline
from meld.editor.inlays import inlays
from meld.editor.renaming import renamable, rename
from meld.editor.signatures import signature_at
from meld.support.records import record
from meld.support.terminal import harmless
from meld.text.format import format_text
from meld.verify.check import check_parsed
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


COMPLETION_KINDS = {
    "name": lsp.CompletionItemKind.Variable,
    "instruction": lsp.CompletionItemKind.Function,
    "keyword": lsp.CompletionItemKind.Keyword,
    "type": lsp.CompletionItemKind.TypeParameter,
    "annotation": lsp.CompletionItemKind.Property,
}


@record(eq=False)
class Reading:
    """One version of a document, and what was found in it, once that is known."""

    document: Document
    index: asyncio.Future[Index]
    diagnostics: list[Diagnostic] | None = None


class Server(LanguageServer):
    """The server with its documents, their readings, and the last whole index of each, by `key_of` their URIs."""

    def __init__(self, *, engine: bool = False) -> None:
        super().__init__("meldc", __version__, text_document_sync_kind=lsp.TextDocumentSyncKind.Incremental)
        self.engine = engine
        self.documents: dict[str, Document] = {}
        self.readings: dict[str, Reading] = {}
        self.last: dict[str, Index] = {}
        self.worker = ThreadPoolExecutor(1, "meldc-lsp")
        self.tasks: set[asyncio.Task[None]] = set()

    def document(self, uri: str) -> Document:
        """A document as it is now; one that the client has not opened is empty."""
        return self.documents.get(key_of(uri)) or Document(uri, None, "")

    def put(self, document: Document) -> None:
        """Takes a document, or another version of one; what is waiting to be found in the older one is dropped."""
        self.documents[key_of(document.uri)] = document
        old = self.readings.pop(key_of(document.uri), None)
        if old is not None:
            old.index.cancel()

    async def read(self, uri: str) -> tuple[Document, Index]:
        """A document as it is now, and its index."""
        reading = await self.reading(uri)
        return reading.document, reading.index.result()

    async def reading(self, uri: str) -> Reading:
        """The reading of the newest version of a document, when it is done."""
        while True:
            document = self.document(uri)
            reading = self.readings.get(key_of(uri))
            if reading is None or reading.document is not document:
                loop = asyncio.get_running_loop()
                reading = Reading(document, loop.run_in_executor(self.worker, self.index, document))
                self.readings[key_of(uri)] = reading
            try:
                await asyncio.shield(reading.index)
            except asyncio.CancelledError:
                if not reading.index.cancelled():
                    raise  # the request was
            else:
                return reading

    def index(self, document: Document) -> Index:
        """The index of a document; what an earlier version of it has in common is taken from that."""
        key, collects = key_of(document.uri), gc.isenabled()
        gc.disable()  # what is made here stays, and the collector would search the other versions, too
        try:
            found = index_text(document.text, document.name, self.last.get(key))
        finally:
            if collects:
                gc.enable()
        if key in self.documents and found.program is not None and not found.cut:
            self.last[key] = found
        return found

    async def check(self, uri: str) -> None:
        """Tells the client what is wrong with a document, unless it changes meanwhile."""
        reading = await self.reading(uri)
        document, loop = reading.document, asyncio.get_running_loop()
        found = await loop.run_in_executor(self.worker, self.found, reading.index.result())
        if self.document(uri) is not document:
            return
        reading.diagnostics = found
        diagnostics = [diagnostic(document, one) for one in found]
        self.text_document_publish_diagnostics(
            lsp.PublishDiagnosticsParams(document.uri, diagnostics, document.version)
        )

    def found(self, index: Index) -> list[Diagnostic]:
        """All that is wrong with a text."""
        program = None if index.cut else index.program
        found = check_parsed(program, index.errors, index.source, engine=self.engine, known=index.known)
        if program is not None:
            index.take_verdict(found)
        return found

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Has something done beside the requests."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


def diagnostic(document: Document, one: Diagnostic) -> lsp.Diagnostic:
    """A diagnostic for the client; what has no place stands at the beginning."""
    place = document.range(0, 0) if one.span is None else document.range(one.span.start, one.span.end)
    message = one.message if one.hint is None else f"{one.message}\nhint: {one.hint}"
    return lsp.Diagnostic(place, harmless(message), SEVERITIES[one.severity], code=one.rule.value, source="meldc")


def symbol(document: Document, entry: Entry) -> lsp.DocumentSymbol:
    """An entry of the outline, with those below it."""
    return lsp.DocumentSymbol(
        name=harmless(entry.name),
        detail=entry.kind,
        kind=KINDS.get(entry.kind.removeprefix("import "), lsp.SymbolKind.Key),
        range=document.range(entry.whole.start, entry.whole.end),
        selection_range=document.range(entry.span.start, entry.span.end),
        children=[symbol(document, child) for child in entry.children],
    )


def make_server(*, engine: bool = False) -> Server:
    """The server with its handlers; `engine` has the engine validate what is in order otherwise."""
    server = Server(engine=engine)
    synchronize(server)
    look(server)
    complete_words(server)
    rename_things(server)
    mend(server)
    return server


def synchronize(server: Server) -> None:
    """The handlers that follow the documents of the client, and publish diagnostics."""

    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: lsp.DidOpenTextDocumentParams) -> None:
        item = params.text_document
        encoding = str(getattr(server.workspace.position_encoding, "value", server.workspace.position_encoding))
        server.put(Document(item.uri, item.version, item.text, encoding))
        server.begin(server.check(item.uri))

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: lsp.DidChangeTextDocumentParams) -> None:
        uri, version = params.text_document.uri, params.text_document.version
        server.put(server.document(uri).changed(version, params.content_changes))
        server.begin(later(server.document(uri)))

    async def later(document: Document) -> None:
        await asyncio.sleep(PAUSE)
        if server.document(document.uri) is document:
            await server.check(document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: lsp.DidCloseTextDocumentParams) -> None:
        uri = params.text_document.uri
        server.put(Document(uri, None, ""))
        del server.documents[key_of(uri)]
        server.last.pop(key_of(uri), None)
        server.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, []))


def look(server: Server) -> None:
    """The handlers that answer what something is, and where."""

    @server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
    async def definition(params: lsp.DefinitionParams) -> lsp.Location | None:
        document, index = await server.read(params.text_document.uri)
        use = index.at(document.offset(params.position))
        places = [each.span for each in index.of(use.target) if each.definition] if use is not None else []
        return lsp.Location(document.uri, document.range(places[0].start, places[0].end)) if places else None

    @server.feature(lsp.TEXT_DOCUMENT_REFERENCES)
    async def references(params: lsp.ReferenceParams) -> list[lsp.Location]:
        document, index = await server.read(params.text_document.uri)
        use = index.at(document.offset(params.position))
        found = index.of(use.target) if use is not None else []
        wanted = [each.span for each in found if params.context.include_declaration or not each.definition]
        return [lsp.Location(document.uri, document.range(span.start, span.end)) for span in wanted]

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    async def hovered(params: lsp.HoverParams) -> lsp.Hover | None:
        document, index = await server.read(params.text_document.uri)
        text = hover(index, document.offset(params.position))
        return None if text is None else lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text))

    @server.feature(lsp.TEXT_DOCUMENT_SIGNATURE_HELP, lsp.SignatureHelpOptions([" ", ")"], ["("]))
    async def signature(params: lsp.SignatureHelpParams) -> lsp.SignatureHelp | None:
        document, index = await server.read(params.text_document.uri)
        found = signature_at(index, document.offset(params.position))
        if found is None:
            return None
        shown = lsp.SignatureInformation(found.label, parameters=[lsp.ParameterInformation(p) for p in found.places()])
        return lsp.SignatureHelp([shown], 0, found.active)

    @server.feature(lsp.TEXT_DOCUMENT_INLAY_HINT)
    async def hints(params: lsp.InlayHintParams) -> list[lsp.InlayHint]:
        document, index = await server.read(params.text_document.uri)
        stretch = document.offset(params.range.start), document.offset(params.range.end)
        return [
            lsp.InlayHint(
                document.position(one.place), one.text, lsp.InlayHintKind.Type, padding_left=one.text[0] == "$"
            )
            for one in inlays(index, *stretch)
        ]

    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    async def symbols(params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        document, index = await server.read(params.text_document.uri)
        return [symbol(document, entry) for entry in outline(index)]

    @server.feature(lsp.TEXT_DOCUMENT_FOLDING_RANGE)
    async def folding(params: lsp.FoldingRangeParams) -> list[lsp.FoldingRange]:
        document, index = await server.read(params.text_document.uri)
        places = [document.range(group.start, group.end) for group in index.tree.groups]
        return [lsp.FoldingRange(p.start.line, p.end.line) for p in places if p.end.line > p.start.line]


def complete_words(server: Server) -> None:
    """The handler that proposes what fits at a place."""

    @server.feature(lsp.TEXT_DOCUMENT_COMPLETION, lsp.CompletionOptions(trigger_characters=["$", ".", "(", "@"]))
    async def completion(params: lsp.CompletionParams) -> list[lsp.CompletionItem]:
        document, index = await server.read(params.text_document.uri)
        offset = document.offset(params.position)
        found = complete(index, offset)
        place = document.range(found.start, offset)
        return [
            lsp.CompletionItem(
                one.text,
                kind=COMPLETION_KINDS[one.kind],
                detail=one.detail,
                sort_text=f"{number:05}",
                text_edit=lsp.TextEdit(place, one.text),
            )
            for number, one in enumerate(found.found)
        ]


def rename_things(server: Server) -> None:
    """The handlers that rename what stands at a place."""

    @server.feature(lsp.TEXT_DOCUMENT_PREPARE_RENAME)
    async def prepare(params: lsp.PrepareRenameParams) -> lsp.PrepareRenamePlaceholder | None:
        document, index = await server.read(params.text_document.uri)
        use = renamable(index, document.offset(params.position))
        if use is None:
            return None
        start, end = use.span.start, use.span.end
        return lsp.PrepareRenamePlaceholder(document.range(start, end), document.text[start:end])

    @server.feature(lsp.TEXT_DOCUMENT_RENAME, lsp.RenameOptions(prepare_provider=True))
    async def renamed(params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
        document, index = await server.read(params.text_document.uri)
        use = renamable(index, document.offset(params.position))
        if use is None:
            return None
        try:
            written, places = rename(index, use, params.new_name)
        except MeldError as e:
            raise JsonRpcException(e.message, lsp.LSPErrorCodes.RequestFailed.value) from e
        edits = [lsp.TextEdit(document.range(span.start, span.end), written) for span in places]
        return lsp.WorkspaceEdit(changes={document.uri: edits})


def mend(server: Server) -> None:
    """The handlers that propose how to mend an error, and the form of a text."""

    @server.feature(lsp.TEXT_DOCUMENT_CODE_ACTION, lsp.CodeActionOptions([lsp.CodeActionKind.QuickFix]))
    async def actions(params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        reading = await server.reading(params.text_document.uri)
        document, index = reading.document, reading.index.result()
        if reading.diagnostics is None:
            loop = asyncio.get_running_loop()
            reading.diagnostics = await loop.run_in_executor(server.worker, server.found, index)
        first, last = document.offset(params.range.start), document.offset(params.range.end)
        found: list[lsp.CodeAction] = []
        for one in reading.diagnostics:
            if one.span is None or one.span.end < first or last < one.span.start:
                continue
            for number, fix in enumerate(fixes(one, index.tree)):
                edit = lsp.TextEdit(document.range(fix.start, fix.end), fix.new)
                found.append(
                    lsp.CodeAction(
                        fix.title,
                        lsp.CodeActionKind.QuickFix,
                        [diagnostic(document, one)],
                        is_preferred=number == 0,
                        edit=lsp.WorkspaceEdit(changes={document.uri: [edit]}),
                    )
                )
        return found

    @server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
    async def formatting(params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
        document, loop = server.document(params.text_document.uri), asyncio.get_running_loop()
        try:
            text = await loop.run_in_executor(server.worker, format_text, document.text, document.name)
        except MeldError:  # its place is among the diagnostics already
            return []
        return [] if text == document.text else [lsp.TextEdit(document.range(0, len(document.text)), text)]
