// The clock of the work page: active time of the task on the screen, what was in view meanwhile, what the person reads of
// their day and week, and the pause that stops it. Shown is what the server has of judgments, and the task on the screen.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext } = Roundtable;
  const PAUSED = "roundtable:paused";

  const words = (seconds) => {
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return gettext("{minutes} min", { minutes });
    return gettext("{hours} h {minutes} min", { hours: Math.floor(minutes / 60), minutes: String(minutes % 60).padStart(2, "0") });
  };
  // Of this window, reloads included; where a private window refuses it the pause ends with the page.
  const remember = (isPaused) => {
    try {
      if (isPaused) window.sessionStorage.setItem(PAUSED, "1");
      else window.sessionStorage.removeItem(PAUSED);
    } catch (error) { /* refused */ }
  };
  const wasPaused = () => {
    try { return window.sessionStorage.getItem(PAUSED) === "1"; } catch (error) { return false; }
  };

  Roundtable.startClock = (workPage, taskContainer, { currentTask, announce, onPause }) => {
    const byId = (id) => document.getElementById(id);
    const { dataset } = workPage;
    const panel = byId("work-page-paused");
    const button = byId("work-page-pause");
    // Seconds in judgments: of the server when the page was made, and of this window since.
    const worked = { today: Number(dataset.workedToday), week: Number(dataset.workedWeek) };
    const ends = { today: Number(dataset.dayEndsIn), week: Number(dataset.weekEndsIn) };
    const begun = window.performance.now();
    let isPaused = false;
    let isCounting = true;

    const draw = () => {
      const onScreen = currentTask() ? currentTask().seconds : 0;
      const passed = (window.performance.now() - begun) / 1000;
      for (const period of ["today", "week"]) {
        if (passed >= ends[period]) { // midnight: what is shown begins anew
          worked[period] = 0;
          ends[period] += period === "today" ? 86400 : 7 * 86400;
        }
        const text = words(worked[period] + onScreen);
        const place = byId(`work-page-clock-${period}`);
        if (place.textContent !== text) place.textContent = text;
      }
      byId("work-page-clock-state").textContent = isPaused ? gettext("paused") : isCounting ? "" : gettext("stopped: nothing happens");
    };
    const time = Roundtable.watchActiveTime({
      onActive(seconds) {
        const task = currentTask();
        if (!task) return;
        task.seconds += seconds;
        if (task.evidence) task.evidence.look(seconds * 1000);
        draw();
      },
      onChange(nowCounting) {
        isCounting = nowCounting;
        draw();
      },
    });
    let isLooking = false;
    window.addEventListener("scroll", () => {
      if (isLooking) return;
      isLooking = true;
      window.requestAnimationFrame(() => {
        isLooking = false;
        if (!isPaused && currentTask() && currentTask().evidence) currentTask().evidence.look(0);
      });
    }, { passive: true });

    const setPaused = (pauses) => {
      if (pauses) {
        time.stop();
        onPause();
      }
      isPaused = pauses;
      remember(isPaused);
      workPage.classList.toggle("is-paused", isPaused);
      panel.hidden = !isPaused;
      taskContainer.hidden = isPaused;
      button.setAttribute("aria-pressed", String(isPaused));
      if (isPaused) panel.querySelector("button").focus();
      else {
        time.start();
        taskContainer.focus({ preventScroll: true });
        announce(gettext("The clock runs again"));
      }
      draw();
    };
    const toggle = () => setPaused(!isPaused);
    button.addEventListener("click", toggle);
    panel.querySelector("button").addEventListener("click", toggle);
    draw();
    return {
      tick: time.tick,
      togglePause: toggle,
      isPaused: () => isPaused,
      // The seconds of a judgment that is on its way to the server.
      add(seconds) {
        worked.today += seconds;
        worked.week += seconds;
      },
      draw,
      resumePause: () => { if (wasPaused()) setPaused(true); },
    };
  };
})();
