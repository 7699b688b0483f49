// Two answers on an eight-point scale: 1 is "A significantly better", 8 "B significantly better", 0 a tie.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const POINTS = { 1: ["A", 3], 2: ["A", 2], 3: ["A", 1], 4: ["A", 0], 5: ["B", 0], 6: ["B", 1], 7: ["B", 2], 8: ["B", 3] };

  Roundtable.mountPair = (task, { changed, announce }) => {
    const radios = [...task.querySelectorAll("input[name=scale]")];
    const chosen = () => { const radio = radios.find((r) => r.checked); return radio ? Number(radio.value) : null; };
    const paint = () => {
      const value = chosen();
      const side = value ? POINTS[value][0] : value === 0 ? "tie" : "";
      for (const response of task.querySelectorAll("[data-response]")) {
        response.classList.toggle("is-better", response.dataset.response === side);
        response.classList.toggle("is-tied", side === "tie");
      }
    };
    task.addEventListener("change", (event) => {
      if (event.target.name !== "scale") return;
      paint();
      changed();
    });
    return {
      state: () => ({ value: chosen() }),
      restore(saved) {
        const radio = radios.find((r) => saved.value !== null && saved.value !== undefined && r.value === String(saved.value));
        if (radio) radio.checked = true;
        paint();
      },
      answer() {
        const value = chosen();
        if (value === null) return { problem: "Choose a point on the scale first.", at: radios[0] };
        if (value === 0) return { tiers: [["A", "B"]], strengths: [] };
        const [first, strength] = POINTS[value];
        return { tiers: [[first], [first === "A" ? "B" : "A"]], strengths: [strength] };
      },
      key(event) {
        const radio = radios.find((r) => r.value === event.key);
        if (!radio) return false;
        radio.checked = true;
        paint();
        changed();
        announce(radio.closest("label").querySelector(".point-face").textContent.replace(/\d\s*$/, "").replace(/\s+/g, " ").trim());
        return true;
      },
    };
  };
})();
