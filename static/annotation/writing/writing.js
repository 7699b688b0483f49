// A text that is written: kept in the browser at each change and on the server soon after, shown as it will read, sent once.
(function () {
  "use strict";
  const Roundtable = window.Roundtable;
  const { gettext, ngettext } = Roundtable;
  const form = document.getElementById("writing");
  const SEND_AFTER_MS = 800;
  const RETRY_AFTER_MS = 5000;
  const { draftUrl, owner, item, least, most } = form.dataset;
  const isDialogue = "dialogue" in form.dataset;
  const storage = Roundtable.openStorage(owner);
  // A window's own: another one must not overwrite or remove what is only here.
  const name = `writing:${item}:${Roundtable.windowId()}`;
  const turnsBox = document.getElementById("turns");
  const state = document.getElementById("writing-state");
  const alike = document.getElementById("alike");
  const otherWindow = document.getElementById("other-window");
  const csrfToken = () => form.elements.csrfmiddlewaretoken.value;
  const fields = () => [...turnsBox.querySelectorAll("textarea")];
  const typed = () => fields().map((field) => field.value);
  let draftNumber = Number(form.dataset.draftNumber);
  let timer = null;
  let isSaving = false;
  let changedSince = false;
  let other = null; // the text of another window, until the writer has chosen
  let otherName = ""; // under which the browser keeps it, where it does
  let isStopped = false;
  let asksToRemove = false; // the next press removes turns that are not empty

  const say = (text) => { if (state.textContent !== text) state.textContent = text; };
  const same = (one, two) => JSON.stringify(one) === JSON.stringify(two);

  const showWords = () => fields().forEach((field, place) => {
    const n = (field.value.match(/\S+/gu) || []).length;
    const from = isDialogue && place % 2 === 0 ? 1 : least;
    field.closest("[data-turn]").querySelector("[data-words]").textContent = ngettext("one word ({from} to {most})", "{n} words ({from} to {most})", n, { from, most });
  });
  const showPreview = (html) => fields().forEach((field, place) => {
    const box = field.closest("[data-turn]").querySelector("[data-preview]");
    box.hidden = !field.value.trim() || html[place] === undefined;
    if (!box.hidden) box.innerHTML = html[place];
  });
  const showAlike = (found) => {
    alike.hidden = !found;
    if (found) alike.textContent = found.is_same ? gettext("There is just this prompt already: it cannot be sent.") : gettext("There is a prompt much like it: “{text}”", { text: found.text });
  };

  const setTurns = (texts) => {
    while (fields().length > texts.length) turnsBox.lastElementChild.remove();
    while (fields().length < texts.length) addTurn();
    fields().forEach((field, place) => { field.value = texts[place]; });
    showWords();
  };
  const addTurn = () => {
    const last = turnsBox.lastElementChild;
    const turn = last.cloneNode(true);
    const number = fields().length + 1;
    const field = turn.querySelector("textarea");
    const label = turn.querySelector("[data-turn-name]");
    const preview = turn.querySelector("[data-preview]");
    field.value = field.textContent = "";
    field.id = label.htmlFor = `turn-${number}`;
    label.textContent = number % 2 ? gettext("User, turn {number}", { number }) : gettext("Assistant, turn {number}", { number });
    preview.replaceChildren();
    preview.hidden = true;
    turnsBox.append(turn);
    return field;
  };

  const keep = () => storage.set(name, { turns: typed(), number: draftNumber });
  const askWhich = (texts, keptAs = "") => { other = texts; otherName = keptAs; otherWindow.hidden = false; };
  const chosen = () => {
    if (otherName) storage.remove(otherName);
    other = null;
    otherName = "";
    otherWindow.hidden = true;
    keep();
  };

  const save = async () => {
    window.clearTimeout(timer);
    if (isStopped || other) return;
    if (isSaving) { changedSince = true; return; }
    isSaving = true;
    changedSince = false;
    const turns = typed();
    let answer = null;
    try {
      answer = await fetch(draftUrl, {
        method: "POST",
        credentials: "same-origin",
        headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrfToken() },
        body: JSON.stringify({ turns, draft_number: draftNumber }),
      });
      const body = await answer.json();
      if (answer.ok) {
        draftNumber = body.draft_number;
        if (same(typed(), turns)) storage.remove(name); else keep();
        showPreview(body.html);
        showAlike(body.alike);
        say(gettext("Kept."));
      } else if (body.code === "writing_changed") {
        // What the other window kept is in the page as the server gives it now.
        const page = await (await fetch(window.location.href, { credentials: "same-origin" })).text();
        const theirs = new DOMParser().parseFromString(page, "text/html").getElementById("writing");
        if (theirs) {
          draftNumber = Number(theirs.dataset.draftNumber);
          const texts = [...theirs.querySelectorAll("#turns textarea")].map((field) => field.value);
          if (same(texts, typed())) changedSince = true; else askWhich(texts);
        } else say(gettext("This text was sent in another window. What you typed is kept in this browser."));
      } else {
        say(gettext("{why} It is kept in this browser.", { why: body.message }));
      }
    } catch (error) {
      say(gettext("Not kept on the server: no connection. It is kept in this browser, and sent when the connection is back."));
      timer = window.setTimeout(save, RETRY_AFTER_MS);
    } finally {
      isSaving = false;
    }
    if (changedSince) save();
  };
  const onChange = () => {
    asksToRemove = false;
    keep();
    showWords();
    say(gettext("Not kept on the server yet."));
    window.clearTimeout(timer);
    timer = window.setTimeout(save, SEND_AFTER_MS);
  };

  turnsBox.addEventListener("input", onChange);
  turnsBox.addEventListener("paste", Roundtable.pasteAsMarkdown);
  window.addEventListener("online", () => { if (storage.get(name)) save(); });
  document.getElementById("keep-mine").addEventListener("click", () => { chosen(); save(); });
  document.getElementById("take-other").addEventListener("click", () => {
    setTurns(other);
    chosen();
    save();
    fields()[0].focus();
  });
  if (isDialogue) {
    document.getElementById("add-turns").addEventListener("click", () => { addTurn().focus(); addTurn(); onChange(); });
    document.getElementById("remove-turns").addEventListener("click", () => {
      const last = fields().slice(-2);
      if (fields().length <= 2) return say(gettext("A dialogue has a question and an answer at least."));
      if (last.some((field) => field.value.trim()) && !asksToRemove) {
        asksToRemove = true;
        return say(gettext("They are not empty. Press again to remove them."));
      }
      turnsBox.lastElementChild.remove();
      turnsBox.lastElementChild.remove();
      onChange();
    });
  }

  // Sent by the script, so that no connection is a sentence on the page and not the browser's error page. The key makes
  // a second sending the same one.
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button[type=submit]");
    if (button.disabled) return;
    if (other) {
      document.getElementById("keep-mine").focus();
      return;
    }
    button.disabled = true;
    isStopped = true;
    window.clearTimeout(timer);
    keep();
    say(gettext("Sending …"));
    // What is on its way is the draft that the server compares with.
    while (isSaving) await new Promise((resolve) => window.setTimeout(resolve, 50));
    form.elements.draft_number.value = draftNumber;
    let isOfAnotherWindow = false;
    try {
      const answer = await fetch(form.action, { method: "POST", credentials: "same-origin", headers: { Accept: "application/json" }, body: new URLSearchParams(new FormData(form)) });
      const isJson = (answer.headers.get("Content-Type") || "").startsWith("application/json");
      if (answer.ok && isJson) {
        storage.remove(name);
        window.location.assign((await answer.json()).next);
        return;
      }
      if (isJson) {
        const body = await answer.json();
        say(body.message);
        isOfAnotherWindow = body.code === "writing_changed";
      } else say(answer.redirected ? gettext("Your session has ended: log in again in another tab, then send again. What you typed is kept.") : gettext("Not sent: the server could not take it. What you typed is kept."));
    } catch (error) {
      say(gettext("Not sent: no connection. What you typed is kept; it is sent when the connection is back."));
      window.addEventListener("online", () => form.requestSubmit(), { once: true });
    }
    isStopped = false;
    button.disabled = false;
    if (isOfAnotherWindow) save(); // which finds what the other window has
  });

  showWords();
  const left = storage.get(name);
  if (left && !same(left.turns, typed())) {
    if (left.number === draftNumber) { setTurns(left.turns); save(); } else {
      const server = typed();
      setTurns(left.turns);
      askWhich(server);
    }
  } else {
    // Of a window that is closed, or of this browser before it was.
    const others = storage.names(`writing:${item}:`).concat(`writing:${item}`).filter((one) => one !== name);
    const kept = others.find((one) => !same((storage.get(one) || {}).turns, typed()));
    if (kept && storage.get(kept)) askWhich(storage.get(kept).turns, kept);
    else if (typed().some((text) => text.trim())) save();
  }
})();
