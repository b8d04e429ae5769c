// Charts: lines with their names at their ends, bands of seeds, a readout under the pointer.

import { h, s, short, duration, dot } from "./dom.js";

const HIGH = 250, TOP = 10, FOOT = 26, LABEL = 12.5;

export function ink() {
  const css = getComputedStyle(document.documentElement);
  return Object.fromEntries(["ground", "ink", "soft", "rule"].map((n) => [n, css.getPropertyValue(`--${n}`).trim()]));
}

export function ticks(low, high, num) {
  const raw = (high - low) / num || 1;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find((m) => m * size >= raw) * size;
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

function logTicks(low, high) {
  const wide = high > 100 * low, found = [];
  for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++) {
    for (const m of wide ? [1] : [1, 2, 5]) found.push(m * 10 ** p);
  }
  const there = found.filter((v) => v >= low * 0.999 && v <= high * 1.001);
  return there.length > 8 ? there.filter((_, i) => i % Math.ceil(there.length / 8) === 0) : there;
}

export function label(v) {
  if (v === 0) return "0";
  return Math.abs(v) >= 1e3 && Math.abs(v) < 1e6 ? `${Number((v / 1e3).toPrecision(4))}k` : short(v);
}

// the running mean over a share of the line, centred
export function smooth(points, share) {
  const half = Math.floor((points.length * share) / 2);
  if (half < 1) return points;
  const sums = [0];
  for (const [, y] of points) sums.push(sums.at(-1) + y);
  return points.map(([x], i) => {
    const a = Math.max(0, i - half), b = Math.min(points.length, i + half + 1);
    return [x, (sums[b] - sums[a]) / (b - a)];
  });
}

// limits that leave out a start far off the rest, and a sentence that says so
function frame(lines, end) {
  const values = [], late = [];
  for (const line of lines) for (const [x, y] of line.shown) {
    values.push(y);
    if (x >= 0.05 * end) late.push(y);
  }
  let low = Math.min(...values), high = Math.max(...values);
  const a = Math.min(...late), b = Math.max(...late);
  if (late.length && b > a && high - low >= 5 * (b - a)) {
    const far = high - b > a - low ? high : low;
    return [a - 0.1 * (b - a), b + 0.25 * (b - a), `starts at ${short(far)}, off the frame`];
  }
  const bands = lines.flatMap((line) => (line.band || []).flatMap(([x, , p, q]) => (x >= 0.05 * end && p !== null ? [p, q] : [])));
  low = Math.min(low, ...bands.filter((v) => v > low - 1.5 * (high - low)));
  high = Math.max(high, ...bands.filter((v) => v < high + 1.5 * (high - low)));
  const pad = (high - low || Math.abs(high) || 1) * 0.05;
  return [low - pad, high + pad, ""];
}

export const UNITS = { examples: "examples", seconds: "seconds", flops: "FLOPs" };

// {title, lines: [{label, color, points | band}], over, log, share, width}: a figure with its readout
export function lineChart({ title, lines, over = "examples", log = false, share = 0 }) {
  const box = h("div", { class: "chart" });
  const note = h("small"), legend = h("ul", { class: "legend" }), out = h("figure", { class: "curve" });
  const readout = h("div", { class: "readout", hidden: true, role: "status" });
  let drawnAt = 0;
  const draw = () => {
    const width = Math.round(box.clientWidth || 420);
    if (!width || Math.abs(width - drawnAt) < 2) return;
    drawnAt = width;
    const named = lines.length > 1 && lines.length <= 8 && width > 340 && lines.every((line) => line.label.length <= 22);
    const { svg, said } = drawLines(lines, { over, log, share, width, named, readout });
    note.textContent = said;
    legend.replaceChildren(...(named || lines.length > 16 || lines.length < 2 ? [] : lines.map((line) => h("li", null, dot(line.color), line.label))));
    box.replaceChildren(svg, readout);
  };
  new ResizeObserver(draw).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawnAt = 0; draw(); });
  const saves = h("span", { class: "saves" },
    h("button", { type: "button", onclick: () => save(box.querySelector("svg"), title, "svg") }, "SVG"),
    h("button", { type: "button", onclick: () => save(box.querySelector("svg"), title, "png") }, "PNG"));
  out.append(h("figcaption", null, h("span", null, title, " ", note), saves), box, legend);
  return out;
}

function drawLines(given, { over, log, share, width, named, readout }) {
  const lines = given.map((line) => {
    const points = line.points || line.band.map(([x, y]) => [x, y]);
    const whole = log ? points.filter(([, y]) => y > 0) : points;
    return { ...line, raw: whole, shown: smooth(whole, share) };
  }).filter((line) => line.shown.length);
  const colors = ink();
  const right = named ? Math.min(150, width * 0.34) : 12;
  const svg = s("svg", { width, height: HIGH, viewBox: `0 0 ${width} ${HIGH}`, tabindex: 0, role: "img", "font-family": "-apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif", "font-size": 12 });
  if (!lines.length) {
    svg.append(s("text", { x: 8, y: HIGH / 2, fill: colors.soft }, "No such value over this axis."));
    return { svg, said: "" };
  }
  const xs = lines.flatMap((line) => [line.shown[0][0], line.shown.at(-1)[0]]);
  const end = Math.max(...xs), begin = Math.min(0, ...xs);
  let [low, high, said] = frame(lines, end);
  if (log) {
    const values = lines.flatMap((line) => line.shown.map(([, y]) => y));
    [low, high, said] = [Math.min(...values) / 1.05, Math.max(...values) * 1.05, "logarithmic scale"];
  }
  const scale = log ? Math.log : (v) => v;
  const yTicks = log ? logTicks(low, high) : ticks(low, high, 4).filter((v) => v >= low && v <= high);
  const left = 14 + Math.max(...yTicks.map((v) => label(v).length), 2) * 7;
  const px = (x) => left + ((x - begin) / (end - begin || 1)) * (width - left - right - 6);
  const py = (y) => TOP + (1 - (scale(y) - scale(low)) / (scale(high) - scale(low))) * (HIGH - TOP - FOOT);
  for (const v of yTicks) {
    svg.append(s("line", { x1: left, x2: width - right, y1: py(v), y2: py(v), stroke: colors.rule }),
      s("text", { x: left - 8, y: py(v) + 4, "text-anchor": "end", fill: colors.soft }, label(v)));
  }
  const unit = UNITS[over] || over;
  for (const v of ticks(begin, end, width < 420 ? 3 : 4)) {
    const anchor = px(v) > width - right - 12 && !named ? "end" : "middle"; // not cut off at the edge
    svg.append(s("text", { x: anchor === "end" ? Math.min(px(v) + 8, width - 2) : px(v), y: HIGH - 8, "text-anchor": anchor, fill: colors.soft }, over === "seconds" ? duration(v) : label(v)));
  }
  const clip = `clip${++clips}`;
  svg.append(s("clipPath", { id: clip }, s("rect", { x: left - 3, y: 0, width: width - left - right + 6, height: HIGH - FOOT + 3 })));
  const inner = s("g", { "clip-path": `url(#${clip})` });
  svg.append(inner);
  const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join("");
  for (const line of lines) {
    const sure = (line.band || []).filter(([, , a, b]) => a !== null && b !== null && (!log || a > 0));
    if (sure.length) {
      const down = [...sure].reverse().map(([x, , a]) => [x, a]);
      inner.append(s("path", { d: path([...sure.map(([x, , , b]) => [x, b]), ...down]) + "Z", fill: line.color, opacity: 0.16 }));
    }
    if (share) inner.append(s("path", { d: path(line.raw), fill: "none", stroke: line.color, "stroke-width": 0.8, opacity: 0.35 }));
    inner.append(s("path", { d: path(line.shown), fill: "none", stroke: line.color, "stroke-width": 1.7, "stroke-linejoin": "round" }));
    if (line.shown.length < 30) for (const [x, y] of line.shown) inner.append(s("circle", { cx: px(x), cy: py(y), r: 2.3, fill: line.color }));
  }
  if (named) names(svg, lines, py, { x: width - right + 8, width: right - 10 });
  hover(svg, lines, { px, py, begin, end, left, right: width - right, width, colors, unit, over, readout });
  svg.setAttribute("aria-label", `${lines.length} lines over ${unit}: ` + lines.slice(0, 8).map((l) => `${l.label} ends at ${short(l.shown.at(-1)[1])}`).join("; "));
  return { svg, said };
}

let clips = 0;

function names(svg, lines, py, { x, width }) {
  const ends = lines.map((line) => ({ line, y: Math.max(TOP + 4, Math.min(HIGH - FOOT, py(line.shown.at(-1)[1]))) }));
  ends.sort((a, b) => a.y - b.y);
  const gap = Math.min(15, (HIGH - FOOT - TOP) / ends.length);
  for (let i = 1; i < ends.length; i++) ends[i].y = Math.max(ends[i].y, ends[i - 1].y + gap);
  for (let i = ends.length - 1; i >= 0; i--) ends[i].y = Math.min(ends[i].y, i + 1 < ends.length ? ends[i + 1].y - gap : HIGH - FOOT);
  const most = Math.floor(width / 6.4);
  for (const { line, y } of ends) {
    const text = line.label.length > most ? line.label.slice(0, most - 1) + "…" : line.label;
    svg.append(s("text", { x, y: y + 4, fill: line.color, "font-size": LABEL }, text));
  }
}

function nearest(points, x) {
  let low = 0, high = points.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < x) low = middle;
    else high = middle;
  }
  return Math.abs(points[low][0] - x) <= Math.abs(points[high][0] - x) ? points[low] : points[high];
}

function hover(svg, lines, { px, py, begin, end, left, right, width, colors, unit, over, readout }) {
  const rule = s("line", { y1: TOP, y2: HIGH - FOOT, stroke: colors.soft, "stroke-dasharray": "2 3", visibility: "hidden" });
  const dots = lines.map((line) => s("circle", { r: 3.4, fill: line.color, stroke: colors.ground, "stroke-width": 1.2, visibility: "hidden" }));
  svg.append(rule, ...dots);
  let at = null;
  const hide = () => {
    readout.hidden = true;
    for (const mark of [rule, ...dots]) mark.setAttribute("visibility", "hidden");
  };
  const show = (x) => {
    at = Math.max(begin, Math.min(end, x));
    const found = lines.map((line, i) => ({ line, i, point: nearest(line.shown, at) }));
    const close = found.reduce((a, b) => (Math.abs(b.point[0] - at) < Math.abs(a.point[0] - at) ? b : a)).point[0];
    rule.setAttribute("visibility", "visible");
    for (const name of ["x1", "x2"]) rule.setAttribute(name, px(close));
    for (const { i, point } of found) {
      dots[i].setAttribute("visibility", "visible");
      dots[i].setAttribute("cx", px(point[0]));
      dots[i].setAttribute("cy", py(point[1]));
    }
    found.sort((a, b) => b.point[1] - a.point[1]);
    const rows = found.length > 12 ? [...found.slice(0, 6), ...found.slice(-6)] : found;
    const place = over === "seconds" ? duration(close) : `${short(close)} ${unit}`;
    readout.replaceChildren(h("b", null, place), ...rows.map(({ line, point }) => {
      const band = (line.band || []).find(([x]) => x === point[0]);
      const ends = band && band[2] !== null ? ` (${short(band[2])} to ${short(band[3])})` : "";
      return h("span", null, h("i", { css: { background: line.color } }), `${short(point[1])}${ends} `, h("em", null, line.label));
    }));
    readout.hidden = false;
    const wide = readout.offsetWidth, at1 = px(close); // beside the rule, and never cut off
    const beside = at1 > (left + right) / 2 ? at1 - 12 - wide : at1 + 12;
    readout.style.left = `${Math.max(0, Math.min(width - wide, beside))}px`;
  };
  const move = (event) => {
    const place = event.clientX - svg.getBoundingClientRect().left;
    show(begin + ((place - left) / (right - 6 - left)) * (end - begin));
  };
  svg.addEventListener("pointermove", move);
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    show((at ?? (step > 0 ? begin : end)) + step * (end - begin) * (event.shiftKey ? 0.1 : 0.02));
  });
}

// the picture as it stands, as a file: SVG, or PNG at twice its size
export async function save(svg, title, kind) {
  if (!svg) return;
  const copy = svg.cloneNode(true);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.querySelectorAll("[visibility=hidden]").forEach((mark) => mark.remove());
  copy.prepend(s("rect", { width: "100%", height: "100%", fill: ink().ground }));
  const text = new XMLSerializer().serializeToString(copy);
  let blob = new Blob([text], { type: "image/svg+xml" });
  if (kind === "png") {
    const image = new Image();
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
    await image.decode();
    const canvas = h("canvas", { width: 2 * svg.clientWidth, height: 2 * svg.clientHeight });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  }
  const link = h("a", { download: `${title.replace(/[^\w.-]+/g, "_")}.${kind}` });
  link.setAttribute("href", URL.createObjectURL(blob));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.getAttribute("href")), 1000);
}
