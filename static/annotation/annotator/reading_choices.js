// How a reader wants the texts: remembered in this browser, and in force before the first paint.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const KEY = "roundtable-reading";
  const TEXT_SIZES = [80, 90, 100, 115, 130, 150, 175, 200]; // per cent
  const DEFAULTS = { textSize: 100, pairColumns: true, rankingColumns: false, whole: false, unfolded: false, guideline: false };
  const root = document.documentElement;

  const read = () => {
    try { return { ...DEFAULTS, ...JSON.parse(window.localStorage.getItem(KEY)) }; } catch { return { ...DEFAULTS }; }
  };
  let choices = read();
  if (!TEXT_SIZES.includes(choices.textSize)) choices.textSize = DEFAULTS.textSize;
  const apply = () => {
    root.style.setProperty("--reading-size", choices.textSize / 100);
    root.classList.toggle("has-pair-columns", choices.pairColumns);
    root.classList.toggle("has-ranking-columns", choices.rankingColumns);
    root.classList.toggle("has-whole-answers", choices.whole);
  };
  apply();

  Roundtable.readingChoices = {
    TEXT_SIZES,
    get: (name) => choices[name],
    set(name, value) {
      choices = { ...choices, [name]: value };
      try { window.localStorage.setItem(KEY, JSON.stringify(choices)); } catch { /* private window: lasts for this page */ }
      apply();
      window.dispatchEvent(new Event("resize")); // answers have other heights now
    },
  };
})();
