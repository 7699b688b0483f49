// Drafts of judgments: at each change into the browser's storage, and soon after to the server.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const SEND_AFTER_MS = 1500;

  // `currentTask` gives the task on the screen (task_view.js), or null.
  Roundtable.openDrafts = ({ storage, api, currentTask, onLoggedOut }) => {
    const nameOf = (publicId) => `draft:${publicId}`;
    let timer = null;

    const set = (publicId, draft) => storage.set(nameOf(publicId), draft);
    const keepCurrent = () => {
      const task = currentTask();
      if (!task || !task.controller) return null;
      const draft = task.draft();
      set(task.publicId, draft);
      return draft;
    };
    const keepIfTouched = () => { if (currentTask() && currentTask().touched) keepCurrent(); };
    const cancelSending = () => window.clearTimeout(timer);
    const sendCurrent = (isLeaving) => {
      cancelSending();
      const task = currentTask();
      if (!task || !task.controller || !task.touched || task.isRevision) return;
      // The draft is safe in the storage; one that does not arrive is sent again with the next change.
      api.saveDraft(task.publicId, keepCurrent(), isLeaving).catch((error) => {
        if (error instanceof Roundtable.LoggedOut && !isLeaving) onLoggedOut();
      });
    };

    document.addEventListener("visibilitychange", () => { if (document.hidden) sendCurrent(true); });
    window.addEventListener("pagehide", keepIfTouched);
    return {
      get: (publicId) => Roundtable.upgradeDraft(storage.get(nameOf(publicId))),
      set,
      remove: (publicId) => storage.remove(nameOf(publicId)),
      keepIfTouched,
      cancelSending,
      onChange() {
        keepCurrent();
        cancelSending();
        timer = window.setTimeout(() => sendCurrent(false), SEND_AFTER_MS);
      },
    };
  };
})();
