// Draws the charts of the page with d3 in place of their still drawings, from the data in each figure: value on hover,
// in step over all curves; zoom by dragging, double-click resets; switches for a log axis, smoothing, and time.
"use strict";
{
const shown = { log: false, time: false, smoothing: 0, zoom: null, ...kept.values.charts, epoch: null };
kept.save("charts", () => shown);
const MAX_MARKED = 30, LETTER = 6.4, PRINT = 340; // px that half a page is wide
let isPrinted = false;
const NEEDS_TOUCH = matchMedia("(hover: none)").matches; // a finger that drags scrolls the page
const charts = [], curves = [], spoken = document.body.appendChild(document.createElement("div"));
spoken.className = "spoken";
spoken.setAttribute("aria-live", "polite");
let isFine = false; // whether curves have places within epochs

function collect() {
  charts.splice(0, charts.length, ...[...document.querySelectorAll("figure.chart")].map(chartOf).filter(Boolean));
  curves.splice(0, curves.length, ...charts.filter((chart) => chart.data.kind === "curves"));
  isFine = curves.some(({ data }) => data.lines.some((line) => !line.x.every(Number.isInteger)));
}

function chartOf(figure) {
  const plot = figure.querySelector(".plot"), json = figure.querySelector("script");
  if (!json) return null;
  const chart = { figure, plot, data: JSON.parse(json.textContent), keys: [...figure.querySelectorAll(".key-value")] };
  chart.at = figure.querySelector(".at");
  chart.tip = plot.parentNode.insertBefore(document.createElement("div"), plot.nextSibling);
  chart.tip.className = "tip";
  chart.tip.hidden = true;
  for (const line of chart.data.lines) {
    line.times = line.x.map((x, i) => chart.data.times[i]);
    line.said = line.y; // "nan" and "inf" are no places
    line.y = line.y.map((y) => (typeof y === "string" ? null : y));
  }
  Object.assign(plot, { tabIndex: 0, role: "group" });
  const name = figure.querySelector("figcaption b").textContent;
  plot.setAttribute("aria-label", chart.data.kind === "curves" ? `${name}; arrow keys move through the epochs` : name);
  plot.addEventListener("pointermove", (event) => point(chart, event));
  plot.addEventListener("pointerdown", (event) => point(chart, event));
  plot.addEventListener("pointerleave", (event) => event.pointerType === "touch" || leave(chart)); // a tap stays
  plot.addEventListener("dblclick", () => zoom(null));
  plot.addEventListener("keydown", (event) => step(chart, event));
  plot.addEventListener("blur", () => leave(chart));
  new ResizeObserver(() => !isPrinted && plot.clientWidth !== chart.width && draw(chart)).observe(plot);
  return chart;
}

// What the switches make of the data

function across(line) {
  return shown.time ? line.times : line.x;
}

function smoothed(values) {
  let [sum, weight] = [0, 0];
  return values.map((value) => {
    if (value === null) return null;
    sum = shown.smoothing * sum + (1 - shown.smoothing) * value;
    weight = shown.smoothing * weight + 1 - shown.smoothing;
    return sum / weight;
  });
}

function isPositive(chart) {
  return chart.data.lines.every((line) => line.y.every((y) => y === null || y > 0));
}

function scaleX({ data }, range) {
  if (data.kind !== "curves") return given(data.x, range);
  const ends = shown.zoom ?? (shown.time ? [0, d3.max(data.times)] : [data.x.low, data.x.high]);
  return d3.scaleLinear().domain(ends).range(range);
}

function scaleY(chart, x, range) {
  const { data } = chart;
  if (data.kind !== "curves") return given(data.y, range);
  const [low, high] = x.domain(), values = [];
  for (const line of data.lines) {
    across(line).forEach((place, i) => line.y[i] !== null && place >= low && place <= high && values.push(line.y[i]));
  }
  const [least, most] = values.length ? d3.extent(values) : [0, 1];
  if (shown.log && isPositive(chart)) return d3.scaleLog().domain([least / 1.1, most * 1.1]).range(range);
  const apart = least === most ? 0.05 * Math.abs(least) || 0.5 : 0;
  return d3.scaleLinear().domain([data.fromZero ? Math.min(0, least) : least - apart, most + apart]).range(range).nice(5);
}

function given(axis, range) {
  return d3[axis.scale === "log" ? "scaleLog" : "scaleLinear"]().domain([axis.low, axis.high]).range(range);
}

function ticks(scale, axis, count) {
  if (axis) return axis.ticks;
  const whole = scale.ticks(count), [low, high] = scale.domain();
  const size = Math.max(Math.abs(low), Math.abs(high)), step = whole.length > 1 ? Math.abs(whole[1] - whole[0]) : size;
  const digits = Math.max(4, Math.ceil(Math.log10(size / step)) + 1); // fewer would give two ticks one text
  const form = scale.base ? scale.tickFormat(count, number) : size >= 1e7 || high - low < 1e-5 ? d3.format(`.${digits}~g`) : scale.tickFormat(count);
  return whole.map((value) => [value, form(value)]).filter(([, text]) => text);
}

function number(value) {
  const size = Math.abs(value);
  if (size && (size < 1e-4 || size >= 1e9)) return d3.format(".4~e")(value);
  return d3.format(size >= 1e4 ? ",.0f" : ",.5~r")(value);
}

function epochText(epoch) {
  return Number.isInteger(epoch) ? String(epoch) : epoch.toFixed(2);
}

function clock(seconds) {
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${d3.format(".3~r")(seconds)} s`;
}

// Drawing

function draw(chart) {
  const { data, plot } = chart, isCurve = data.kind === "curves";
  const width = (chart.width = isPrinted ? PRINT : plot.clientWidth), inDialog = Boolean(plot.closest("dialog"));
  if (!width) return;
  const height = inDialog ? Math.max(240, window.innerHeight * 0.78) : Math.min(300, Math.max(190, width * 0.42));
  const labels = data.x.ticks.map(([, text]) => text);
  const slanted = !isCurve && d3.max(labels, (text) => text.length) * LETTER > (width - 70) / labels.length;
  const low = height - 24 - (isCurve || data.x.label ? 15 : 0) - (slanted ? Math.min(24, d3.max(labels, (t) => t.length)) * 3 : 0);
  let x = scaleX(chart, [0, width]);
  const y = scaleY(chart, x, [low, 10]);
  const rows = ticks(y, isCurve ? null : data.y, 5);
  const left = 14 + LETTER * d3.max(rows, ([, text]) => text.length) + (data.y.label ? 15 : 0);
  x = scaleX(chart, [left, width - 14]);
  Object.assign(chart, { x, y, low, left });

  const svg = d3.create("svg").attr("viewBox", [0, 0, width, height]).attr("aria-hidden", true);
  svg.append("path").attr("class", "ruled").attr("d", rows.map(([value]) => `M${left} ${y(value)}H${width - 14}`).join(""));
  for (const [value, text] of rows) label(svg, left - 6, y(value) + 4, text, "end");
  const columns = isCurve ? timeTicks(x, width) : data.x.ticks;
  for (const [value, text] of columns) {
    const made = label(svg, x(value), low + 16, text.slice(0, 24), slanted ? "end" : "middle");
    if (slanted) made.attr("transform", `rotate(-30 ${x(value)} ${low + 14})`);
  }
  const below = isCurve && shown.time ? "time of training" : data.x.label;
  if (below) label(svg, (left + width) / 2, height - 5, below, "middle");
  if (data.y.label) label(svg, 12, low / 2, data.y.label, "middle").attr("transform", `rotate(-90 12 ${low / 2})`);
  const clip = `clip-${charts.indexOf(chart)}`;
  svg.append("clipPath").attr("id", clip).append("rect").attr("x", left - 4).attr("width", width - left - 4).attr("height", low + 4);
  const inside = svg.append("g").attr("clip-path", `url(#${clip})`);
  if (data.best !== null && isCurve) {
    const place = x(shown.time ? data.times[data.lines[0].x.indexOf(data.best)] : data.best);
    inside.append("path").attr("class", "best-epoch").attr("d", `M${place} 10V${low}`);
  }
  for (const start of isCurve ? data.starts : []) {
    const at = data.lines[0].x.findIndex((epoch) => epoch >= start), place = x(shown.time ? data.times[at - 1] : start - .5);
    inside.append("path").attr("class", "phase-start").attr("d", `M${place} 10V${low}`);
  }
  chart.paths = data.lines.map((line) => drawLine(inside, chart, line));
  chart.cross = inside.append("path").attr("class", "cross");
  chart.dots = data.lines.map((line) => inside.append("circle").attr("class", `dot ${line.style}`).attr("r", 4).style("display", "none"));
  if (isCurve) addBrush(svg, chart, width);
  plot.replaceChildren(svg.node());
  show(chart);
}

function label(svg, x, y, text, anchor) {
  return svg.append("text").attr("x", x).attr("y", y).attr("text-anchor", anchor).text(text);
}

function timeTicks(x, width) {
  if (!shown.time) return x.ticks(Math.max(2, width / 80)).filter(Number.isInteger).map((value) => [value, d3.format(",")(value)]);
  return x.ticks(Math.max(2, width / 110)).map((value) => [value, clock(value)]);
}

function drawLine(svg, chart, line) {
  const { x, y } = chart, places = across(line);
  const drawn = (values) => d3.range(places.length).filter((i) => values[i] !== null && isFinite(places[i])).map((i) => [x(places[i]), y(values[i]), i]);
  const group = svg.append("g"), raw = drawn(line.y);
  const add = (points, classes) => group.append("path").attr("class", classes).attr("d", broken(points, line));
  const isSmooth = shown.smoothing && chart.data.kind === "curves";
  if (!line.marksOnly) {
    if (isSmooth) add(raw, `line raw ${line.style}`);
    add(isSmooth ? drawn(smoothed(line.y)) : raw, `line ${line.style}`);
  }
  for (const [px, , i] of line.bars.length ? raw : []) {
    group.append("path").attr("class", `line ${line.style}`).attr("d", `M${px} ${y(line.bars[i][0])}V${y(line.bars[i][1])}`);
  }
  if (line.mark && (line.marksOnly || raw.length <= MAX_MARKED)) {
    const path = raw.map(([px, py]) => `M${px} ${py}${line.mark}`).join("");
    group.append("path").attr("class", `mark ${line.style}${isSmooth ? " raw" : ""}`).attr("d", path);
  }
  return group;
}

// A line through the points, apart where a value between them is no number; one that is missing is passed over.
function broken(points, line) {
  const pieces = [[]];
  points.forEach((point, k) => {
    const between = k ? line.said.slice(points[k - 1][2] + 1, point[2]) : [];
    if (between.some((y) => typeof y === "string")) pieces.push([]);
    pieces[pieces.length - 1].push(point);
  });
  return pieces.map((piece) => d3.line()(piece) ?? "").join("");
}

function addBrush(svg, chart, width) {
  const brush = d3.brushX().extent([[chart.left, 10], [width - 14, chart.low]]);
  brush.filter(() => !d3.event.button);
  brush.on("end", () => {
    const taken = d3.event.selection;
    if (taken && taken[1] - taken[0] > 6) zoom(taken.map(chart.x.invert));
    else if (taken) draw(chart);
  });
  svg.append("g").attr("class", "brush").call(brush).on("touchstart.brush", null); // it would stop a second finger
}

// Pointing: an epoch for all curves, the nearest point for other charts

function point(chart, event) {
  const box = chart.plot.getBoundingClientRect(), [px, py] = [event.clientX - box.left, event.clientY - box.top];
  if (!chart.x) return;
  if (chart.data.kind === "curves") {
    const line = d3.scan(chart.data.lines, (a, b) => b.x.length - a.x.length);
    const { x } = chart.data.lines[line];
    shown.epoch = x[nearest(across(chart.data.lines[line]), chart.x.invert(px))];
    curves.forEach(show);
    if (!chart.keys.length) tipOfLine(chart, px, py);
  } else tipOfPoint(chart, px, py);
}

function nearest(sorted, value) {
  const i = Math.min(d3.bisect(sorted, value), sorted.length - 1);
  return i && value - sorted[i - 1] < sorted[i] - value ? i - 1 : i;
}

// Where the line has its value of an epoch, or nearest to it where charts show places within epochs; -1: it has none.
function indexOf(line, epoch) {
  const at = line.x.indexOf(epoch);
  return at >= 0 || !isFine ? at : nearest(line.x, epoch);
}

function leave(chart) {
  shown.epoch = null;
  chart.tip.hidden = true;
  chart.figure.querySelectorAll(".near").forEach((each) => each.classList.remove("near"));
  (chart.data.kind === "curves" ? curves : [chart]).forEach(show);
}

function step(chart, event) {
  const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!move || chart.data.kind !== "curves") return;
  event.preventDefault();
  const { x } = chart.data.lines[0], from = shown.epoch === null ? (move > 0 ? -1 : x.length) : indexOf(chart.data.lines[0], shown.epoch);
  shown.epoch = x[Math.max(0, Math.min(x.length - 1, from + move))];
  curves.forEach(show);
  const said = [...chart.figure.querySelector("figcaption").children].map((part) => part.textContent.trim());
  spoken.textContent = said.filter(Boolean).join(", ");
}

// The crosshair and the values of the epoch in question; without one, those of the best or the last epoch.
function show(chart) {
  const { data } = chart, first = data.lines[0];
  if (!chart.x || data.kind !== "curves" || !first) return;
  const epoch = shown.epoch ?? data.best ?? first.x[first.x.length - 1], isHover = shown.epoch !== null;
  const at = indexOf(first, epoch), place = chart.x(across(first)[at]);
  chart.cross.attr("d", isHover && at >= 0 ? `M${place} 10V${chart.low}` : null);
  data.lines.forEach((line, i) => {
    const value = line.y[indexOf(line, epoch)] ?? null, said = line.said[indexOf(line, epoch)] ?? "–", isDrawn = isHover && value !== null && data.lines.length <= 5;
    chart.dots[i].style("display", isDrawn ? null : "none");
    if (isDrawn) chart.dots[i].attr("cx", place).attr("cy", chart.y(value));
    if (chart.keys[i]) chart.keys[i].textContent = value === null ? said : data.unit ? d3.format(",.3~r")(value) + data.unit : number(value);
  });
  if (!chart.at) return;
  const which = isHover ? "" : epoch === data.best ? " (best)" : " (last)";
  chart.at.textContent = `epoch ${epochText(at < 0 ? epoch : first.x[at])}${which}${shown.time ? `, ${clock(data.times[at])}` : ""}`;
}

function tipOfLine(chart, px, py) {
  let found = null;
  chart.data.lines.forEach((line, i) => {
    const at = indexOf(line, shown.epoch), away = line.y[at] == null ? Infinity : Math.abs(chart.y(line.y[at]) - py);
    if (away < (found?.away ?? Infinity)) found = { away, i, at, line };
  });
  chart.paths.forEach((group, i) => group.classed("near", i === found?.i));
  if (found) tip(chart, px, py, `${found.line.name}: ${number(found.line.y[found.at])} at epoch ${epochText(found.line.x[found.at])}`);
}

function tipOfPoint(chart, px, py) {
  let found = null;
  for (const [i, line] of chart.data.lines.entries()) {
    line.texts.forEach((text, at) => {
      if (line.y[at] === null) return;
      const [x, y] = [chart.x(line.x[at]), chart.y(line.y[at])], away = Math.hypot(x - px, y - py);
      if (away < (found?.away ?? 40)) found = { away, i, x, y, text };
    });
  }
  chart.dots.forEach((dot, i) => dot.style("display", i === found?.i ? null : "none"));
  chart.tip.hidden = !found;
  if (!found) return;
  chart.dots[found.i].attr("cx", found.x).attr("cy", found.y);
  tip(chart, found.x, found.y, found.text);
}

function tip(chart, x, y, text) {
  chart.tip.hidden = false;
  chart.tip.textContent = text;
  const most = chart.plot.clientWidth - chart.tip.offsetWidth;
  chart.tip.style.left = `${chart.plot.offsetLeft + Math.max(0, Math.min(most, x + 12))}px`;
  chart.tip.style.top = `${chart.plot.offsetTop + Math.max(0, y - chart.tip.offsetHeight - 8)}px`;
}

// Switches

function zoom(ends) {
  shown.zoom = ends;
  document.querySelectorAll(".whole").forEach((button) => { button.hidden = !ends; });
  curves.forEach(draw);
}

function input(type, text, change, options = {}) {
  const box = Object.assign(document.createElement("input"), { type, ...options }), made = document.createElement("label");
  made.append(box, ` ${text}`);
  box.addEventListener("input", () => { change(box); curves.forEach(draw); });
  return made;
}

collect();
for (const place of document.querySelectorAll(".switches")) {
  const whole = Object.assign(document.createElement("button"), { type: "button", className: "whole", textContent: "show all epochs", hidden: !shown.zoom });
  whole.addEventListener("click", () => zoom(null));
  place.append(
    input("checkbox", "log axis", (box) => { shown.log = box.checked; }, { checked: shown.log }),
    input("range", "smoothing", (box) => { shown.smoothing = Number(box.value); }, { min: 0, max: 0.95, step: 0.05, value: shown.smoothing }),
  );
  if (curves.length && curves.every((chart) => chart.data.times.length)) {
    place.append(input("checkbox", "time in place of epochs", (box) => { shown.time = box.checked; zoom(null); }, { checked: shown.time }));
  } else shown.time = false;
  const hint = Object.assign(document.createElement("span"), { textContent: NEEDS_TOUCH ? "tap a chart for its values" : "drag to zoom, double-click for all" });
  place.append(whole, hint);
}
charts.forEach(draw);
for (const [event, begins] of [["beforeprint", true], ["afterprint", false]]) {
  addEventListener(event, () => { isPrinted = begins; charts.forEach(draw); }); // else letters shrink with the chart
}
document.addEventListener("charts", () => { collect(); charts.forEach(draw); }); // a page has made others
}
