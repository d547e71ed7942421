// Calls `run` of a module for each number: as it is, or (with "suspend") suspended at each call of the host.
import { readFileSync } from "node:fs";

const [path, mode, ...numbers] = process.argv.slice(2);
const asked = [];
let exports;
let pending;
let switches = 0;

function answer(question) {
  asked.push(question);
  return (Math.imul(question, 2654435761) + asked.length * 40503 + 12345) | 0;
}

function ask(question) {
  if (mode !== "suspend") return answer(question);
  const state = exports["resumable state"];
  if (state.value === 2) {
    state.value = 0;
    return pending;
  }
  pending = answer(question);
  state.value = 1;
  return 0;
}

const module = new WebAssembly.Module(readFileSync(path));
exports = new WebAssembly.Instance(module, { host: { ask } }).exports;
const results = numbers.map((n) => {
  try {
    let result = exports.run(n);
    while (mode === "suspend" && exports["resumable state"].value === 1) {
      switches += 1;
      exports["resumable state"].value = 2;
      result = exports.run(0);
    }
    return result;
  } catch (e) {
    return String(e);
  }
});
console.log(JSON.stringify({ results, asked, switches }));
