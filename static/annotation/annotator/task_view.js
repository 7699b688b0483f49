// One task on the screen: its fragment from the server, the controller of its kind, the note, and the draft of all that.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext } = Roundtable;

  const latestDraft = (drafts) => drafts.filter(Boolean).sort((a, b) => (b.saved_at || 0) - (a.saved_at || 0))[0];

  const prepared = new WeakMap(); // data -> its fragment, until it is shown
  const parse = (data) => {
    const holder = document.createElement("template");
    holder.innerHTML = data.html;
    Roundtable.prepareReading(holder.content);
    return holder.content;
  };
  // Reads the fragment of a task that will be shown, while the annotator is still at the one before.
  Roundtable.prepareTask = (data) => { if (data.html) prepared.set(data, parse(data)); };

  // Shows the server's `data` in `container`; `storedDraft` is the browser's own. Where no task is left, the task has
  // neither node nor controller. A controller (pair.js, ranking.js, rating.js) has state, restore, getJudgment and perform.
  Roundtable.showTask = (container, data, { storedDraft, announce, onChange, onSubmit, onSkip, onCannotJudge, onCancel }) => {
    const fragment = prepared.get(data) || parse(data);
    prepared.delete(data); // a fragment is used up; the same data may be shown again
    container.replaceChildren(fragment);
    const node = container.querySelector(".task");
    const task = {
      data,
      publicId: data.public_id,
      node,
      kind: node && node.dataset.kind,
      controller: null,
      isRevision: Boolean(data.judgment),
      touched: false,
      seconds: 0,
      idempotencyKey: Roundtable.randomId(),
    };
    // Last, when nothing in the task changes any more: each of them makes the browser lay the page out.
    const goToTop = () => {
      window.scrollTo({ top: 0, behavior: "instant" });
      container.focus({ preventScroll: true });
    };
    if (!node) {
      goToTop();
      return task;
    }

    const note = node.querySelector(".note");
    const rationale = node.querySelector("[name=rationale]");
    const flagBoxes = [...node.querySelectorAll("[name=flags]")];
    const errorLine = node.querySelector("#task-problem");
    const touch = () => {
      task.touched = true;
      errorLine.textContent = "";
      onChange();
    };
    task.controller = Roundtable.controllers[node.dataset.kind](node, { onChange: touch, announce });
    const marks = Roundtable.openMarks(node, {
      onChange: touch,
      announce,
      onCannotJudge,
      chooseTie: () => { if (task.controller.getJudgment().error) task.controller.perform({ action: "choose_point", value: 0 }); },
      leaveFields: () => container.focus({ preventScroll: true }),
    });
    if (task.controller.useMarks) task.controller.useMarks(marks);
    Object.assign(task, {
      marks,
      draft: () => ({
        ...task.controller.state(),
        ...marks.state(),
        rationale: rationale.value,
        flags: flagBoxes.filter((box) => box.checked).map((box) => box.value),
        seconds: Math.round(task.seconds * 10) / 10,
        evidence: task.evidence.state(),
        idempotency_key: task.idempotencyKey,
        saved_at: Date.now(),
      }),
      // What the server is told of how it came about.
      evidenceOfJudgment: () => ({
        responses: task.evidence.result(),
        ...(task.controller.evidence ? task.controller.evidence() : {}),
      }),
      openNote() {
        note.open = true;
        note.querySelector("textarea").focus();
      },
      // What stands against a submit without a reason, where the project asks for one.
      missingReason(judgment) {
        const isAsked = "asksReason" in node.dataset || Roundtable.needsReason(node.dataset.reasonFor, judgment);
        if (!isAsked || rationale.value.trim()) return null;
        note.open = true;
        return { error: gettext("Write in a few words why."), focusTarget: rationale };
      },
      // Read out on the error line in any case; shown where it belongs if the controller can.
      showError({ error, focusTarget, showError }) {
        errorLine.classList.toggle("visually-hidden", Boolean(showError));
        errorLine.textContent = error;
        if (focusTarget) focusTarget.focus();
        if (showError) showError(error);
      },
    });

    const draft = latestDraft([storedDraft, task.isRevision ? null : Roundtable.upgradeDraft(data.draft)]);
    const saved = draft || data.judgment;
    if (saved) {
      task.controller.restore(saved);
      rationale.value = saved.rationale || "";
      for (const box of flagBoxes) box.checked = (saved.flags || []).includes(box.value);
      marks.restore(saved);
      if (saved.rationale || flagBoxes.some((box) => box.checked && note.contains(box))) note.open = true;
    } else if (task.controller.start) task.controller.start();
    task.evidence = Roundtable.openEvidence(node, draft && draft.evidence);
    if (draft) {
      task.idempotencyKey = draft.idempotency_key || task.idempotencyKey;
      task.seconds = draft.seconds || 0;
      task.touched = true;
    }
    note.addEventListener("input", touch);
    node.querySelector("form").addEventListener("submit", (event) => { event.preventDefault(); onSubmit(); });
    for (const [selector, onClick] of [["[data-skip]", onSkip], ["[data-cancel]", onCancel]]) {
      const button = node.querySelector(selector);
      if (button) button.addEventListener("click", onClick);
    }
    goToTop();
    const opening = task.controller.opening ? task.controller.opening() : "";
    announce(`${node.querySelector(".task-question").textContent} ${opening}`.trim());
    return task;
  };

  Roundtable.showWaiting = (container, words) => {
    const p = document.createElement("p");
    p.className = "task-waiting";
    p.textContent = words;
    container.replaceChildren(p);
  };
})();
