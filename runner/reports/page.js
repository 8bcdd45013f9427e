// A click or Enter on a column heading sorts the table: numbers by size, text alphabetically, blanks last.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sort(table.tBodies[0], column, descending ? -1 : 1);
    });
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
for (const table of document.querySelectorAll("table[data-filter]")) {
  const rows = [...table.tBodies[0].rows];
  const [label, box, count] = ["label", "input", "output"].map((name) => document.createElement(name));
  label.className = "filter";
  box.type = "search";
  box.placeholder = "words that a row contains";
  label.append(`Filter ${table.dataset.filter} `, box, " ", count);
  table.closest(".scroll").before(label);
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => text(row).includes(word));
    count.textContent = words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
  });
}

function text(row) {
  return [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase();
}

// A click or Enter on a chart makes it fill the window; a click or Escape closes it.
const enlarged = document.createElement("dialog");
enlarged.className = "enlarged";
enlarged.addEventListener("click", () => enlarged.close());
document.body.append(enlarged);
for (const figure of document.querySelectorAll("figure.chart, figure.timeline")) {
  const [svg, button] = [figure.querySelector("svg"), document.createElement("button")];
  if (!svg) continue;
  button.type = "button";
  button.className = "enlarge";
  button.title = "Enlarge";
  button.setAttribute("aria-label", `Enlarge: ${figure.getAttribute("aria-label")}`);
  figure.removeAttribute("role"); // a button within an image is unreachable; the button takes over its description
  figure.removeAttribute("aria-label");
  svg.replaceWith(button);
  button.append(svg);
  button.addEventListener("click", () => {
    enlarged.setAttribute("aria-label", button.getAttribute("aria-label"));
    enlarged.replaceChildren(svg.cloneNode(true));
    enlarged.showModal();
  });
}
