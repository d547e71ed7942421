// Starts `meldc lsp` for .wat files. Everything else is up to the server.

const { commands, window, workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function start() {
  const [command, ...args] = workspace.getConfiguration("meldc").get("command");
  client = new LanguageClient(
    "meldc",
    "meldc",
    { command, args },
    { documentSelector: [{ language: "wat" }], outputChannelName: "meldc" },
  );
  try {
    await client.start();
  } catch (error) {
    window.showErrorMessage(
      `meldc: cannot start \`${[command, ...args].join(" ")}\` (${error.message}). ` +
        "Install it with `pip install 'meldc[lsp]'`, or set meldc.command.",
    );
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running?.isRunning()) await running.stop();
}

async function activate(context) {
  context.subscriptions.push(
    commands.registerCommand("meldc.restart", async () => {
      await stop();
      await start();
    }),
  );
  await start();
}

module.exports = { activate, deactivate: stop };
