"use strict";
// Elements are made as far as somebody looks; texts are set as texts, never as markup.
(() => {
  const run = JSON.parse(document.getElementById("data").textContent);
  const AT_ONCE = 100;
  const KIND = 0, NAME = 1, OWNER = 2, ORIGIN = 3, MADE = 4, IMPORTED = 5, SIZE = 6;
  const MARKS = { "+": ["plus", "created"], "~": ["tilde", "changed"], "-": ["minus", "removed"] };
  const byId = (id) => document.getElementById(id);

  function make(name, className, ...children) {
    const element = document.createElement(name);
    if (className) element.className = className;
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }
  const number = (n) => n.toLocaleString("en");
  function bytes(n) {
    if (n >= 1 << 20) return (n / (1 << 20)).toFixed(1) + " MiB";
    return n >= 1 << 10 ? (n / (1 << 10)).toFixed(1) + " KiB" : number(n) + " B";
  }
  const time = (seconds) => (seconds >= 1 ? seconds.toFixed(2) + " s" : (seconds * 1000).toFixed(1) + " ms");
  const many = (n, word) => `${number(n)} ${word}${n === 1 ? "" : "s"}`;

  // A <details> whose inside is made when it is opened for the first time.
  function folded(className, heads, inside) {
    const details = make("details", className, make("summary", "", make("span", "arrow", "▸"), ...heads));
    details.addEventListener("toggle", () => {
      if (details.open && inside) {
        details.append(make("div", "inside", ...inside()));
        inside = null;
      }
    });
    return details;
  }

  // The first rows of many, and a button for the next and one for all.
  function listed(rows, show) {
    const box = make("div");
    let done = 0;
    const more = make("button"), all = make("button", "", "Show all");
    more.type = all.type = "button";
    const go = (count) => {
      const end = Math.min(rows.length, done + count);
      const part = document.createDocumentFragment();
      for (; done < end; done++) part.append(show(rows[done]));
      box.insertBefore(part, more);
      more.hidden = all.hidden = done >= rows.length;
      more.textContent = `Show ${number(Math.min(AT_ONCE, rows.length - done))} more of ${number(rows.length - done)}`;
    };
    more.addEventListener("click", () => go(AT_ONCE));
    all.addEventListener("click", () => go(rows.length));
    box.append(more, " ", all);
    go(AT_ONCE);
    return box;
  }

  function code(text, isDiff) {
    const pre = make("pre");
    pre.tabIndex = 0;
    for (const line of text.split("\n")) {
      const mark = isDiff ? line[0] : " ";
      pre.append(make("span", mark === "+" ? "a" : mark === "-" ? "d" : mark === "@" ? "h" : "", line || " "));
    }
    return pre;
  }

  function mark(sign) {
    const element = make("span", MARKS[sign][0], sign === "-" ? "−" : sign);
    element.title = MARKS[sign][1];
    return element;
  }

  function shown(change) {
    const [, sign, text] = change;
    if (text !== null) return [code(run.texts[text], sign === "~")];
    return [make("p", "none", "Its text was not kept: it is as it was read from a binary.")];
  }

  function symbolHead(symbol) {
    return [make("span", "tag", symbol[KIND]), make("span", "name", symbol[NAME])];
  }

  // --- header ---

  const last = run.steps[run.steps.length - 1];
  const count = (kind) => (last.counts[kind] || 0);
  byId("about").textContent =
    `meldc ${run.version} · meldc ${run.command.join(" ")}`;
  const decided = (word) => run.decisions.filter((row) => row[3] === word).length;
  const peak = Math.max(...run.steps.map((step) => step.peak));
  const tiles = [
    [many(run.inputs.length, "input"), bytes(run.inputs.reduce((sum, input) => sum + input[1], 0))],
    ["functions", number(count("func"))],
    ["code", last.language === "module" ? bytes(last.code) : ""],
    ["data", last.language === "module" ? bytes(last.data) : ""],
    ["direct, adapted", `${decided("direct")}, ${decided("adapter")}`],
    ["streams bridged", number(decided("bridged"))],
    ["passes took", time(run.steps.reduce((sum, step) => sum + step.seconds, 0))],
    ["memory at most", peak ? bytes(peak) : ""],
  ];
  for (const [what, value] of tiles) {
    if (value) byId("facts").append(make("div", "", make("dt", "", what), make("dd", "", value)));
  }
  if (run.status !== "done") {
    byId("failure").hidden = false;
    byId("failure").textContent = `This run failed: ${run.message}`;
  }

  // --- pipeline ---

  const longest = Math.max(...run.steps.map((step) => step.seconds), 1e-9);
  run.steps.forEach((step, at) => {
    const counts = make("span", "counts");
    for (const sign of ["+", "~", "-"]) {
      const n = step.changes.filter((change) => change[1] === sign).length;
      if (n) counts.append(make("span", MARKS[sign][0], `${sign === "-" ? "−" : sign}${number(n)}`));
    }
    const bar = make("i");
    bar.style.width = `${(100 * step.seconds) / longest}%`;
    const heads = [
      make("span", "name", `${at ? at + ". " : ""}${step.spec || step.label}`),
      make("span", "bar", at ? bar : null),
      make("span", "num", at ? time(step.seconds) : ""),
      make("span", "num peak soft", step.peak ? bytes(step.peak) : ""),
      counts,
    ];
    byId("steps").append(folded("step", heads, () => stepInside(step)));
  });
  for (const label of run.planned.slice(run.steps.length - 1)) {
    byId("steps").append(make("p", "none", `${label}: did not run, or failed`));
  }

  function stepInside(step) {
    const parts = [];
    const line = (title, text) => parts.push(make("p", "", make("span", "soft", title + " "), text));
    const stats = Object.entries(step.stats);
    if (stats.length) line("counted", stats.map(([name, n]) => `${name}: ${number(n)}`).join(", "));
    line("there are", Object.entries(step.counts).map(([kind, n]) => `${number(n)} ${kind}`).join(", ") || "nothing");
    if (step.facts.length) line("facts", step.facts.join(", "));
    for (const remark of step.remarks) line("remark", remark);
    if (step.rewrites.length) {
      const done = step.rewrites.filter((row) => row[2]).length;
      const heads = [make("span", "", `${many(done, "rewrite")}${done < step.rewrites.length ? `, ${step.rewrites.length - done} refused` : ""}`)];
      parts.push(folded("", heads, () => [listed(step.rewrites, ([what, name, ok]) =>
        make("p", "", make("span", "tag", what), make("span", "name", name || ""), ok ? "" : " (refused)"))]));
    }
    if (!step.changes.length) parts.push(make("p", "none", "It changed nothing."));
    else parts.push(listed(step.changes, (change) =>
      folded("change", [mark(change[1]), " ", ...symbolHead(run.symbols[change[0]])], () => shown(change))));
    return parts;
  }

  // --- sizes ---

  function sizes() {
    if (!run.sizes.length) return make("p", "none", "The program is a composition; nothing has been merged yet.");
    const owners = new Map();
    run.sizes.forEach(([, rows], side) => {
      for (const [owner, made, functions, codeBytes, dataBytes] of rows) {
        const name = owner || (made ? "made by the compiler" : "nobody's");
        if (!owners.has(name)) owners.set(name, run.sizes.map(() => ({ code: 0, made: 0, data: 0, functions: 0 })));
        const cell = owners.get(name)[side];
        cell[made ? "made" : "code"] += codeBytes;
        cell.data += dataBytes;
        cell.functions += functions;
      }
    });
    const total = (cell) => cell.code + cell.made + cell.data;
    const end = run.sizes.length - 1;
    const rows = [...owners].sort((a, b) => total(b[1][end]) - total(a[1][end]));
    const most = Math.max(1, ...rows.map((row) => total(row[1][end])));
    const titles = ["component instance", "", "functions", "code", "generated", "data", "in all"];
    if (end) titles.push(`in all after ${run.sizes[0][0]}`);
    const head = make("tr", "", ...titles.map((title, i) => make("th", i > 1 ? "num" : "", title)));
    const body = rows.map(([name, cells]) => {
      const cell = cells[end], split = make("div", "split");
      split.style.width = `${Math.max(1, (100 * total(cell)) / most)}%`;
      split.style.minWidth = "0";
      for (const part of ["code", "made", "data"]) {
        const piece = make("span", part);
        piece.style.flexGrow = String(cell[part]);
        split.append(piece);
      }
      const numbers = [number(cell.functions), bytes(cell.code), bytes(cell.made), bytes(cell.data), bytes(total(cell))];
      if (end) numbers.push(bytes(total(cells[0])));
      const wide = make("td", "wide", split);
      wide.style.width = "28%";
      return make("tr", "", make("td", "name", name), wide, ...numbers.map((text) => make("td", "num", text)));
    });
    const key = make("p", "key soft", `After ${run.sizes[end][0]}, in bytes as read or as encoded: `,
      make("i", "code"), "code of the inputs", make("i", "made"), "generated code", make("i", "data"), "data");
    return make("div", "", key, make("div", "scroll", make("table", "", make("thead", "", head), make("tbody", "", ...body))));
  }
  byId("size-table").append(sizes());

  /* What the compiler made, by part: what all instances share, and what each has for itself. */
  function parts() {
    const kinds = new Map();
    for (const [owner, made, functions, codeBytes, dataBytes] of run.sizes.length ? run.sizes[run.sizes.length - 1][1] : []) {
      if (!made) continue;
      if (!kinds.has(made)) kinds.set(made, { functions: 0, shared: 0, own: 0, owners: 0 });
      const kind = kinds.get(made);
      kind.functions += functions;
      kind[owner ? "own" : "shared"] += codeBytes + dataBytes;
      if (owner) kind.owners += 1;
    }
    if (!kinds.size) return make("p", "none", "The compiler has generated nothing.");
    const titles = ["generated code", "functions", "shared", "of instances", "instances"];
    const head = make("tr", "", ...titles.map((title, i) => make("th", i ? "num" : "", title)));
    const rows = [...kinds].sort((a, b) => b[1].shared + b[1].own - a[1].shared - a[1].own).map(([name, kind]) =>
      make("tr", "", make("td", "name", name),
        ...[number(kind.functions), bytes(kind.shared), bytes(kind.own), number(kind.owners)].map((text) => make("td", "num", text))));
    return make("div", "scroll", make("table", "", make("thead", "", head), make("tbody", "", ...rows)));
  }
  byId("part-table").append(parts());

  // --- decisions and remarks ---

  if (run.decisions.length) {
    const head = make("tr", "", ...["what", "which", "between", "decision", "why"].map((title) => make("th", "", title)));
    const table = make("table", "", make("thead", "", head));
    const body = make("tbody");
    table.append(body);
    let done = 0;
    const more = make("button", "", "Show all");
    more.type = "button";
    const go = (end) => {
      for (; done < Math.min(end, run.decisions.length); done++) {
        const [what, which, between, decision, why] = run.decisions[done];
        body.append(make("tr", "", make("td", "", what), make("td", "name", which), make("td", "", between),
          make("td", `${decision}-word`, decision), make("td", "", why)));
      }
      more.hidden = done >= run.decisions.length;
    };
    more.addEventListener("click", () => go(Infinity));
    go(AT_ONCE);
    byId("decision-table").append(make("div", "scroll", table), more);
  } else byId("decision-table").append(make("p", "none", "There is no stream domain and no boundary in this program."));

  const remarks = run.steps.flatMap((step) => step.remarks.map((text) => [step.label, text]));
  byId("remark-list").append(remarks.length
    ? listed(remarks, ([label, text]) => make("p", "", make("span", "tag", label), text))
    : make("p", "none", "The passes had nothing to remark."));

  // --- symbols ---

  const lives = run.symbols.map(() => []);
  run.steps.forEach((step, at) => step.changes.forEach((change) => lives[change[0]].push([at, change])));
  const rewrites = new Map();
  run.steps.forEach((step) => step.rewrites.forEach(([what, name, ok]) => {
    if (name === null) return;
    if (!rewrites.has(name)) rewrites.set(name, []);
    rewrites.get(name).push(`${step.label}: ${what}${ok ? "" : " (refused)"}`);
  }));
  const lower = run.symbols.map((symbol) => symbol[NAME].toLowerCase());
  const options = (id, at) => {
    const counts = new Map();
    for (const symbol of run.symbols) if (symbol[at]) counts.set(symbol[at], (counts.get(symbol[at]) || 0) + 1);
    for (const [value, n] of [...counts].sort((a, b) => b[1] - a[1])) {
      const option = make("option", "", `${value} (${number(n)})`);
      option.value = value;
      byId(id).append(option);
    }
  };
  options("kind", KIND);
  options("owner", OWNER);

  const ORDERS = {
    "": null,
    size: (a, b) => run.symbols[b][SIZE] - run.symbols[a][SIZE],
    name: (a, b) => (run.symbols[a][NAME] < run.symbols[b][NAME] ? -1 : 1),
    busy: (a, b) => lives[b].length - lives[a].length,
  };

  function search() {
    const query = byId("query").value.trim().replace(/^\$/, "").toLowerCase();
    const kind = byId("kind").value, owner = byId("owner").value, order = ORDERS[byId("order").value];
    const found = [];
    for (let i = 0; i < run.symbols.length; i++) {
      const symbol = run.symbols[i];
      if ((!kind || symbol[KIND] === kind) && (!owner || symbol[OWNER] === owner) && lower[i].includes(query)) found.push(i);
    }
    if (order) found.sort(order);
    byId("found").textContent = `${number(found.length)} of ${many(run.symbols.length, "symbol")}`;
    byId("results").replaceChildren(listed(found, symbolRow));
  }

  function symbolRow(at) {
    const symbol = run.symbols[at];
    const life = make("span", "life", ...lives[at].map(([, change]) => mark(change[1])));
    const heads = [...symbolHead(symbol), make("span", "owner", symbol[MADE] || symbol[ORIGIN] || symbol[IMPORTED] || ""),
      make("span", "num soft", symbol[SIZE] ? bytes(symbol[SIZE]) : ""), life];
    return folded("symbol", heads, () => {
      const about = [symbol[OWNER] && `of ${symbol[OWNER]}`, symbol[ORIGIN] && `from ${symbol[ORIGIN]}`,
        symbol[MADE] && `made by the compiler: ${symbol[MADE]}`, symbol[IMPORTED] && `import ${symbol[IMPORTED]}`];
      const parts = [make("p", "soft", about.filter(Boolean).join(" · "))];
      const asked = symbol[KIND] === "func" ? rewrites.get(symbol[NAME]) : null;
      if (asked) parts.push(make("p", "", make("span", "soft", "rewrites "), asked.join(", ")));
      for (const [step, change] of lives[at]) {
        const heading = make("p", "", mark(change[1]), ` ${MARKS[change[1]][1]} by `, make("b", "", run.steps[step].label));
        parts.push(heading, ...shown(change));
      }
      return parts;
    });
  }

  for (const id of ["query", "kind", "owner", "order"]) byId(id).addEventListener("input", search);
  byId("search").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|SELECT)$/.test(event.target.tagName)) {
      event.preventDefault();
      byId("query").focus();
    }
  });
  search();
  document.documentElement.dataset.ready = "yes";
})();
