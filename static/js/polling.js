// Parts of a page that poll (hx-trigger="every ...") rest while nobody looks at the page, and do not change under
// somebody's hand: while a question is open (confirm.js), or a button of theirs is being pressed.
(function () {
  "use strict";
  const polls = (element) => ((element.getAttribute && element.getAttribute("hx-trigger")) || "").startsWith("every");
  let pressed = null;
  document.addEventListener("pointerdown", (event) => { pressed = event.target; }, true);
  for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, () => { pressed = null; }, true);
  const isInteracting = (element) => document.querySelector("dialog[open]") || (pressed && element.contains(pressed));

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (polls(event.detail.elt) && (document.hidden || isInteracting(event.detail.elt))) event.preventDefault();
  });
  // htmx finds the focused element again by its id; if it is gone, the reader stays in the page instead of above it.
  let focused = false;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { elt, target } = event.detail;
    if (polls(elt) && isInteracting(elt)) { event.detail.shouldSwap = false; return; }
    focused = target.contains(document.activeElement);
  });
  document.addEventListener("htmx:afterSettle", () => {
    const lost = !document.activeElement || document.activeElement === document.body;
    if (focused && lost) document.getElementById("content").focus({ preventScroll: true });
    focused = false;
  });
})();
