// The runs as a table: what one asks for first stands first; only the rows in sight are drawn.

import { h, figure, duration, spaced, breaking, stateOf, tick, STATES } from "./dom.js";
import { store, put, place, address } from "./data.js";
import { terms, matches, sorted, valueOf, split, unknownKeys } from "./query.js";

const ROW = 46, AROUND = 8;
const FIGURES = 3, SETTINGS = 3; // what fits into 1,400 px with ordinary names: `Columns` adds the others
const HEADS = { state: "state", examples: "examples", time: "time", left: "time left", date: "started", tags: "tags", findings: "doctor", folder: "folder", parameters: "parameters", family: "model, loss, data" };
const LOSSES = ["loss", "val/loss", "train/loss"];
export const chosen = new Set(); // keys of the runs that are ticked

export function titleOf(column) {
  const [kind, name] = split(column);
  if (kind === "last" && LOSSES.includes(name)) return { "val/loss": "validation loss", "train/loss": "training loss" }[name] || "loss";
  return kind === "own" ? HEADS[name] || name : kind === "figure" ? spaced(name) : name;
}

function counted(runs, names) {
  const counts = new Map();
  for (const run of runs) for (const name of names(run)) counts.set(name, (counts.get(name) || 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).map(([name]) => name);
}

// settings whose values are not the same in all runs, those that most runs were given first
export function differing(runs) {
  const values = new Map();
  for (const run of runs) {
    for (const key in run.settings) {
      const found = values.get(key) || values.set(key, { num: 0, first: run.settings[key], many: false }).get(key);
      found.num += 1;
      if (run.settings[key] !== found.first) found.many = true;
    }
  }
  const known = runs.filter((run) => run.state).length;
  return [...values].filter(([, v]) => v.many || v.num < known).sort((a, b) => (a[0] === "seed") - (b[0] === "seed") || b[1].many - a[1].many || b[1].num - a[1].num).map(([key]) => key);
}

export function columnsFor(runs) {
  const losses = ["val/loss", "train/loss"].filter((n) => runs.some((r) => r.last && n in r.last)).slice(0, 1);
  const heads = counted(runs, (r) => r.headlines || []).slice(0, FIGURES - losses.length);
  const figures = [...heads.map((n) => `figure:${n}`), ...losses.map((n) => `last:${n}`)];
  const tags = runs.some((r) => r.tags && r.tags.length) ? ["tags"] : [];
  const settings = differing(runs).slice(0, SETTINGS).map((n) => `set:${n}`);
  const findings = runs.some((r) => r.findings && r.findings.length) ? ["findings"] : [];
  return ["state", ...findings, ...figures, ...settings, "time", "date", ...tags];
}

// the figures of runs as columns, in the order in which one asks for them
export function figuresOf(runs) {
  const names = [...counted(runs, (r) => r.headlines || []), ...counted(runs, (r) => Object.keys(r.figures || {}))];
  const losses = ["val/loss", "train/loss"].filter((n) => runs.some((r) => r.last && n in r.last));
  return [...new Set(names.map((n) => `figure:${n}`)), ...losses.map((n) => `last:${n}`)];
}

function everyColumn(runs) {
  return [
    ["The run", ["state", "findings", "left", "examples", "time", "date", "tags", "folder", "parameters", "family"]],
    ["Figures", counted(runs, (r) => Object.keys(r.figures || {})).slice(0, 80).map((n) => `figure:${n}`)],
    ["Ledger", counted(runs, (r) => Object.keys(r.last || {})).slice(0, 80).map((n) => `last:${n}`)],
    ["Settings", counted(runs, (r) => Object.keys(r.settings || {})).slice(0, 120).map((n) => `set:${n}`)],
  ];
}

function isNumber(column) {
  return ["figure", "last"].includes(split(column)[0]) || ["examples", "time", "left", "parameters"].includes(column);
}

export function wayOf(column) {
  return store.ways[split(column)[1]] || 0;
}

// why a column has no best among these runs; empty where it has one
export function unlike(runs, column) {
  const there = runs.filter((run) => valueOf(run, column) !== null);
  const [, name] = split(column);
  if (!wayOf(column)) return "which way is better is not known";
  if (LOSSES.includes(name) && new Set(there.map((r) => r.family)).size > 1) return "losses of different models do not compare";
  if (new Set(there.map((r) => r.data || "")).size > 1) return "figures on different data do not compare";
  return "";
}

export function best(runs, column) {
  if (!isNumber(column) || unlike(runs, column)) return null;
  const values = runs.map((run) => valueOf(run, column)).filter((v) => typeof v === "number");
  if (new Set(values.map(figure)).size < 2) return null;
  return wayOf(column) > 0 ? values.reduce((a, b) => Math.min(a, b)) : values.reduce((a, b) => Math.max(a, b));
}

// a figure with its interval, and its floor where that is asked for; `top` is the best, which is bold
export function figureCell(run, column, top, floor = false) {
  const [kind, name] = split(column), value = valueOf(run, column);
  const [, low, high, least] = (kind === "figure" && run.figures?.[name]) || [];
  const given = (v) => v !== null && v !== undefined;
  return h("td", { class: `n${given(value) && value === top ? " strong" : ""}` }, figure(value),
    given(low) ? h("small", null, `${figure(low)} to ${figure(high)}`) : null,
    floor && given(least) ? h("small", null, `floor ${figure(least)}`) : null);
}

function cell(run, column, top) {
  const value = valueOf(run, column);
  const share = run.budget && run.examples !== null && run.state !== "finished" ? `${Math.floor(100 * Math.min(1, run.examples / run.budget))} % of ${figure(run.budget)}` : "";
  if (column === "state") {
    const under = run.reason ? h("small", { class: "why", title: run.reason }, run.reason) : share && run.state === "running" ? h("small", null, share) : null;
    return h("td", { class: "s" }, stateOf(run.state), under);
  }
  if (column === "findings") return h("td", { class: "t" }, (run.findings || []).length ? h("span", { class: "sick", title: run.findings.map(spaced).join(", ") }, run.findings.map((name) => h("b", null, spaced(name)))) : "–");
  if (column === "examples") return h("td", { class: "n" }, figure(value), share ? h("small", null, share) : null);
  if (column === "time") return h("td", { class: "n" }, duration(value), run.left !== null && run.left !== undefined ? h("small", null, `${duration(run.left)} left`) : null);
  if (column === "left") return h("td", { class: "n" }, duration(value));
  if (column === "date") return h("td", { class: "d" }, value ? [String(value).slice(0, 10), h("small", null, String(value).slice(11, 16))] : "–");
  if (isNumber(column)) {
    return figureCell(run, column, top);
  }
  if (column === "family") return h("td", { class: "t" }, h("span", { title: value }, String(value || "–").replace(/\S*\./g, "")));
  return h("td", { class: "t" }, value === null || value === undefined ? "–" : h("span", { title: value }, value));
}

export function tablePage() {
  const { params } = place();
  let query = params.get("q") || "", sort = params.get("sort") || "", grouped = params.get("by") === "folder";
  let columns = params.get("cols") ? params.get("cols").split("\n") : null;
  let items = [], rows = [], active = -1, tops = new Map(), shown = [];
  const closed = new Set();

  const filter = h("input", { type: "search", value: query, id: "filter", placeholder: "words, or model=vae val/loss<1.2 state=failed", "aria-label": "Filter the runs", autocomplete: "off", spellcheck: "false",
    oninput: (e) => { query = e.target.value; put({ q: query }); active = -1; grid.scrollTop = 0; update(); },
    onkeydown: (e) => { if (e.key === "ArrowDown" || e.key === "Enter") { e.preventDefault(); grid.focus(); } } });
  const states = h("div", { class: "states" });
  const counts = h("p", { class: "aside", role: "status" });
  const compare = h("a", { class: "button", id: "compare" }, "Compare");
  const chooser = h("details", { class: "chooser", ontoggle: () => chooser.open && chooser.replaceChildren(chooser.firstChild, choose()) }, h("summary", null, "Columns"));
  const group = tick("by folder", grouped, (on) => { grouped = on; put({ by: on ? "folder" : "" }); update(); });
  const head = h("thead"), body = h("tbody");
  const table = h("table", { class: "runs" }, head, body);
  const grid = h("div", { class: "grid", tabindex: 0, id: "grid", "aria-label": "Runs: arrows move, Enter opens, space selects",
    onscroll: () => draw(), onkeydown: keys, onclick: clicked, onfocus: () => { if (active < 0 && items.length) { active = 0; draw(); } } }, table);
  const top = h("div", { class: "tools" }, filter, group, chooser, compare,
    h("button", { type: "button", class: "quiet", id: "none", onclick: () => { chosen.clear(); draw(); } }, "Clear"));
  const el = h("div", { class: "table-page" }, top, h("div", { class: "line" }, states, counts), grid);

  function update() {
    const all = [...store.runs.values()];
    const wanted = terms(query);
    rows = wanted.length ? all.filter((run) => matches(run, wanted)) : all;
    shown = columns || columnsFor(rows);
    if (sort) rows = sorted(rows, sort.replace(/^-/, ""), sort.startsWith("-"));
    tops = new Map(shown.map((c) => [c, best(rows, c)]));
    items = grouped ? byFolder(rows) : rows;
    active = Math.min(active, items.length - 1);
    const why = sort ? unlike(rows, sort.replace(/^-/, "")) : "";
    const said = sort && why && isNumber(sort.replace(/^-/, "")) && !why.startsWith("which") ? ` Sorted by ${titleOf(sort.replace(/^-/, ""))}: ${why}.` : "";
    const odd = store.read < store.found ? [] : unknownKeys(all, wanted).map(([key, near]) => ` No run has ${key}${near ? `: ${near}?` : "."}`);
    counts.replaceChildren(`${rows.length.toLocaleString("en")} of ${all.length.toLocaleString("en")} runs.${odd.join("")}${said}`);
    drawStates(all);
    drawHead();
    draw(true);
  }

  function byFolder(found) {
    const folders = new Map();
    for (const run of found) (folders.get(run.group) || folders.set(run.group, []).get(run.group)).push(run);
    return [...folders].flatMap(([folder, runs]) => [{ folder, runs }, ...(closed.has(folder) ? [] : runs)]);
  }

  function drawStates(all) {
    const found = new Map();
    for (const run of all) found.set(run.state, (found.get(run.state) || 0) + 1);
    const order = ["running", "finished", "failed", "pruned", "silent", "not started", ""];
    const list = [...found].sort((a, b) => (order.indexOf(a[0]) + 99) % 99 - (order.indexOf(b[0]) + 99) % 99);
    const sick = counted(all, (run) => run.findings || []).filter((name) => /^\w+$/.test(name));
    states.replaceChildren(
      ...list.map(([state, num]) => chip("state", state, num, STATES[state] || "open", state || "reading")),
      ...sick.map((name) => chip("finding", name, all.filter((run) => run.findings?.includes(name)).length, "open sign", spaced(name))));
  }

  // a count that is pressed to filter by it: one of its key at a time
  function chip(key, value, num, kind, said) {
    const word = value.includes(" ") ? `${key}="${value}"` : `${key}=${value}`;
    const on = query.includes(word);
    return h("button", { type: "button", class: `count ${kind}`, "aria-pressed": String(on), disabled: !value, onclick: () => {
      query = on ? query.replace(word, "").trim() : `${query.replace(new RegExp(`\\s*\\b${key}=("[^"]*"|\\S+)`), "").trim()} ${word}`.trim();
      filter.value = query; put({ q: query }); update();
    } }, h("b", null, num.toLocaleString("en")), ` ${said}`);
  }

  function drawHead() {
    const pick = (column) => {
      const down = !isNumber(column) ? (sort === column) : sort === column ? true : sort === `-${column}` ? false : wayOf(column) < 0 || ["date"].includes(column);
      sort = (column === "date" && sort !== "-date" && sort !== "date") || down ? `-${column}` : column;
      put({ sort });
      update();
    };
    const mark = document.activeElement?.dataset?.column;
    head.replaceChildren(h("tr", null, h("th", { class: "pick" }), ["name", ...shown].map((column) => {
      const here = sort.replace(/^-/, "") === column;
      const arrow = here ? (sort.startsWith("-") ? " ↓" : " ↑") : "";
      return h("th", { class: isNumber(column) ? "n" : column === "name" ? "run" : null, "aria-sort": here ? (sort.startsWith("-") ? "descending" : "ascending") : null, scope: "col" },
        h("button", { type: "button", "data-column": column, title: titleOf(column), onclick: () => pick(column) }, column === "name" ? "run" : breaking(titleOf(column)), arrow));
    })));
    if (mark !== undefined) head.querySelector(`[data-column="${CSS.escape(mark)}"]`)?.focus();
  }

  function choose() {
    const set = (column, on) => {
      columns = on ? [...shown, column] : shown.filter((c) => c !== column);
      put({ cols: columns.join("\n") });
      update();
    };
    return h("div", { class: "menu" },
      h("button", { type: "button", class: "quiet", onclick: () => { columns = null; put({ cols: "" }); chooser.open = false; update(); } }, "As they differ"),
      everyColumn(rows).map(([title, list]) => list.length ? h("fieldset", null, h("legend", null, title),
        list.map((column) => tick(titleOf(column), shown.includes(column), (on) => set(column, on)))) : null));
  }

  let from = -1;
  function draw(anew = false) {
    const first = Math.max(0, Math.floor(grid.scrollTop / ROW) - AROUND);
    const num = Math.ceil((grid.clientHeight || 700) / ROW) + 2 * AROUND;
    if (!anew && first === from && body.dataset.active === String(active) && body.dataset.chosen === String(chosen.size)) return;
    from = first;
    Object.assign(body.dataset, { active, chosen: chosen.size });
    const part = items.slice(first, first + num);
    const space = (count) => h("tr", { class: "space", css: { height: `${count * ROW}px` } });
    body.replaceChildren(space(first), ...part.map((item, i) => (item.folder === undefined ? row(item, first + i) : folder(item, first + i))),
      space(Math.max(0, items.length - first - part.length)));
    table.setAttribute("aria-rowcount", items.length + 1);
    compare.textContent = chosen.size ? `Compare ${chosen.size}` : "Compare";
    compare.classList.toggle("off", chosen.size < 1);
    if (chosen.size) compare.setAttribute("href", address("compare", "", { runs: [...chosen].join(",") }));
    else compare.removeAttribute("href");
    top.querySelector("#none").hidden = !chosen.size;
  }

  function row(run, i) {
    const box = h("input", { type: "checkbox", tabindex: -1, checked: chosen.has(run.key), "aria-label": `select ${run.name}` });
    return h("tr", { "data-i": i, class: i === active ? "active" : null, "aria-selected": String(chosen.has(run.key)) },
      h("td", { class: "pick" }, box),
      h("th", { class: "run", scope: "row" }, h("a", { href: address("run", run.key), tabindex: -1, title: run.where }, run.name), h("small", null, run.where.split("/").reverse().slice(0, 2).join(" · "))),
      shown.map((column) => cell(run, column, tops.get(column))));
  }

  function folder({ folder: name, runs }, i) {
    const done = runs.filter((r) => r.state === "finished").length;
    return h("tr", { "data-i": i, class: `folder${i === active ? " active" : ""}` },
      h("td", { class: "pick" }, h("button", { type: "button", tabindex: -1, class: "fold", "aria-label": "fold" }, closed.has(name) ? "▸" : "▾")),
      h("th", { class: "run", scope: "rowgroup" }, name ? h("a", { href: address("sweep", name), tabindex: -1, title: name }, name) : "(no folder)", h("small", null, `${runs.length} run${runs.length > 1 ? "s" : ""}, ${done} finished`)),
      h("td", { colspan: shown.length }));
  }

  function toggle(i, only = null) {
    const item = items[i];
    if (!item) return;
    if (item.folder !== undefined) {
      closed.has(item.folder) ? closed.delete(item.folder) : closed.add(item.folder);
      update();
      return;
    }
    const on = only ?? !chosen.has(item.key);
    on ? chosen.add(item.key) : chosen.delete(item.key);
    draw(true);
  }

  function clicked(event) {
    const tr = event.target.closest("tr[data-i]");
    if (!tr || event.target.closest("a")) return;
    const i = Number(tr.dataset.i);
    if (event.shiftKey && active >= 0) {
      for (let k = Math.min(i, active); k <= Math.max(i, active); k++) if (items[k].folder === undefined) chosen.add(items[k].key);
    }
    active = i;
    event.shiftKey ? draw(true) : toggle(i);
  }

  function keys(event) {
    if (event.target !== grid) return;
    const page = Math.max(1, Math.floor(grid.clientHeight / ROW) - 2);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -1e9, End: 1e9 }[event.key];
    if (step) {
      event.preventDefault();
      active = Math.max(0, Math.min(items.length - 1, active + step));
      const at = active * ROW, high = grid.clientHeight - 2 * ROW;
      if (at < grid.scrollTop) grid.scrollTop = at;
      else if (at > grid.scrollTop + high) grid.scrollTop = at - high;
      draw(true);
    } else if (event.key === " " || event.key === "x") {
      event.preventDefault();
      toggle(active);
    } else if (event.key === "Enter" && items[active]) {
      const item = items[active];
      location.hash = item.folder !== undefined ? address("sweep", item.folder) : address("run", item.key);
    } else if (event.key === "c" && chosen.size) location.hash = compare.getAttribute("href");
  }

  return { el, title: "", update, shown: () => update() };
}
