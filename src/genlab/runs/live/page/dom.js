// What the page is made of: elements from plain data, never from HTML; numbers as people read them.

// controls; marks that reorder, hide or break text: shown.py has the same list
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\u{e0000}-\u{e007f}]/gu;
const SVG = "http://www.w3.org/2000/svg";

export function visible(text) {
  return String(text).replace(HIDDEN, (c) => {
    const code = c.codePointAt(0);
    if (code < 32) return String.fromCodePoint(0x2400 + code);
    return code === 127 ? "␡" : `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

function fill(element, props, children) {
  for (const [key, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "href" && !/^(#|\/export\?)/.test(value)) throw new Error("no link of its own");
    else if (key === "css") Object.assign(element.style, value);
    else element.setAttribute(key, value === true ? "" : visible(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : visible(child));
  }
  return element;
}

export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

export function short(v) {
  if (v === null || v === undefined || !Number.isFinite(v)) return "–";
  for (const [size, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (Math.abs(v) >= size && Math.abs(v) < 1000 * size) {
      return Number((v / (letter === "k" ? 1e3 : size)).toPrecision(4)) + letter;
    }
  }
  return figure(v);
}

export function figure(v) {
  if (v === null || v === undefined || !Number.isFinite(v)) return "–";
  const size = Math.abs(v);
  if (Number.isInteger(v) && size < 1e9) return v.toLocaleString("en");
  if (size >= 1000 && size < 1e9) return Math.round(v).toLocaleString("en");
  const text = v.toPrecision(4);
  return text.includes("e") ? text.replace(/\.?0+e/, "e") : String(Number(text));
}

export function duration(t) {
  if (t === null || t === undefined || !Number.isFinite(t)) return "–";
  if (t < 100) return `${Number(t.toPrecision(3))} s`;
  if (t < 6000) return `${Math.floor(t / 60)} min ${Math.floor(t % 60)} s`;
  if (t < 172800) return `${Math.floor(t / 3600)} h ${Math.floor((t % 3600) / 60)} min`;
  return `${Math.floor(t / 86400)} d ${Math.floor((t % 86400) / 3600)} h`;
}

export function spaced(name) {
  return String(name).replaceAll("_", " ");
}

// a long name may go on in another line where its parts meet
export function breaking(name) {
  return String(name).split(/(?<=[./_=])/).flatMap((part, i) => (i ? [h("wbr"), part] : [part]));
}

// middle tones, as in the report: each has a contrast of 3 on light and on dark ground
const PALETTE = ["#3d7cc9", "#d0702a", "#2f9470", "#b8569c", "#8a7a2e", "#6f6bd1", "#c4524e", "#4f8a99"];
const RAMP = ["#6f6bd1", "#3d7cc9", "#2f9470", "#8a9a2e", "#d0902a", "#c4524e"];

export function mixed(share) {
  const place = Math.max(0, Math.min(1, share)) * (RAMP.length - 1);
  const low = Math.min(Math.floor(place), RAMP.length - 2);
  const part = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
  const sum = [0, 1, 2].map((i) => part(RAMP[low], i) + (part(RAMP[low + 1], i) - part(RAMP[low], i)) * (place - low));
  return "#" + sum.map((v) => Math.round(v).toString(16).padStart(2, "0")).join("");
}

export function colorOf(i, count) {
  return count <= PALETTE.length ? PALETTE[i] : mixed(i / (count - 1));
}

export const STATES = { finished: "good", failed: "bad", running: "run", pruned: "soft", "not started": "soft" };

export function stateOf(state) {
  return h("span", { class: `state ${STATES[state] || "open"}` }, state || "reading");
}

export function dot(color, key = null) {
  return h("span", { class: "dot", "data-key": key, css: { background: color } });
}

export function section(title, aside, ...content) {
  return h("section", null, h("h2", null, title), aside ? h("p", { class: "aside" }, aside) : null, content);
}

export function factList(list) {
  return h("dl", { class: "facts" }, list.map(([k, v]) => h("div", null, h("dt", null, k), h("dd", null, v))));
}

export function folded(title, ...content) {
  return h("details", null, h("summary", null, title), content);
}

// a choice whose value stands in the address; told calls back with what was chosen
export function choice(label, options, value, told) {
  const select = h("select", { onchange: (e) => told(e.target.value) },
    options.map(([v, text]) => h("option", { value: v, selected: v === value }, text)));
  return h("label", { class: "choice" }, h("span", null, label), select);
}

export function tick(label, checked, told, disabled = false) {
  return h("label", { class: "tick" }, h("input", { type: "checkbox", checked, disabled, onchange: (e) => told(e.target.checked) }), label);
}
