// Search in the prompt and the answers of the task on the screen; folded turns are searched and opened.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext } = Roundtable;
  const { shownText, textNodes, markRanges, removeMarks } = Roundtable.texts;
  const MARK = "search-match";
  const MAX_MATCHES = 1000;
  const SEARCH_AFTER_MS = 150;

  // Upper and lower case are the same, and so are kinds of white space.
  const pattern = (words) => new RegExp(words.trim().replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+"), "giu");
  const BLOCKS = "p, li, pre, td, th, h1, h2, h3, h4, h5, h6, blockquote, div";
  // Marks all matches in `root`, also those that run over several nodes of a line (**bo**ld). A list of lists of marks.
  const markMatches = (root, expression, limit) => {
    const nodes = textNodes(root);
    let text = "";
    let block = null;
    const starts = nodes.map((node) => {
      const own = node.parentElement.closest(BLOCKS);
      if (block && own !== block) text += "\n\u0000"; // no match runs from a block into the next
      block = own;
      const start = text.length;
      text += node.data;
      return start;
    });
    const matches = [];
    for (const found of text.matchAll(expression)) {
      if (matches.length === limit) break;
      if (found[0]) matches.push([found.index, found.index + found[0].length]);
    }
    const marks = matches.map(() => []);
    // From the end: splitting a node leaves what lies before in place.
    for (let n = nodes.length - 1; n >= 0; n -= 1) {
      const [from, to] = [starts[n], starts[n] + nodes[n].length];
      const own = matches
        .map(([begin, end], place) => [Math.max(begin, from) - from, Math.min(end, to) - from, place])
        .filter(([begin, end]) => begin < end);
      markRanges(nodes[n], own, MARK).forEach((mark, i) => marks[own[i][2]].unshift(mark));
    }
    return marks.filter((own) => own.length);
  };

  Roundtable.watchSearch = ({ taskContainer, focusTask, reveal }) => {
    const form = document.getElementById("task-search");
    const field = document.getElementById("task-search-words");
    const count = document.getElementById("task-search-count");
    let matches = [];
    let place = -1;
    let timer = null;
    const clear = () => {
      removeMarks(taskContainer, MARK);
      matches = [];
      place = -1;
    };
    const go = (step) => {
      if (!matches.length) return;
      if (place >= 0) matches[place].forEach((mark) => mark.classList.remove("is-current"));
      place = (place + step + matches.length) % matches.length;
      const [first] = matches[place];
      matches[place].forEach((mark) => mark.classList.add("is-current"));
      reveal(first);
      first.scrollIntoView({ block: "center" });
      const all = matches.length >= MAX_MATCHES ? `${MAX_MATCHES}+` : matches.length;
      const answer = first.closest("[data-response]");
      count.textContent = answer
        ? gettext("{place} of {all}, answer {label}", { place: place + 1, all, label: answer.dataset.response })
        : gettext("{place} of {all}, prompt", { place: place + 1, all });
    };
    const find = () => {
      window.clearTimeout(timer);
      clear();
      if (!field.value.trim()) {
        count.textContent = "";
        return;
      }
      const expression = pattern(field.value);
      for (const text of taskContainer.querySelectorAll("[data-text]")) {
        if (matches.length < MAX_MATCHES) matches.push(...markMatches(shownText(text), expression, MAX_MATCHES - matches.length));
      }
      count.textContent = gettext("Not found");
      go(1);
    };
    const close = () => {
      window.clearTimeout(timer);
      clear();
      form.hidden = true;
      field.value = "";
      count.textContent = "";
      focusTask();
    };
    const open = () => {
      form.hidden = false;
      field.focus();
      field.select();
    };
    field.addEventListener("input", () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(find, SEARCH_AFTER_MS);
    });
    form.addEventListener("submit", (event) => { event.preventDefault(); });
    // Enter: the next one; with Shift the one before. Not Submit, whatever else is pressed with it.
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        close();
      } else if (event.key === "Enter" && !event.isComposing) {
        event.preventDefault();
        event.stopPropagation();
        if (matches.length) go(event.shiftKey ? -1 : 1);
        else find();
      }
    });
    for (const button of form.querySelectorAll("[data-search-step]")) {
      button.addEventListener("click", () => go(Number(button.dataset.searchStep)));
    }
    form.querySelector("[data-search-close]").addEventListener("click", close);
    document.getElementById("search-opener").addEventListener("click", open);
    return {
      open,
      close,
      isOpen: () => !form.hidden,
      // Another task: what was looked for belonged to the one before.
      onTask() {
        if (form.hidden) return;
        clear();
        form.hidden = true;
        field.value = "";
        count.textContent = "";
      },
    };
  };
})();
