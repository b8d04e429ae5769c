// Chosen runs side by side: curves, samples at the same seeds over time, what differs in settings.

import { h, section, breaking, choice, tick, colorOf, dot } from "./dom.js";
import { ask, put, place, store, address } from "./data.js";
import { lineChart, UNITS } from "./chart.js";
import { show, look } from "./drawn.js";
import { best, figureCell, figuresOf, titleOf, unlike, wayOf } from "./table.js";

// the part of a page with curves; its choices stand in the address
// painted(colors) is told each run's colour: with its seeds it has one
export function curvesPart(keys, { band = true, painted = null } = {}) {
  const { params } = place();
  const own = {
    names: params.get("names") || "", over: params.get("over") || "", log: params.get("log") === "1",
    smooth: Number(params.get("smooth") || 0), band: params.has("band") ? params.get("band") === "1" : band,
  };
  const tools = h("div", { class: "tools" }), charts = h("div", { class: "charts" }), note = h("p", { class: "aside", role: "status" });
  let last = null, turn = 0;

  async function update() {
    const mine = ++turn;
    if (own.over === "flops") note.textContent = "Counting FLOPs on the runs' own shapes: some seconds, the first time.";
    const found = await ask("curves", { runs: keys().join(","), names: own.names, over: own.over || "examples", band: own.band ? "1" : "0" });
    if (mine !== turn) return;
    last = found;
    draw();
  }

  function draw() {
    if (last.problem) {
      note.textContent = last.problem;
      charts.replaceChildren();
      return;
    }
    const set = (changes, anew) => {
      Object.assign(own, changes);
      put({ names: own.names, over: own.over, log: own.log, smooth: own.smooth || "", band: own.band === band ? "" : own.band ? "1" : "0" });
      anew ? update() : draw();
    };
    const several = keys().length > 1;
    const overs = [...Object.entries(UNITS), ...last.clocks.map((n) => [n, n])];
    const more = last.every.filter((n) => !last.names.includes(n));
    if (!tools.contains(document.activeElement) || document.activeElement.type !== "range") {
      tools.replaceChildren(
        more.length ? choice("add", [["", "a figure …"], ...more.map((n) => [n, n])], "", (n) => n && set({ names: [...last.names, n].join("\n") }, true)) : "",
        choice("over", overs, last.over, (over) => set({ over: over === "examples" ? "" : over }, true)),
        tick("logarithmic", own.log, (log) => set({ log })),
        h("label", { class: "choice" }, h("span", null, "smoothing"), h("input", { type: "range", min: 0, max: 0.3, step: 0.01, value: own.smooth, oninput: (e) => set({ smooth: Number(e.target.value) }) })),
        several ? tick("seeds as a band", own.band, (on) => set({ band: on }, true)) : "");
    }
    const banded = last.charts.some((chart) => chart.lines.some((line) => line.band));
    const colors = new Map();
    const lines = last.charts.flatMap((chart) => chart.lines);
    const heads = banded ? [...new Set(lines.map((line) => line.key))] : keys();
    heads.forEach((key, i) => colors.set(key, colorOf(i, heads.length)));
    for (const line of lines) for (const key of line.keys || []) colors.set(key, colors.get(line.key));
    painted?.(colors);
    note.textContent = banded ? "Runs that differ in their seed alone are one line: their mean, with its 95 % interval by Student's t." : "";
    charts.replaceChildren(...last.charts.map(({ name, lines }) => {
      const figure = lineChart({ title: name, over: last.over, log: own.log, share: own.smooth, lines: lines.map((line) => ({ ...line, color: colors.get(line.key) })) });
      if (last.names.length > 1) figure.querySelector(".saves").append(h("button", { type: "button", "aria-label": `remove ${name}`, onclick: () => set({ names: last.names.filter((n) => n !== name).join("\n") }, true) }, "×"));
      return figure;
    }));
    if (!last.charts.length) note.textContent = "Nothing has been logged yet.";
  }
  return { el: h("div", null, tools, note, charts), update };
}

// samples of the same seeds at one time of training, each run's nearest look to it
export function looksPart(keys, { single = false, paint = new Map() } = {}) {
  const { params } = place();
  let at = params.has("at") ? Number(params.get("at")) : null, runs = [], turn = 0;
  const value = h("output"), list = h("ol", { class: "looks" }), note = h("p", { class: "absent" });
  const slider = h("input", { type: "range", min: 0, step: 1, "aria-label": "examples seen", oninput: (e) => { at = places()[Number(e.target.value)]; put({ at }); draw(); } });
  const tools = h("div", { class: "tools slide" }, h("span", null, "after"), slider, value);
  const places = () => [...new Set(runs.flatMap((run) => run.at))].sort((a, b) => a - b);

  async function update() {
    const found = await ask("looks", { runs: keys().join(",") });
    if (found.problem) return;
    const before = JSON.stringify(runs);
    runs = found.runs;
    if (JSON.stringify(runs) !== before || !runs.length) draw();
  }

  async function draw() {
    const mine = ++turn, all = places();
    tools.hidden = !all.length || single;
    note.textContent = all.length ? "" : "No samples were drawn during training.";
    if (!all.length) return;
    const here = at === null ? all.length - 1 : Math.max(0, all.findIndex((v) => v >= at) < 0 ? all.length - 1 : all.findIndex((v) => v >= at));
    slider.max = all.length - 1;
    slider.value = here;
    value.textContent = `${all[here].toLocaleString("en")} examples`;
    const spread = (list, num) => [...new Set(Array.from({ length: Math.min(num, list.length) }, (_, i) => list[Math.round((i * (list.length - 1)) / Math.max(1, Math.min(num, list.length) - 1))]))];
    const wanted = single
      ? spread(runs[0].at, 12).map((x) => ({ run: runs[0], x, name: `${x.toLocaleString("en")} examples` }))
      : runs.slice(0, 24).filter((run) => run.at.length).map((run) => {
        const x = run.at.findLast((v) => v <= all[here]) ?? run.at[0];
        return { run, x, name: run.label, late: x !== all[here] ? `at ${x.toLocaleString("en")}` : "" };
      });
    const drawn = await Promise.all(wanted.map(({ run, x }) => look(run.key, x)));
    if (mine !== turn) return;
    list.classList.toggle("told", drawn.some((d) => d.wide));
    list.replaceChildren(...wanted.map(({ run, x, name, late }, i) => h("li", null,
      single ? null : dot(paint.get(run.key) || "transparent", run.key), h("b", null, name), late ? h("small", null, ` ${late}`) : null,
      show(drawn[i], `samples of ${run.label} after ${x} examples`, true))));
  }
  return { el: h("div", null, tools, note, list), update };
}

const HEAD = 40; // letters of what a run alone was given, at the head of a column; else its folder

// a column a run; the best of a row is marked where it may be called so
function figureTable(runs, head) {
  const rows = figuresOf(runs);
  if (!rows.length) return [h("p", { class: "absent" }, "Nothing is logged or measured yet.")];
  const reasons = new Set(rows.filter(wayOf).map((row) => unlike(runs, row)).filter(Boolean));
  const table = h("table", { class: "beside" },
    h("thead", null, h("tr", null, h("th", { scope: "col" }, "figure"), runs.map((run) => h("th", { scope: "col", class: "n" }, head(run))))),
    h("tbody", null, rows.map((row) => {
      const top = best(runs, row);
      return h("tr", null, h("th", { scope: "row" }, breaking(titleOf(row))), runs.map((run) => figureCell(run, row, top, true)));
    })));
  return [h("div", { class: "wide" }, table),
    h("p", { class: "aside" }, `${["Bold: the best of a row", ...reasons].join("; ")}. The floor is the same number for real held-out data.`)];
}

export function comparePage() {
  const keys = (place().params.get("runs") || "").split(",").filter(Boolean);
  const there = () => keys.filter((key) => store.runs.has(key));
  const paint = new Map();
  const curves = curvesPart(there, { painted(colors) {
    paint.clear();
    for (const [key, color] of colors) paint.set(key, color);
    for (const mark of el.querySelectorAll(".dot")) mark.style.background = paint.get(mark.dataset.key) || "transparent";
  } });
  const looks = looksPart(there, { paint });
  const names = h("ul", { class: "names" }), figures = h("div"), differences = h("div");
  let labels = new Map();

  function head() {
    names.replaceChildren(...there().map((key) => {
      const run = store.runs.get(key);
      return h("li", null, dot(paint.get(key) || "transparent", key), h("a", { href: address("run", key) }, run.name), h("small", null, ` ${run.where}`));
    }));
    figures.replaceChildren(...figureTable(there().map((key) => store.runs.get(key)),
      (run) => {
        const label = labels.get(run.key) || "", short = label && label.length <= HEAD ? label : run.where.split("/").at(-1);
        return h("span", { title: label }, dot(paint.get(run.key) || "transparent", run.key), breaking(short));
      }));
  }

  async function differ() {
    const found = await ask("differences", { runs: there().join(",") });
    if (found.problem) return differences.replaceChildren(h("p", { class: "absent" }, found.problem));
    labels = new Map(found.keys.map((key, i) => [key, found.labels[i]]));
    head();
    const table = h("div", { class: "wide" }, h("table", { class: "rows" },
      h("thead", null, h("tr", null, h("th", null, "setting"), found.labels.map((text, i) => h("th", null, dot(paint.get(found.keys[i]) || "transparent", found.keys[i]), text)))),
      h("tbody", null, found.rows.map(([key, ...values]) => h("tr", null, h("th", null, key), values.map((v) => h("td", null, v ?? "–")))))));
    return differences.replaceChildren(found.rows.length ? table : h("p", { class: "absent" }, "Nothing differs: settings, code and machine are the same."),
      h("p", { class: "aside" }, `${found.same} settings and facts are the same${found.left ? `; ${found.left} more differ` : ""}.`));
  }

  const el = h("div", null,
    h("header", null, h("h1", null, `${keys.length} runs side by side`), names),
    section("Figures", "", figures),
    section("Curves", "", curves.el),
    section("Samples", "Of the same seeds in all runs; the slider goes through their looks.", looks.el),
    section("What differs", "In settings, code and machine.", differences));
  return {
    el, title: "compare",
    shown() { head(); curves.update(); looks.update(); differ(); },
    update(changed) {
      if (!keys.some((key) => changed.has(key))) return;
      head();
      curves.update();
      looks.update();
    },
  };
}
