// A <dialog> with one sentence and two buttons, for the scripts that ask before something is lost.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text) made.textContent = text;
    return made;
  };

  // `buttons`: [[its classes, its words], ...] in the order they stand in. Returns [dialog, its sentence, ...buttons].
  Roundtable.createDialog = (id, words, buttons) => {
    const dialog = element("dialog", "confirm");
    const question = element("p", "confirm-question", words);
    const row = element("div", "confirm-buttons");
    question.id = id;
    dialog.setAttribute("aria-labelledby", id);
    const made = buttons.map(([className, text]) => Object.assign(element("button", className, text), { type: "button" }));
    row.append(...made);
    dialog.append(question, row);
    document.body.append(dialog);
    return [dialog, question, ...made];
  };
})();
