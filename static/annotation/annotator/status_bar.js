// What stands above the task: progress, whether everything is saved, notices; and what a screen reader is told.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext, ngettext } = Roundtable;
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
  // A sentence with its number in bold.
  const counted = (sentence, number) => {
    const b = document.createElement("strong");
    b.textContent = number;
    const [before, after] = sentence.split("{n}");
    return [before, b, after];
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
      text(gettext("You were logged out. Your work is saved in this browser.")),
      text(" "),
      link(`${root.dataset.loginUrl}?next=${encodeURIComponent(window.location.pathname)}`, gettext("Log in again")),
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
          text(gettext("Your judgment was not saved: {message}", { message })), text(" "), ...(url ? [link(url, gettext("Open it again"))] : []),
        )), { stays: true }),
      showSyncStatus({ waiting, offline, loggedOut }) {
        byId("work-page-sync").textContent = !waiting ? "" : offline
          ? ngettext(
            "You are offline. {n} judgment is saved in this browser and will be sent later.",
            "You are offline. {n} judgments are saved in this browser and will be sent later.",
            waiting)
          : loggedOut ? "" : gettext("Saving …");
        root.classList.toggle("is-offline", Boolean(offline));
        if (loggedOut) askToLogIn();
        else if (!waiting && !offline) clearNotice();
      },
      showProgress(progress, { hasPrevious }) {
        const isCapped = /\+$/.test(progress.remaining_label);
        const remaining = isCapped ? progress.remaining_label : String(Math.max(0, progress.remaining));
        byId("work-page-progress").replaceChildren(...counted(gettext("{n} done"), progress.judged), ...counted(gettext("{n} to do"), remaining));
        byId("work-page-previous").disabled = !hasPrevious;
      },
      showUndo: (isOffered) => { byId("work-page-undo").hidden = !isOffered; },
    };
  };
})();
