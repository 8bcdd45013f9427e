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
for (const figure of document.querySelectorAll("figure.chart, figure.timeline")) {
  if (!figure.querySelector("svg")) continue;
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
