// Active seconds: the page is visible and somebody did something within the last minute.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const IDLE_AFTER_MS = 60000;
  const TICK_MS = 500;
  const SIGNS_OF_LIFE = ["pointermove", "pointerdown", "keydown", "scroll", "wheel"];

  // `onActive` gets the seconds that passed since it was called last, at most two.
  Roundtable.watchActiveTime = (onActive) => {
    let lastActive = Date.now();
    let lastTick = Date.now();
    for (const name of SIGNS_OF_LIFE) {
      document.addEventListener(name, () => { lastActive = Date.now(); }, { passive: true, capture: true });
    }
    window.setInterval(() => {
      const now = Date.now();
      if (!document.hidden && now - lastActive < IDLE_AFTER_MS) onActive(Math.min(2, (now - lastTick) / 1000));
      lastTick = now;
    }, TICK_MS);
  };
})();
