// The work page: shows a task, keeps the draft, sends the answer, and has the next task ready before it is needed.
(function () {
  "use strict";
  const Roundtable = window.Roundtable;
  const bench = document.getElementById("work-page");
  if (!bench) return;
  const urls = bench.dataset;
  const at = (id) => document.getElementById(id);
  const place = at("work-page-task");
  const drawer = Roundtable.openDrawer(urls.drawer);
  const call = Roundtable.makeCaller(urls.tokenUrl);
  const urlOf = (handle, verb) => urls.taskUrl.replace("00000000-0000-0000-0000-000000000000", handle) + (verb ? `${verb}/` : "");
  const IDLE_AFTER = 60000;

  let current = null; // the task on the screen: {data, node, controller, key, seconds}
  let ahead = null; // a promise of the task behind it
  let held = null; // what was on the screen before an earlier answer was opened
  let done = []; // handles answered, the last one last
  let skipped = null; // the task just skipped: {handle, draft, touched}, until the next answer
  let waitsForLogin = false; // nothing is on the screen because the session has ended
  let work = null;
  let lastActive = Date.now();

  const announce = (text) => { at("work-page-announcer").textContent = text; };
  // What must be read (`stays`) outlives the next task's arrival; the next answer takes it away.
  let staying = false;
  const notice = (nodes, { stays = false } = {}) => {
    staying = Boolean(nodes) && stays;
    at("work-page-notice").replaceChildren(...(nodes || []));
    at("work-page-notice").hidden = !nodes;
  };
  const clearNotice = () => { if (!staying) notice(null); };
  const sorry = (text) => notice([document.createTextNode(text)]);
  const link = (href, text) => { const a = document.createElement("a"); a.href = href; a.textContent = text; return a; };

  const tell = ({ waiting, offline, loggedOut }) => {
    const one = waiting === 1;
    at("work-page-sync").textContent = !waiting ? "" : offline
      ? `No connection: ${waiting} answer${one ? "" : "s"} kept here, sent when it is back.`
      : loggedOut ? "" : "Saving …";
    bench.classList.toggle("is-offline", Boolean(offline));
    if (loggedOut) askToLogIn();
    else if (!waiting && !offline) clearNotice();
  };
  const askToLogIn = () => notice([
    document.createTextNode("Your session has ended. Your work is kept in this browser. "),
    link(`${urls.loginUrl}?next=${encodeURIComponent(window.location.pathname)}`, "Log in again"),
  ]);
  const refused = (entry, message) => {
    // With a new key: the old one may belong to what another window has stored.
    if (entry.draft) drawer.set(`draft:${entry.handle}`, { ...entry.draft, key: Roundtable.newKey() });
    const again = link(urlOf(entry.handle), "Open it again");
    notice([document.createTextNode(`An answer was not stored: ${message} `), again], { stays: true });
  };
  const outbox = Roundtable.openOutbox({ drawer, call, tell, refused });
  const offerUndo = (what) => { skipped = what; at("work-page-undo").hidden = !what; };

  const count = (fresh) => {
    if (fresh) work = { ...fresh };
    if (!work) return;
    const left = /\+$/.test(work.remaining_words) ? work.remaining_words : String(Math.max(0, work.remaining));
    at("work-page-progress").innerHTML = "";
    const strong = (text) => { const b = document.createElement("strong"); b.textContent = text; return b; };
    at("work-page-progress").append(strong(String(work.judged)), " judged", strong(left), " left");
    at("work-page-previous").disabled = !(done.length || work.last);
  };

  // --- drafts -------------------------------------------------------------------------------------------------
  let draftTimer = null;
  const draftOf = (task) => ({
    ...task.controller.state(),
    rationale: task.node.querySelector("[name=rationale]").value,
    flags: [...task.node.querySelectorAll("[name=flags]:checked")].map((box) => box.value),
    seconds: Math.round(task.seconds * 10) / 10,
    key: task.key,
    at: Date.now(),
  });
  const keepDraft = () => {
    if (!current || !current.controller) return;
    const draft = draftOf(current);
    drawer.set(`draft:${current.data.handle}`, draft);
    return draft;
  };
  const changed = () => {
    keepDraft();
    at("task-problem").textContent = "";
    window.clearTimeout(draftTimer);
    draftTimer = window.setTimeout(() => sendDraft(false), 1500);
  };
  const sendDraft = (leaving) => {
    window.clearTimeout(draftTimer);
    if (!current || !current.controller || !current.touched || current.data.answer) return;
    const draft = keepDraft();
    // The answer itself is safe in the drawer; a draft that does not arrive is sent again with the next change.
    call(urlOf(current.data.handle, "draft"), draft, leaving).catch((error) => {
      if (error instanceof Roundtable.LoggedOut && !leaving) askToLogIn();
    });
  };
  document.addEventListener("visibilitychange", () => { if (document.hidden) sendDraft(true); });
  window.addEventListener("pagehide", () => { if (current && current.touched) keepDraft(); });

  // Active seconds: the page is visible and somebody did something within the last minute.
  ["pointermove", "pointerdown", "keydown", "scroll", "wheel"].forEach((name) =>
    document.addEventListener(name, () => { lastActive = Date.now(); }, { passive: true, capture: true }));
  let lastTick = Date.now();
  window.setInterval(() => {
    const now = Date.now();
    if (current && !document.hidden && now - lastActive < IDLE_AFTER) current.seconds += Math.min(2, (now - lastTick) / 1000);
    lastTick = now;
  }, 500);

  // --- showing ------------------------------------------------------------------------------------------------
  const show = (data) => {
    const holder = document.createElement("template");
    holder.innerHTML = data.html;
    place.replaceChildren(holder.content);
    const node = place.querySelector(".task");
    current = { data, node, controller: null, key: Roundtable.newKey(), seconds: 0, touched: false };
    window.scrollTo(0, 0);
    clearNotice();
    if (!node) { place.focus({ preventScroll: true }); count(); return; }
    const touch = () => { current.touched = true; changed(); };
    const mount = node.dataset.kind === "pair" ? Roundtable.mountPair : Roundtable.mountRanking;
    current.controller = mount(node, { changed: touch, announce });
    const local = drawer.get(`draft:${data.handle}`);
    const drafts = [local, data.answer ? null : data.draft].filter(Boolean).sort((a, b) => (b.at || 0) - (a.at || 0));
    const saved = drafts[0] || data.answer;
    if (saved) {
      current.controller.restore(saved);
      node.querySelector("[name=rationale]").value = saved.rationale || "";
      node.querySelectorAll("[name=flags]").forEach((box) => { box.checked = (saved.flags || []).includes(box.value); });
      if (drafts[0]) {
        current.key = saved.key || current.key;
        current.seconds = saved.seconds || 0;
        current.touched = true;
      }
      if (saved.rationale || (saved.flags || []).length) node.querySelector(".note").open = true;
    }
    node.querySelector(".note").addEventListener("input", touch);
    node.querySelector("form").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
    const skipper = node.querySelector("[data-skip]");
    if (skipper) skipper.addEventListener("click", skip);
    const cancel = node.querySelector("[data-cancel]");
    if (cancel) cancel.addEventListener("click", leaveAsItWas);
    place.focus({ preventScroll: true });
    announce(node.querySelector(".task-question").textContent);
    count();
  };

  const wait = (text) => {
    const p = document.createElement("p");
    p.className = "task-waiting";
    p.textContent = text;
    place.replaceChildren(p);
    current = null;
  };

  // --- from task to task --------------------------------------------------------------------------------------
  // A task that waits in the outbox is still leased for the server, so the queue is emptied before the next is asked for.
  const fetchNext = async (after) => {
    await outbox.empty();
    const { status, data } = await call(urls.nextUrl, { after });
    if (status !== 200) throw new Error(data.message || "The next task could not be loaded.");
    return data;
  };
  const prefetch = () => {
    const handle = current && current.data.handle;
    const fresh = (data) => { if (current && current.data.handle === handle) count(data.work); return data; };
    ahead = handle && !current.data.answer ? fetchNext(handle).then(fresh).catch(() => null) : null;
  };
  const advance = async () => {
    const ready = ahead;
    ahead = null;
    window.clearTimeout(draftTimer);
    let data = ready ? await ready : null;
    // Nothing was behind the last task when it was shown: something may be by now.
    if (!data || !data.handle) {
      wait("Getting the next task …");
      try {
        data = await fetchNext(null);
      } catch (error) {
        if (error instanceof Roundtable.LoggedOut) {
          askToLogIn();
          wait("The next task comes when you have logged in again.");
          waitsForLogin = true;
          return;
        }
        wait(error instanceof Roundtable.Offline ? "Waiting for the connection …" : error.message || "Waiting …");
        window.setTimeout(() => { if (!current) advance(); }, 3000);
        return;
      }
      count(data.work);
    }
    show(data);
    prefetch();
  };
  // Who logged in again in another tab comes back to this one.
  window.addEventListener("focus", () => { if (waitsForLogin) { waitsForLogin = false; advance(); } });
  const failed = (error, text) => {
    if (error instanceof Roundtable.LoggedOut) askToLogIn();
    else if (error instanceof Roundtable.Offline) sorry(`No connection: ${text}`);
    else throw error;
  };
  const openEarlier = async () => {
    const handle = done[done.length - 1] || (work && work.last);
    if (!handle || (current && current.data.answer)) return;
    keepDraftIfTouched();
    try {
      await outbox.empty();
      const { status, data } = await call(urlOf(handle, "content"));
      if (status !== 200) { sorry(data.message || "This answer cannot be opened."); return; }
      held = current && current.node ? current.data : null;
      show(data);
    } catch (error) {
      failed(error, "your last answer cannot be opened now.");
    }
  };
  const undoSkip = async () => {
    const { handle, draft, touched } = skipped;
    keepDraftIfTouched();
    try {
      await outbox.empty();
      const { status, data } = await call(urlOf(handle, "undo-skip"), {});
      offerUndo(null);
      if (status !== 200) { sorry(data.message || "The skipped task cannot come back."); return; }
      if (touched) drawer.set(`draft:${handle}`, { ...draft, at: Date.now() });
      held = null;
      count(data.work);
      show(data);
      announce("The skipped task is back");
      // What was on the screen keeps its lease and its draft: it is the next one again.
      prefetch();
    } catch (error) {
      failed(error, "the skipped task cannot come back now.");
    }
  };
  const undo = () => (skipped ? undoSkip() : openEarlier());
  const keepDraftIfTouched = () => { if (current && current.touched) keepDraft(); };
  const leaveAsItWas = () => {
    drawer.remove(`draft:${current.data.handle}`);
    back();
  };
  const back = () => {
    const before = held;
    held = null;
    if (before) { show(before); if (!ahead) prefetch(); } else advance();
  };

  const submit = () => {
    if (!current || !current.controller) return;
    const answer = current.controller.answer();
    if (answer.problem) {
      // Read out here in any case; shown where it belongs if the controller can.
      at("task-problem").classList.toggle("visually-hidden", Boolean(answer.say));
      at("task-problem").textContent = answer.problem;
      if (answer.at) answer.at.focus();
      if (answer.say) answer.say(answer.problem);
      return;
    }
    notice(null);
    const { handle } = current.data;
    const revise = Boolean(current.data.answer);
    const draft = draftOf(current);
    outbox.add({
      handle,
      draft,
      url: urlOf(handle, "submit"),
      body: { ...answer, rationale: draft.rationale, flags: draft.flags, seconds: draft.seconds, key: draft.key, revise },
    });
    drawer.remove(`draft:${handle}`);
    offerUndo(null);
    if (revise) { announce("The change is saved"); back(); return; }
    done.push(handle);
    if (work) work = { ...work, judged: work.judged + 1, remaining: work.remaining - 1 };
    advance();
  };
  const skip = () => {
    if (!current || !current.controller || current.data.answer) return;
    notice(null);
    const { handle } = current.data;
    offerUndo({ handle, draft: draftOf(current), touched: current.touched });
    outbox.add({ handle, url: urlOf(handle, "skip"), body: {} });
    drawer.remove(`draft:${handle}`);
    if (work) work = { ...work, remaining: work.remaining - 1 };
    announce("Skipped. Z takes it back");
    advance();
  };

  // --- keys and dialogs ---------------------------------------------------------------------------------------
  const single = at("single-keys");
  single.checked = drawer.get("single-keys") !== false;
  const showKeys = () => bench.classList.toggle("keys-off", !single.checked);
  single.addEventListener("change", () => { drawer.set("single-keys", single.checked); showKeys(); });
  showKeys();
  document.querySelectorAll("[data-opens]").forEach((button) =>
    button.addEventListener("click", () => at(button.dataset.opens).showModal()));
  document.querySelectorAll("[data-closes]").forEach((button) =>
    button.addEventListener("click", () => button.closest("dialog").close()));
  at("work-page-previous").addEventListener("click", openEarlier);
  at("work-page-undo").querySelector("button").addEventListener("click", undo);

  const note = () => {
    const box = current && current.node && current.node.querySelector(".note");
    if (!box) return;
    box.open = true;
    box.querySelector("textarea").focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const target = event.target;
    const writing = target.closest("textarea, select, input:not([type=radio]):not([type=checkbox])");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) { event.preventDefault(); submit(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (writing) { if (event.key === "Escape") place.focus(); return; }
    if (event.key === "Enter") {
      if (event.repeat) { event.preventDefault(); return; }
      if (target.closest("button, a, summary, label")) return;
      event.preventDefault();
      submit();
      return;
    }
    const arrow = event.key === "ArrowUp" || event.key === "ArrowDown";
    if (arrow && !(target.matches && target.matches(".rank-card"))) return;
    if (!single.checked && !arrow) return;
    if (current && current.controller && current.controller.key(event)) { event.preventDefault(); return; }
    const act = { s: skip, n: note, z: undo, "?": () => at("keys-dialog").showModal() }[event.key.toLowerCase()];
    if (act && !event.repeat) { event.preventDefault(); act(); }
  });

  // --- start --------------------------------------------------------------------------------------------------
  const start = async () => {
    await outbox.flush();
    if (!urls.first || outbox.holds(urls.first)) { advance(); return; }
    try {
      const { data } = await call(urlOf(urls.first, "content"));
      count(data.work);
      show(data);
      prefetch();
    } catch (error) {
      if (error instanceof Roundtable.LoggedOut) askToLogIn();
      advance();
    }
  };
  start();
})();
