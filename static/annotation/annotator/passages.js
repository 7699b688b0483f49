// Passages of an answer, each with a label. What is selected in the answer's text comes into the field; its words can be
// typed, too. Places are counted in the text as it is written, in characters, a line end being one.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext } = Roundtable;
  const MOST = 50;

  const characters = (text) => [...text].length;
  const placesOf = (words, text) => {
    const places = [];
    for (let at = text.indexOf(words); words && at >= 0; at = text.indexOf(words, at + 1)) places.push(at);
    return places;
  };
  // Where the words stand in `written`: at the one place, or, of several, at that of the same number as in what was read
  // (`before`: the text before the selection). Null where that is not known.
  const find = (words, written, selected) => {
    const places = placesOf(words, written);
    if (places.length < 2) return places.length ? places[0] : null;
    if (!selected || selected.words !== words) return null;
    if (selected.at !== null) return selected.at;
    const read = placesOf(words, selected.text);
    return read.length === places.length ? places[read.indexOf(selected.before.length)] ?? null : null;
  };

  // `field` is the mark's fieldset, `answer` the element around the answer it is about.
  Roundtable.openPassages = (field, answer, { onChange, announce }) => {
    const written = answer.querySelector("[data-written]");
    const rendered = answer.querySelector("[data-rendered]");
    const input = field.querySelector("input");
    const list = field.querySelector(".passages");
    const problem = field.querySelector(".passage-problem");
    let passages = [];
    let selected = null; // {words, text, before, at} of the last selection in this answer

    const draw = () => {
      list.replaceChildren(...passages.map((passage, i) => {
        const item = document.createElement("li");
        const words = document.createElement("q");
        words.textContent = passage.text;
        const label = document.createElement("strong");
        label.textContent = passage.label;
        const remove = document.createElement("button");
        remove.type = "button";
        remove.className = "btn btn-quiet btn-sm";
        remove.textContent = gettext("Remove");
        remove.setAttribute("aria-label", gettext("Remove: {words}", { words: passage.text }));
        remove.addEventListener("click", () => {
          passages.splice(i, 1);
          draw();
          input.focus();
          onChange();
        });
        item.append(label, " ", words, " ", remove);
        return item;
      }));
    };
    const say = (words) => {
      problem.textContent = words;
      input.focus();
    };
    const add = (label) => {
      // A field of one line leaves line ends out of what is put into it.
      const isSelected = selected && input.value === selected.words.replace(/[\r\n]/g, "");
      const words = isSelected ? selected.words : input.value.trim() ? input.value : "";
      const text = written.textContent;
      if (!words) return say(gettext("Select a passage in the answer, or type its words."));
      if (passages.length >= MOST) return say(gettext("At most {most} passages.", { most: MOST }));
      const at = find(words, text, selected);
      if (at === null) {
        return say(placesOf(words, text).length
          ? gettext("These words stand there more than once: select the ones you mean, with “As written” on, or take more of them.")
          : gettext("These words do not stand there so: where there is formatting in between, select them with “As written” on."));
      }
      const start = characters(text.slice(0, at));
      const passage = { start, end: start + characters(words), label, text: words };
      if (!passages.some((other) => other.start === start && other.end === passage.end && other.label === label)) {
        passages.push(passage);
        passages.sort((a, b) => a.start - b.start || a.end - b.end);
      }
      input.value = "";
      selected = null;
      problem.textContent = "";
      draw();
      onChange();
      announce(gettext("Marked as {label}: {words}", { label, words }));
      input.focus();
      return undefined;
    };

    const readSelection = () => {
      if (!field.isConnected) {
        document.removeEventListener("selectionchange", readSelection);
        return;
      }
      const selection = document.getSelection();
      if (!selection.rangeCount || selection.isCollapsed) return;
      const range = selection.getRangeAt(0);
      const part = [written, rendered].find((other) => other.contains(range.startContainer) && other.contains(range.endContainer));
      if (!part) return;
      const before = document.createRange();
      before.setStart(part, 0);
      before.setEnd(range.startContainer, range.startOffset);
      const raw = range.toString();
      const words = raw.trim();
      if (!words) return;
      const place = before.toString().length + raw.indexOf(words);
      selected = { words, text: part.textContent, before: part.textContent.slice(0, place), at: part === written ? place : null };
      input.value = words;
      problem.textContent = "";
    };
    document.addEventListener("selectionchange", readSelection);

    const buttons = [...field.querySelectorAll("[data-passage-label]")];
    for (const button of buttons) button.addEventListener("click", () => add(button.dataset.passageLabel));
    input.addEventListener("input", () => { problem.textContent = ""; });
    // The words are not part of the judgment until they have a label.
    input.addEventListener("change", (event) => event.stopPropagation());
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      if (buttons.length === 1) add(buttons[0].dataset.passageLabel);
      else buttons[0].focus();
    });
    return {
      get: () => (passages.length ? passages.map((passage) => ({ ...passage })) : undefined),
      set(saved) {
        passages = Array.isArray(saved) ? saved.filter((passage) => passage && typeof passage.text === "string").map((passage) => ({ ...passage })) : [];
        draw();
      },
    };
  };
})();
