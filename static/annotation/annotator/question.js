// A question about the task on the screen. What was written stays in the field until the server has it.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext } = Roundtable;
  const byId = (id) => document.getElementById(id);

  // `currentTask` gives the task on the screen; `send(publicId, text)` resolves to {status, data}.
  Roundtable.openQuestions = ({ currentTask, send, announce, onLoggedOut, openDialog }) => {
    const dialog = byId("question-dialog");
    const text = byId("question-text");
    const problem = byId("question-problem");
    let publicId = null; // of the task that is asked about
    let isSending = false;
    byId("question-form").addEventListener("submit", async (event) => {
      event.preventDefault();
      const words = text.value.trim();
      if (isSending) return;
      if (!words) {
        problem.textContent = gettext("Write what you want to know.");
        text.focus();
        return;
      }
      isSending = true;
      try {
        const { status, data } = await send(publicId, words);
        if (status === 201) {
          text.value = "";
          dialog.close();
          announce(gettext("Your question is sent"));
        } else problem.textContent = data.message || gettext("The question was not taken.");
      } catch (error) {
        if (error instanceof Roundtable.LoggedOut) {
          onLoggedOut();
          problem.textContent = gettext("Your session has ended: log in again in another tab, then send it once more.");
        } else if (error instanceof Roundtable.Offline) problem.textContent = gettext("No connection: send it again when it is back.");
        else throw error;
      } finally {
        isSending = false;
      }
    });
    text.addEventListener("input", () => { problem.textContent = ""; });
    text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("question-form").requestSubmit();
    });
    return {
      ask() {
        const task = currentTask();
        if (!task || !task.node) return;
        if (publicId !== task.publicId) text.value = "";
        publicId = task.publicId;
        problem.textContent = "";
        openDialog("question-dialog");
        text.focus();
      },
    };
  };
})();
