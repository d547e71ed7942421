"""What editors use: the index of a text, the language server, the highlighter (docs/editors.md)."""
