// A text file that somebody chooses fills the text field that the control names. Without scripts one pastes the text.
(function () {
  "use strict";
  const { gettext } = window.Roundtable;

  for (const control of document.querySelectorAll("input[type=file][data-fills]")) {
    const field = document.getElementById(control.dataset.fills);
    const name = document.getElementById(control.dataset.names);
    const said = document.getElementById(control.dataset.says);
    control.closest("[hidden]").hidden = false;
    control.addEventListener("change", async () => {
      const [file] = control.files;
      said.textContent = "";
      if (!file) return;
      if (file.size > Number(control.dataset.most)) {
        control.value = "";
        said.textContent = gettext("The file is too large for this page: add it by the command.");
        return;
      }
      field.value = await file.text();
      if (!name.value) name.value = file.name.replace(/\.[^.]*$/, "");
      said.textContent = gettext("{name} is in the field below.", { name: file.name });
    });
  }
})();
