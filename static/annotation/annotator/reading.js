// How the task is read: folded turns, side by side or one below the other, text size, jumps, the guideline beside it.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext } = Roundtable;
  const choices = Roundtable.readingChoices;
  const byId = (id) => document.getElementById(id);

  // --- folded turns and a shortened prompt ----------------------------------------------------------------------
  const setFolded = (part, isFolded) => {
    if (part.id === "earlier-turns") {
      if (isFolded) part.setAttribute("hidden", "until-found");
      else part.removeAttribute("hidden");
    } else {
      part.classList.toggle("is-clipped", isFolded);
    }
    for (const button of part.getRootNode().querySelectorAll(`[data-fold-switch][aria-controls="${part.id}"]`)) {
      button.setAttribute("aria-expanded", String(!isFolded));
      button.querySelector("[data-when-folded]").hidden = !isFolded;
      button.querySelector("[data-when-open]").hidden = isFolded;
    }
  };
  const isFolded = (part) => part.hasAttribute("hidden") || part.classList.contains("is-clipped");

  // What the reader chose, in a fragment that is not on the screen yet.
  Roundtable.prepareReading = (fragment) => {
    if (choices.get("unfolded")) fragment.querySelectorAll("[data-folds]").forEach((part) => setFolded(part, false));
    Roundtable.hintAtNearlySame(fragment, byId("differences-switch").querySelector("kbd").textContent);
  };

  Roundtable.watchReading = ({ taskContainer, currentTask, announce, focusTask }) => {
    const parts = () => [...taskContainer.querySelectorAll("[data-folds]")];
    const toggleConversation = () => {
      const all = parts();
      if (!all.length) {
        announce(gettext("Nothing is folded here"));
        return;
      }
      const opens = all.some(isFolded);
      all.forEach((part) => setFolded(part, !opens));
      announce(opens ? gettext("Everything is open") : gettext("Long texts are folded"));
    };
    taskContainer.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-fold-switch]");
      if (button) {
        const part = byId(button.getAttribute("aria-controls"));
        setFolded(part, !isFolded(part));
      }
      const jump = target.closest("[data-jumps-to]");
      if (jump) goTo(taskContainer.querySelector(`[data-response="${jump.dataset.jumpsTo}"]`));
    });
    // The browser's own search found something inside.
    taskContainer.addEventListener("beforematch", ({ target }) => {
      const part = target.closest("[data-folds]");
      if (part) setFolded(part, false);
    });

    // --- jumps --------------------------------------------------------------------------------------------------
    function goTo(element) {
      if (!element) return;
      if (!element.hasAttribute("tabindex")) element.tabIndex = -1;
      element.focus({ preventScroll: true });
      element.scrollIntoView({ block: "start" });
    }
    const jump = () => {
      const answers = taskContainer.querySelector(".pair, .ranking-help, .ranking");
      const prompt = byId("prompt");
      if (!answers || !prompt) return;
      if (answers.getBoundingClientRect().top > window.innerHeight / 4) {
        goTo(answers);
        announce(gettext("Answers"));
      } else {
        taskContainer.focus({ preventScroll: true });
        window.scrollTo({ top: 0, behavior: "instant" });
        announce(gettext("Prompt"));
      }
    };
    byId("jump-button").addEventListener("click", jump);

    // --- the switches of the menu ---------------------------------------------------------------------------------
    const columnsChoice = () => (currentTask() && currentTask().kind === "ranking" ? "rankingColumns" : "pairColumns");
    const switches = { columns: columnsChoice, whole: () => "whole", unfolded: () => "unfolded" };
    const words = {
      columns: [gettext("Answers side by side"), gettext("Answers one below the other")],
      whole: [gettext("Long answers in full"), gettext("Long answers shortened")],
      unfolded: [gettext("Earlier turns are always open"), gettext("Earlier turns come folded")],
    };
    const button = (name) => document.querySelector(`[data-reading-switch="${name}"]`);
    const showSwitches = () => {
      for (const [name, choice] of Object.entries(switches)) button(name).setAttribute("aria-pressed", String(choices.get(choice())));
    };
    const toggle = (name) => {
      const choice = switches[name]();
      choices.set(choice, !choices.get(choice));
      if (name === "unfolded") parts().forEach((part) => setFolded(part, !choices.get("unfolded")));
      showSwitches();
      announce(words[name][choices.get(choice) ? 0 : 1]);
    };
    for (const name of Object.keys(switches)) button(name).addEventListener("click", () => toggle(name));

    // --- text size ------------------------------------------------------------------------------------------------
    const showSize = () => { byId("text-size").textContent = `${choices.get("textSize")} %`; };
    const resizeText = (step) => {
      const sizes = choices.TEXT_SIZES;
      const place = Math.min(sizes.length - 1, Math.max(0, sizes.indexOf(choices.get("textSize")) + step));
      choices.set("textSize", sizes[place]);
      showSize();
      announce(gettext("Text size {size} %", { size: sizes[place] }));
    };
    for (const one of document.querySelectorAll("[data-resizes-text]")) {
      one.addEventListener("click", () => resizeText(Number(one.dataset.resizesText)));
    }
    showSize();
    showSwitches();

    // --- the menu: closed by Escape and by a click elsewhere --------------------------------------------------------
    const menu = byId("reading-menu");
    document.addEventListener("click", ({ target }) => { if (menu.open && !menu.contains(target)) menu.open = false; });
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      event.stopPropagation();
      menu.open = false;
      focusTask();
    });
    for (const id of ["search-opener", "jump-button"]) byId(id).addEventListener("click", () => { menu.open = false; });

    // --- the guideline: beside the task where there is room, else over it --------------------------------------------
    const dialog = byId("guideline-dialog");
    const guidelineButton = byId("work-page-guideline");
    const hasRoom = window.matchMedia("(min-width: 64em)");
    const showGuidelineState = () => guidelineButton.setAttribute("aria-expanded", String(dialog.open));
    const openGuideline = () => {
      if (dialog.open || guidelineButton.hidden) return;
      focusTask(); // a dialog gives the focus back to what had it
      if (hasRoom.matches) {
        dialog.setAttribute("open", ""); // not show(): the focus stays with the task
        choices.set("guideline", true);
        announce(gettext("The guideline is beside the task"));
      } else {
        dialog.showModal();
      }
      showGuidelineState();
    };
    const closeGuideline = () => {
      if (!dialog.matches(":modal")) {
        choices.set("guideline", false);
        announce(gettext("The guideline is closed"));
      }
      dialog.close();
      dialog.removeAttribute("open");
      focusTask();
      showGuidelineState();
    };
    const toggleGuideline = () => (dialog.open ? closeGuideline() : openGuideline());
    guidelineButton.addEventListener("click", toggleGuideline);
    for (const one of document.querySelectorAll("[data-shows-guideline]")) one.addEventListener("click", openGuideline);
    dialog.querySelector("[data-closes-guideline]").addEventListener("click", closeGuideline);
    dialog.addEventListener("close", showGuidelineState);
    // A window that became narrow has no room beside; what was over the task stays so.
    const fitGuideline = () => {
      const isPanel = dialog.open && !dialog.matches(":modal");
      if (isPanel && !hasRoom.matches) dialog.removeAttribute("open");
      else if (!dialog.open && hasRoom.matches && choices.get("guideline") && !guidelineButton.hidden) dialog.setAttribute("open", "");
      showGuidelineState();
    };
    hasRoom.addEventListener("change", fitGuideline);
    fitGuideline();

    // What hides a match of the search is opened.
    const reveal = (element) => {
      const part = element.closest("[data-folds]");
      if (part && isFolded(part)) setFolded(part, false);
      const card = element.closest(".rank-card:not(.is-open)");
      if (card) card.querySelector(".btn-unfold").click();
    };
    const search = Roundtable.watchSearch({ taskContainer, focusTask, reveal });
    const differences = Roundtable.watchDifferences({ taskContainer, announce });
    return {
      onTask() {
        showSwitches();
        search.onTask();
        differences.onTask();
      },
      // Escape: whether there was a search to close, or a guideline that had the focus.
      leave() {
        if (search.isOpen()) search.close();
        else if (dialog.open && dialog.contains(document.activeElement)) closeGuideline();
        else return false;
        return true;
      },
      commands: {
        search: search.open,
        toggle_differences: differences.toggle,
        toggle_conversation: toggleConversation,
        jump,
        toggle_columns: () => toggle("columns"),
        unfold: () => toggle("whole"),
        resize_text: resizeText,
        toggle_guideline: toggleGuideline,
        toggle_written: () => document.querySelector("[data-all-written-switch]").click(),
      },
    };
  };
})();
