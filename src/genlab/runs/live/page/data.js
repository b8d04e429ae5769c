// What is known of the runs, kept up with the server by a cursor; or what one saved file holds.

const held = document.getElementById("kept");
export const kept = held ? JSON.parse(held.textContent) : null;
export const store = { runs: new Map(), ways: {}, found: 0, read: 0, walked: false, root: "", problem: "", boot: "", cursor: 0 };
const POLL = 600, READING = 300, HIDDEN_TAB = 5000;

// answers; a saved file has those alone that its view asked for
export async function ask(question, asked) {
  const given = Object.fromEntries(Object.entries(asked).filter(([, v]) => v !== "" && v !== null && v !== undefined));
  if (kept) {
    const name = [question, ...Object.entries(given).map(([k, v]) => `${k}=${v}`).sort()].join("\n");
    return kept.answers[name] || { problem: "This is not in the saved file." };
  }
  try {
    const reply = await fetch(`/api/${question}?${new URLSearchParams(given)}`, { cache: "no-store" });
    if (reply.status === 403) return { problem: "The board was started anew: open the address it printed." };
    return await reply.json();
  } catch {
    return { problem: "The board's server does not answer." };
  }
}

function take(answer) {
  if (answer.anew) store.runs.clear();
  const changed = new Set();
  for (const run of answer.runs) {
    store.runs.set(run.key, run);
    changed.add(run.key);
  }
  for (const key of answer.gone) {
    store.runs.delete(key);
    changed.add(key);
  }
  Object.assign(store.ways, answer.ways);
  for (const name of ["boot", "cursor", "found", "read", "walked", "root"]) store[name] = answer[name];
  return changed;
}

export async function follow(told) {
  if (kept) {
    told(take(kept.runs));
    return;
  }
  for (;;) {
    let changed = new Set();
    const before = `${store.problem} ${store.read} ${store.found} ${store.walked}`;
    try {
      const reply = await fetch(`/api/runs?since=${store.cursor}&boot=${store.boot}`, { cache: "no-store" });
      if (!reply.ok) throw new Error(reply.status === 403 ? "the board was started anew: open the address it printed" : `the server says ${reply.status}`);
      changed = take(await reply.json());
      store.problem = "";
    } catch (error) {
      store.problem = error instanceof TypeError ? "the server does not answer" : error.message;
    }
    if (changed.size || before !== `${store.problem} ${store.read} ${store.found} ${store.walked}`) told(changed);
    const wait = document.hidden ? HIDDEN_TAB : store.problem ? 2000 : store.read < store.found || !store.walked ? READING : POLL;
    await new Promise((done) => setTimeout(done, wait));
  }
}

// --- the address: #/KIND/REST?NAME=VALUE ---------------------------------------------------------

export function place() {
  const text = location.hash.slice(1) || (kept ? kept.view.replace(/^#/, "") : "") || "/";
  const at = text.indexOf("?");
  const path = (at < 0 ? text : text.slice(0, at)).replace(/^\//, "");
  const cut = path.indexOf("/");
  let rest = cut < 0 ? "" : path.slice(cut + 1);
  try { rest = decodeURIComponent(rest); } catch { rest = ""; }
  return { kind: cut < 0 ? path : path.slice(0, cut), rest, params: new URLSearchParams(at < 0 ? "" : text.slice(at + 1)) };
}

export function address(kind, rest = "", params = {}) {
  const given = Object.entries(params).filter(([, v]) => v !== "" && v !== null && v !== undefined);
  const query = new URLSearchParams(given).toString();
  return `#/${kind}${rest ? "/" + encodeURIComponent(rest) : ""}${query ? "?" + query : ""}`;
}

// another value in the address of the same view: no entry in the history for each letter typed
export function put(changes) {
  const { kind, rest, params } = place();
  for (const [name, value] of Object.entries(changes)) {
    if (value === "" || value === null || value === undefined || value === false) params.delete(name);
    else params.set(name, value === true ? "1" : value);
  }
  history.replaceState(null, "", address(kind, rest, Object.fromEntries(params)));
}
