// Texts on any page: as Markdown or as they were written, and what a block of code offers (copy, wrap).
// The switch of the whole page is remembered in this browser; the one of an answer is for that answer alone.
(function () {
  "use strict";
  const { gettext } = window.Roundtable;
  const KEY = "roundtable-texts-as-written";
  const root = document.documentElement;
  const pageButton = document.querySelector("[data-all-written-switch]");
  const isRemembered = () => {
    try { return window.localStorage.getItem(KEY) === "1"; } catch { return false; }
  };
  const sizesChanged = () => window.dispatchEvent(new Event("resize")); // "Show all" comes or goes

  const showAnswer = (answer, written) => {
    answer.querySelector("[data-written]").hidden = !written;
    answer.querySelector("[data-rendered]").hidden = written;
    const button = answer.querySelector("[data-written-switch]");
    if (button) button.setAttribute("aria-pressed", String(written));
  };
  const showAll = (written) => {
    root.classList.toggle("shows-written", written);
    if (pageButton) pageButton.setAttribute("aria-pressed", String(written));
    document.querySelectorAll("[data-text]").forEach((answer) => showAnswer(answer, written));
    sizesChanged();
  };

  const addTools = (block) => {
    block.dataset.tools = "";
    const tools = document.createElement("div");
    tools.className = "code-tools";
    const wrap = Object.assign(document.createElement("button"), { type: "button", textContent: gettext("Wrap") });
    wrap.setAttribute("aria-pressed", "false");
    wrap.dataset.wrapsCode = "";
    const copy = Object.assign(document.createElement("button"), { type: "button", textContent: gettext("Copy") });
    copy.dataset.copiesCode = "";
    tools.append(wrap, copy);
    block.before(tools);
  };
  const copyCode = async (button, block) => {
    try {
      await window.navigator.clipboard.writeText(block.textContent);
    } catch {
      // Not allowed, or not over https: the older way works on what is selected.
      window.getSelection().selectAllChildren(block);
      if (!document.execCommand("copy")) return;
    }
    button.textContent = gettext("Copied");
    window.setTimeout(() => { button.textContent = gettext("Copy"); }, 2000);
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.hasAttribute("data-all-written-switch")) {
      const written = button.getAttribute("aria-pressed") !== "true";
      try { window.localStorage.setItem(KEY, written ? "1" : "0"); } catch { /* private window: lasts for this page */ }
      showAll(written);
    } else if (button.hasAttribute("data-written-switch")) {
      showAnswer(button.closest("[data-text]"), button.getAttribute("aria-pressed") !== "true");
      sizesChanged();
    } else if (button.hasAttribute("data-wraps-code")) {
      const wraps = button.closest(".code-tools").nextElementSibling.classList.toggle("is-wrapped");
      button.setAttribute("aria-pressed", String(wraps));
      sizesChanged();
    } else if (button.hasAttribute("data-copies-code")) {
      copyCode(button, button.closest(".code-tools").nextElementSibling);
    }
  });

  // What came to the page: each text and each block of code is met once.
  const prepare = () => {
    const blocks = document.querySelectorAll("pre.code-block:not([data-tools])");
    const answers = document.querySelectorAll("[data-text]:not([data-met])");
    const written = root.classList.contains("shows-written");
    blocks.forEach(addTools);
    for (const answer of answers) {
      answer.dataset.met = "";
      if (written) showAnswer(answer, true);
    }
    if (blocks.length || (written && answers.length)) sizesChanged();
  };
  if (isRemembered()) showAll(true);
  prepare();
  new MutationObserver(prepare).observe(document.body, { childList: true, subtree: true });
})();
