// Formulas as KaTeX draws them, in whatever is on the page or comes to it. KaTeX is loaded with the first formula.
// The policy of the site refuses style attributes that are written; those set through an element's `style` it allows.
(function () {
  "use strict";
  const { katexScript, katexStyle } = document.currentScript.dataset;
  const WAITING = ".math-inline:not([data-drawn]), .math-display:not([data-drawn])";
  const OPTIONS = { throwOnError: false, errorColor: "var(--rt-bad)", trust: false, strict: "ignore", maxSize: 20, maxExpand: 500 };
  let loading = null;

  const load = () => {
    loading = loading || new Promise((resolve, reject) => {
      const style = document.createElement("link");
      style.rel = "stylesheet";
      style.href = katexStyle;
      const script = document.createElement("script");
      script.src = katexScript;
      script.onload = resolve;
      script.onerror = reject;
      document.head.append(style, script);
    });
    return loading;
  };

  // KaTeX writes some styles as attributes: they travel under another name until the element is there.
  const renameStyles = (node) => {
    if (node.attributes && node.attributes.style) {
      node.attributes["data-katex-style"] = node.attributes.style;
      delete node.attributes.style;
    }
    (node.children || []).forEach(renameStyles);
  };

  const sourceOf = (text) => {
    if (text.startsWith("\\begin")) return text; // an environment that is a formula by itself
    const width = text.startsWith("$") && !text.startsWith("$$") ? 1 : 2;
    return text.slice(width, -width);
  };

  const draw = (element) => {
    element.dataset.drawn = "";
    const displayMode = element.classList.contains("math-display");
    let tree;
    try {
      tree = window.katex.__renderToDomTree(sourceOf(element.textContent), { ...OPTIONS, displayMode });
    } catch {
      tree = null; // what KaTeX cannot read stays as it was written
    }
    if (!tree || tree.classes.includes("katex-error")) {
      element.classList.add("math-unread");
      return;
    }
    renameStyles(tree);
    const drawn = tree.toNode();
    for (const styled of drawn.querySelectorAll("[data-katex-style]")) {
      styled.style.cssText = styled.dataset.katexStyle;
      delete styled.dataset.katexStyle;
    }
    element.replaceChildren(drawn);
    if (displayMode) element.tabIndex = 0; // a wide one scrolls, so the keyboard must reach it
  };

  // A line with a formula that is wider than its box scrolls, so the keyboard must reach it.
  const reachWideLines = () => {
    const lines = [...document.querySelectorAll(".prose p:has(> .math-inline[data-drawn])")];
    const wide = lines.map((line) => line.scrollWidth > line.clientWidth);
    lines.forEach((line, place) => { if (wide[place]) line.tabIndex = 0; else line.removeAttribute("tabindex"); });
  };
  window.addEventListener("resize", reachWideLines);

  const drawAll = async () => {
    if (!document.querySelector(WAITING)) return;
    try {
      await load();
    } catch {
      return; // without KaTeX formulas stay as they were written
    }
    document.querySelectorAll(WAITING).forEach(draw);
    window.dispatchEvent(new Event("resize")); // answers have other heights now
  };

  new MutationObserver(drawAll).observe(document.body, { childList: true, subtree: true });
  drawAll();
})();
