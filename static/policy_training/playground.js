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

  // turns: {role, content, policy, facts}; answers: those to the last turn, of which one is chosen; edited: {index, text}
  // of the turn that is open.
  const state = { turns: [], answers: [], edited: null, ...storage.read() };
  let cards = [];
  let timer = null;
  let isAsking = false;
  let failedLooks = 0;
  let others = new Map(); // policies that can be asked beside this one, by id: {id, name, url, max_tokens}
  let toldOthers = null;

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

  const refuseWhileAsking = () => {
    if (isAsking) showProblem(gettext("Answers are being asked for: try again in a moment."));
    return isAsking;
  };
  const refuseWhileEditing = () => {
    if (state.edited) showProblem(gettext("A turn is being edited: save it or cancel first."));
    return state.edited !== null;
  };
  const refuseChange = () => refuseWhileAsking() || refuseWhileEditing();

  // --- what is on the screen ---------------------------------------------------------------------------------------
  const drawButtons = () => {
    const last = lastTurn();
    byId("play-again").hidden = !last || isWriting() || state.edited || state.turns.every((turn) => turn.role !== "user");
    byId("play-stop").hidden = !isWriting();
    byId("play-restart").hidden = !last;
    byId("play-send").disabled = isAsking || isWriting();
  };
  const draw = () => {
    const turns = state.turns.map((turn, index) =>
      state.edited && index === state.edited.index
        ? Roundtable.makePlaygroundEditor(turn, index, state.edited.text, { type, save, cancel: closeEditor })
        : Roundtable.makePlaygroundTurn(turn, index, { edit: openEditor, remove }));
    byId("play-turns").replaceChildren(...turns);
    cards = state.answers.map((answer, index) => Roundtable.makePlaygroundAnswer(answer, index + 1, () => goOnWith(index)));
    byId("play-answers").replaceChildren(...cards.map(([card]) => card));
    drawButtons();
  };
  const tellBeside = () => {
    const help = byId("play-beside-help");
    const beside = others.get(options.elements.beside.value);
    let words = others.size ? "" : gettext("No other policy is loaded now.");
    if (beside && Number(options.elements.max_tokens.value) > beside.max_tokens) {
      words = gettext("“{name}” answers with at most {n} tokens: so does either policy here.", { name: beside.name, n: beside.max_tokens });
    }
    if (help.textContent !== words) help.textContent = words;
    help.hidden = !words;
  };
  // The part of the page that polls says which policies are loaded. One that was chosen stays: asked, it says why not.
  const drawOthers = () => {
    const { others: told } = byId("serving").dataset;
    if (told === toldOthers) return;
    toldOthers = told;
    const field = options.elements.beside;
    const chosen = others.get(field.value);
    others = new Map(JSON.parse(told).map((other) => [other.id, other]));
    if (chosen && !others.has(chosen.id)) others.set(chosen.id, chosen);
    field.replaceChildren(field.options[0], ...[...others.values()].map(({ id, name }) => new Option(name, id)));
    field.value = chosen ? chosen.id : "";
    tellBeside();
  };

  // --- asking ------------------------------------------------------------------------------------------------------
  const randomSeed = () => window.crypto.getRandomValues(new Uint32Array(1))[0];
  const readOptions = () => {
    const numberOf = (name) => (options.elements[name].value === "" ? null : Number(options.elements[name].value));
    const seed = numberOf("seed");
    return { temperature: numberOf("temperature"), top_p: numberOf("top_p"), max_tokens: numberOf("max_tokens"), answers: numberOf("answers"), seed: seed === null ? randomSeed() : seed };
  };
  const policies = () => {
    const beside = others.get(options.elements.beside.value);
    const first = { policy: page.dataset.policy, url: page.dataset.ask, most: Infinity }; // the site knows its limit
    return beside ? [first, { policy: beside.name, url: beside.url, most: beside.max_tokens }] : [first];
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
    const asked = policies();
    drawn.max_tokens = Math.min(drawn.max_tokens, ...asked.map(({ most }) => most)); // side by side: alike
    const said = turns.map(({ role, content }) => ({ role, content }));
    const messages = system.value.trim() ? [{ role: "system", content: system.value }, ...said] : said;
    isAsking = true;
    showProblem("");
    drawButtons();
    const facts = { seed: drawn.seed, temperature: drawn.temperature, top_p: drawn.top_p };
    const begun = [];
    try {
      for (const { policy, url } of asked) {
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
    failedLooks = 0;
    showProblem("");
    keep();
    draw();
    announce(ngettext("Sent. {n} answer is being written.", "Sent. {n} answers are being written.", state.answers.length));
    plan(LOOK_MS);
  };
  const send = async () => {
    const words = message.value;
    if (isAsking || isWriting() || refuseWhileEditing()) return;
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
    if (refuseChange()) return;
    const turns = [...state.turns];
    while (turns.length && turns[turns.length - 1].role !== "user") turns.pop();
    if (turns.length && await ask(turns)) begin();
  };

  // --- how the answers stand -----------------------------------------------------------------------------------------
  function plan(milliseconds) {
    window.clearTimeout(timer);
    if (isWriting()) timer = window.setTimeout(look, document.hidden ? Math.max(HIDDEN_MS, milliseconds) : milliseconds);
  }
  const take = (answer, told) => {
    const { id, state: how, text, problem, ...ends } = told;
    Object.assign(answer, { state: how, text, problem });
    if (how === "done") answer.facts = { ...answer.facts, ...ends };
  };
  const look = async () => {
    const asked = state.answers;
    const groups = groupByUrl(asked.filter(isWritten));
    const told = await Promise.allSettled(groups.map(([url, some]) => client.look(url, some.map(({ id }) => id))));
    if (asked !== state.answers) return;
    const unseen = [];
    let problem = "";
    groups.forEach(([, some], index) => {
      const { value, reason } = told[index];
      if (value) {
        some.forEach((answer, place) => take(answer, value[place]));
        return;
      }
      if (!(reason instanceof Roundtable.PlaygroundProblem)) throw reason;
      unseen.push(...some);
      problem = reason.message;
    });
    failedLooks = unseen.length ? failedLooks + 1 : 0;
    if (failedLooks >= MAX_FAILED_LOOKS) {
      stopAll(unseen); // nobody will read them
      for (const answer of unseen) Object.assign(answer, { state: "lost", problem });
    }
    afterLook(unseen.length ? RETRY_MS : LOOK_MS);
  };
  const afterLook = (milliseconds) => {
    const [only] = state.answers;
    const isOne = state.answers.length === 1;
    if (isOne && only.state === "done" && !state.edited) {
      choose(0);
      announce(gettext("The answer is here."));
      return;
    }
    keep();
    state.answers.forEach((answer, index) => cards[index][1](answer));
    drawButtons();
    if (isWriting()) {
      plan(milliseconds);
    } else if (state.answers.length) {
      const here = isOne ? gettext("The answer is here.") : gettext("The answers are here.");
      announce(state.answers.some((answer) => answer.state === "done") ? here : only.problem);
    }
  };
  function goOnWith(index) {
    if (!refuseChange()) choose(index);
  }
  function choose(index) {
    const { policy, text, facts } = state.answers[index];
    stopAll(state.answers);
    state.turns = [...state.turns, { role: "assistant", content: text, policy, facts }];
    state.answers = [];
    keep();
    draw();
    // Whoever writes in another field, as the system prompt, goes on there.
    if (!document.querySelector("input:focus, textarea:focus, select:focus")) message.focus({ preventScroll: true });
  }
  const stop = async () => {
    const asked = state.answers;
    await stopAll(asked);
    if (asked !== state.answers) return;
    for (const answer of asked.filter(isWritten)) Object.assign(answer, { state: "lost", problem: gettext("Stopped.") });
    afterLook(LOOK_MS);
    if (!state.edited) message.focus();
  };

  // --- changing the dialogue -----------------------------------------------------------------------------------------
  const dropAnswers = () => {
    stopAll(state.answers);
    state.answers = [];
    window.clearTimeout(timer);
  };
  function openEditor(index) {
    if (refuseChange()) return;
    state.edited = { index, text: state.turns[index].content };
    keep();
    draw();
    byId("play-turns").children[index].querySelector("textarea").focus();
  }
  function type(text) {
    state.edited.text = text;
    keep();
  }
  function closeEditor(index) {
    state.edited = null;
    showProblem("");
    keep();
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
    closeEditor(index);
  }
  function remove(index) {
    if (refuseChange()) return;
    const [first] = state.turns.slice(index);
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
    state.edited = null;
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
  byId("play-restart").addEventListener("click", () => {
    if (refuseWhileAsking()) return;
    restartDialog.showModal();
    stay.focus();
  });
  for (const part of [system, message, options]) part.addEventListener("input", keep);
  options.addEventListener("input", tellBeside);
  document.addEventListener("htmx:afterSettle", drawOthers);
  for (const field of [system, message]) {
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing || event.repeat) return;
      event.preventDefault();
      send();
    });
  }

  system.value = state.system || "";
  message.value = state.message || "";
  drawOthers();
  for (const [name, value] of Object.entries(state.options || {})) {
    const field = options.elements[name];
    if (field && !(field.options && ![...field.options].some((option) => option.value === value))) field.value = value;
  }
  tellBeside();
  draw();
  plan(0);
})();
