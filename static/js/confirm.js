// Asks before what cannot be undone: <form data-confirm="Sentence?" data-confirm-yes="Label of the button">.
// One <dialog> for all of them, outside whatever polls; polling waits while it is open (polling.js).
(function () {
  "use strict";
  const [dialog, question, no, yes] = window.Roundtable.createDialog("confirm-question", "", [
    ["btn btn-outline-secondary", ""],
    ["btn btn-danger", ""],
  ]);

  let form = null;
  let agreed = false;
  document.addEventListener("submit", (event) => {
    const asked = event.target.closest("form[data-confirm]");
    if (!asked || agreed) return;
    event.preventDefault();
    form = asked;
    question.textContent = asked.dataset.confirm;
    // Only now: on the page of a task the texts come after this script.
    no.textContent = window.Roundtable.gettext("No, go back");
    yes.textContent = asked.dataset.confirmYes;
    dialog.showModal();
    no.focus();
  });
  no.addEventListener("click", () => dialog.close());
  yes.addEventListener("click", () => {
    agreed = true;
    form.requestSubmit();
    agreed = false;
    dialog.close();
  });
})();
