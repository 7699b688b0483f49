// What differs between answers, word by word: of a pair on both sides, of a ranking in each answer what the one compared
// with does not have. jsdiff is loaded with the first use.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext, ngettext } = Roundtable;
  const { diffScript } = document.currentScript.dataset;
  const { shownText, textNodes, markRanges, removeMarks } = Roundtable.texts;
  const MARK = "difference";
  const NEARLY_THE_SAME = 0.8; // share of words that two answers have in common
  const TOO_DIFFERENT = 0.6; // share of words that would be marked: marks on nearly everything show nothing
  const MAX_MS = 700;
  const segmenter = window.Intl && Intl.Segmenter ? new Intl.Segmenter(undefined, { granularity: "word" }) : null;

  let loading = null;
  const load = () => {
    loading = loading || new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = diffScript;
      script.onload = resolve;
      script.onerror = () => { loading = null; script.remove(); reject(new Error("not loaded")); };
      document.head.append(script);
    });
    return loading;
  };

  // [[word or sign, where it begins], ...]; blanks are no words.
  const split = (text) => (segmenter
    ? Array.from(segmenter.segment(text), ({ segment, index }) => [segment, index])
    : Array.from(text.matchAll(/[\p{L}\p{N}\p{M}_]+|[^\s]/gu), (found) => [found[0], found.index])
  ).filter(([word]) => word.trim());
  const wordsIn = (root) => textNodes(root).flatMap((node) =>
    split(node.data).map(([word, from]) => ({ word, node, from, to: from + word.length })));

  // The words of an answer; of a conversation those of each turn, which are compared with the same turn of another one.
  const wordsByTurn = (answer) => {
    const text = shownText(answer);
    const turns = [...text.querySelectorAll("[data-turn]")];
    return (turns.length ? turns : [text]).map(wordsIn);
  };

  // Marks of one text, those beside each other in one.
  const mark = (words, isMarked) => {
    const ranges = new Map(); // node -> its ranges
    words.forEach((one, i) => {
      if (!isMarked[i]) return;
      if (!ranges.has(one.node)) ranges.set(one.node, []);
      const own = ranges.get(one.node);
      if (i && isMarked[i - 1] && words[i - 1].node === one.node) own[own.length - 1][1] = one.to;
      else own.push([one.from, one.to]);
    });
    ranges.forEach((own, node) => markRanges(node, own, MARK));
  };

  // For two lists of words: which of each the other does not have, in its order. null: it would take too long.
  const compare = (words, others) => {
    const parts = window.Diff.diffArrays(words.map(({ word }) => word), others.map(({ word }) => word), { timeout: MAX_MS });
    if (!parts) return null;
    const [own, theirs] = [[], []];
    for (const { value, added, removed } of parts) {
      for (let i = 0; i < value.length; i += 1) {
        if (!added) own.push(Boolean(removed));
        if (!removed) theirs.push(Boolean(added));
      }
    }
    return [own, theirs];
  };
  const share = (isMarked) => isMarked.filter(Boolean).length / Math.max(1, isMarked.length);

  // A sentence above a pair whose answers are nearly the same; put into the fragment before it is shown.
  Roundtable.hintAtNearlySame = (fragment, keyCap) => {
    const [first, second, ...more] = [...fragment.querySelectorAll("[data-response] [data-written]")].map((one) => one.textContent);
    if (second === undefined || more.length || !first.trim()) return;
    const [own, theirs] = [first, second].map((text) => text.match(/\S+/gu) || []);
    const counts = new Map();
    for (const word of own) counts.set(word, (counts.get(word) || 0) + 1);
    let common = 0;
    for (const word of theirs) {
      const left = counts.get(word) || 0;
      if (left) { common += 1; counts.set(word, left - 1); }
    }
    if ((2 * common) / (own.length + theirs.length) < NEARLY_THE_SAME) return;
    const hint = document.createElement("p");
    hint.className = "differences-hint";
    if (first === second) {
      hint.textContent = gettext("Both answers are the same, letter by letter.");
    } else {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-quiet", textContent: gettext("Mark the differences") });
      button.dataset.marksDifferences = "";
      const hidden = document.createElement("span");
      hidden.className = "key-hint";
      hidden.append(Object.assign(document.createElement("kbd"), { textContent: keyCap }));
      button.append(" ", hidden);
      hint.append(gettext("The two answers are nearly the same."), " ", button);
    }
    fragment.querySelector(".pair").before(hint);
  };

  // `isOn` is kept from task to task.
  Roundtable.watchDifferences = ({ taskContainer, announce }) => {
    const button = document.getElementById("differences-switch");
    let isOn = false;
    let run = 0;
    const answers = () => [...taskContainer.querySelectorAll("[data-response]")];
    const clear = () => {
      removeMarks(taskContainer, MARK);
      taskContainer.querySelectorAll(".differences-said").forEach((one) => one.remove());
    };
    const say = (words) => {
      const place = taskContainer.querySelector(".pair, .ranking");
      if (!place) return;
      place.before(Object.assign(document.createElement("p"), { className: "differences-said muted", textContent: words }));
      announce(words);
    };
    const labelOf = (answer) => answer.dataset.response;
    const show = (base) => {
      clear();
      const [first, ...others] = [base, ...answers().filter((one) => one !== base)];
      if (!first || !others.length) return;
      const isPair = others.length === 1;
      // Marks split the nodes: the words of the base, which is marked in pairs alone, are read before anything is marked.
      const own = wordsByTurn(first);
      const left = [];
      let count = 0;
      let skipped = 0; // turns that were not compared
      for (const other of others) {
        const theirs = wordsByTurn(other);
        let compared = 0;
        for (let turn = 0; turn < Math.min(own.length, theirs.length); turn += 1) {
          const found = compare(own[turn], theirs[turn]);
          if (!found || share(found[1]) > TOO_DIFFERENT || (isPair && share(found[0]) > TOO_DIFFERENT)) continue;
          mark(theirs[turn], found[1]);
          if (isPair) mark(own[turn], found[0]);
          compared += 1;
        }
        skipped += Math.max(own.length, theirs.length) - compared;
        if (!compared) {
          left.push(labelOf(other));
          continue;
        }
        count += other.querySelectorAll(`mark.${MARK}`).length + (isPair ? first.querySelectorAll(`mark.${MARK}`).length : 0);
      }
      const sentences = [];
      if (own.length > 1 && left.length < others.length) sentences.push(gettext("Compared turn by turn; turns with little in common are not marked."));
      if (isPair && left.length) sentences.push(gettext("These answers have little in common: marks on nearly every word would not help."));
      else if (isPair && !count && skipped) sentences.push(gettext("In the turns that were compared, the words are the same."));
      else if (isPair && !count) sentences.push(gettext("The words of both answers are the same."));
      else if (isPair) sentences.push(ngettext("Differences are marked: {n} place.", "Differences are marked: {n} places.", count));
      else {
        sentences.push(gettext(
          "Marked in each answer: what answer {label} does not have. To compare with another one, pick it and mark again.",
          { label: labelOf(first) }));
        if (left.length) sentences.push(gettext("Too different to mark: {labels}.", { labels: left.join(", ") }));
      }
      say(sentences.join(" "));
    };
    const update = async (base) => {
      run += 1;
      const mine = run;
      button.setAttribute("aria-pressed", String(isOn));
      if (!isOn) {
        clear();
        return;
      }
      try {
        await load();
      } catch {
        if (mine === run) say(gettext("The differences cannot be marked: no connection."));
        return;
      }
      if (mine === run && isOn) show(base && base.isConnected ? base : answers()[0]);
    };
    const toggle = () => {
      isOn = !isOn;
      const picked = document.activeElement && document.activeElement.closest("[data-response]");
      update(picked && taskContainer.contains(picked) ? picked : null);
      if (!isOn) announce(gettext("Differences are not marked"));
    };
    button.addEventListener("click", toggle);
    taskContainer.addEventListener("click", ({ target }) => {
      if (target.closest("[data-marks-differences]") && !isOn) toggle();
    });
    // Another text is shown then.
    document.addEventListener("click", ({ target }) => {
      if (isOn && target.closest("[data-written-switch], [data-all-written-switch]")) window.setTimeout(update);
    });
    return {
      toggle,
      // After the task is painted: marking may wait, the task may not.
      onTask() { if (isOn) window.requestAnimationFrame(() => window.setTimeout(update)); },
    };
  };
})();
