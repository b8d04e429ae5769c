// The page of a folder of runs: its cells, its knobs, means over seeds, curves.

import { h, section, stateOf, figure, duration, spaced, choice } from "./dom.js";
import { ask, place, put, store, address } from "./data.js";
import { parallel, importance, pareto } from "./knobs.js";
import { curvesPart } from "./compare.js";

export function sweepPage() {
  const { rest: group, params } = place();
  let goal = params.get("goal") || "", second = params.get("second") || "", last = null, picked = null;
  const keys = () => [...store.runs.values()].filter((run) => run.group === group).sort((a, b) => (a.where < b.where ? -1 : 1)).slice(0, 48).map((run) => run.key);
  const curves = curvesPart(keys);
  const head = h("header"), tools = h("div", { class: "tools" }), cells = h("div"), seeds = h("div"), knobs = h("div"), front = h("div"), shares = h("div");

  function choose(changes) {
    ({ goal, second } = { goal, second, ...changes });
    put({ goal, second });
    update();
  }

  function drawCells() {
    const way = last.refused ? 0 : last.ways[last.goal] || 0;
    const rank = (c) => (c.goal === null ? Infinity : way * c.goal);
    const list = [...last.cells].sort((a, b) => (way ? rank(a) - rank(b) : 0)).filter((c) => !picked || picked.includes(c.key));
    const best = way && list.length && list[0].state === "finished" ? list[0].key : "";
    cells.replaceChildren(h("div", { class: "wide" }, h("table", null,
      h("thead", null, h("tr", null, h("th", null, "run"), last.knobs.map((k) => h("th", null, k)), h("th", { class: "n" }, spaced(last.goal || "figure")), second ? h("th", { class: "n" }, spaced(second)) : null, h("th", null, "state"), h("th", { class: "n" }, "time"))),
      h("tbody", null, list.slice(0, 200).map((c) => {
        const run = store.runs.get(c.key);
        return h("tr", null, h("th", { class: "run" }, h("a", { href: address("run", c.key) }, run ? run.where.split("/").at(-1) : c.key)),
          last.knobs.map((_, i) => h("td", null, c.values[i] ?? "–")),
          h("td", { class: `n${c.key === best ? " strong" : ""}` }, figure(c.goal)), second ? h("td", { class: "n" }, figure(c.second)) : null,
          h("td", null, stateOf(c.state), run?.reason ? h("small", null, run.reason) : null), h("td", { class: "n" }, duration(run?.seconds)));
      })))),
    h("p", { class: "aside" }, [list.length > 200 ? `200 of ${list.length} are listed. ` : "", last.refused ? `${last.refused[0].toUpperCase()}${last.refused.slice(1)}. ` : way ? "Best first, of the figure chosen above." : "", picked ? ` ${picked.length} chosen below.` : ""]));
  }

  function draw() {
    const runs = keys().map((key) => store.runs.get(key));
    const done = last.cells.filter((c) => c.state === "finished").length, pruned = last.cells.filter((c) => c.state === "pruned").length;
    head.replaceChildren(h("h1", null, group.split("/").at(-1) || group),
      h("p", { class: "under" }, h("span", { class: `state ${done + pruned === last.cells.length ? "good" : "open"}` }, `${done} of ${last.cells.length} finished`), pruned ? ` ${pruned} pruned, ` : " ", `${new Set(runs.map((r) => r?.name)).size === 1 ? runs[0]?.name : ""}`),
      h("p", { class: "under" }, h("span", { class: "path" }, group), " · ", h("a", { href: address("", "", { q: `folder="${group}"` }) }, "in the table")));
    const names = last.names.map((n) => [n, spaced(n)]);
    tools.replaceChildren(choice("figure", names, last.goal, (v) => choose({ goal: v })), choice("against", [["", "no other"], ...names.filter(([n]) => n !== last.goal)], second, (v) => choose({ second: v })));
    picked = null;
    drawCells();
    const some = last.seeds.length ? Object.keys(last.seeds[0].means).slice(0, 4) : [];
    const own = last.knobs.filter((k) => k !== "seed");
    seeds.replaceChildren(last.seeds.length ? section("Over seeds", ["Mean, and its 95 % interval by Student's t. ", h("code", null, "genlab compare"), " tells whether one is better."],
      h("div", { class: "wide" }, h("table", null, h("thead", null, h("tr", null, h("th", { class: "n" }, "seeds"), own.map((k) => h("th", null, k)), some.map((n) => h("th", { class: "n" }, spaced(n))))),
        h("tbody", null, last.seeds.slice(0, 100).map((row) => h("tr", null, h("td", { class: "n" }, row.keys.length), own.map((k) => h("td", null, row.settings[k] ?? "–")),
          some.map((n) => h("td", { class: "n" }, row.means[n] ? [figure(row.means[n][0]), h("small", null, `${figure(row.means[n][1])} to ${figure(row.means[n][2])}`)] : "–")))))))) : "");
    const shown = last.knobs.filter((_, i) => new Set(last.cells.map((c) => c.values[i])).size > 1);
    const at = shown.map((k) => last.knobs.indexOf(k));
    knobs.replaceChildren(shown.length && last.goal ? parallel({ knobs: shown, goal: last.goal, way: last.ways[last.goal] || 1,
      cells: last.cells.map((c) => ({ ...c, values: at.map((i) => c.values[i]) })), told: (list) => { picked = list; drawCells(); } }) : h("p", { class: "absent" }, "No knob differs, or nothing is measured yet."));
    const mine = last;
    if (!shares.childElementCount) shares.replaceChildren(h("p", { class: "absent" }, "Fitting forests: some seconds."));
    ask("importance", { group, goal: last.goal }).then((found) => {
      if (mine === last) shares.replaceChildren(importance(found.problem ? { why: found.problem } : found, last.goal));
    });
    front.replaceChildren(second && last.front.length ? pareto({ cells: last.cells, goal: last.goal, second, front: last.front })
      : h("p", { class: "absent" }, second ? last.refused || "No run has both figures, or which way one is better is not known." : "Choose a second figure, against the first, for the runs that no other one beats in both."));
  }

  async function update() {
    const found = await ask("sweep", { group, goal, second });
    if (found.problem) {
      head.replaceChildren(h("h1", null, "No such folder"), h("p", { class: "absent" }, found.problem));
      return;
    }
    if (JSON.stringify(last) !== JSON.stringify(found)) {
      last = found;
      draw();
    }
    curves.update();
  }

  const el = h("div", null, head, tools, section("Cells", "", cells), seeds, section("Knobs", "A line is a run, from blue violet (best) to red.", knobs),
    h("section", { class: "pair" }, h("div", null, h("h2", null, "Importance"), shares), h("div", null, h("h2", null, "Pareto front"), front)), section("Curves", "", curves.el));
  let wait = null;
  return {
    el, title: group, shown: update,
    update(changed) {
      if (wait || ![...changed].some((key) => store.runs.get(key)?.group === group)) return;
      wait = setTimeout(() => { wait = null; update(); }, 1000); // a sweep's cells change often
    },
  };
}
