// The playground's requests to the site, and the dialogue as this tab keeps it. A request resolves to the site's answer,
// or throws a Problem with a sentence for who reads.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext } = Roundtable;

  class Problem extends Error {}
  Roundtable.PlaygroundProblem = Problem;

  const explain = (status) => {
    if (status === 403) return gettext("You logged in anew since this page was opened: reload it. The dialogue is kept.");
    if (status === 404) return gettext("The policy, or your right to try it, is gone: reload the page.");
    if (status === 413) return gettext("The dialogue is too long to be sent: remove turns, or shorten them.");
    return gettext("The site could not do this: try again in a moment.");
  };

  // `token`: of the page's form. The keepalive lets a request outlive the page.
  Roundtable.createPlaygroundClient = (token) => {
    const post = async (url, body, keepalive = false) => {
      let response;
      try {
        response = await window.fetch(url, {
          method: "POST",
          credentials: "same-origin",
          keepalive,
          headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": token },
          body: JSON.stringify(body),
        });
      } catch (error) {
        throw new Problem(gettext("The site does not answer: look at your connection and try again."));
      }
      const isJson = (response.headers.get("Content-Type") || "").includes("application/json");
      const data = isJson ? await response.json() : {};
      if (response.ok) return data;
      const saysItself = isJson && (response.status === 400 || response.status === 401) && data.message;
      throw new Problem(saysItself || explain(response.status));
    };
    return {
      ask: async (url, request) => (await post(url, request)).answers,
      look: async (url, ids) => (await post(`${url}state/`, { ids })).answers,
      stop: (url, ids) => post(`${url}stop/`, { ids }, true),
    };
  };

  // What the tab keeps over a reload; where the browser refuses, nothing is.
  Roundtable.openPlaygroundStorage = (key) => ({
    read() {
      try { return JSON.parse(window.sessionStorage.getItem(key)); } catch (error) { return null; }
    },
    write(value) {
      try { window.sessionStorage.setItem(key, JSON.stringify(value)); } catch (error) { /* no room, or not allowed */ }
    },
  });
})();
