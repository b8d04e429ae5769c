// The page of one run: its figures, curves, samples, measures, and how to repeat it.

import { h, section, stateOf, figure, duration, spaced, factList, folded } from "./dom.js";
import { ask, place, store, address } from "./data.js";
import { show } from "./drawn.js";
import { curvesPart, looksPart } from "./compare.js";

function metricTable(metrics) {
  if (!metrics.length) return h("p", { class: "absent" }, "Not measured yet: ", h("code", null, "genlab evaluate run=…"), " measures the run.");
  const bounds = metrics.some((m) => m[3] !== null);
  return h("div", { class: "wide" }, h("table", null,
    h("thead", null, h("tr", null, h("th", null, "metric"), h("th", { class: "n" }, "this run"), bounds ? h("th", { class: "n" }, "95 % interval") : null, h("th", { class: "n" }, "floor"), h("th", { class: "n" }, "ratio"))),
    h("tbody", null, metrics.map(([name, remark, value, low, high, floor, ratio]) => h("tr", null,
      h("th", null, spaced(name), remark ? h("small", { class: "by" }, ` ${remark}`) : null),
      h("td", { class: "n strong" }, figure(value)),
      bounds ? h("td", { class: "n" }, low === null ? "–" : `${figure(low)} to ${figure(high)}`) : null,
      h("td", { class: "n" }, figure(floor)), h("td", { class: "n" }, ratio === null ? "–" : `${figure(ratio)} ×`))))));
}

function findingOf({ cause, evidence, remedies, examples }) {
  const when = examples === null ? "" : ` after ${figure(examples)} examples`;
  return h("li", null, h("b", null, cause), `${when}: ${evidence}.`, remedies.map((word, i) => [i ? " or " : " Try ", h("code", null, word)]));
}

export function runPage() {
  const key = place().rest;
  const curves = curvesPart(() => [key], { band: false }), looks = looksPart(() => [key], { single: true });
  const head = h("header"), figures = h("div"), rest = h("div"), samples = h("section", { class: "pair" }), neighbours = h("div");
  let state = "";

  function top(found) {
    const run = store.runs.get(key);
    const left = run?.left !== null && run?.left !== undefined ? `about ${duration(run.left)} left` : found.more;
    head.replaceChildren(
      h("h1", null, found.title),
      h("p", { class: "under" }, stateOf(run?.state || found.state), " ", left),
      h("p", { class: "under" }, h("time", null, found.date), " · ", h("span", { class: "path" }, found.where), found.group ? [" · ", h("a", { href: address("sweep", found.group) }, "all runs of its folder")] : null),
      found.error ? h("pre", { class: "error" }, found.error) : "");
    figures.replaceChildren(found.figures.length ? h("dl", { class: "figures" }, found.figures.map(([what, value, remark]) =>
      h("div", null, h("dt", null, what), h("dd", null, value), remark ? h("dd", { class: "remark" }, remark) : null))) : "",
    found.problems.length ? h("ul", { class: "problems" }, found.problems.map((p) => h("li", null, p))) : "",
    found.findings.length ? h("ul", { class: "problems findings" }, found.findings.map(findingOf)) : "");
  }

  function bottom(found) {
    rest.replaceChildren(
      section("Metrics", "The floor is the same number for real held-out data: what a perfect model would score.", metricTable(found.metrics),
        found.notes.length ? folded("How it was measured", factList(found.notes)) : null),
      section("To repeat it", "", found.command ? h("pre", { class: "command" }, found.command) : h("p", { class: "absent" }, "The command is not known: provenance.json does not hold it."),
        found.resumed.map((r) => [h("p", { class: "aside" }, `Gone on at ${r.examples} examples, ${r.time}.`), r.command ? h("pre", { class: "command" }, r.command) : null]),
        factList(found.provenance),
        found.overrides.length ? folded(`Overrides (${found.overrides.length})`, h("pre", null, found.overrides.join("\n"))) : null,
        found.config ? folded("Configuration, resolved", h("pre", null, found.config)) : null));
  }

  async function drawn() {
    const [mine, real, near] = await Promise.all(["samples", "real", "neighbours"].map((what) => ask("drawn", { run: key, what })));
    samples.replaceChildren(...[["Samples", "What the trained model draws.", mine], ["Real data", "Held out from training: what the samples should look like.", real]]
      .map(([title, aside, found]) => h("div", null, h("h2", null, title), h("p", { class: "aside" }, aside), show(found, title))));
    neighbours.replaceChildren(near.problem ? "" : section("Beside their nearest neighbours", "A sample, and the training example nearest to it. The same twice is memory, not invention.", show(near, "samples beside the nearest training examples")));
  }

  async function update() {
    const found = await ask("run", { run: key });
    if (found.problem) {
      head.replaceChildren(h("h1", null, "No such run"), h("p", { class: "absent" }, found.problem));
      return;
    }
    top(found);
    if (state !== found.state || !rest.childElementCount) {
      state = found.state;
      bottom(found);
      drawn();
    }
    curves.update();
    looks.update();
  }

  const el = h("div", null, head, figures, samples, section("Curves", "", curves.el),
    section("Samples during training", "Drawn from the same seeds at every look; at 0 examples nothing is learnt yet.", looks.el), neighbours, rest);
  return { el, title: "run", shown: update, update: (changed) => changed.has(key) && update() };
}
