// Keeps a run's polled parts well behaved: one announcement when the state changes, a log that stays at its end for
// whoever was reading there, and a table that stays where it was scrolled to sideways. (Polling rests while the page is
// hidden: js/polling.js.)
(function () {
  "use strict";

  const log = () => document.getElementById("run-log-text");
  const atEnd = (box) => box.scrollHeight - box.scrollTop - box.clientHeight < 24;
  const answers = () => document.getElementById("run-answers-table");
  let follow = true;
  let offset = 0;
  let sideways = 0;
  document.addEventListener("htmx:beforeSwap", () => {
    const box = log();
    if (box) { follow = atEnd(box); offset = box.scrollTop; }
    sideways = answers()?.scrollLeft ?? 0;
  });

  const scroll = () => {
    const box = log();
    if (box) box.scrollTop = follow ? box.scrollHeight : offset;
    if (answers()) answers().scrollLeft = sideways;
  };
  // At once and not when it has settled: another part may be swapped before that, and would keep the place of the new box.
  document.addEventListener("htmx:afterSwap", scroll);
  document.addEventListener("DOMContentLoaded", scroll);

  let state = null;
  const look = () => {
    const live = document.getElementById("run-live");
    if (!live) return;
    const announcer = document.getElementById("run-announcer");
    if (state !== null && state !== live.dataset.state && announcer) {
      announcer.textContent = window.Roundtable.gettext("The run is now: {state}", { state: live.dataset.state });
    }
    state = live.dataset.state;
  };
  document.addEventListener("htmx:afterSettle", look);
  document.addEventListener("DOMContentLoaded", look);
})();
