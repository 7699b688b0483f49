// Active seconds: the page is visible, somebody did something within the last minute, and nobody stopped the clock.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const IDLE_AFTER_MS = 60000;
  const TICK_MS = 500;
  const LONGEST_MS = 2000; // between two ticks: a machine that slept was not worked at
  const SIGNS_OF_LIFE = ["pointermove", "pointerdown", "keydown", "scroll", "wheel"];
  // Of the machine's own count: a clock that is set meanwhile changes nothing.
  const now = () => window.performance.now();

  // `onActive` gets the seconds that passed since it was called last, at most two; `onChange` hears whether time is counted.
  Roundtable.watchActiveTime = ({ onActive, onChange }) => {
    let lastActive = now();
    let lastTick = now();
    let isStopped = false;
    let wasCounting = true;
    const isCounting = () => !isStopped && !document.hidden && now() - lastActive < IDLE_AFTER_MS;
    const tick = () => {
      const passed = Math.min(LONGEST_MS, now() - lastTick);
      lastTick = now();
      if (isCounting()) onActive(passed / 1000);
      if (isCounting() !== wasCounting) {
        wasCounting = !wasCounting;
        onChange(wasCounting);
      }
    };
    for (const name of SIGNS_OF_LIFE) {
      document.addEventListener(name, () => { lastActive = now(); }, { passive: true, capture: true });
    }
    window.setInterval(tick, TICK_MS);
    return {
      // Counts up to this moment: what follows belongs to another task.
      tick,
      stop() {
        tick();
        isStopped = true;
        tick();
      },
      start() {
        lastTick = now();
        isStopped = false;
        tick();
      },
    };
  };
})();
