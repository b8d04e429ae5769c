// The board: which page the address names, and keeping it up with the runs.

import { h } from "./dom.js";
import { follow, kept, place, store } from "./data.js";
import { tablePage } from "./table.js";
import { runPage } from "./run.js";
import { comparePage } from "./compare.js";
import { sweepPage } from "./sweep.js";

const PAGES = { "": tablePage, run: runPage, compare: comparePage, sweep: sweepPage };
const main = document.getElementById("main"), status = document.getElementById("status"), saved = document.getElementById("save");
let page = null, first = true;

function open() {
  const { kind } = place();
  page = (PAGES[kind] || tablePage)();
  main.classList.toggle("full", !Object.hasOwn(PAGES, kind) || kind === "");
  main.replaceChildren(page.el);
  window.scrollTo(0, 0);
  if (!first) main.focus({ preventScroll: true });
  if (store.found || kept) page.shown();
  told(new Set());
}

function told(changed) {
  document.title = [page.title, store.root, "genlab board"].filter(Boolean).join(" · ");
  document.getElementById("root").replaceChildren(store.root ? `${store.root}/` : "");
  const reading = store.read < store.found || !store.walked;
  const words = kept ? "a saved view" : store.problem ? store.problem : reading ? `reading: ${store.read.toLocaleString("en")} of ${store.found.toLocaleString("en")}${store.walked ? "" : " found so far"}` : "live";
  status.className = `status ${store.problem ? "bad" : reading && !kept ? "open" : "good"}`;
  if (status.textContent !== words) status.replaceChildren(words);
  if (first && (store.found || store.walked)) {
    first = false;
    page.shown();
  } else if (changed.size) page.update(changed);
  if (!store.found && store.walked && !page.el.querySelector(".empty")) page.el.prepend(h("p", { class: "absent empty" }, "There is no run in this folder yet: the table fills up when one starts."));
  else if (store.found) page.el.querySelector(".empty")?.remove();
}

if (kept) saved.remove();
else saved.addEventListener("click", () => saved.setAttribute("href", "/export?" + new URLSearchParams({ view: location.hash.slice(1) })));
saved.setAttribute("href", "/export?view=");
window.addEventListener("hashchange", open);
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, select, textarea");
  if (event.key === "/" && !typing && document.getElementById("filter")) {
    event.preventDefault();
    document.getElementById("filter").focus();
  } else if (event.key === "Escape" && typing) event.target.blur();
});
open();
follow(told);
