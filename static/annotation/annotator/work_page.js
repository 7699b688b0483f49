// The work page: which task is on the screen, which comes next, and what its buttons do. The next task is fetched
// before it is needed; judgments and skips go through the outbox.
(function () {
  "use strict";
  const Roundtable = window.Roundtable;
  const { gettext } = Roundtable;
  const byId = (id) => document.getElementById(id);
  const workPage = byId("work-page");
  if (!workPage || "conversation" in workPage.dataset) return; // that page has a script of its own (conversation.js)
  const RETRY_AFTER_MS = 3000;
  const taskContainer = byId("work-page-task");

  let current = null; // the task on the screen (task_view.js); null while none is
  let prefetched = null; // a promise of the data of the task behind it
  let ahead = null; // those data, once they are here
  let brought = null; // {after, data}: the task behind `after`, which the answer to a judgment brought
  const claims = new Map(); // public id of what was judged -> what is on the screen after it
  let previousTask = null; // data of what was on the screen before an earlier judgment was opened
  let skipped = null; // the task just skipped: {publicId, draft, touched}, until the next judgment
  let awaitsLogin = false; // nothing is on the screen because the session has ended
  let progress = null;
  const submittedIds = []; // public ids of what was judged in this window, the last one last

  const storage = Roundtable.openStorage(workPage.dataset.storageKey);
  const statusBar = Roundtable.createStatusBar(workPage);
  const api = Roundtable.createApiClient(workPage.dataset, {
    onGuidelineVersion: (version) => guideline.hear(version),
    guidelineVersion: () => guideline.version(),
  });
  const guideline = Roundtable.watchGuideline(workPage.dataset, { fetchGuideline: api.getGuideline, announce: statusBar.announce });
  const currentTask = () => current;
  const drafts = Roundtable.openDrafts({ storage, api, currentTask, onLoggedOut: statusBar.askToLogIn });
  const rejections = Roundtable.openRejections({ storage, show: statusBar.showRejections });
  const outbox = Roundtable.openOutbox({
    storage,
    api,
    onSyncStatus: statusBar.showSyncStatus,
    // Once: a judgment that is sent again asks for nothing, and the page asks for the next task by itself.
    addToBody({ publicId }) {
      if (!claims.has(publicId)) return {};
      const after = claims.get(publicId);
      claims.delete(publicId);
      return { claim_next: { after_assignment: after } };
    },
    onStored(entry, data, { claim_next: claim }) {
      training.hear(entry.publicId, data);
      if (claim && data.next) brought = { after: claim.after_assignment, data: data.next };
    },
    onRejected(entry, message, code) {
      // With a new key: the old one may belong to what another window has stored.
      if (entry.draft) drafts.set(entry.publicId, { ...entry.draft, idempotency_key: Roundtable.randomId() });
      // Who was removed cannot open it again.
      const url = code === "not_a_member" ? null : api.urlOf(entry.publicId);
      rejections.add({ publicId: entry.publicId, message, url });
    },
  });
  const clock = Roundtable.startClock(workPage, taskContainer, { currentTask, announce: statusBar.announce, onPause: drafts.keepIfTouched });

  const updateProgress = (newProgress) => {
    if (newProgress) progress = newProgress;
    if (progress) statusBar.showProgress(progress, { hasPrevious: Boolean(submittedIds.length || progress.last_assignment) });
  };
  const offerUndo = (what) => {
    skipped = what;
    statusBar.showUndo(Boolean(what));
  };

  // --- showing ------------------------------------------------------------------------------------------------
  const showTask = (data) => {
    statusBar.clearNotice();
    guideline.show(data.guideline);
    current = Roundtable.showTask(taskContainer, data, {
      storedDraft: drafts.get(data.public_id),
      announce: statusBar.announce,
      onChange: drafts.onChange,
      onSubmit: submit,
      onSkip: () => skip(""),
      onCannotJudge: skip,
      onCancel: cancelRevision,
    });
    reading.onTask();
    updateProgress();
    clock.draw();
  };
  const showWaiting = (words) => { Roundtable.showWaiting(taskContainer, words); current = null; };

  // --- from task to task --------------------------------------------------------------------------------------
  // A task that waits in the outbox is still leased for the server, so the outbox is emptied before the next is claimed.
  const claimNextTask = async (afterAssignment) => {
    await outbox.drain();
    const answer = brought;
    brought = null;
    if (answer && answer.after === afterAssignment && !outbox.has(answer.data.public_id)) return answer.data;
    let { status, data } = await api.claimNextTask(afterAssignment);
    // Judged already, in another window that has not sent it yet.
    if (status === 200 && data.public_id && outbox.has(data.public_id)) {
      await outbox.drainAll();
      ({ status, data } = await api.claimNextTask(afterAssignment));
    }
    if (status !== 200) throw new Error(data.message || gettext("The next task could not be loaded."));
    return data;
  };
  const prefetch = () => {
    const publicId = current && current.publicId;
    const apply = (data) => {
      const isOnScreen = current && current.publicId === publicId;
      if (isOnScreen) updateProgress(data.progress);
      // What is on the screen was handed out before: it comes back, with its draft, when the guideline is confirmed.
      if (isOnScreen && prefetched === promise && data.confirms_guideline) {
        drafts.keepIfTouched();
        prefetched = null;
        showTask(data);
      } else Roundtable.prepareTask(data);
      return data;
    };
    // In a training the next task comes after what is said of this one.
    const promise = publicId && !current.isRevision && !current.data.practice ? claimNextTask(publicId).then(apply).catch(() => null) : null;
    prefetched = promise;
    ahead = null;
    if (promise) promise.then((data) => { if (prefetched === promise) ahead = data; });
  };
  const showNextTask = async () => {
    const promise = prefetched;
    prefetched = null;
    drafts.cancelSending();
    let data = promise ? await promise : null;
    // Nothing was behind the last task when it was shown: something may be by now.
    if (!data || !data.public_id) {
      showWaiting(gettext("Loading the next task …"));
      try {
        data = await claimNextTask(null);
      } catch (error) {
        if (error instanceof Roundtable.LoggedOut) {
          statusBar.askToLogIn();
          showWaiting(gettext("Log in to get the next task."));
          awaitsLogin = true;
          return;
        }
        showWaiting(error instanceof Roundtable.Offline ? gettext("You are offline. Waiting for the connection …") : error.message || gettext("Waiting …"));
        window.setTimeout(() => { if (!current) showNextTask(); }, RETRY_AFTER_MS);
        return;
      }
      updateProgress(data.progress);
    }
    showTask(data);
    prefetch();
  };
  // The window gets the focus again: perhaps after a login in another tab.
  window.addEventListener("focus", () => {
    const isDue = awaitsLogin;
    awaitsLogin = false;
    if (isDue) showNextTask();
  });

  // --- back to an earlier one ---------------------------------------------------------------------------------
  const handleRequestError = (error, words) => {
    if (error instanceof Roundtable.LoggedOut) statusBar.askToLogIn();
    else if (error instanceof Roundtable.Offline) statusBar.showError(words);
    else throw error;
  };
  const openPrevious = async () => {
    const isRevision = Boolean(current && current.isRevision);
    if (isRevision && current.touched) {
      statusBar.showError(gettext("Save this change or cancel it first."));
      return;
    }
    // From an earlier judgment on to the one before it, as far as this window knows them.
    const place = isRevision ? submittedIds.indexOf(current.publicId) : submittedIds.length;
    const publicId = submittedIds[place - 1] || (!isRevision && progress && progress.last_assignment);
    if (!publicId) {
      if (isRevision) statusBar.showError(gettext("The judgments before this one are on your overview."));
      return;
    }
    drafts.keepIfTouched();
    try {
      await outbox.drain();
      const { status, data } = await api.getTask(publicId);
      if (status !== 200) {
        statusBar.showError(data.message || gettext("This judgment cannot be opened."));
        return;
      }
      if (!isRevision) previousTask = current && current.node ? current.data : null;
      showTask(data);
    } catch (error) {
      handleRequestError(error, gettext("You are offline: your last judgment cannot be opened now."));
    }
  };
  const undoSkip = async () => {
    const { publicId, draft, touched } = skipped;
    drafts.keepIfTouched();
    try {
      await outbox.drain();
      const { status, data } = await api.undoSkip(publicId);
      offerUndo(null);
      if (status !== 200) {
        statusBar.showError(data.message || gettext("The skipped task cannot come back."));
        return;
      }
      if (touched) drafts.set(publicId, { ...draft, saved_at: Date.now() });
      previousTask = null;
      updateProgress(data.progress);
      showTask(data);
      statusBar.announce(gettext("The skipped task is back"));
      // What was on the screen keeps its lease and its draft: it is the next one again.
      prefetch();
    } catch (error) {
      handleRequestError(error, gettext("You are offline: the skipped task cannot come back now."));
    }
  };
  const goBack = () => (skipped ? undoSkip() : openPrevious());
  const returnToTask = () => {
    const data = previousTask;
    previousTask = null;
    if (!data) {
      showNextTask();
      return;
    }
    showTask(data);
    if (!prefetched) prefetch();
  };
  const cancelRevision = () => {
    drafts.remove(current.publicId);
    leaveFirstTask();
    returnToTask();
  };

  // --- the focus ----------------------------------------------------------------------------------------------
  // What was picked in the task is picked again.
  let picked = null;
  taskContainer.addEventListener("focusin", ({ target }) => {
    picked = target.matches("input[type=radio], .rank-card, [data-step]") ? target : null;
  });
  const focusTask = () => (picked && taskContainer.contains(picked) ? picked : taskContainer).focus({ preventScroll: true });
  // A dialog gives the focus back to what had it: that is the task, not the button, so that Enter submits.
  const reading = Roundtable.watchReading({ taskContainer, currentTask, announce: statusBar.announce, focusTask });
  const openDialog = (id) => {
    focusTask();
    byId(id).showModal();
  };

  // --- what the buttons do ------------------------------------------------------------------------------------
  const submit = () => {
    if (!current || !current.controller) return;
    const judgment = current.controller.getJudgment();
    const { afterMarks = () => null } = current.controller;
    const problem = judgment.error ? judgment : current.marks.missing() || afterMarks(current.marks.state()) || current.missingReason(judgment);
    if (problem) {
      current.showError(problem);
      return;
    }
    statusBar.removeNotice();
    rejections.forgetShown();
    clock.tick();
    const { publicId, isRevision, data } = current;
    const draft = current.draft();
    const { marks, confidence, rationale, flags, seconds, idempotency_key } = draft;
    const evidence = current.evidenceOfJudgment();
    clock.add(seconds);
    if (!isRevision && prefetched && ahead) claims.set(publicId, ahead.public_id);
    const versions = { guideline_version: guideline.version(), settings_version: data.settings_version };
    outbox.add({
      publicId,
      draft,
      url: api.urlOf(publicId, "submit"),
      body: { ...judgment, marks, confidence, rationale, flags, seconds, evidence, idempotency_key, ...versions, revise: isRevision },
    });
    drafts.remove(publicId);
    offerUndo(null);
    leaveFirstTask();
    if (isRevision) {
      statusBar.announce(gettext("The change is saved"));
      returnToTask();
      return;
    }
    if (data.practice) {
      current = null;
      training.showFeedback(publicId);
      return;
    }
    submittedIds.push(publicId);
    if (progress) progress = { ...progress, judged: progress.judged + 1, remaining: progress.remaining - 1 };
    showNextTask();
  };
  // `reason`: of who cannot judge the task; else empty.
  const skip = (reason) => {
    if (!current || !current.controller || current.isRevision) return;
    if (current.data.practice) {
      current.showError({ error: gettext("Tasks of the training are not skipped: answer as well as you can.") });
      return;
    }
    statusBar.removeNotice();
    rejections.forgetShown();
    const { publicId, touched } = current;
    offerUndo({ publicId, draft: current.draft(), touched });
    outbox.add({ publicId, url: api.urlOf(publicId, "skip"), body: { reason } });
    drafts.remove(publicId);
    if (progress) progress = { ...progress, remaining: progress.remaining - 1 };
    leaveFirstTask();
    statusBar.announce(gettext("Skipped. {key} takes it back", { key: shortcuts.keyOf("go_back") }));
    showNextTask();
  };
  const training = Roundtable.openTraining({ taskContainer, outbox, api, statusBar, showNextTask });
  const questions = Roundtable.openQuestions({
    currentTask,
    send: api.ask,
    announce: statusBar.announce,
    onLoggedOut: statusBar.askToLogIn,
    openDialog,
  });
  taskContainer.addEventListener("click", (event) => { if (event.target.closest("[data-asks]")) questions.ask(); });
  Roundtable.listenForConfirmation({ taskContainer, confirm: api.confirmGuideline, showError: statusBar.showError, onConfirmed: showNextTask, onError: handleRequestError });
  const shortcuts = Roundtable.listenForShortcuts({
    root: workPage,
    storage,
    currentTask,
    commands: {
      submit,
      skip: () => skip(""),
      ask: questions.ask,
      go_to_marks: () => { if (current && current.node) current.marks.goToMarks(); },
      both_bad: () => { if (current && current.node) current.marks.toggleBothBad(); },
      cannot_judge: () => { if (current && current.node) current.marks.openReasons(); },
      go_back: goBack,
      open_note: () => { if (current && current.node) current.openNote(); },
      show_keys: () => openDialog("keys-dialog"),
      leave: () => { if (!reading.leave() && current && current.isRevision) cancelRevision(); },
      ...reading.commands,
      pause: clock.togglePause,
    },
    leaveTextField: () => taskContainer.focus(),
  });
  byId("work-page-previous").addEventListener("click", openPrevious);
  byId("work-page-undo").querySelector("button").addEventListener("click", goBack);
  for (const button of document.querySelectorAll("[data-opens]")) button.addEventListener("click", () => openDialog(button.dataset.opens));
  for (const button of document.querySelectorAll("[data-closes]")) button.addEventListener("click", () => button.closest("dialog").close());
  // After a click on a button above the task (the theme's, for example), or on one that only shows more of an answer,
  // Enter submits as well.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || !event.pointerType || document.querySelector("dialog:modal")) return;
    if (button.closest("[data-keeps-focus]")) return;
    if (!taskContainer.contains(button) || button.matches("[data-written-switch], [data-fold-switch], [data-marks-differences], .btn-unfold")) focusTask();
  });

  // --- start --------------------------------------------------------------------------------------------------
  // The address of one task (of which the page was opened) is left with it: Back, Forward and a reload do not bring it again.
  const leaveFirstTask = () => {
    if (!workPage.dataset.firstTask) return;
    workPage.dataset.firstTask = "";
    window.history.replaceState(window.history.state, "", workPage.dataset.workUrl);
  };
  // Back to a page that the browser kept as it was: its task may have been judged since, and may not have been sent.
  const showWhatIsLeft = async () => {
    if (!current || !current.node || current.isRevision) return;
    const { publicId } = current;
    let isDone = outbox.has(publicId);
    if (!isDone) {
      try {
        const { status, data } = await api.getTask(publicId);
        isDone = status !== 200 || Boolean(data.judgment);
      } catch (error) {
        if (error instanceof Roundtable.LoggedOut) statusBar.askToLogIn();
        return;
      }
    }
    if (!isDone || !current || current.publicId !== publicId) return;
    prefetched = null;
    showNextTask();
  };
  window.addEventListener("pageshow", ({ persisted }) => { if (persisted) showWhatIsLeft(); });
  const start = async () => {
    clock.resumePause();
    const { firstTask } = workPage.dataset;
    rejections.showKept({ opened: firstTask });
    await outbox.flush();
    if (!firstTask || outbox.has(firstTask)) {
      leaveFirstTask();
      showNextTask();
      return;
    }
    try {
      const { status, data } = await api.getTask(firstTask);
      if (status !== 200) {
        leaveFirstTask();
        await showNextTask();
        statusBar.showError(data.message || gettext("This task cannot be opened."));
        return;
      }
      updateProgress(data.progress);
      showTask(data);
      prefetch();
    } catch (error) {
      if (error instanceof Roundtable.LoggedOut) statusBar.askToLogIn();
      showNextTask();
    }
  };
  start();
})();
