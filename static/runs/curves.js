// Live curves: asks for the points after the last ones it has, draws one uPlot panel for each group of metrics.
// Pauses while the page is hidden, starts anew when a new attempt cut the file back, stops when the run has ended.
(function () {
  "use strict";
  const { gettext } = window.Roundtable;

  const PERIOD_MS = 2000;
  const HEIGHT = 208;
  const COLOURS = {
    light: ["#1b5a86", "#b3500f", "#1a6e3c", "#8a3b8f", "#7a5c00", "#a4262c", "#3c4a9e", "#4f5a66"],
    dark: ["#7fbde8", "#f2a765", "#6fd09a", "#d79be0", "#e0c560", "#ff9a9a", "#a9b4ff", "#c3ccd6"],
  };

  const section = document.getElementById("curves");
  if (!section) return;
  const grid = document.getElementById("curve-grid");
  const empty = document.getElementById("curves-empty");
  const sync = uPlot.sync("run");

  let offset = 0;
  let fence = "";
  let finished = false;
  let more = false; // a long file comes in parts
  const rows = new Map(); // step -> {metric: value}
  const panels = new Map(); // its name -> panel

  const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const palette = () => COLOURS[document.documentElement.dataset.bsTheme === "dark" ? "dark" : "light"];

  function show(value) {
    if (value === null || value === undefined) return "–";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1e6 || size < 1e-3) return value.toExponential(2);
    if (Number.isInteger(value)) return String(value);
    return String(Number(value.toPrecision(4)));
  }

  const humanize = (name) => name.replaceAll("_", " ");

  function latest(metric, steps) {
    for (let i = steps.length - 1; i >= 0; i -= 1) {
      const value = rows.get(steps[i])[metric];
      if (value !== undefined && value !== null) return [steps[i], value];
    }
    return [null, null];
  }

  function columns(panel) {
    const steps = [...rows.keys()].filter((step) => panel.metrics.some((m) => m in rows.get(step))).sort((a, b) => a - b);
    return [steps, ...panel.metrics.map((m) => steps.map((s) => (m in rows.get(s) ? rows.get(s)[m] : undefined)))];
  }

  function axis(extra) {
    const line = variable("--rt-line");
    const font = `12px ${variable("--bs-body-font-family") || "sans-serif"}`;
    return {
      stroke: variable("--rt-muted"), grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 },
      font, labelFont: font, labelSize: 18, ...extra,
    };
  }

  function options(panel, width) {
    const colours = palette();
    return {
      width, height: HEIGHT,
      legend: { show: false },
      cursor: { sync: { key: sync.key }, drag: { x: true, y: false }, points: { size: 7 } },
      scales: { x: { time: false } },
      axes: [
        axis({ size: 34, label: gettext("step"), values: (u, ticks) => ticks.map((t) => (Number.isInteger(t) ? String(t) : "")) }),
        axis({ size: 72, values: (u, ticks) => ticks.map((t) => (Math.abs(t) < 1e-12 ? "0" : String(Number(t.toPrecision(4))))) }),
      ],
      series: [
        { label: gettext("step") },
        ...panel.metrics.map((metric, i) => ({
          label: metric, stroke: colours[i % colours.length], width: 1.75, spanGaps: true,
          dash: i >= colours.length ? [6, 4] : undefined,
          points: { show: (u, s) => u.data[s].filter((v) => v !== undefined && v !== null).length < 30, size: 5 },
        })),
      ],
      hooks: { setCursor: [(u) => legend(panel, u.cursor.idx)] },
    };
  }

  function legend(panel, index) {
    const steps = panel.data[0];
    const colours = palette();
    panel.metrics.forEach((metric, i) => {
      const item = panel.items[i];
      const at = index === null || index === undefined ? latest(metric, steps)[1] : panel.data[i + 1][index];
      item.value.textContent = show(at);
      item.swatch.style.backgroundColor = colours[i % colours.length];
    });
    panel.at.textContent = index === null || index === undefined || steps[index] === undefined ? "" : gettext("step {step}", { step: steps[index] });
  }

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function build(title, metrics, about) {
    const card = element("article", "curve card-surface");
    const head = element("div", "curve-head");
    const at = element("span", "muted curve-at");
    head.append(element("h3", "curve-title", title), at);
    const list = element("ul", "curve-legend");
    const items = metrics.map((metric) => {
      const item = element("li");
      const swatch = element("span", "swatch");
      const value = element("strong");
      item.append(swatch, element("span", "", humanize(metric)), value);
      list.append(item);
      return { swatch, value };
    });
    const canvas = element("div", "curve-canvas");
    canvas.setAttribute("role", "img");
    card.append(head, ...(about ? [element("p", "muted curve-about", about)] : []), list, canvas);
    return { title, metrics, card, at, items, canvas, plot: null, data: [[]] };
  }

  function draw(panel) {
    panel.data = columns(panel);
    if (panel.plot) {
      panel.plot.setData(panel.data);
    } else {
      panel.plot = new uPlot(options(panel, Math.max(200, panel.canvas.clientWidth)), panel.data, panel.canvas);
    }
    legend(panel, null);
    const summaries = panel.metrics.map((metric) => {
      const [step, value] = latest(metric, panel.data[0]);
      const name = humanize(metric);
      if (step === null) return gettext("{name} has no value yet", { name });
      return gettext("{name} {value} at step {step}", { name, value: show(value), step });
    });
    panel.canvas.setAttribute("aria-label", gettext("{title} by step: {values}", { title: panel.title, values: summaries.join(", ") }));
  }

  function redraw() {
    for (const panel of panels.values()) {
      if (panel.plot) { panel.plot.destroy(); panel.plot = null; }
      draw(panel);
    }
  }

  function applyUpdate(update) {
    if (update.reset) {
      rows.clear();
      for (const panel of panels.values()) { if (panel.plot) panel.plot.destroy(); panel.card.remove(); }
      panels.clear();
    }
    for (const row of update.rows) {
      if (typeof row.step === "number") rows.set(row.step, Object.assign(rows.get(row.step) || {}, row));
    }
    const changed = new Set();
    for (const [name, metrics] of Object.entries(update.panels)) {
      const old = panels.get(name);
      const all = old ? [...old.metrics, ...metrics.filter((m) => !old.metrics.includes(m))] : metrics;
      if (!old || all.length !== old.metrics.length) {
        const panel = build(update.titles[name], all, update.about[name]);
        if (old) { if (old.plot) old.plot.destroy(); old.card.replaceWith(panel.card); } else { grid.append(panel.card); }
        panels.set(name, panel);
        observer.observe(panel.canvas);
      }
      changed.add(name);
    }
    changed.forEach((name) => draw(panels.get(name)));
    empty.hidden = panels.size > 0;
    if (update.finished && panels.size === 0) empty.textContent = gettext("This run wrote no curves.");
  }

  async function poll() {
    more = false;
    if (document.hidden) return;
    const response = await fetch(`${section.dataset.url}?offset=${offset}&fence=${fence}`, {
      headers: { Accept: "application/json" }, redirect: "manual",
    });
    // The session has ended, or the way here is closed: asking again would change nothing.
    if (response.type === "opaqueredirect" || [401, 403, 404].includes(response.status)) { finished = true; return; }
    if (!response.ok) return;
    const update = await response.json();
    applyUpdate(update);
    offset = update.offset;
    fence = String(update.fence);
    more = update.more;
    finished = update.finished && !more;
    section.dataset.points = String(rows.size);
  }

  async function loop() {
    try {
      await poll();
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // the network is away: the next poll asks again
    }
    if (!finished) window.setTimeout(loop, more ? 0 : PERIOD_MS);
    else section.dataset.stopped = "yes";
  }

  const observer = new ResizeObserver((entries) => {
    for (const entry of entries) {
      const panel = [...panels.values()].find((p) => p.canvas === entry.target);
      if (panel && panel.plot && entry.contentRect.width > 0) panel.plot.setSize({ width: entry.contentRect.width, height: HEIGHT });
    }
  });
  document.addEventListener("roundtable:theme", redraw);
  // A retry starts the run again on this very page's polling side; its curves then go on as well.
  document.addEventListener("htmx:afterSettle", () => {
    const live = document.getElementById("run-live");
    if (finished && live && live.dataset.finished === "no") { finished = false; loop(); }
  });
  loop();
})();
