// Runs before the first paint: the visitor's choice, else the system's.
(function () {
  "use strict";
  const KEY = "roundtable-theme";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try { return window.localStorage.getItem(KEY); } catch (error) { return null; }
  };
  const apply = () => {
    document.documentElement.dataset.bsTheme = chosen() || (dark.matches ? "dark" : "light");
    document.dispatchEvent(new CustomEvent("roundtable:theme"));
  };
  apply();
  dark.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme-toggle").addEventListener("click", () => {
      const next = document.documentElement.dataset.bsTheme === "dark" ? "light" : "dark";
      try { window.localStorage.setItem(KEY, next); } catch (error) { /* private window: lasts for this page */ }
      document.documentElement.dataset.bsTheme = next;
      document.dispatchEvent(new CustomEvent("roundtable:theme"));
    });
  });
})();
