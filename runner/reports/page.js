// What a reader has set survives a reload, under the name of the run: the page may have been drawn again meanwhile.
"use strict";
const kept = (() => {
  const key = `keras-runner ${document.body.dataset.page}`, savers = {};
  let values = {};
  try {
    values = JSON.parse(sessionStorage.getItem(key)) ?? {};
  } catch { /* a browser without storage for pages from disk */ }
  addEventListener("pagehide", () => {
    const now = Object.fromEntries(Object.entries(savers).map(([name, value]) => [name, value()]));
    try {
      sessionStorage.setItem(key, JSON.stringify(now));
    } catch { /* as above */ }
  });
  return { values, save: (name, value) => { savers[name] = value; } };
})();

// A click or Enter on a column heading sorts the table: numbers by size, text alphabetically, blanks last.
const orders = kept.values.orders ?? {}, labelOf = (table) => table.closest(".scroll").getAttribute("aria-label");
kept.save("orders", () => orders);
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    const order = (descending) => {
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sort(table.tBodies[0], column, descending ? -1 : 1);
      orders[labelOf(table)] = [column, descending];
    };
    button.addEventListener("click", () => order(heading.getAttribute("aria-sort") === "ascending"));
    const [before, descending] = orders[labelOf(table)] ?? [];
    if (before === column) order(descending);
  });
}

function sort(body, column, sign) {
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const blank = (text) => text === "" || text === "–";
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (blank(x) || blank(y)) return blank(x) - blank(y);
    const numbers = [Number(x), Number(y)];
    if (!numbers.some(Number.isNaN)) return sign * (numbers[0] - numbers[1]);
    return sign * x.localeCompare(y, undefined, { numeric: true });
  };
  body.append(...[...body.rows].sort(compare));
}

// The filter shows the rows that contain all words of its input.
const filters = kept.values.filters ?? {};
kept.save("filters", () => filters);
for (const table of document.querySelectorAll("table[data-filter]")) {
  const rows = [...table.tBodies[0].rows];
  const [label, box, count] = ["label", "input", "output"].map((name) => document.createElement(name));
  label.className = "filter";
  box.type = "search";
  box.placeholder = "words that a row contains";
  label.append(`Filter ${table.dataset.filter} `, box, " ", count);
  table.closest(".scroll").before(label);
  const filter = () => {
    filters[labelOf(table)] = box.value;
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => text(row).includes(word));
    count.textContent = words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
  };
  box.addEventListener("input", filter);
  box.value = filters[labelOf(table)] ?? "";
  if (box.value) filter();
}

function text(row) {
  return [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase();
}

// A button at a chart moves it into a dialog that fills the window; Escape, or a click beside it, moves it back.
const enlarged = document.createElement("dialog"), place = document.createComment("the enlarged chart");
enlarged.className = "enlarged";
enlarged.addEventListener("click", (event) => event.target === enlarged && enlarged.close());
enlarged.addEventListener("close", () => {
  const figure = enlarged.firstElementChild;
  place.replaceWith(figure);
  figure.querySelector(".enlarge").focus();
});
document.body.append(enlarged);
document.querySelectorAll("figure.chart, figure.timeline").forEach(enlargeable);
document.addEventListener("charts", () => document.querySelectorAll("figure.chart").forEach(enlargeable));

function enlargeable(figure) {
  if (!figure.querySelector("svg, script") || figure.querySelector(".enlarge")) return;
  const button = document.createElement("button"), description = figure.getAttribute("aria-label");
  button.type = "button";
  button.className = "enlarge";
  button.title = "Enlarge";
  button.setAttribute("aria-label", `Enlarge: ${description}`);
  figure.removeAttribute("role"); // a button within an image is unreachable; the button takes over its description
  figure.removeAttribute("aria-label");
  figure.prepend(button);
  button.addEventListener("click", () => {
    if (enlarged.open) return enlarged.close();
    enlarged.setAttribute("aria-label", button.getAttribute("aria-label"));
    figure.replaceWith(place);
    enlarged.replaceChildren(figure);
    return enlarged.showModal();
  });
}

// A button copies a command.
for (const command of document.querySelectorAll("pre[data-copy]")) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "copy", textContent: "copy" });
  button.addEventListener("click", async () => {
    const code = command.querySelector("code");
    getSelection().selectAllChildren(code);
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      document.execCommand("copy"); // where a page from disk has no clipboard
    }
    button.textContent = "copied";
  });
  command.append(button);
}

// A map of many classes: the classes and the samples of the pixel that the pointer is at.
for (const figure of document.querySelectorAll("figure.confusion")) {
  const { names, cells } = JSON.parse(figure.querySelector("script").textContent);
  const counts = new Map(cells.map(([row, column, count]) => [row * names.length + column, count]));
  const totals = names.map(() => 0), image = figure.querySelector("img"), tip = document.createElement("div");
  for (const [row, , count] of cells) totals[row] += count;
  Object.assign(tip, { className: "tip", hidden: true });
  figure.append(tip);
  const point = (event) => {
    const at = (place, size) => Math.min(names.length - 1, Math.max(0, Math.floor((place / size) * names.length)));
    const row = at(event.offsetY, image.clientHeight), column = at(event.offsetX, image.clientWidth);
    const count = counts.get(row * names.length + column) ?? 0;
    tip.hidden = false;
    tip.textContent = `${names[row]} predicted as ${names[column]}: ${count} of ${totals[row]}`;
    const most = figure.clientWidth - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(most, event.offsetX + 14))}px`;
    tip.style.top = `${event.offsetY + 14}px`;
  };
  const leave = () => { tip.hidden = true; };
  for (const name of ["pointermove", "pointerdown"]) image.addEventListener(name, point);
  image.addEventListener("pointerleave", (event) => event.pointerType === "touch" || leave()); // what a tap shows stays
  document.addEventListener("pointerdown", (event) => event.target === image || leave());
}

// Sections that were opened or closed stay so, and a reload keeps the place.
const sections = [...document.querySelectorAll("details")];
const nameOf = (each) => `${each.closest("section")?.getAttribute("aria-labelledby")}: ${each.querySelector("summary").textContent}`;
kept.save("open", () => Object.fromEntries(sections.map((each) => [nameOf(each), each.open])));
for (const each of sections) each.open = kept.values.open?.[nameOf(each)] ?? each.open;
kept.save("place", () => scrollY);
if (performance.getEntriesByType("navigation")[0]?.type === "reload") {
  addEventListener("load", () => scrollTo(0, kept.values.place ?? 0)); // once the charts are drawn
}
