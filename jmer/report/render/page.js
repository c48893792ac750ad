// Columns of a table sort its rows: numbers from the largest, words from the first.
// What an address asks for is unfolded, and all of it for printing.
"use strict";
function valueOf(cell, numeric) {
  return numeric ? parseFloat(cell.textContent) : cell.textContent.trim();
}
function compare(a, b) {
  return typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true });
}
function sort(table, head, column) {
  const numeric = head.classList.contains("number");
  const before = head.getAttribute("aria-sort");
  const up = before ? before === "descending" : !numeric;
  const rows = [...table.tBodies[0].rows].map((row) => ({
    row,
    value: valueOf(row.cells[column], numeric),
  }));
  // What is no number stands last, whichever way the rest is sorted.
  const known = rows.filter((each) => !Number.isNaN(each.value));
  const unknown = rows.filter((each) => Number.isNaN(each.value));
  known.sort((a, b) => compare(a.value, b.value) * (up ? 1 : -1));
  table.tBodies[0].append(...[...known, ...unknown].map((each) => each.row));
  for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
}
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, head, column));
    head.append(button);
  });
}
function unfold() {
  const wanted = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!wanted) return;
  const folded = wanted.closest("details") || wanted.querySelector("details");
  if (folded) folded.open = true;
  wanted.scrollIntoView();
}
addEventListener("hashchange", unfold);
// The same address again is no change of it.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (link && link.hash === location.hash) unfold();
});
unfold();
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const each of closed) each.open = true;
});
addEventListener("afterprint", () => {
  for (const each of closed) each.open = false;
});
