// The texts of the scripts in the language of the page: its template holds them as JSON (workspace/languages.py). In the
// site's own language it holds none, and the texts are those that stand in the scripts.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const holder = document.getElementById("script-texts");
  const texts = holder ? JSON.parse(holder.textContent) : {};
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));

  // "Answer {label} is first", { label: "A" }
  Roundtable.gettext = (text, values = {}) => fill(texts[text] || text, values);
  // {n} is the number. One and several, as in English; a language with more forms needs its rule here.
  Roundtable.ngettext = (one, several, n, values = {}) => {
    const forms = texts[one] || [one, several];
    return fill(forms[n === 1 ? 0 : 1], { n, ...values });
  };
  // ["A", "B", "C"]: A and B and C
  Roundtable.joinLabels = (labels) =>
    labels.reduce((first, second) => Roundtable.gettext("{first} and {second}", { first, second }));
})();
