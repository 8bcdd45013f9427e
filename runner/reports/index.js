// Puts the ticked runs side by side: their curves over each other, and a table of results and of keys that differ. The
// address of the page keeps what is ticked.
"use strict";
{
const data = JSON.parse(document.getElementById("data").textContent), MOST = data.styles.length;
const part = document.getElementById("comparison"), boxes = [...document.querySelectorAll("table[data-filter] input[type=checkbox]")];
const note = document.querySelector(".chosen"), invitation = note.textContent;
const link = document.querySelector("nav a[href='#compare']"), names = boxes.map((box) => box.getAttribute("aria-label").replace("Compare ", ""));
const clear = Object.assign(document.createElement("button"), { type: "button", textContent: "untick all" });
clear.addEventListener("click", () => { boxes.forEach((box) => { box.checked = false; }); compare(); });

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
  const chosen = boxes.filter((box) => box.checked).map((box) => Number(box.value));
  boxes.forEach((box) => { box.disabled = !box.checked && chosen.length >= MOST; });
  note.replaceChildren(chosen.length ? `${chosen.length} of at most ${MOST} runs ticked: ` : invitation);
  if (chosen.length) note.append(make("a", "side by side", { href: "#compare" }), " · ", clear);
  part.hidden = link.hidden = !chosen.length;
  history.replaceState(history.state, "", chosen.length ? `#with=${chosen.map((run) => names[run]).join(",")}` : "#");
  part.querySelector(".legend").replaceChildren(...chosen.map((run, place) => {
    const entry = make("span", sample(place));
    entry.append(data.names[run]);
    return entry;
  }));
  part.querySelector(".charts").replaceChildren(...data.curves.map((curve) => figure(curve, chosen)).filter(Boolean));
  part.querySelector("table").replaceChildren(...rows(chosen));
  document.dispatchEvent(new Event("charts"));
}

// A chart of one column, as the runner writes them, with a line for each chosen run that has it.
function figure([column, texts], chosen) {
  const lines = chosen.map((run, place) => [run, data.styles[place]]).filter(([run]) => texts[run]).map(([run, [style, mark]]) => {
    const y = texts[run].split(" ").map((text) => (text === "" ? null : Number(text)));
    return { name: data.names[run], style, mark, marksOnly: false, x: data.grids[data.grid[run]], y, texts: [], spread: [] };
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

function rows(chosen) {
  if (!chosen.length) return [];
  const head = make("thead"), body = make("tbody"), titles = make("tr", make("th"));
  for (const [place, run] of chosen.entries()) {
    const title = make("th", sample(place), { className: "n" });
    title.append(data.names[run]);
    titles.append(title);
  }
  head.append(titles);
  const add = (key, texts, better) => {
    const row = make("tr", make("th", key));
    texts.forEach((text, i) => row.append(make("td", text ?? "–", { className: better[i] ? "n better" : "n" })));
    body.append(row);
  };
  const section = (text) => body.append(make("tr", make("th", text, { colSpan: chosen.length + 1, className: "muted" })));
  section("results");
  for (const [key, goal, all] of data.results) {
    const texts = chosen.map((run) => all[run]), numbers = texts.map((text) => (text === null ? NaN : Number(text)));
    const known = numbers.filter((value) => !Number.isNaN(value)), most = goal === "max" ? Math.max(...known) : Math.min(...known);
    const isDivided = goal && new Set(known).size > 1;
    if (known.length) add(key, texts, numbers.map((value) => isDivided && value === most));
  }
  const differing = data.keys.filter(([, , places]) => new Set(chosen.map((run) => places[run])).size > 1);
  section(differing.length ? "keys that differ" : chosen.length > 1 ? "no key differs" : "tick another run to see which keys differ");
  for (const [key, values, places] of differing) add(key, chosen.map((run) => values[places[run]] ?? "–"), []);
  return [head, body];
}

boxes.forEach((box) => box.addEventListener("change", compare));
const kept = new Set(decodeURIComponent(location.hash).replace(/^#with=/, "").split(","));
boxes.forEach((box, i) => { box.checked = box.checked || kept.has(names[i]); });
for (const box of boxes.filter((each) => each.checked).slice(MOST)) box.checked = false;
if (boxes.some((box) => box.checked)) compare();
else link.hidden = true;
}
