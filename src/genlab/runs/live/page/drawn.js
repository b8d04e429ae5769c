// What views wrote, shown: one function for each macro of the report's parts.html.

import { h } from "./dom.js";
import { ask } from "./data.js";

const MOST = { texts: 8, letters: 1500, short: 420 };
const known = new Map(); // a look never changes once it is written
const URI = /^data:(image\/(png|gif|jpeg|webp)|audio\/(wav|mpeg|ogg|flac|midi)|video\/(mp4|webm));base64,/;

function cut(text, most) {
  return text.length > most ? `${text.slice(0, most)} … ${(text.length - most).toLocaleString("en")} more characters` : text;
}

function uri(text) {
  return URI.test(text) ? text : "data:,";
}

const SHOWS = {
  picture: (p, alt) => h("img", { class: `drawn${p.enlarged ? " enlarged" : ""}`, src: uri(p.uri), width: p.width, height: p.height, alt }),
  texts: (list, alt, small) => h("div", { class: "texts" }, list.slice(0, small ? 1 : MOST.texts).map((t) => h("pre", { class: "text" }, cut(t, small ? MOST.short : MOST.letters)))),
  table: (rows) => h("div", { class: "wide" }, h("table", { class: "rows" },
    h("thead", null, h("tr", null, (rows[0] || []).map((c) => h("th", null, cut(c, 40))))),
    h("tbody", null, rows.slice(1).map((row) => h("tr", null, row.map((c) => h("td", null, cut(c, 40)))))))),
  sound: (list, alt, small) => h("div", { class: "sounds" }, list.slice(0, small ? 1 : MOST.texts).map(([name, file]) => h("figure", null,
    name ? h("figcaption", null, cut(name, 60)) : null,
    h("audio", { class: "drawn", controls: true, preload: "none", src: uri(file), "aria-label": name || alt })))),
  midi: ([name, file]) => h("p", { class: "absent" }, "To hear: ", h("a", { href: uri(file), download: name }, name)),
  elsewhere: (name) => h("p", { class: "absent" }, "Not shown here: open ", h("code", null, name), " in the run's folder."),
  pairs: (list) => h("div", null, list.map(([mine, theirs]) => h("div", { class: "neighbours" }, h("pre", { class: "text" }, cut(mine, 700)), h("pre", { class: "text" }, cut(theirs, 700))))),
};

export function show(answer, alt, small = false) {
  if (answer.problem) return h("p", { class: "absent" }, answer.problem);
  const draw = SHOWS[answer.macro];
  if (!draw) return h("p", { class: "absent" }, `The report shows this (${answer.macro}): genlab report RUN.`);
  const drawn = draw(answer.value, alt, small);
  return answer.beside && !small ? h("div", null, drawn, show(answer.beside, alt)) : drawn;
}

export async function look(run, at) {
  const name = `${run} ${at}`;
  if (!known.has(name)) {
    const answer = await ask("drawn", { run, what: "look", at });
    if (answer.problem) return answer;
    if (known.size > 400) known.delete(known.keys().next().value);
    known.set(name, answer);
  }
  return known.get(name);
}
