// A double click sends a form once: a second request would do the same again, or be refused and hide what the first did.
(function () {
  "use strict";
  const DOUBLE_CLICK = 1000; // milliseconds; longer, and whoever stopped the page from loading could not try again
  const sent = new WeakMap(); // form -> when
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || event.target.method !== "post") return; // confirm.js asks first, scripts send by themselves
    if (event.submitter && event.submitter.formNoValidate) return; // shows the form anew and does nothing else
    if (event.timeStamp - (sent.get(event.target) ?? -DOUBLE_CLICK) < DOUBLE_CLICK) event.preventDefault();
    else sent.set(event.target, event.timeStamp);
  });
})();
