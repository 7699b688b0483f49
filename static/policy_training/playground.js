// The playground: a dialogue with a policy that lives in this tab. The site is asked for answers and how they stand; it
// keeps nothing. What was typed stays whatever goes wrong.
(function () {
  "use strict";
  const Roundtable = window.Roundtable;
  const { gettext, ngettext } = Roundtable;
  const byId = (id) => document.getElementById(id);
  const page = byId("playground");
  const LOOK_MS = 300;
  const HIDDEN_MS = 2000;
  const RETRY_MS = 3000;
  const MAX_FAILED_LOOKS = 5;
  const client = Roundtable.createPlaygroundClient(page.querySelector("[name=csrfmiddlewaretoken]").value);
  const storage = Roundtable.openPlaygroundStorage(page.dataset.storageKey);
  const system = byId("play-system");
  const message = byId("play-message");
  const options = byId("play-options");
  const OPTIONS = ["temperature", "top_p", "max_tokens", "seed", "answers", "beside"];

  // turns: {role, content, policy, facts}; answers: those to the last turn, of which one is chosen.
  const state = { turns: [], answers: [], ...storage.read() };
  let edited = null; // the turn whose text is open
  let cards = [];
  let timer = null;
  let isAsking = false;
  let failedLooks = 0;

  const keep = () => {
    state.system = system.value;
    state.message = message.value;
    state.options = Object.fromEntries(OPTIONS.map((name) => [name, options.elements[name].value]));
    storage.write(state);
  };
  const announce = (words) => { byId("play-announcer").textContent = words; };
  const showProblem = (words) => {
    byId("play-problem").textContent = words;
    byId("play-problem").hidden = !words;
  };
  const isWritten = (answer) => answer.state === "waiting" || answer.state === "writing";
  const isWriting = () => state.answers.some(isWritten);
  const lastTurn = () => state.turns[state.turns.length - 1];

  // --- what is on the screen ---------------------------------------------------------------------------------------
  const drawButtons = () => {
    const last = lastTurn();
    byId("play-again").hidden = !last || isWriting() || edited !== null || state.turns.every((turn) => turn.role !== "user");
    byId("play-stop").hidden = !isWriting();
    byId("play-restart").hidden = !last;
    byId("play-send").disabled = isAsking || isWriting();
  };
  const draw = () => {
    const turns = state.turns.map((turn, index) =>
      index === edited
        ? Roundtable.makePlaygroundEditor(turn, index, { save, cancel: closeEditor })
        : Roundtable.makePlaygroundTurn(turn, index, { edit: openEditor, remove }));
    byId("play-turns").replaceChildren(...turns);
    cards = state.answers.map((answer, index) => Roundtable.makePlaygroundAnswer(answer, index + 1, () => choose(index)));
    byId("play-answers").replaceChildren(...cards.map(([card]) => card));
    drawButtons();
  };

  // --- asking ------------------------------------------------------------------------------------------------------
  const randomSeed = () => window.crypto.getRandomValues(new Uint32Array(1))[0];
  const readOptions = () => {
    const numberOf = (name) => (options.elements[name].value === "" ? null : Number(options.elements[name].value));
    const seed = numberOf("seed");
    return { temperature: numberOf("temperature"), top_p: numberOf("top_p"), max_tokens: numberOf("max_tokens"), answers: numberOf("answers"), seed: seed === null ? randomSeed() : seed };
  };
  const policies = () => {
    const beside = options.elements.beside.selectedOptions[0];
    const first = { policy: page.dataset.policy, url: page.dataset.ask };
    return beside && beside.value ? [first, { policy: beside.textContent, url: beside.dataset.ask }] : [first];
  };
  const groupByUrl = (answers) => {
    const groups = new Map();
    for (const answer of answers) groups.set(answer.url, [...(groups.get(answer.url) || []), answer]);
    return [...groups];
  };
  const stopAll = (answers) =>
    Promise.allSettled(groupByUrl(answers.filter(isWritten)).map(([url, some]) => client.stop(url, some.map(({ id }) => id))));
  // Whether the answers to these turns were begun; else nothing has changed but the sentence that says why.
  const ask = async (turns) => {
    if (isAsking || isWriting()) return false;
    const drawn = readOptions();
    const said = turns.map(({ role, content }) => ({ role, content }));
    const messages = system.value.trim() ? [{ role: "system", content: system.value }, ...said] : said;
    isAsking = true;
    showProblem("");
    drawButtons();
    const facts = { seed: drawn.seed, temperature: drawn.temperature, top_p: drawn.top_p };
    const begun = [];
    try {
      for (const { policy, url } of policies()) {
        for (const answer of await client.ask(url, { messages, ...drawn })) begun.push({ ...answer, policy, url, facts });
      }
    } catch (error) {
      if (!(error instanceof Roundtable.PlaygroundProblem)) throw error;
      stopAll(begun);
      showProblem(error.message);
      return false;
    } finally {
      isAsking = false;
      drawButtons();
    }
    state.turns = turns;
    state.answers = begun;
    return true;
  };
  const begin = () => {
    edited = null;
    failedLooks = 0;
    keep();
    draw();
    announce(ngettext("Sent. {n} answer is being written.", "Sent. {n} answers are being written.", state.answers.length));
    plan(LOOK_MS);
  };
  const send = async () => {
    const words = message.value;
    if (isAsking || isWriting()) return;
    if (edited !== null) {
      showProblem(gettext("A turn is being edited: save it or cancel first."));
      return;
    }
    if (!words.trim()) {
      showProblem(gettext("Write a message first."));
      message.focus();
      return;
    }
    if (lastTurn() && lastTurn().role === "user") {
      showProblem(state.answers.some((answer) => answer.state === "done")
        ? gettext("Choose the answer to go on with first.")
        : gettext("Your last message has no answer: have it answered again, edit it or remove it."));
      return;
    }
    if (!(await ask([...state.turns, { role: "user", content: words }]))) return;
    if (message.value === words) message.value = "";
    begin();
  };
  const askAgain = async () => {
    const turns = [...state.turns];
    while (turns.length && turns[turns.length - 1].role !== "user") turns.pop();
    if (turns.length && await ask(turns)) begin();
  };

  // --- how the answers stand -----------------------------------------------------------------------------------------
  function plan(milliseconds) {
    window.clearTimeout(timer);
    if (isWriting()) timer = window.setTimeout(look, document.hidden ? HIDDEN_MS : milliseconds);
  }
  const take = (answer, told) => {
    const { id, state: how, text, problem, ...ends } = told;
    Object.assign(answer, { state: how, text, problem });
    if (how === "done") answer.facts = { ...answer.facts, ...ends };
  };
  const look = async () => {
    const asked = state.answers;
    try {
      const groups = groupByUrl(asked.filter(isWritten));
      const told = await Promise.all(groups.map(([url, some]) => client.look(url, some.map(({ id }) => id))));
      if (asked !== state.answers) return;
      groups.forEach(([, some], index) => some.forEach((answer, place) => take(answer, told[index][place])));
      failedLooks = 0;
    } catch (error) {
      if (!(error instanceof Roundtable.PlaygroundProblem)) throw error;
      if (asked !== state.answers) return;
      failedLooks += 1;
      if (failedLooks < MAX_FAILED_LOOKS) {
        plan(RETRY_MS);
      } else {
        for (const answer of asked.filter(isWritten)) Object.assign(answer, { state: "lost", problem: error.message });
      }
    }
    afterLook();
  };
  const afterLook = () => {
    const [only] = state.answers;
    if (state.answers.length === 1 && only.state === "done") {
      choose(0);
      announce(gettext("The answer is here."));
      return;
    }
    keep();
    state.answers.forEach((answer, index) => cards[index][1](answer));
    drawButtons();
    if (isWriting()) {
      plan(LOOK_MS);
    } else if (state.answers.length) {
      announce(state.answers.some((answer) => answer.state === "done") ? gettext("The answers are here.") : only.problem);
    }
  };
  function choose(index) {
    const { policy, text, facts } = state.answers[index];
    stopAll(state.answers);
    state.turns = [...state.turns, { role: "assistant", content: text, policy, facts }];
    state.answers = [];
    keep();
    draw();
    plan(LOOK_MS);
    if (!message.matches(":focus")) message.focus({ preventScroll: true });
  }
  const stop = async () => {
    const asked = state.answers;
    await stopAll(asked);
    if (asked !== state.answers) return;
    for (const answer of asked.filter(isWritten)) Object.assign(answer, { state: "lost", problem: gettext("Stopped.") });
    afterLook();
    message.focus();
  };

  // --- changing the dialogue -----------------------------------------------------------------------------------------
  const dropAnswers = () => {
    stopAll(state.answers);
    state.answers = [];
    window.clearTimeout(timer);
  };
  function openEditor(index) {
    if (edited !== null) {
      showProblem(gettext("A turn is being edited: save it or cancel first."));
      return;
    }
    edited = index;
    draw();
    byId("play-turns").children[index].querySelector("textarea").focus();
  }
  function closeEditor(index) {
    edited = null;
    showProblem("");
    draw();
    byId("play-turns").children[index].querySelector("button").focus();
  }
  function save(index, text) {
    const turn = state.turns[index];
    if (turn.role === "user" && !text.trim()) {
      showProblem(gettext("A message of yours cannot be empty: write something, or remove the turn."));
      return;
    }
    if (text !== turn.content) {
      state.turns[index] = { ...turn, content: text, facts: turn.facts && { ...turn.facts, edited: true } };
      dropAnswers(); // they answer what it was before
    }
    keep();
    closeEditor(index);
  }
  function remove(index) {
    const [first] = state.turns.slice(index);
    if (edited !== null) {
      showProblem(gettext("A turn is being edited: save it or cancel first."));
      return;
    }
    state.turns = state.turns.slice(0, index);
    dropAnswers();
    if (first.role === "user" && !message.value.trim()) message.value = first.content;
    showProblem("");
    keep();
    draw();
    announce(gettext("Removed."));
    message.focus();
  }
  const [restartDialog, , stay, restart] = Roundtable.createDialog("play-restart-question", gettext("Start anew? The dialogue is not kept anywhere else."), [
    ["btn btn-outline-secondary", gettext("Go on with it")],
    ["btn btn-danger", gettext("Start anew")],
  ]);
  stay.addEventListener("click", () => restartDialog.close());
  restart.addEventListener("click", () => {
    restartDialog.close();
    dropAnswers();
    state.turns = [];
    edited = null;
    showProblem("");
    keep();
    draw();
    message.focus();
  });

  // --- events --------------------------------------------------------------------------------------------------------
  byId("play-form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  options.addEventListener("submit", (event) => event.preventDefault());
  byId("play-again").addEventListener("click", askAgain);
  byId("play-stop").addEventListener("click", stop);
  byId("play-restart").addEventListener("click", () => { restartDialog.showModal(); stay.focus(); });
  for (const part of [system, message, options]) part.addEventListener("input", keep);
  for (const field of [system, message]) {
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing || event.repeat) return;
      event.preventDefault();
      send();
    });
  }

  system.value = state.system || "";
  message.value = state.message || "";
  for (const [name, value] of Object.entries(state.options || {})) {
    const field = options.elements[name];
    if (field && !(field.options && ![...field.options].some((option) => option.value === value))) field.value = value;
  }
  draw();
  plan(0);
})();
