// Keeps a run's polled parts well behaved: one announcement when the state changes, and a log that stays at its end for
// whoever was reading there. (Polling rests while the page is hidden: js/polling.js.)
(function () {
  "use strict";

  const log = () => document.getElementById("run-log-text");
  const atEnd = (box) => box.scrollHeight - box.scrollTop - box.clientHeight < 24;
  let follow = true;
  let offset = 0;
  document.addEventListener("htmx:beforeSwap", () => {
    const box = log();
    if (box) { follow = atEnd(box); offset = box.scrollTop; }
  });

  let state = null;
  const look = () => {
    const box = log();
    if (box) box.scrollTop = follow ? box.scrollHeight : offset;
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
