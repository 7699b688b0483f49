// Parts of a page that poll (hx-trigger="every ...") rest while nobody looks at the page.
(function () {
  "use strict";
  document.addEventListener("htmx:beforeRequest", (event) => {
    const trigger = event.detail.elt.getAttribute && event.detail.elt.getAttribute("hx-trigger");
    if (document.hidden && trigger && trigger.startsWith("every")) event.preventDefault();
  });
})();
