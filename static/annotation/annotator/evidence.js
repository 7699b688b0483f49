// What was on the screen of each response: for how long (while the person was active), and which share of its height.
// It says that a text was in view, not that it was read.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const LEAST_PX = 24; // about a line: less of a longer text is not seen
  const DAY_MS = 86400000; // what the site takes at most
  const round = (number) => Math.round(number * 1000) / 1000;

  // `spans`, apart and in order, with another one taken in.
  const withSpan = (spans, [from, to]) => {
    const apart = spans.filter(([start, end]) => end < from || start > to);
    const joined = spans.filter(([start, end]) => end >= from && start <= to);
    const all = [...apart, [Math.min(from, ...joined.map(([start]) => start)), Math.max(to, ...joined.map(([, end]) => end))]];
    return all.sort((a, b) => a[0] - b[0]);
  };

  // The part of a text that is in view: {from, to} in shares of its height and `px`; null where nothing is. Neither what a
  // folded card hides is, nor what lies under a bar that stays on the screen.
  const viewOf = (section, ceiling, floor) => {
    const text = [...section.querySelectorAll("[data-rendered], [data-written]")].find((one) => one.getClientRects().length);
    if (!text) return null;
    const box = text.getBoundingClientRect();
    let [top, bottom] = [Math.max(box.top, ceiling), Math.min(box.bottom, floor)];
    for (let element = text.parentElement; element && element !== section.parentElement; element = element.parentElement) {
      if (getComputedStyle(element).overflowY === "visible") continue;
      const clip = element.getBoundingClientRect();
      [top, bottom] = [Math.max(top, clip.top), Math.min(bottom, clip.bottom)];
    }
    const px = bottom - top;
    if (px <= 0 || box.height <= 0 || px < Math.min(LEAST_PX, box.height)) return null;
    return { from: (top - box.top) / box.height, to: (bottom - box.top) / box.height };
  };

  // How much of a text folded turns hide, in a share of its height with them.
  const foldedShare = (section) => {
    const text = section.querySelector("[data-rendered]");
    if (text.hidden) return 0;
    const hidden = [...text.querySelectorAll(".is-clipped")].reduce((sum, part) => sum + part.scrollHeight - part.clientHeight, 0);
    return hidden > 0 ? hidden / (text.scrollHeight + hidden) : 0;
  };

  // `saved` is what `state` gave of this task before.
  Roundtable.openEvidence = (task, saved) => {
    const sections = [...task.querySelectorAll("[data-response]")].filter((one) => one.querySelector("[data-rendered]"));
    const isSpan = (span) => Array.isArray(span) && span.length === 2 && span.every((end) => end >= 0 && end <= 1);
    const seen = new Map(sections.map(({ dataset: { response } }) => {
      const { seen_ms: ms, spans } = (saved && saved[response]) || {};
      return [response, { ms: Number.isInteger(ms) && ms > 0 ? ms : 0, spans: Array.isArray(spans) ? spans.filter(isSpan) : [] }];
    }));
    const edgeOf = (selector, edge, otherwise) => {
      const bars = [...task.querySelectorAll(selector)].filter((bar) => bar.getClientRects().length);
      return bars.length ? bars[0].getBoundingClientRect()[edge] : otherwise;
    };
    // `ms` of active time have passed with what is in view now; 0 where it was only scrolled past.
    const look = (ms) => {
      const ceiling = Math.max(0, edgeOf(".typed", "bottom", 0));
      const floor = Math.min(window.innerHeight, edgeOf(".task-footer", "top", Infinity), edgeOf(".guided-answers", "top", Infinity));
      for (const section of sections) {
        const view = viewOf(section, ceiling, floor);
        if (!view) continue;
        const known = seen.get(section.dataset.response);
        known.folded = foldedShare(section);
        known.ms += ms;
        known.spans = withSpan(known.spans, [view.from, view.to]);
      }
    };
    const toObject = (give) => Object.fromEntries([...seen].map(([label, known]) => [label, { seen_ms: Math.min(Math.round(known.ms), DAY_MS), ...give(known) }]));
    return {
      look,
      state: () => toObject(({ spans }) => ({ spans: spans.map((span) => span.map(round)) })),
      result: () => toObject(({ spans, folded = 0 }) => ({ coverage: round(Math.min(1, spans.reduce((sum, [from, to]) => sum + to - from, 0)) * (1 - folded)) })),
    };
  };
})();
