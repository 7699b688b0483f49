// What stands above the task: progress, whether everything is saved, notices; and what a screen reader is told.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const byId = (id) => document.getElementById(id);
  const text = (words) => document.createTextNode(words);
  const link = (href, words) => {
    const a = document.createElement("a");
    a.href = href;
    a.textContent = words;
    return a;
  };
  const paragraph = (...nodes) => {
    const p = document.createElement("p");
    p.append(...nodes);
    return p;
  };
  const strong = (words) => {
    const b = document.createElement("strong");
    b.textContent = words;
    return b;
  };

  Roundtable.createStatusBar = (root) => {
    // What must be read (`stays`) outlives the next task's arrival; the next judgment takes it away.
    let noticeStays = false;
    const showNotice = (nodes, { stays = false } = {}) => {
      noticeStays = Boolean(nodes) && stays;
      byId("work-page-notice").replaceChildren(...(nodes || []));
      byId("work-page-notice").hidden = !nodes;
    };
    const clearNotice = () => { if (!noticeStays) showNotice(null); };
    const askToLogIn = () => showNotice([
      text("You were logged out. Your work is saved in this browser. "),
      link(`${root.dataset.loginUrl}?next=${encodeURIComponent(window.location.pathname)}`, "Log in again"),
    ]);
    return {
      announce: (words) => { byId("work-page-announcer").textContent = words; },
      showError: (words) => showNotice([text(words)]),
      removeNotice: () => showNotice(null),
      clearNotice,
      askToLogIn,
      // Each {message, url}; without an address where the person may not open it again.
      showRejections: (rejections) =>
        showNotice(rejections.map(({ message, url }) => paragraph(
          text(`Your judgment was not saved: ${message} `), ...(url ? [link(url, "Open it again")] : []),
        )), { stays: true }),
      showSyncStatus({ waiting, offline, loggedOut }) {
        byId("work-page-sync").textContent = !waiting ? "" : offline
          ? `You are offline. ${waiting} judgment${waiting === 1 ? " is" : "s are"} saved in this browser and will be sent later.`
          : loggedOut ? "" : "Saving …";
        root.classList.toggle("is-offline", Boolean(offline));
        if (loggedOut) askToLogIn();
        else if (!waiting && !offline) clearNotice();
      },
      showProgress(progress, { hasPrevious }) {
        const isCapped = /\+$/.test(progress.remaining_label);
        const remaining = isCapped ? progress.remaining_label : String(Math.max(0, progress.remaining));
        byId("work-page-progress").replaceChildren(strong(String(progress.judged)), " done", strong(remaining), " to do");
        byId("work-page-previous").disabled = !hasPrevious;
      },
      showUndo: (isOffered) => { byId("work-page-undo").hidden = !isOffered; },
    };
  };
})();
