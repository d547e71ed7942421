"""The extension for Visual Studio Code: its manifest, its grammar against the table of instructions, its start."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from meld.ir.opcodes import OPS

FOLDER = Path(__file__).parents[2] / "editors/vscode"
GRAMMAR = json.loads((FOLDER / "syntaxes/wat.tmLanguage.json").read_text())["repository"]


def test_the_manifest_names_what_is_there() -> None:
    manifest = json.loads((FOLDER / "package.json").read_text())
    contributes = manifest["contributes"]
    named = [manifest["main"], contributes["grammars"][0]["path"], contributes["languages"][0]["configuration"]]
    assert all((FOLDER / name).is_file() for name in named)
    assert contributes["grammars"][0]["language"] == contributes["languages"][0]["id"] == "wat"
    json.loads((FOLDER / "language-configuration.json").read_text())


def colour(word: str) -> str | None:
    """What the grammar takes a word for, by the rules that are one pattern."""
    for rule in ("number", "name", "type", "control", "instruction"):
        match = re.search(GRAMMAR[rule]["match"], word)
        if match is not None and match.span() == (0, len(word)):
            return rule
    return None


def test_all_instructions_have_a_colour() -> None:
    assert [name for name in OPS if colour(name) not in ("control", "instruction")] == []


@pytest.mark.parametrize(
    ("word", "rule"),
    [
        *((word, "number") for word in ("0", "-1", "0x1_f", "1.5e-3", "0x1.8p+2", "inf", "-nan:0x400000")),
        *((word, "name") for word in ("$x", "$a/b#2", "$provider/lab:shop")),
        *((word, "type") for word in ("i32", "funcref", "u8", "string")),
        *((word, None) for word in ("i32x", "blocks", "xi32.add", "0y", "offset=8")),
    ],
)
def test_words(word: str, rule: str | None) -> None:
    assert colour(word) == rule


MOCKS = """
const Module = require("module");
const said = [];
class LanguageClient {
  constructor(id, name, server, client) { said.push(["made", server, client.documentSelector]); }
  async start() { said.push(["started"]); if (process.argv[2] === "broken") throw new Error("ENOENT"); }
  isRunning() { return true; }
  async stop() { said.push(["stopped"]); }
}
const vscode = {
  commands: { registerCommand: (name, run) => { said.push(["command", name]); vscode.run = run; return {}; } },
  window: { showErrorMessage: (text) => said.push(["error", text]) },
  workspace: { getConfiguration: () => ({ get: () => ["meldc", "lsp"] }) },
};
const load = Module._load;
Module._load = (name, ...rest) =>
  name === "vscode" ? vscode : name.startsWith("vscode-languageclient") ? { LanguageClient } : load(name, ...rest);
const extension = require(process.argv[1]);
(async () => {
  await extension.activate({ subscriptions: [] });
  await vscode.run();
  await extension.deactivate();
  console.log(JSON.stringify(said));
})();
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
@pytest.mark.parametrize("how", ["works", "broken"])
def test_it_starts_the_server(how: str) -> None:
    done = subprocess.run(
        ["node", "-e", MOCKS, str(FOLDER / "extension.js"), how], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said[0] == ["command", "meldc.restart"]
    assert said[1] == ["made", {"command": "meldc", "args": ["lsp"]}, [{"language": "wat"}]]
    assert [one[0] for one in said].count("started") == 2 and said[-1] == ["stopped"]
    errors = [text for kind, text in (one for one in said if one[0] == "error")]
    assert bool(errors) == (how == "broken")
    assert all("pip install 'meldc[lsp]'" in text for text in errors)
