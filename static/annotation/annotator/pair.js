// Two responses on a scale: each point says which is better and by how much; a point without a label is the tie.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext } = Roundtable;
  Roundtable.controllers = Roundtable.controllers || {};

  Roundtable.controllers.pair = (task, { onChange, announce }) => {
    const points = [...task.querySelectorAll("input[name=scale]")];
    const responses = [...task.querySelectorAll("[data-response]")];
    const labels = responses.map((response) => response.dataset.response);
    const selectedPoint = () => points.find((point) => point.checked) || null;
    const updateHighlights = () => {
      const point = selectedPoint();
      for (const response of responses) {
        response.classList.toggle("is-better", Boolean(point) && response.dataset.response === point.dataset.label);
        response.classList.toggle("is-tied", Boolean(point) && !point.dataset.label);
      }
    };
    const choose = (point) => {
      point.checked = true;
      // Where the focus is among the points, it goes along: the arrow keys count from what is chosen.
      if (points.includes(document.activeElement)) point.focus();
      updateHighlights();
      onChange();
      const words = [...point.closest("label").querySelector(".point-face").childNodes].filter((node) => node.nodeName !== "KBD");
      announce(words.map((node) => node.textContent).join("").replace(/\s+/g, " ").trim());
    };
    task.addEventListener("change", (event) => {
      if (event.target.name !== "scale") return;
      updateHighlights();
      onChange();
    });
    // After a click the arrow keys scroll; on a point they would choose another one.
    task.addEventListener("click", (event) => {
      if (event.target.name === "scale" && event.pointerType === "mouse") task.closest("[tabindex]").focus({ preventScroll: true });
    });
    return {
      state: () => ({ value: selectedPoint() ? Number(selectedPoint().value) : null }),
      restore(saved) {
        const point = points.find((other) => other.value === String(saved.value));
        if (point) point.checked = true;
        updateHighlights();
      },
      getJudgment() {
        const point = selectedPoint();
        if (!point) return { error: gettext("First choose which answer is better."), focusTarget: points[0] };
        const better = point.dataset.label;
        if (!better) return { tiers: [labels], strengths: [] };
        const worse = labels.find((label) => label !== better);
        return { tiers: [[better], [worse]], strengths: [Number(point.dataset.strength)] };
      },
      perform({ action, value }) {
        const point = action === "choose_point" && points.find((other) => other.value === String(value));
        if (!point) return false;
        choose(point);
        return true;
      },
    };
  };
})();
