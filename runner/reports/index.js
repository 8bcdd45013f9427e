// Puts the ticked runs side by side: their curves over each other, and a table of results and of keys that differ. The
// address of the page keeps what is ticked.
"use strict";
{
const data = JSON.parse(document.getElementById("data").textContent), MOST = data.styles.length;
const part = document.getElementById("comparison"), boxes = [...document.querySelector("table[data-filter]").tBodies[0].rows].map(boxOf);
const note = document.querySelector(".chosen"), invitation = `Tick up to ${MOST} runs to see them side by side.`;
note.textContent = invitation;
const link = document.querySelector("nav a[href='#compare']"), runs = new Map(data.runs.map((run) => [run.name, { title: run.name, ...run }]));
const clear = Object.assign(document.createElement("button"), { type: "button", textContent: "untick all" });
clear.addEventListener("click", () => { boxes.forEach((box) => { box.checked = false; }); compare(); });

function boxOf({ cells: [cell] }) {
  const name = (cell.querySelector("a") ?? cell.firstChild).textContent.trim();
  const box = Object.assign(document.createElement("input"), { type: "checkbox", value: name });
  box.setAttribute("aria-label", `Compare ${name}`);
  cell.prepend(box, " ");
  return box;
}

function make(tag, text = "", options = {}) {
  const made = Object.assign(document.createElement(tag), options);
  made.append(text);
  return made;
}

function sample(place) {
  const box = document.createElement("span");
  box.innerHTML = data.styles[place][2]; // written by the runner, not from a run
  return box.firstElementChild;
}

function compare() {
  const chosen = boxes.filter((box) => box.checked).map((box) => runs.get(box.value));
  boxes.forEach((box) => { box.disabled = !box.checked && chosen.length >= MOST; });
  note.replaceChildren(chosen.length ? `${chosen.length} of at most ${MOST} runs ticked: ` : invitation);
  if (chosen.length) note.append(make("a", "side by side", { href: "#compare" }), " · ", clear);
  part.hidden = link.hidden = !chosen.length;
  history.replaceState(history.state, "", chosen.length ? `#with=${chosen.map((run) => run.name).join(",")}` : "#");
  part.querySelector(".legend").replaceChildren(...chosen.map((run, place) => {
    const entry = make("span", sample(place));
    entry.append(run.title);
    return entry;
  }));
  part.querySelector(".charts").replaceChildren(...data.curves.map((column, place) => figure(column, place, chosen)).filter(Boolean));
  part.querySelector("table").replaceChildren(...rows(chosen));
  document.dispatchEvent(new Event("charts"));
}

// A chart of one column, as the runner writes them, with a line for each chosen run that has it.
function figure(column, number, chosen) {
  const lines = chosen.map((run, place) => [run, data.styles[place]]).filter(([run]) => run.curves[number]).map(([run, [style, mark]]) => {
    const y = run.curves[number].split(" ").map((text) => (text === "" ? null : Number(text)));
    return { name: run.title, style, mark, marksOnly: false, x: data.shared[run.epochs], y, texts: [], bars: [] };
  });
  if (!lines.length || typeof d3 === "undefined") return null;
  const epochs = lines.flatMap((line) => line.x), low = Math.min(...epochs), high = Math.max(...epochs);
  const made = make("figure", "", { className: "chart" }), title = column.replaceAll("_", " ");
  made.setAttribute("aria-label", `${title} of the ticked runs by epoch; the table has their best values`);
  made.append(make("figcaption", make("b", title)), make("div", "", { className: "plot" }));
  const axis = { low, high: high > low ? high : low + 1, ticks: [], label: "epoch", scale: "linear" };
  const drawn = { kind: "curves", x: axis, y: { ...axis, label: "" }, lines, best: null, starts: [], times: [], unit: "" };
  made.append(make("script", JSON.stringify(drawn), { type: "application/json" }));
  return made;
}

// The results that any of these runs has, with which way each is better: best values, then the evaluation, then the rest.
function results(chosen) {
  const goals = new Map();
  for (const run of chosen) for (const [key, goal] of data.shared[run.results]) goals.set(key, goals.get(key) ?? goal);
  const group = (key) => (key.startsWith("best ") ? 0 : key.startsWith("evaluate.") ? 1 : 2);
  return [...goals].sort(([one], [other]) => group(one) - group(other));
}

function resultOf(run, key) {
  const place = data.shared[run.results].findIndex(([name]) => name === key);
  return place < 0 ? null : run.values[place];
}

function rows(chosen) {
  if (!chosen.length) return [];
  const head = make("thead"), body = make("tbody"), titles = make("tr", make("td"));
  for (const [place, run] of chosen.entries()) {
    const title = make("th", sample(place), { className: "n", scope: "col" });
    title.append(run.title);
    titles.append(title);
  }
  head.append(titles);
  const add = (key, texts, better) => {
    const row = make("tr", make("th", key, { scope: "row" }));
    texts.forEach((text, i) => row.append(make("td", text ?? "–", { className: better[i] ? "n better" : "n" })));
    body.append(row);
  };
  const section = (text) => body.append(make("tr", make("th", text, { colSpan: chosen.length + 1, scope: "rowgroup", className: "muted" })));
  section("results");
  for (const [key, goal] of results(chosen)) {
    const texts = chosen.map((run) => resultOf(run, key)), numbers = texts.map((text) => (text === null ? NaN : Number(text)));
    const known = numbers.filter((value) => !Number.isNaN(value)), most = goal === "max" ? Math.max(...known) : Math.min(...known);
    const isDivided = goal && new Set(known).size > 1;
    const shown = numbers.map((value, i) => (Math.abs(value) >= 1000 ? value.toLocaleString("en") : texts[i]));
    if (known.length) add(key, shown, numbers.map((value) => isDivided && value === most));
  }
  const keys = new Set([...Object.keys(data.common), ...chosen.flatMap((run) => Object.keys(run.keys))]);
  const valueOf = (run, key) => (Object.hasOwn(run.keys, key) ? run.keys[key] : Object.hasOwn(data.common, key) ? data.common[key] : null);
  const differing = [...keys].filter((key) => new Set(chosen.map((run) => valueOf(run, key))).size > 1);
  section(differing.length ? "keys that differ" : chosen.length > 1 ? "no key differs" : "tick another run to see which keys differ");
  for (const key of differing) add(key, chosen.map((run) => valueOf(run, key) ?? "–"), []);
  return [head, body];
}

boxes.forEach((box) => box.addEventListener("change", compare));
const kept = new Set(decodeURIComponent(location.hash).replace(/^#with=/, "").split(","));
boxes.forEach((box) => { box.checked = box.checked || kept.has(box.value); });
for (const box of boxes.filter((each) => each.checked).slice(MOST)) box.checked = false;
if (boxes.some((box) => box.checked)) compare();
else link.hidden = true;
}
