// Answers on any page: the switch that shows one as it was written, without Markdown.
(function () {
  "use strict";
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-written-switch]");
    if (!button) return;
    const answer = button.closest("[data-response]");
    const written = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(written));
    answer.querySelector("[data-written]").hidden = !written;
    answer.querySelector("[data-rendered]").hidden = written;
    window.dispatchEvent(new Event("resize")); // the answer has another height now: "Show all" comes or goes
  });
})();
