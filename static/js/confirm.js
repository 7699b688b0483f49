// Asks before what cannot be undone: <form data-confirm="Sentence?" data-confirm-yes="Label of the button">.
// One <dialog> for all of them, outside whatever polls; polling waits while it is open (polling.js).
(function () {
  "use strict";
  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text) made.textContent = text;
    return made;
  };
  const dialog = element("dialog", "confirm");
  const question = element("p", "confirm-question");
  const no = element("button", "btn btn-outline-secondary", "No, go back");
  const yes = element("button", "btn btn-danger");
  const row = element("div", "confirm-buttons");
  question.id = "confirm-question";
  no.type = yes.type = "button";
  dialog.setAttribute("aria-labelledby", question.id);
  row.append(no, yes);
  dialog.append(question, row);
  document.body.append(dialog);

  let form = null;
  let agreed = false;
  document.addEventListener("submit", (event) => {
    const asked = event.target.closest("form[data-confirm]");
    if (!asked || agreed) return;
    event.preventDefault();
    form = asked;
    question.textContent = asked.dataset.confirm;
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
