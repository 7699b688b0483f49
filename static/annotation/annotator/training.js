// Tasks of a training: after each the page shows what is right and why, above the task; the next one comes when the
// person goes on. The answer goes through the outbox, as every other: without a connection it waits there.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext } = Roundtable;
  const RETRY_AFTER_MS = 3000;

  Roundtable.openTraining = ({ taskContainer, outbox, api, statusBar, showNextTask }) => {
    const told = new Map(); // public id -> the feedback that came with the answer to its judgment
    const wait = (ms) => new Promise((resolve) => {
      window.setTimeout(resolve, ms);
      window.addEventListener("online", resolve, { once: true });
      window.addEventListener("focus", resolve, { once: true });
    });
    const say = (words) => {
      let line = taskContainer.querySelector(".training-waits");
      if (!line) {
        line = document.createElement("p");
        line.className = "training-waits task-waiting";
        line.setAttribute("role", "status");
        taskContainer.prepend(line);
      }
      line.textContent = words;
    };
    const show = (html) => {
      const holder = document.createElement("template");
      holder.innerHTML = html; // made by the server, as the tasks are
      taskContainer.querySelector(".training-waits")?.remove();
      taskContainer.prepend(holder.content);
      const goOn = taskContainer.querySelector("[data-goes-on]");
      goOn.addEventListener("click", () => { goOn.disabled = true; showNextTask(); });
      window.scrollTo({ top: 0, behavior: "instant" });
      goOn.focus({ preventScroll: true });
      statusBar.announce(taskContainer.querySelector(".training-feedback").textContent.replace(/\s+/g, " ").trim());
    };
    const fetchFeedback = async (publicId) => {
      if (told.has(publicId)) return told.get(publicId);
      const { status, data } = await api.getFeedback(publicId);
      return status === 200 ? data.feedback : null;
    };
    return {
      hear(publicId, data) { if (data.feedback) told.set(publicId, data.feedback); },
      // The judgment is in the outbox; the task stays in sight and can be changed no more.
      async showFeedback(publicId) {
        const node = taskContainer.querySelector(".task");
        node.classList.add("is-answered");
        for (const field of node.querySelectorAll("input, textarea, select, .task-footer button, [draggable]")) field.disabled = true;
        say(gettext("Looking at your answer …"));
        for (;;) {
          try {
            await outbox.drain();
            const html = await fetchFeedback(publicId);
            if (html === null) showNextTask(); // the judgment was refused: a notice says why
            else show(html);
            return;
          } catch (error) {
            if (error instanceof Roundtable.LoggedOut) {
              statusBar.askToLogIn();
              say(gettext("Log in to see what was right. Your answer is kept."));
            } else if (error instanceof Roundtable.Offline) say(gettext("You are offline. Your answer is kept; what was right is shown when the connection is back."));
            else throw error;
            await wait(RETRY_AFTER_MS);
          }
        }
      },
    };
  };
})();
