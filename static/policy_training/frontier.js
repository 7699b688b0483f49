// KL against reward: a point a policy, the Pareto front as steps through its points, a line a training. The box of a
// policy in the table says whether its point is drawn strongly; the box above the picture takes the root of the KL.
(function () {
  "use strict";
  const { gettext } = window.Roundtable;

  const HEIGHT = 380;
  const COLOURS = {
    light: ["#b3500f", "#1a6e3c", "#8a3b8f", "#7a5c00", "#a4262c", "#3c4a9e", "#4f5a66"],
    dark: ["#f2a765", "#6fd09a", "#d79be0", "#e0c560", "#ff9a9a", "#a9b4ff", "#c3ccd6"],
  };
  const MOST_NAMES = 12; // more would cover each other
  const NAMED_WIDTH = 520; // pixels; on less there is no room for any
  const NEAR = 24; // pixels from the pointer

  const place = document.getElementById("frontier");
  if (!place) return;
  const data = JSON.parse(document.getElementById("frontier-data").textContent);
  const root = document.getElementById("frontier-root");
  const at = document.getElementById("frontier-at");
  let plot = null;

  const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const palette = () => COLOURS[document.documentElement.dataset.bsTheme === "dark" ? "dark" : "light"];
  const x = (kl) => (root.checked ? Math.sqrt(Math.max(kl, 0)) : kl);
  const show = (value) => String(Number(value.toPrecision(4)));

  function isChosen(point) {
    const box = point.policy && document.querySelector(`input[name="policies"][value="${point.policy}"]`);
    return !box || box.checked;
  }

  // Everything that can be pointed at.
  function all() {
    return [
      ...data.points.map((one) => ({ kl: one.kl, reward: one.reward, said: one.name })),
      ...data.lines.flatMap((line) => line.points.map(([step, kl, reward]) => (
        { kl, reward, said: gettext("{name}, step {step}", { name: line.name, step }) }))),
    ];
  }

  function disc(context, left, top, radius, colour, filled) {
    context.beginPath();
    context.arc(left, top, radius, 0, 2 * Math.PI);
    context.lineWidth = 2 * devicePixelRatio;
    context.strokeStyle = colour;
    context.fillStyle = colour;
    if (filled) context.fill(); else context.stroke();
  }

  function paint(u) {
    const context = u.ctx, scale = devicePixelRatio;
    const left = (kl) => u.valToPos(x(kl), "x", true), top = (reward) => u.valToPos(reward, "y", true);
    context.save();
    context.beginPath();
    context.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    context.clip();
    data.lines.forEach((line, i) => {
      const colours = palette();
      context.strokeStyle = colours[i % colours.length];
      context.lineWidth = 1.75 * scale;
      context.setLineDash(i >= colours.length ? [6 * scale, 4 * scale] : []);
      context.beginPath();
      line.points.forEach(([, kl, reward], n) => {
        if (n) context.lineTo(left(kl), top(reward)); else context.moveTo(left(kl), top(reward));
      });
      context.stroke();
      context.setLineDash([]);
      const [, kl, reward] = line.points[line.points.length - 1];
      disc(context, left(kl), top(reward), 3 * scale, colours[i % colours.length], true);
    });
    const front = data.points.filter((one) => one.front).sort((a, b) => a.kl - b.kl || a.reward - b.reward);
    context.strokeStyle = variable("--rt-accent");
    context.lineWidth = 1.5 * scale;
    context.setLineDash([3 * scale, 3 * scale]);
    context.beginPath();
    front.forEach((one, n) => {
      if (!n) { context.moveTo(left(one.kl), top(one.reward)); return; }
      context.lineTo(left(one.kl), top(front[n - 1].reward)); // up to its KL the one before is the best there is
      context.lineTo(left(one.kl), top(one.reward));
    });
    context.stroke();
    context.setLineDash([]);
    context.restore();
    context.save();
    context.font = `${12 * scale}px ${variable("--bs-body-font-family") || "sans-serif"}`;
    context.textBaseline = "middle";
    for (const one of data.points) {
      const px = left(one.kl), py = top(one.reward);
      const colour = isChosen(one) ? variable("--rt-accent") : variable("--rt-muted");
      if (one.error && isChosen(one)) {
        context.strokeStyle = colour;
        context.lineWidth = scale;
        context.beginPath();
        context.moveTo(px, top(one.reward - one.error));
        context.lineTo(px, top(one.reward + one.error));
        context.stroke();
      }
      disc(context, px, py, 5 * scale, colour, isChosen(one));
      if (one.front) disc(context, px, py, 8 * scale, colour, false);
    }
    if (data.points.length <= MOST_NAMES && place.clientWidth >= NAMED_WIDTH) drawNames(u, context, scale, left, top);
    context.restore();
  }

  // Each beside its point, where no other name and no point is; where there is no such place, pointing at it tells.
  function drawNames(u, context, scale, left, top) {
    const box = (px, py, width, height) => ({ px, py, width, height });
    const meet = (a, b) => a.px < b.px + b.width && b.px < a.px + a.width && a.py < b.py + b.height && b.py < a.py + a.height;
    const taken = data.points.map((one) => box(left(one.kl) - 8 * scale, top(one.reward) - 8 * scale, 16 * scale, 16 * scale));
    context.textAlign = "left";
    context.lineWidth = 4 * scale;
    context.lineJoin = "round";
    context.strokeStyle = variable("--rt-surface"); // over lines that pass behind it
    context.fillStyle = variable("--bs-body-color");
    for (const one of data.points.filter((each) => each.policy)) {
      const name = one.name.length > 24 ? `${one.name.slice(0, 23)}…` : one.name;
      const width = context.measureText(name).width, height = 14 * scale;
      const px = left(one.kl), py = top(one.reward);
      const places = [-12, 12].flatMap((up) => [px + 12 * scale, px - 12 * scale - width]
        .map((start) => box(start, py + up * scale - height / 2, width, height)));
      const free = places.find((each) => each.px >= u.bbox.left && each.px + width < u.bbox.left + u.bbox.width
        && each.py >= u.bbox.top && each.py + height < u.bbox.top + u.bbox.height && !taken.some((other) => meet(each, other)));
      if (!free) continue;
      taken.push(free);
      context.strokeText(name, free.px, free.py + height / 2);
      context.fillText(name, free.px, free.py + height / 2);
    }
  }

  // What is never below 0 has no axis below 0.
  function range(values) {
    const low = Math.min(...values), high = Math.max(...values);
    const edge = (high - low || Math.abs(high) || 1) * 0.08;
    return [low >= 0 ? Math.max(0, low - edge) : low - edge, high + edge];
  }

  function point(u) {
    const { left, top } = u.cursor;
    let best = null, least = NEAR;
    for (const one of left >= 0 ? all() : []) {
      const away = Math.hypot(u.valToPos(x(one.kl), "x") - left, u.valToPos(one.reward, "y") - top);
      if (away < least) { least = away; best = one; }
    }
    at.textContent = best
      ? gettext("{name}: KL {kl} nats, reward {reward}", { name: best.said, kl: show(best.kl), reward: show(best.reward) })
      : "\u00a0";
  }

  function axis(extra) {
    const line = variable("--rt-line");
    const font = `12px ${variable("--bs-body-font-family") || "sans-serif"}`;
    return {
      stroke: variable("--rt-muted"), grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 },
      font, labelFont: font, labelSize: 22,
      values: (u, ticks) => ticks.map((t) => (Math.abs(t) < 1e-12 ? "0" : show(t))), ...extra,
    };
  }

  function draw() {
    if (plot) plot.destroy();
    const found = all();
    const ends = data.points.flatMap((one) => [one.reward - (one.error || 0), one.reward + (one.error || 0)]);
    const sorted = [...found].sort((a, b) => x(a.kl) - x(b.kl));
    plot = new uPlot({
      width: Math.max(200, place.clientWidth), height: HEIGHT,
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { show: false } },
      scales: {
        x: { time: false, range: () => range(found.map((one) => x(one.kl))) },
        y: { range: () => range([...found.map((one) => one.reward), ...ends]) },
      },
      axes: [
        axis({ size: 34, label: root.checked ? gettext("√KL, root of nats an answer") : gettext("KL, nats an answer") }),
        axis({ size: 56, label: gettext("Mean reward") }),
      ],
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: { draw: [paint], setCursor: [point] },
    }, [sorted.map((one) => x(one.kl)), sorted.map((one) => one.reward)], place);
  }

  function legend() {
    const list = document.getElementById("frontier-legend");
    const colours = palette();
    const item = (kind, colour, text) => {
      const made = document.createElement("li");
      const swatch = document.createElement("span");
      swatch.className = `swatch ${kind}`;
      if (kind === "ring") swatch.style.borderColor = colour; else swatch.style.backgroundColor = colour;
      made.append(swatch, text);
      return made;
    };
    list.replaceChildren(
      ...(data.points.length ? [
        item("dot", variable("--rt-accent"), data.points.some((one) => one.error) ? gettext("a policy, with its standard error") : gettext("a policy")),
        item("ring", variable("--rt-accent"), gettext("on the front")),
      ] : []),
      ...data.lines.map((line, i) => item("", colours[i % colours.length], line.name)),
    );
  }

  function redraw() { draw(); legend(); }

  root.addEventListener("change", redraw);
  document.addEventListener("change", (event) => { if (event.target.name === "policies") plot.redraw(); });
  document.addEventListener("roundtable:theme", redraw);
  new ResizeObserver(() => {
    if (plot && place.clientWidth > 0 && plot.width !== place.clientWidth) plot.setSize({ width: place.clientWidth, height: HEIGHT });
  }).observe(place);
  redraw();
})();
