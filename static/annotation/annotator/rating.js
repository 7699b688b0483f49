// One answer, of which the marks are the whole judgment. A digit grades the first question that is still open, from
// wherever the focus is; on a question marks.js takes it for that question.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext } = Roundtable;
  Roundtable.controllers = Roundtable.controllers || {};

  Roundtable.controllers.rating = (task) => {
    const label = task.querySelector("[data-response]").dataset.response;
    let marks = null;
    return {
      useMarks(opened) { marks = opened; },
      state: () => ({}),
      restore() {},
      getJudgment() {
        if (!marks.isAsked()) return { error: gettext("Nothing is asked of this answer. Skip it, and tell who manages the project.") };
        return { tiers: [[label]], strengths: [] };
      },
      // Said of nothing: a judgment without a single mark would say nothing at all.
      afterMarks: ({ marks: said }) => (said[label] ? null : { error: gettext("Say something about the answer first.") }),
      perform({ action, value }) {
        if (action === "grade") return marks.grade(value);
        if (action === "take_back") return marks.takeBack();
        return false;
      },
    };
  };
})();
