// Draws parallel coordinates with d3: the job at the pointer is named, and a range on an axis, made by dragging along
// it, leaves the jobs within; a double-click on the axis takes the range away.
"use strict";
for (const figure of document.querySelectorAll("figure.parallel")) {
  const { axes, lines, hasBest } = JSON.parse(figure.querySelector("script").textContent);
  const plot = figure.querySelector(".lines"), tip = document.createElement("div"), ranges = new Map();
  const [top, bottom, left, right] = [34, 22, 70, 90];
  let drawn = null;
  Object.assign(tip, { className: "tip", hidden: true });
  figure.append(tip);

  function draw() {
    const longest = d3.max(axes, (axis) => axis.title.length);
    const width = Math.max(plot.clientWidth, left + right + (axes.length - 1) * (12 + 7 * longest)), height = figure.closest("dialog") ? window.innerHeight * 0.75 : 320;
    const x = d3.scalePoint().domain(d3.range(axes.length)).range([left, width - right]);
    const y = d3.scaleLinear().range([height - bottom, top]);
    const svg = d3.create("svg").attr("viewBox", [0, 0, width, height]).style("width", `${width}px`).attr("aria-hidden", true);
    const shape = d3.line();
    const points = lines.map((line) => line.places.map((place, i) => place !== null && [x(i), y(place)]).filter(Boolean));
    const order = d3.range(lines.length).reverse(), paths = [];
    for (const i of order) {
      paths[i] = svg.append("path").attr("class", `line ${i === 0 && hasBest ? "rank1" : "rest"}`).attr("d", shape(points[i]));
    }
    axes.forEach((axis, i) => {
      svg.append("path").attr("class", "axis").attr("d", `M${x(i)} ${top}V${height - bottom}`);
      svg.append("text").attr("class", "title").attr("x", x(i)).attr("y", 16).attr("text-anchor", "middle").text(axis.title);
      for (const [place, text] of axis.ticks) svg.append("text").attr("x", x(i) + 6).attr("y", y(place) + 4).text(text);
      const brush = d3.brushY().extent([[x(i) - 10, top - 2], [x(i) + 10, height - bottom + 2]]);
      brush.filter(() => !d3.event.button);
      brush.on("brush end", () => {
        const taken = d3.event.selection;
        if (taken) ranges.set(i, [y.invert(taken[1]), y.invert(taken[0])]);
        else ranges.delete(i);
        choose();
      });
      const group = svg.append("g").attr("class", "brush").call(brush).on("touchstart.brush", null); // it would stop a second finger
      group.on("dblclick", () => group.call(brush.move, null));
    });
    ranges.clear();
    drawn = { paths, points, width: plot.clientWidth };
    plot.replaceChildren(svg.node());
  }

  function choose() {
    lines.forEach((line, i) => {
      const inside = [...ranges].every(([axis, [low, high]]) => line.places[axis] !== null && line.places[axis] >= low && line.places[axis] <= high);
      drawn.paths[i].classed("away", !inside);
    });
  }

  // How far the pointer is above or below a line.
  function distance(points, px, py) {
    const next = points.findIndex(([x]) => x >= px), [from, to] = [points[next - 1], points[next]];
    if (!from) return Infinity;
    return Math.abs(from[1] + ((to[1] - from[1]) * (px - from[0])) / (to[0] - from[0]) - py);
  }

  const point = (event) => {
    const box = plot.firstElementChild.getBoundingClientRect(), [px, py] = [event.clientX - box.left, event.clientY - box.top];
    const away = drawn.points.map((points, i) => (drawn.paths[i].classed("away") ? Infinity : distance(points, px, py)));
    const found = d3.scan(away), isNear = away[found] < 30;
    drawn.paths.forEach((path, i) => path.classed("chosen", isNear && i === found));
    tip.hidden = !isNear;
    if (!isNear) return;
    drawn.paths[found].raise();
    tip.textContent = lines[found].text;
    const at = event.clientX - figure.getBoundingClientRect().left, most = figure.clientWidth - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(most, at + 14))}px`;
    tip.style.top = `${plot.offsetTop + py + 14}px`;
  };
  const leave = () => {
    tip.hidden = true;
    drawn.paths.forEach((path) => path.classed("chosen", false));
  };
  for (const name of ["pointermove", "pointerdown"]) plot.addEventListener(name, point);
  plot.addEventListener("pointerleave", (event) => event.pointerType === "touch" || leave()); // what a tap shows stays
  document.addEventListener("pointerdown", (event) => plot.contains(event.target) || leave());
  new ResizeObserver(() => plot.clientWidth !== drawn?.width && draw()).observe(plot);
  draw();
}
