// The work page's requests to the server. Every one resolves to {status, data}, or throws Offline or LoggedOut.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});

  class Offline extends Error {}
  class LoggedOut extends Error {}
  Object.assign(Roundtable, { Offline, LoggedOut });

  // In taskUrl, where the public id of an assignment goes.
  const PLACEHOLDER = "00000000-0000-0000-0000-000000000000";

  const readCookie = (name) => {
    const pair = document.cookie.split("; ").find((part) => part.startsWith(`${name}=`));
    return pair ? decodeURIComponent(pair.slice(name.length + 1)) : "";
  };

  const workPage = () => document.getElementById("work-page").dataset;

  const send = async (url, body, keepalive, headers) => {
    let response;
    try {
      response = await window.fetch(url, {
        method: body === undefined ? "GET" : "POST",
        credentials: "same-origin",
        keepalive: Boolean(keepalive),
        headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": readCookie(workPage().csrfCookie), "X-Page-Version": workPage().pageVersion, ...headers },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      throw new Offline();
    }
    if (response.status === 401) throw new LoggedOut();
    if (response.status === 429 || response.status >= 500) throw new Offline();
    const type = response.headers.get("Content-Type") || "";
    const data = type.includes("application/json") ? await response.json() : {};
    return { status: response.status, data, guidelineVersion: Number(response.headers.get("X-Guideline-Version")) };
  };

  // `onGuidelineVersion` hears which version is in force, where an answer says it; `guidelineVersion` gives the one on the
  // screen, whose text need not come again.
  Roundtable.createApiClient = ({ nextTaskUrl, taskUrl, refreshCsrfUrl, guidelineUrl, acknowledgeUrl }, { onGuidelineVersion, guidelineVersion }) => {
    // Renews an old CSRF token once by itself.
    const requestJson = async (url, body, keepalive) => {
      const headers = { "X-Guideline-Version": guidelineVersion() };
      let response = await send(url, body, keepalive, headers);
      if (response.status === 403 && body !== undefined) {
        await send(refreshCsrfUrl);
        response = await send(url, body, keepalive, headers);
      }
      onGuidelineVersion(response.guidelineVersion);
      return response;
    };
    const urlOf = (publicId, verb) => taskUrl.replace(PLACEHOLDER, publicId) + (verb ? `${verb}/` : "");
    return {
      requestJson,
      urlOf,
      confirmGuideline: (version) => requestJson(acknowledgeUrl, { version }),
      getGuideline: () => requestJson(guidelineUrl),
      claimNextTask: (afterAssignment) => requestJson(nextTaskUrl, { after_assignment: afterAssignment }),
      getTask: (publicId) => requestJson(urlOf(publicId, "content")),
      getFeedback: (publicId) => requestJson(urlOf(publicId, "feedback")),
      saveDraft: (publicId, draft, keepalive) => requestJson(urlOf(publicId, "draft"), draft, keepalive),
      ask: (publicId, text) => requestJson(urlOf(publicId, "question"), { text }),
      undoSkip: (publicId) => requestJson(urlOf(publicId, "undo-skip"), {}),
    };
  };
})();
