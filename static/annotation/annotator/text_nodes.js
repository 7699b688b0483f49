// The texts of a task as they are on the screen, and marks in them. What is marked is wrapped in <mark>; taken away again,
// the text is as it was.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const NOT_TEXT = ".code-tools, .katex-mathml, .dialogue .turn-speaker, .fold-switch, script, style";

  // Of an answer or a turn: as Markdown or as written, whichever is shown.
  const shownText = (element) => [...element.querySelectorAll("[data-rendered], [data-written]")].find((one) => !one.hidden) || element;
  const textNodes = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const nodes = [];
    while (walker.nextNode()) {
      const node = walker.currentNode;
      if (node.data && !node.parentElement.closest(NOT_TEXT)) nodes.push(node);
    }
    return nodes;
  };
  // `ranges` of one node, [from, to) each, in their order and apart. The node is split: earlier marks first would move
  // the later ones, so they are made from the end.
  const markRanges = (node, ranges, className) => {
    const marks = [];
    for (const [from, to] of [...ranges].reverse()) {
      const part = node.splitText(from);
      if (to - from < part.length) part.splitText(to - from);
      const mark = document.createElement("mark");
      mark.className = className;
      part.replaceWith(mark);
      mark.append(part);
      marks.unshift(mark);
    }
    return marks;
  };
  const removeMarks = (root, className) => {
    for (const mark of root.querySelectorAll(`mark.${className}`)) {
      const parent = mark.parentNode;
      mark.replaceWith(...mark.childNodes);
      parent.normalize();
    }
  };
  Roundtable.texts = { shownText, textNodes, markRanges, removeMarks };
})();
