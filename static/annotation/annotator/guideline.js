// The guideline on the screen. Its text comes with each task; where a newer version is in force, its text is put in place
// and the page says so. A judgment is made under the version that is on the screen.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext } = Roundtable;
  const byId = (id) => document.getElementById(id);

  // `fetchGuideline` resolves to {version, html} of the one in force.
  Roundtable.watchGuideline = (dataset, { fetchGuideline, announce }) => {
    let version = Number(dataset.guidelineVersion);
    let wanted = version; // the newest that was heard of
    const news = byId("work-page-guideline-news");
    const tell = () => {
      if (!byId("guideline-text").textContent.trim()) return;
      news.hidden = false;
      announce(gettext("The guideline has changed"));
    };
    const show = (guideline) => {
      if (!guideline || !(guideline.version > version)) return;
      version = guideline.version;
      wanted = Math.max(wanted, version);
      byId("guideline-text").innerHTML = guideline.html; // made by the server, as the tasks are
      byId("work-page-guideline").hidden = !guideline.html;
      tell();
    };
    // A version that an answer of the server speaks of.
    const hear = (number) => {
      if (!(number > wanted)) return;
      wanted = number;
      // What does not arrive comes with the next task.
      fetchGuideline()
        .then(({ status, data }) => { if (status === 200) show(data); })
        .catch(() => {})
        .then(() => { wanted = version; });
    };
    for (const button of document.querySelectorAll("[data-shows-guideline], #work-page-guideline")) {
      button.addEventListener("click", () => { news.hidden = true; });
    }
    const known = Number(dataset.knownGuidelineVersion);
    if (known && known < version) tell();
    return { show, hear, version: () => version };
  };

  // The button under a guideline that stands in the place of a task, until it is confirmed.
  Roundtable.listenForConfirmation = ({ taskContainer, confirm, showError, onConfirmed, onError }) => {
    taskContainer.addEventListener("click", async ({ target }) => {
      const button = target.closest("[data-confirms-guideline]");
      if (!button || button.disabled) return;
      button.disabled = true;
      try {
        const { status, data } = await confirm(Number(button.dataset.confirmsGuideline));
        byId("work-page-guideline-news").hidden = true;
        // Where another version came meanwhile, it is shown in the place of this one.
        await onConfirmed();
        if (status !== 201) showError(data.message || gettext("The confirmation could not be saved."));
      } catch (error) {
        button.disabled = false;
        onError(error, gettext("You are offline: confirm the guideline when the connection is back."));
      }
    });
  };
})();
