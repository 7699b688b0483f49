// A live conversation: the person writes, two answers grow side by side, and when both are there they are a task like
// any other, judged with the same keys. The server is asked how it stands; whatever it says is shown, so that a reload,
// another window or an interrupted network find the conversation where it is.
(function () {
  "use strict";
  const Roundtable = window.Roundtable;
  const { gettext } = Roundtable;
  const byId = (id) => document.getElementById(id);
  const workPage = byId("work-page");
  if (!workPage || !("conversation" in workPage.dataset)) return;
  const WRITING_MS = 250;
  const LOADING_MS = 1000;
  const RETRY_MS = 3000;
  const address = workPage.dataset.conversation;
  const taskContainer = byId("work-page-task");
  const field = byId("live-message");

  let current = null; // the task on the screen (task_view.js)
  let known = null; // how many finished turns the transcript shows
  let state = null; // what the server said last
  let timer = null;
  let isSending = false;

  const storage = Roundtable.openStorage(workPage.dataset.storageKey);
  const draftName = `message:${address}`;
  const statusBar = Roundtable.createStatusBar(workPage);
  const { announce } = statusBar;
  const api = Roundtable.createApiClient(workPage.dataset, {
    onGuidelineVersion: (version) => guideline.hear(version),
    guidelineVersion: () => guideline.version(),
  });
  const guideline = Roundtable.watchGuideline(workPage.dataset, { fetchGuideline: api.getGuideline, announce });
  const currentTask = () => current;
  const drafts = Roundtable.openDrafts({ storage, api, currentTask, onLoggedOut: statusBar.askToLogIn });
  const outbox = Roundtable.openOutbox({
    storage,
    api,
    onSyncStatus: statusBar.showSyncStatus,
    addToBody: () => ({}),
    onStored: () => look(),
    onRejected(entry, message) {
      if (entry.draft) drafts.set(entry.publicId, { ...entry.draft, idempotency_key: Roundtable.randomId() });
      statusBar.showRejections([{ message, url: null }]);
      look();
    },
  });
  const clock = Roundtable.startClock(workPage, taskContainer, { currentTask, announce, onPause: drafts.keepIfTouched });

  // --- what the server says is what is shown ---------------------------------------------------------------------
  const setText = (node, words) => { if (node.textContent !== words) node.textContent = words; };
  const answerCard = (label) => {
    const card = document.createElement("section");
    card.className = `response response-${label.toLowerCase()}`;
    card.dataset.label = label;
    card.setAttribute("aria-labelledby", `live-answer-${label}`);
    const head = document.createElement("h2");
    head.className = "response-name";
    head.id = `live-answer-${label}`;
    const mark = document.createElement("span");
    mark.className = `response-label response-label-${label.toLowerCase()}`;
    mark.textContent = label;
    mark.setAttribute("aria-hidden", "true");
    const words = document.createElement("span");
    words.className = "visually-hidden";
    words.textContent = gettext("Answer {label}", { label });
    head.append(mark, words);
    const header = document.createElement("header");
    header.className = "response-head";
    header.append(head);
    const text = document.createElement("div");
    text.className = "live-text";
    text.dir = "auto";
    const line = document.createElement("p");
    line.className = "live-state";
    card.append(header, text, line);
    return card;
  };
  const words = ({ state: how, message }) => ({
    loading: message || gettext("Waiting …"),
    writing: gettext("Writing …"),
    done: gettext("Done."),
    failed: [gettext("This answer could not be written."), message].join(" "),
  })[how];
  const showAnswers = (answers) => {
    const box = byId("live-answers");
    for (const answer of answers) {
      let card = box.querySelector(`[data-label="${answer.label}"]`);
      if (!card) {
        card = answerCard(answer.label);
        box.append(card);
      }
      card.setAttribute("aria-busy", String(answer.state === "writing"));
      setText(card.querySelector(".live-text"), answer.text);
      setText(card.querySelector(".live-state"), words(answer));
    }
    const failed = answers.filter((answer) => answer.state === "failed");
    const isOver = failed.length > 0 && answers.every((answer) => answer.state === "failed" || answer.state === "done");
    const wasHidden = byId("live-problem").hidden;
    byId("live-problem").hidden = !isOver;
    byId("live-one").hidden = failed.length !== 1;
    if (isOver && wasHidden) {
      announce(failed.length === 1
        ? gettext("Answer {label} could not be written.", { label: failed[0].label })
        : gettext("The answers could not be written."));
      byId("live-again").focus();
    }
  };
  const showTask = async (publicId) => {
    if (current && current.publicId === publicId) return;
    const { status, data } = await api.getTask(publicId);
    if (status !== 200 || data.judgment || (current && current.publicId === publicId)) return;
    byId("live").hidden = true;
    taskContainer.classList.add("is-judged-here");
    guideline.show(data.guideline);
    current = Roundtable.showTask(taskContainer, data, {
      storedDraft: drafts.get(publicId),
      announce: (said) => announce([gettext("Both answers are here."), said].join(" ")),
      onChange: drafts.onChange,
      onSubmit: submit,
      onSkip: () => skip(""),
      onCannotJudge: skip,
      onCancel: () => {},
    });
    reading.onTask();
    clock.draw();
  };
  const leaveTask = () => {
    if (!current) return;
    drafts.cancelSending();
    current = null;
    taskContainer.classList.remove("is-judged-here");
    taskContainer.replaceChildren();
    byId("live").hidden = false;
  };
  const show = async (data) => {
    const before = state;
    state = data;
    if (data.html !== undefined) {
      byId("live-transcript").innerHTML = data.html; // made by the server, as the tasks are
      known = data.finished;
    }
    const { turn } = data;
    const number = data.finished + (turn || data.may_write ? 1 : 0);
    setText(byId("live-progress"), gettext("Turn {number} of {most}", { number, most: data.max_turns }));
    byId("live-end").hidden = data.ended;
    const isSent = Boolean(turn && turn.task && outbox.has(turn.task));
    if (turn && turn.task && !isSent) await showTask(turn.task);
    else leaveTask();
    byId("live-open").hidden = !turn || Boolean(turn.task);
    if (turn && !turn.task) {
      setText(byId("live-sent"), turn.message);
      showAnswers(data.ended ? [] : turn.answers);
    } else {
      byId("live-answers").replaceChildren();
      byId("live-problem").hidden = true;
    }
    const form = byId("live-form");
    const mayWrite = data.may_write;
    if (form.hidden === mayWrite) {
      form.hidden = !mayWrite;
      if (mayWrite) {
        if (before && before.turn) announce(gettext("The conversation goes on: write your next message."));
        field.focus({ preventScroll: data.finished === 0 });
        form.scrollIntoView({ block: "nearest" });
      }
    }
    if (byId("live-openers")) byId("live-openers").hidden = data.finished > 0;
    const isOver = !turn && !mayWrite;
    if (isOver && byId("live-over").hidden) {
      byId("live-over-words").textContent = data.ended
        ? gettext("The conversation has ended. What you judged is kept.")
        : gettext("This conversation has all its turns. What you judged is kept.");
      byId("live-over").hidden = false;
      byId("live-over-words").focus();
    }
    plan();
  };
  // Asked again as long as something is being written; a task on the screen waits for the person.
  const plan = () => {
    window.clearTimeout(timer);
    if (!state || !state.turn || state.ended) return;
    if (state.turn.task) {
      if (!current) timer = window.setTimeout(look, LOADING_MS);
      return;
    }
    const states = state.turn.answers.map((answer) => answer.state);
    if (states.length && states.every((how) => how === "failed" || how === "done") && states.includes("failed")) return;
    timer = window.setTimeout(look, document.hidden || !states.includes("writing") ? LOADING_MS : WRITING_MS);
  };
  let asked = 0;
  const ask = async (verb, body) => {
    window.clearTimeout(timer);
    const order = ++asked;
    try {
      const { status, data } = await api.requestJson(`${address}${verb}/`, { known, ...body });
      if (order === asked && data.finished !== undefined) {
        statusBar.clearNotice();
        await show(data);
      } else if (data.finished === undefined && status !== 409 && verb === "state") statusBar.showError(data.message || gettext("The conversation cannot be read."));
      return { status, data };
    } catch (error) {
      if (error instanceof Roundtable.LoggedOut) {
        statusBar.askToLogIn();
        return null;
      }
      if (!(error instanceof Roundtable.Offline)) throw error;
      statusBar.showError(gettext("The site does not answer. What you wrote is kept; trying again …"));
      timer = window.setTimeout(look, RETRY_MS);
      return null;
    }
  };
  function look() { return ask("state", {}); }

  // --- writing ---------------------------------------------------------------------------------------------------
  const refuse = (said) => { byId("live-refusal").textContent = said; };
  const send = async () => {
    const text = field.value.trim();
    if (!state || !state.may_write || isSending) return;
    if (!text) {
      refuse(gettext("Write a message first."));
      field.focus();
      return;
    }
    isSending = true;
    byId("live-send").disabled = true;
    refuse("");
    const answer = await ask("message", { text, number: state.finished + 1 });
    isSending = false;
    byId("live-send").disabled = false;
    if (!answer) return;
    if (answer.data.finished === undefined) {
      refuse(answer.data.message || gettext("The message was not taken."));
      field.focus();
      if (answer.status === 400) look();
      return;
    }
    if (field.value.trim() === text) {
      field.value = "";
      storage.remove(draftName);
    }
    announce(gettext("Sent. Two answers are being written."));
  };
  field.value = storage.get(draftName) || "";
  field.addEventListener("input", () => {
    refuse("");
    if (field.value) storage.set(draftName, field.value);
    else storage.remove(draftName);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.repeat || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    send();
  });
  byId("live-form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  if (byId("live-opener")) {
    byId("live-opener").addEventListener("change", ({ target }) => {
      field.value = target.value;
      field.dispatchEvent(new Event("input"));
    });
  }
  byId("live-again").addEventListener("click", () => ask("again", {}));
  byId("live-one").addEventListener("click", () => ask("one", {}));
  const [endDialog, , goOn, end] = Roundtable.createDialog("live-end-question", gettext("End this conversation? You cannot go on with it later."), [
    ["btn btn-outline-secondary", gettext("Go on with it")],
    ["btn btn-danger", gettext("End the conversation")],
  ]);
  byId("live-end").addEventListener("click", () => {
    endDialog.showModal();
    goOn.focus();
  });
  goOn.addEventListener("click", () => endDialog.close());
  end.addEventListener("click", () => {
    endDialog.close();
    ask("end", {});
  });

  // --- judging -----------------------------------------------------------------------------------------------------
  const submit = () => {
    if (!current || !current.controller) {
      send();
      return;
    }
    const judgment = current.controller.getJudgment();
    const problem = judgment.error ? judgment : current.marks.missing() || current.missingReason(judgment);
    if (problem) {
      current.showError(problem);
      return;
    }
    clock.tick();
    const { publicId, data } = current;
    const draft = current.draft();
    const { marks, confidence, rationale, flags, seconds, idempotency_key } = draft;
    const evidence = current.evidenceOfJudgment();
    clock.add(seconds);
    const versions = { guideline_version: guideline.version(), settings_version: data.settings_version };
    outbox.add({
      publicId,
      draft,
      url: api.urlOf(publicId, "submit"),
      body: { ...judgment, marks, confidence, rationale, flags, seconds, evidence, idempotency_key, ...versions, revise: false },
    });
    drafts.remove(publicId);
    leaveTask();
    announce(gettext("Judged."));
  };
  const skip = (reason) => {
    if (!current || !current.controller) return;
    const { publicId } = current;
    outbox.add({ publicId, url: api.urlOf(publicId, "skip"), body: { reason } });
    drafts.remove(publicId);
    leaveTask();
    announce(gettext("Not judged: the conversation goes on with one of the two."));
  };

  // --- the keyboard and the dialogs, as on the work page -------------------------------------------------------------
  const focusTask = () => taskContainer.focus({ preventScroll: true });
  const reading = Roundtable.watchReading({ taskContainer, currentTask, announce, focusTask });
  const openDialog = (id) => byId(id).showModal();
  const questions = Roundtable.openQuestions({ currentTask, send: api.ask, announce, onLoggedOut: statusBar.askToLogIn, openDialog });
  taskContainer.addEventListener("click", (event) => { if (event.target.closest("[data-asks]")) questions.ask(); });
  const withTask = (act) => () => { if (current && current.node) act(current); };
  Roundtable.listenForShortcuts({
    root: workPage,
    storage,
    currentTask,
    commands: {
      submit,
      skip: () => skip(""),
      ask: questions.ask,
      go_to_marks: withTask((task) => task.marks.goToMarks()),
      both_bad: withTask((task) => task.marks.toggleBothBad()),
      cannot_judge: withTask((task) => task.marks.openReasons()),
      go_back: () => {},
      open_note: withTask((task) => task.openNote()),
      show_keys: () => openDialog("keys-dialog"),
      leave: () => { reading.leave(); },
      ...reading.commands,
      pause: clock.togglePause,
    },
    leaveTextField: (target) => { if (current) taskContainer.focus(); else target.blur(); },
  });
  for (const button of document.querySelectorAll("[data-opens]")) {
    button.addEventListener("click", () => openDialog(button.dataset.opens));
  }
  for (const button of document.querySelectorAll("[data-closes]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  // Back in the window, perhaps after a login or a judgment in another one.
  window.addEventListener("focus", () => { look(); });
  window.addEventListener("pageshow", ({ persisted }) => { if (persisted) look(); });
  const start = async () => {
    clock.resumePause();
    await outbox.flush();
    await look();
  };
  start();
})();
