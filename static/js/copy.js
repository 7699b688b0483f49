// <button data-copies="id of a field">: puts the field's value on the clipboard, and says that it did.
(function () {
  "use strict";
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copies]");
    if (!button) return;
    const field = document.getElementById(button.dataset.copies);
    field.select();
    try {
      await window.navigator.clipboard.writeText(field.value);
    } catch (error) {
      // Not allowed, or not over https: the older way works on what is selected.
      if (!document.execCommand("copy")) return;
    }
    button.textContent = window.Roundtable.gettext("Copied");
  });
})();
