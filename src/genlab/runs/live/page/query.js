// The filter's language, and what a column shows and sorts by.
//
//   digits vae                 both words, anywhere in name, folder, state, settings, tags, findings, reason
//   model=vae lr>1e-3          a setting, by its name or the end of it
//   val/loss<1.2 state=failed  a figure; a run's own fields; -state=failed and != say not
//   finding=mode_collapse      what the doctor found; finding=* is any

const TERM = /^(-?)([^<>=!:"]+)(<=|>=|!=|=|<|>|:)(.+)$/;
const OWN = {
  state: (r) => r.state, name: (r) => r.name, folder: (r) => r.group, where: (r) => r.where,
  tag: (r) => r.tags, tags: (r) => r.tags, examples: (r) => r.examples, time: (r) => r.seconds,
  seconds: (r) => r.seconds, left: (r) => r.left, date: (r) => r.date, key: (r) => r.key,
  parameters: (r) => r.parameters, family: (r) => r.family, finding: (r) => r.findings, findings: (r) => r.findings,
};
const SIZES = { k: 1e3, m: 1e6, g: 1e9 };

export function number(text) {
  const found = /^([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?)([kmg]?)$/i.exec(String(text).trim());
  return found ? Number(found[1].replaceAll("_", "")) * (SIZES[found[2].toLowerCase()] || 1) : null;
}

export function terms(text) {
  const words = String(text).match(/(?:[^\s"]+|"[^"]*"?)+/g) || [];
  return words.map((word) => {
    const plain = word.replaceAll('"', "");
    const found = TERM.exec(plain);
    if (!found) return { not: plain.length > 1 && plain[0] === "-", word: plain.replace(/^-(?=.)/, "").toLowerCase() };
    const [, not, key, op, value] = found;
    return { not: not === "-" || op === "!=", key: key.toLowerCase(), op: op === "!=" || op === ":" ? "=" : op, value };
  });
}

// one entry of a record by its whole name, or the first whose name ends so
function ending(record, key) {
  if (!record) return undefined;
  for (const name in record) if (name.toLowerCase() === key) return record[name];
  for (const name in record) {
    const lower = name.toLowerCase();
    if (lower.endsWith("." + key) || lower.endsWith("/" + key)) return record[name];
  }
  return undefined;
}

export function looked(run, key) {
  if (Object.hasOwn(OWN, key)) return OWN[key](run);
  const found = ending(run.figures, key);
  if (found !== undefined) return found[0];
  const setting = ending(run.settings, key);
  if (setting !== undefined) return setting;
  return key === "seed" ? run.seed : ending(run.last, key);
}

// keys of the filter that no run has, each with the known one nearest to it: [["vla/loss", "val/loss"], ["x", ""]]
export function unknownKeys(runs, wanted) {
  const keys = new Set(wanted.map((t) => t.key).filter((key) => key !== undefined && !Object.hasOwn(OWN, key)));
  const odd = [...keys].filter((key) => key !== "seed" && !runs.some((run) => looked(run, key) !== undefined));
  if (!odd.length) return [];
  const names = new Set(["seed", ...Object.keys(OWN)]);
  for (const run of runs) {
    for (const record of [run.figures, run.settings, run.last]) {
      for (const name in record || {}) names.add(name).add(name.split(/[./]/).at(-1));
    }
  }
  return odd.map((key) => {
    const [off, name] = [...names].map((name) => [steps(key, name.toLowerCase()), name]).reduce((a, b) => (b[0] < a[0] ? b : a));
    return [key, off <= Math.max(1, key.length / 3) ? name : ""];
  });
}

// letters to put in, leave out, replace or swap with the next until one word is the other
function steps(a, b) {
  let before = [], last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(row[j - 1] + 1, last[j] + 1, last[j - 1] + (a[i - 1] !== b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j], before[j - 2] + 1);
    }
    [before, last] = [last, row];
  }
  return last[b.length];
}

function compared(found, op, value) {
  if (found === null || found === undefined) return false;
  const mine = typeof found === "number" ? found : number(found);
  const theirs = number(value);
  if (mine !== null && theirs !== null) {
    return op === "=" ? mine === theirs : op === "<" ? mine < theirs : op === ">" ? mine > theirs
      : op === "<=" ? mine <= theirs : mine >= theirs;
  }
  const a = String(found).toLowerCase(), b = String(value).toLowerCase();
  if (op === "=") return b.includes("*") ? wild(a, b.split("*")) : a === b;
  return op === "<" ? a < b : op === ">" ? a > b : op === "<=" ? a <= b : a >= b;
}

function wild(text, parts) {
  if (!text.startsWith(parts[0]) || !text.endsWith(parts.at(-1))) return false;
  let at = 0;
  for (const part of parts) {
    const next = text.indexOf(part, at);
    if (next < 0) return false;
    at = next + part.length;
  }
  return true;
}

export function haystack(run) {
  if (run.hay === undefined) {
    const settings = Object.entries(run.settings || {}).map(([k, v]) => `${k}=${v}`).join(" ");
    run.hay = `${run.name} ${run.where} ${run.state} ${settings} ${(run.tags || []).join(" ")} ${(run.findings || []).join(" ")} ${run.reason || ""}`.toLowerCase();
  }
  return run.hay;
}

export function matches(run, wanted) {
  return wanted.every((t) => {
    if (t.word !== undefined) return haystack(run).includes(t.word) !== t.not;
    const found = looked(run, t.key);
    const many = Array.isArray(found) ? found : [found];
    return many.some((one) => compared(one, t.op, t.value)) !== t.not;
  });
}

// a column: "figure:NAME", "last:NAME", "set:KEY" or one of the run's own fields
export function valueOf(run, column) {
  const [kind, name] = split(column);
  if (kind === "figure") return run.figures && run.figures[name] ? run.figures[name][0] : null;
  if (kind === "last") return run.last && name in run.last ? run.last[name] : null;
  if (kind === "set") return run.settings && name in run.settings ? run.settings[name] : name === "seed" ? run.seed : null;
  const found = Object.hasOwn(OWN, column) ? OWN[column](run) : null;
  return Array.isArray(found) ? found.join(" ") || null : found;
}

export function split(column) {
  const at = column.indexOf(":");
  return at < 0 ? ["own", column] : [column.slice(0, at), column.slice(at + 1)];
}

export function sorted(runs, column, down) {
  const keyed = runs.map((run) => {
    const value = valueOf(run, column);
    const found = typeof value === "number" ? value : value === null || value === undefined || value === "" ? null : number(value);
    return { run, found, text: found === null && value ? String(value) : null };
  });
  const sign = down ? -1 : 1;
  keyed.sort((a, b) => {
    if (a.found !== null && b.found !== null) return sign * (a.found - b.found);
    if (a.text !== null && b.text !== null) return sign * (a.text < b.text ? -1 : a.text > b.text ? 1 : 0);
    const rank = (k) => (k.found !== null ? 0 : k.text !== null ? 1 : 2); // what is missing comes last
    return rank(a) - rank(b);
  });
  return keyed.map((k) => k.run);
}
