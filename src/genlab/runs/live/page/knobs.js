// Charts of a sweep: parallel coordinates that can be brushed, importance, the Pareto front.

import { h, s, short, mixed, spaced, figure } from "./dom.js";
import { ink, ticks, label, save } from "./chart.js";
import { number } from "./query.js";
import { address } from "./data.js";

function saves(title, box) {
  return h("span", { class: "saves" }, ["svg", "png"].map((kind) =>
    h("button", { type: "button", onclick: () => save(box.querySelector("svg"), title, kind) }, kind.toUpperCase())));
}

function drawnTo(box, draw) {
  let drawnAt = 0;
  const again = () => {
    const width = Math.round(box.clientWidth);
    if (!width || Math.abs(width - drawnAt) < 2) return;
    drawnAt = width;
    box.replaceChildren(draw(width));
  };
  new ResizeObserver(again).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawnAt = 0; again(); });
}

// an axis of parallel coordinates: numbers on a scale (logarithmic where they span much), or words
function axis(name, texts) {
  const values = texts.map((t) => (typeof t === "number" ? t : t === null ? null : number(t)));
  const given = texts.filter((t) => t !== null);
  if (given.length && texts.every((t, i) => t === null || values[i] !== null)) {
    const found = values.filter((v) => v !== null);
    const low = Math.min(...found), high = Math.max(...found), log = low > 0 && high / low > 20;
    const f = log ? Math.log : (v) => v, span = f(high) - f(low) || 1;
    const marks = new Set(found).size <= 6 ? [...new Set(found)] : log ? [low, high] : ticks(low, high, 4).filter((v) => v >= low && v <= high);
    return { name, at: values.map((v) => (v === null ? null : (f(v) - f(low)) / span)), marks: marks.map((v) => [(f(v) - f(low)) / span, label(v)]) };
  }
  const order = [...new Set(given.map(String))].sort();
  const place = (t) => (order.length < 2 ? 0.5 : order.indexOf(String(t)) / (order.length - 1));
  return { name, at: texts.map((t) => (t === null ? null : place(t))), marks: order.map((t) => [place(t), t]) };
}

// {knobs, cells: [{key, values, goal}], goal, way}: a line a run; drag along an axis to choose
export function parallel({ knobs, cells, goal, way, told }) {
  const there = cells.filter((cell) => cell.goal !== null);
  const axes = [...knobs.map((k, i) => axis(k, there.map((c) => c.values[i] ?? null))), axis(spaced(goal), there.map((c) => c.goal))];
  const marks = axes.at(-1).at;
  const brushes = new Map();
  const box = h("div", { class: "chart parallel" });
  const said = h("p", { class: "aside", role: "status" }, "Drag along an axis to choose runs by its values; a click on it lets them go.");
  const inside = (i) => [...brushes].every(([a, [low, high]]) => axes[a].at[i] !== null && axes[a].at[i] >= low && axes[a].at[i] <= high);

  drawnTo(box, (width) => {
    const colors = ink(), high = 300, top = 34, foot = 16, wide = Math.max(width, 110 * axes.length);
    const px = (a) => 56 + (a * (wide - 150)) / Math.max(1, axes.length - 1);
    const py = (v) => top + (1 - v) * (high - top - foot);
    const svg = s("svg", { width: wide, height: high, viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": `Parallel coordinates of ${there.length} runs`, "font-family": "-apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif", "font-size": 12 });
    const order = there.map((_, i) => i).sort((a, b) => way * (marks[b] - marks[a])); // the best on top
    const lines = order.map((i) => {
      const points = axes.map((x, a) => (x.at[i] === null ? null : `${px(a).toFixed(1)} ${py(x.at[i]).toFixed(1)}`)).filter(Boolean);
      const line = s("path", { d: "M" + points.join("L"), fill: "none", stroke: mixed(way < 0 ? 1 - marks[i] : marks[i]), "stroke-width": 1.3, opacity: 0.75 });
      line.append(s("title", null, `${knobs.map((k, n) => `${k}=${there[i].values[n] ?? "–"}`).join("  ")}  ${spaced(goal)} ${short(there[i].goal)}`));
      line.addEventListener("click", () => { location.hash = address("run", there[i].key); });
      svg.append(line);
      return [i, line];
    });
    const bars = axes.map((x, a) => {
      svg.append(s("line", { x1: px(a), x2: px(a), y1: top, y2: high - foot, stroke: colors.soft }));
      const most = Math.floor((wide - 150) / Math.max(1, axes.length - 1) / 7);
      const name = x.name.length > most ? "…" + x.name.slice(1 - most) : x.name;
      svg.append(s("text", { x: px(a), y: 16, "text-anchor": "middle", fill: colors.ink, "font-weight": 600 }, name, s("title", null, x.name)));
      const step = Math.ceil(x.marks.length / 12);
      x.marks.forEach(([v, text], n) => n % step === 0 && svg.append(s("text", { x: px(a) + (a ? 8 : -8), y: py(v) + 4, "text-anchor": a ? "start" : "end", fill: colors.ink, stroke: colors.ground, "stroke-width": 4, "paint-order": "stroke" }, text.length > 14 ? text.slice(0, 13) + "…" : text)));
      const bar = s("rect", { x: px(a) - 7, width: 14, y: 0, height: 0, fill: colors.ink, opacity: 0.22, rx: 2 });
      const hit = s("rect", { x: px(a) - 16, width: 32, y: top - 6, height: high - top - foot + 12, fill: "transparent", class: "axis" });
      svg.append(bar, hit);
      let begun = null;
      const at = (event) => 1 - (event.clientY - svg.getBoundingClientRect().top - top) / (high - top - foot);
      hit.addEventListener("pointerdown", (event) => { begun = at(event); brushes.delete(a); hit.setPointerCapture(event.pointerId); update(); });
      hit.addEventListener("pointermove", (event) => {
        if (begun === null || Math.abs(at(event) - begun) < 0.01) return;
        brushes.set(a, [Math.min(begun, at(event)), Math.max(begun, at(event))]);
        update();
      });
      hit.addEventListener("pointerup", () => { begun = null; });
      return bar;
    });
    function update() {
      const left = there.filter((_, i) => inside(i));
      for (const [i, line] of lines) line.setAttribute("opacity", inside(i) ? 0.8 : 0.06);
      bars.forEach((bar, a) => {
        const [low, up] = brushes.get(a) || [0, 0];
        bar.setAttribute("y", py(Math.min(1, up)));
        bar.setAttribute("height", brushes.has(a) ? Math.max(0, py(Math.max(0, low)) - py(Math.min(1, up))) : 0);
      });
      if (brushes.size) said.textContent = `${left.length} of ${there.length} runs chosen.`;
      told?.(brushes.size ? left.map((c) => c.key) : null);
    }
    update();
    return svg;
  });
  return h("figure", { class: "curve whole" }, h("figcaption", null, h("span", null, "Knobs and ", spaced(goal)), saves("parallel", box)), box, said);
}

// {shares: [[knob, share, spread]], foretold, num}: a bar a knob, and what it means
export function importance(found, goal) {
  if (found.why) return h("p", { class: "absent" }, `No importance: ${found.why}.`);
  const most = Math.max(...found.shares.map(([, v]) => v), 0.01);
  const weak = found.foretold < 0.3 ? " That is little: read nothing into the order." : "";
  return h("div", { class: "bars" },
    h("p", { class: "aside" }, `What of the variance of ${spaced(goal)} a random forest no longer foretells once a knob's values are shuffled, over ${found.num} finished runs, each foretold by a forest that has not seen it. It foretells ${figure(Math.max(0, Math.round(100 * found.foretold)))} % of the variance.${weak}`),
    found.shares.map(([knob, share, spread]) => h("div", { class: "barline" }, h("span", { class: "what", title: knob }, knob === "seed" ? "seed (chance)" : knob),
      h("span", { class: "track" }, h("i", { css: { width: `${Math.max(0, (100 * share) / most)}%` } })),
      h("span", { class: "n" }, `${(100 * share).toFixed(1)} %`, h("small", null, ` ± ${(100 * spread).toFixed(1)}`)))));
}

// two figures of each run; those that no other beats in both are joined
export function pareto({ cells, goal, second, front }) {
  const there = cells.filter((c) => c.goal !== null && c.second !== null);
  const box = h("div", { class: "chart" });
  const best = new Set(front);
  drawnTo(box, (width) => {
    const colors = ink(), high = 300, left = 62, foot = 40, top = 12;
    const range = (values) => {
      const low = Math.min(...values), up = Math.max(...values), pad = (up - low || Math.abs(up) || 1) * 0.06;
      return [low - pad, up + pad];
    };
    const svg = s("svg", { width, height: high, viewBox: `0 0 ${width} ${high}`, role: "img", "aria-label": `${there.length} runs, ${best.size} on the front`, "font-family": "-apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif", "font-size": 12 });
    if (!there.length) return svg;
    const [x0, x1] = range(there.map((c) => c.goal)), [y0, y1] = range(there.map((c) => c.second));
    const px = (v) => left + ((v - x0) / (x1 - x0)) * (width - left - 16), py = (v) => top + (1 - (v - y0) / (y1 - y0)) * (high - top - foot);
    for (const v of ticks(y0, y1, 4)) if (v >= y0 && v <= y1) svg.append(s("line", { x1: left, x2: width - 16, y1: py(v), y2: py(v), stroke: colors.rule }), s("text", { x: left - 8, y: py(v) + 4, "text-anchor": "end", fill: colors.soft }, label(v)));
    for (const v of ticks(x0, x1, 4)) if (v >= x0 && v <= x1) svg.append(s("text", { x: px(v), y: high - foot + 18, "text-anchor": "middle", fill: colors.soft }, label(v)));
    svg.append(s("text", { x: width - 16, y: high - 4, "text-anchor": "end", fill: colors.ink }, `${spaced(goal)} →`), s("text", { x: left + 4, y: top + 8, fill: colors.ink }, `↑ ${spaced(second)}`));
    const joined = there.filter((c) => best.has(c.key)).sort((a, b) => a.goal - b.goal);
    if (joined.length > 1) svg.append(s("path", { d: "M" + joined.map((c) => `${px(c.goal)} ${py(c.second)}`).join("L"), fill: "none", stroke: "#d0702a", "stroke-width": 1.4 }));
    for (const c of [...there.filter((c) => !best.has(c.key)), ...joined]) {
      const mark = s("circle", { cx: px(c.goal), cy: py(c.second), r: best.has(c.key) ? 5 : 3.5, fill: best.has(c.key) ? "#d0702a" : "#3d7cc9", opacity: best.has(c.key) ? 1 : 0.55, class: "axis" });
      mark.append(s("title", null, `${spaced(goal)} ${short(c.goal)}, ${spaced(second)} ${short(c.second)}`));
      mark.addEventListener("click", () => { location.hash = address("run", c.key); });
      svg.append(mark);
    }
    return svg;
  });
  return h("figure", { class: "curve" }, h("figcaption", null, h("span", null, "The front"), saves("front", box)), box);
}
