// Asks before text is lost: <form data-asks-unsaved>; with data-unsaved the server has shown again what it did not save.
// A link in the page asks in the page; closing, reloading, Back and another form's button ask in the browser's own words.
(function () {
  "use strict";
  const { gettext } = window.Roundtable;
  const forms = [...document.querySelectorAll("form[data-asks-unsaved]")];
  let sent = null; // the form whose button was pressed
  let leaves = false; // the visitor has agreed

  // Against what the server sent: a browser fills a field in again after a reload.
  const isChanged = (field) => {
    if (field.type === "hidden" || field.disabled || field.readOnly) return false;
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    if (field.type === "file") return field.files.length > 0;
    // Without a choice of the server's the first option is the one.
    if (field.options) {
      const given = [...field.options].some((option) => option.defaultSelected);
      return [...field.options].some((option, i) => option.selected !== (given || field.multiple ? option.defaultSelected : i === 0));
    }
    return field.defaultValue !== undefined && field.value.replace(/\r\n/g, "\n") !== field.defaultValue.replace(/\r\n/g, "\n");
  };
  const isUnsaved = (form) => form !== sent && ("unsaved" in form.dataset || [...form.elements].some(isChanged));
  const anyUnsaved = () => !leaves && forms.some(isUnsaved);

  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return; // confirm.js asks first
    sent = event.target;
  });
  document.addEventListener("input", () => { sent = null; });
  window.addEventListener("beforeunload", (event) => {
    const asks = anyUnsaved();
    sent = null; // whoever stays has sent nothing
    if (!asks) return;
    event.preventDefault();
    event.returnValue = true;
  });
  window.addEventListener("pageshow", () => { leaves = false; });

  const [dialog, , leave, stay] = window.Roundtable.createDialog(
    "unsaved-question",
    gettext("What you changed on this page is not saved."),
    [["btn btn-outline-secondary", gettext("Leave without saving")], ["btn btn-primary", gettext("Stay on this page")]],
  );

  let target = null;
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    const isOther = event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
    if (!link || isOther || event.defaultPrevented || link.target === "_blank" || link.hasAttribute("download")) return;
    if ("leaves" in link.dataset) { leaves = true; return; } // it says itself that nothing is saved
    const url = new URL(link.href);
    const isHere = url.hash && url.href.split("#")[0] === window.location.href.split("#")[0];
    if (isHere || !anyUnsaved()) return;
    event.preventDefault();
    target = link.href;
    dialog.showModal();
    stay.focus();
  });
  stay.addEventListener("click", () => dialog.close());
  leave.addEventListener("click", () => {
    leaves = true;
    window.location.assign(target);
  });
})();
