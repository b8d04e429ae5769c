// Sorts a table by the heading that is pressed: up, down, as it was. The page's only script.
for (const table of document.querySelectorAll("table.sort")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells], given = [...body.rows];
  if (given.length < 2) continue;
  const value = (row, i) => {
    const cell = row.cells[i], number = cell.dataset.v;
    return number === undefined ? cell.textContent.trim() : number === "" ? "–" : Number(number);
  };
  const order = (a, b) => typeof a === "number" && typeof b === "number" ? a - b
    : String(a).localeCompare(String(b), "en", {numeric: true});
  heads.forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const was = head.getAttribute("aria-sort");
      const now = was === "ascending" ? "descending" : was === "descending" ? "" : "ascending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      if (now) head.setAttribute("aria-sort", now);
      const sign = now === "descending" ? -1 : 1, rows = [...given];
      if (now) rows.sort((a, b) => {
        const x = value(a, i), y = value(b, i);
        return (x === "–") - (y === "–") || sign * order(x, y);  // what is missing stands last
      });
      body.append(...rows);
    });
  });
  table.classList.add("sortable");
}
