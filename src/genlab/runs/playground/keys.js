// The keys of the blind pairs: they press the buttons that are in sight, unless somebody is typing.
const VOTES = { ArrowLeft: "left", ArrowRight: "right", t: "tie", b: "bad", s: "skip" };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest("input, textarea, select, [contenteditable=true]")) return;
  const verdict = VOTES[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  const button = verdict && document.getElementById(`vote-${verdict}`);
  if (!button || button.disabled || button.offsetParent === null) return;
  event.preventDefault();
  event.stopPropagation();
  button.click();
}, true);
