// Three ways to put answers in order: by moving them (ranking.js), by typing their letters (typed_order.js) and by
// questions about two of them (guided_order.js). All end in the same tiers; the steps between them are asked afterwards.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext, ngettext, joinLabels } = Roundtable;
  const MOVED = "moved", TYPED = "typed", GUIDED = "guided";
  const GUIDED_FIRST_FROM = 6; // answers: where a project asks for questions first
  const { typedOrder, guidedOrder } = Roundtable;

  const words = ({ pair: [a, b], better }) => (better === null
    ? gettext("{first} and {second} are a tie", { first: a, second: b })
    : gettext("{better} is better than {worse}", { better, worse: better === a ? b : a }));
  const contradiction = ({ pair: [a, b], better }) => (better === null
    ? gettext("You said that {first} and {second} are a tie. The order says otherwise.", { first: a, second: b })
    : gettext("You said that {better} is better than {worse}. The order says otherwise.", { better, worse: better === a ? b : a }));
  const whichIsBetter = ([first, second]) => gettext("Which is better, {first} or {second}?", { first, second });
  const makeButton = (text, name, onClick) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-outline-secondary btn-sm";
    button.textContent = text;
    if (name) button.setAttribute("aria-label", name);
    button.addEventListener("click", onClick);
    return button;
  };

  const makeRow = (text, ...buttons) => {
    const row = document.createElement("li");
    const span = document.createElement("span");
    span.textContent = text;
    row.append(span, ...buttons);
    return row;
  };

  // The reader's choice of last time, for the next rankings of this project.
  const choice = () => Roundtable.openStorage(document.getElementById("work-page").dataset.storageKey);

  // `ranking` is {labels, cards, allowTies, tiers(), setTiers(tiers), draw(), focusOpenStep()}.
  Roundtable.rankingWays = (task, ranking, { onChange, announce }) => {
    const { labels, cards, allowTies } = ranking;
    const byId = (id) => task.querySelector(`#${id}`);
    const list = byId("ranking");
    const panel = byId("ranking-ways");
    if (!panel) return null; // one answer, or a fragment from before an update
    let way = MOVED;
    let typed = typedOrder.empty();
    let said = [];
    let asksAgain = null; // a pair whose answer is being changed
    let wasComplete = true;

    const search = () => guidedOrder.search(labels, said);
    const question = () => (way === GUIDED ? asksAgain || search().question : null);
    const isTyping = () => way === TYPED && !typedOrder.isComplete(typed, labels);
    const isOrdering = () => isTyping() || question() !== null;
    const focusTask = () => task.closest("[tabindex]").focus({ preventScroll: true });

    // --- drawing ------------------------------------------------------------------------------------------------
    const drawTyped = () => {
      byId("typed").hidden = !isTyping();
      if (!isTyping()) return;
      const line = byId("typed-order");
      const order = typed.tiers.map((tier) => tier.join(" = ")).join(" > ");
      const next = typed.tie ? " = …" : " > …";
      line.textContent = order ? order + next : line.dataset.empty;
      line.dir = order ? "ltr" : ""; // "A > B > …" is read from the best on, whatever the language
      for (const key of task.querySelectorAll("[data-type]")) {
        key.disabled = typedOrder.has(typed, key.dataset.type);
      }
      for (const label of labels) cards.get(label).classList.toggle("is-typed", typedOrder.has(typed, label));
      const tie = task.querySelector("[data-type-tie]");
      if (tie) {
        tie.disabled = !typed.tiers.length;
        tie.setAttribute("aria-pressed", String(typed.tie));
      }
      byId("typed").querySelector("[data-take-back]").disabled = !typed.tiers.length;
    };
    const drawGuided = () => {
      const pair = question();
      byId("guided").hidden = !pair;
      if (!pair) return;
      byId("guided-title").textContent = whichIsBetter(pair);
      const { left } = search();
      byId("guided-count").textContent = asksAgain
        ? gettext("Asked again")
        : gettext("Question {number} of at most {most}", { number: said.length + 1, most: said.length + left });
      byId("guided-pair").replaceChildren(...pair.map((label) => cards.get(label)));
      for (const button of task.querySelectorAll(".guided-answer")) {
        const label = pair[button.dataset.better];
        if (label) button.lastElementChild.textContent = gettext("{label} is better", { label });
      }
      byId("guided").querySelector("[data-take-back]").disabled = !said.length && !asksAgain;
    };
    const drawSaid = () => {
      const shows = way === GUIDED && said.length > 0;
      byId("guided-said").hidden = !shows;
      if (!shows) return;
      const askAgain = ({ pair }) => makeButton(gettext("Ask again"), gettext("Ask again about {labels}", { labels: joinLabels(pair) }), () => {
        asksAgain = pair;
        begin();
      });
      const keepOrder = ({ pair }) => makeButton(gettext("Keep the order"), gettext("Keep the order of {labels}", { labels: joinLabels(pair) }), () => {
        said = guidedOrder.without(said, pair);
        drawSaid();
        onChange();
        focusTask();
      });
      const against = question() ? [] : guidedOrder.contradictions(said, ranking.tiers());
      byId("guided-contradictions").replaceChildren(...against.map((one) =>
        makeRow(contradiction(one), askAgain(one), keepOrder(one))));
      byId("guided-list").replaceChildren(...said.map((one) => makeRow(words(one), askAgain(one))));
    };
    const draw = () => {
      for (const button of panel.querySelectorAll("[data-way]")) {
        button.setAttribute("aria-pressed", String(button.dataset.way === way));
      }
      const help = byId("ranking-help");
      if (help) help.hidden = isOrdering();
      list.hidden = question() !== null;
      list.classList.toggle("is-ordering", isTyping());
      if (!isTyping()) cards.forEach((card) => card.classList.remove("is-typed"));
      drawTyped();
      drawGuided();
      drawSaid();
    };

    // --- changes ------------------------------------------------------------------------------------------------
    const sayWhatIsAsked = () => {
      const pair = question();
      if (pair) announce(`${whichIsBetter(pair)} ${byId("guided-count").textContent}`);
      else if (isTyping()) announce(typed.tiers.length ? byId("typed-order").textContent : gettext("Type the letters of the answers, best first"));
    };
    // Draws again; an order that has just been found goes into the ranking.
    const advance = () => {
      const found = way === TYPED ? typed.tiers : search().tiers;
      const isDone = !isOrdering();
      if (isDone && !wasComplete) {
        wasComplete = true;
        ranking.setTiers(found);
        const order = ranking.tiers().map(joinLabels).reduce((first, second) => gettext("{first}, then {second}", { first, second }));
        announce(gettext("The order: {order}. Now say how much better each is than the next.", { order }));
        ranking.focusOpenStep();
      } else {
        wasComplete = isDone;
        ranking.draw();
        sayWhatIsAsked();
      }
      onChange();
    };
    // Back to what is asked, from an order that stands.
    const begin = () => {
      wasComplete = false;
      focusTask();
      advance();
      byId(way === TYPED ? "typed" : "guided").scrollIntoView({ block: "nearest", behavior: "instant" });
    };
    const choose = (next, { remember = true } = {}) => {
      if (remember) choice().set("ranking-way", next);
      if (next === way && (next === MOVED || isOrdering())) return;
      // Who goes on by hand goes on from what the answers have told so far.
      const { tiers, rest, question: open } = search();
      if (way === GUIDED && open && said.length) ranking.setTiers([...tiers, ...rest.map((label) => [label])]);
      way = next;
      asksAgain = null;
      if (way === TYPED) typed = typedOrder.empty();
      wasComplete = !isOrdering();
      ranking.draw();
      sayWhatIsAsked();
    };
    const answer = (better) => {
      const pair = question();
      if (!pair) return false;
      if (better === null && !allowTies) {
        announce(gettext("This project does not allow ties"));
        return true;
      }
      said = guidedOrder.answer(said, pair, better);
      asksAgain = null;
      advance();
      return true;
    };
    const type = (label) => {
      if (!labels.includes(label)) return false;
      if (typedOrder.has(typed, label)) {
        announce(gettext("{label} has its place already", { label }));
        return true;
      }
      typed = typedOrder.type(typed, label);
      advance();
      return true;
    };
    const tieNext = () => {
      if (!allowTies) announce(gettext("This project does not allow ties"));
      else {
        typed = typedOrder.tieNext(typed);
        advance();
      }
      return true;
    };
    const takeBack = () => {
      if (way === MOVED) return false;
      if (way === TYPED) {
        // What was moved since is part of the order.
        if (!isTyping()) typed = { tiers: ranking.tiers(), tie: false };
        typed = typedOrder.takeBack(typed);
      } else if (asksAgain) asksAgain = null;
      else said = said.slice(0, -1);
      wasComplete = !isOrdering();
      advance();
      return true;
    };

    // --- the page's events --------------------------------------------------------------------------------------
    // After a click the keys act on the task again; who presses a button by keyboard presses the next one.
    const onClick = (selector, act) => task.addEventListener("click", (event) => {
      const button = event.target.closest(selector);
      if (!button) return;
      act(button);
      if (event.pointerType && isOrdering()) focusTask();
    });
    onClick("[data-way]", (button) => choose(button.dataset.way));
    onClick("[data-type]", (button) => type(button.dataset.type));
    onClick("[data-type-tie]", tieNext);
    onClick("[data-take-back]", takeBack);
    onClick(".guided-answer", (button) => answer(question() && (question()[button.dataset.better] || null)));

    return {
      isOrdering,
      isTyping,
      scope: () => (isTyping() ? TYPED : question() ? GUIDED : "ranking"),
      evidence: () => (way === GUIDED ? { way, questions: said.length } : { way }),
      state: () => ({ way, typed, said }),
      // Without anything saved (a task that is new here), the reader's own choice or the project's.
      start() {
        const kept = choice().get("ranking-way");
        const first = panel.dataset.guidedFirst === "1" && labels.length >= GUIDED_FIRST_FROM ? GUIDED : MOVED;
        choose([MOVED, TYPED, GUIDED].includes(kept) ? kept : first, { remember: false });
      },
      restore(saved) {
        way = [TYPED, GUIDED].includes(saved.way) ? saved.way : MOVED;
        said = guidedOrder.read(saved.said, labels, allowTies);
        typed = typedOrder.read(saved.typed, labels);
        wasComplete = !isOrdering();
        draw();
      },
      // What stands against a submit while the order is not found.
      missing() {
        const pair = question();
        if (pair) return { error: gettext("Say which is better, {first} or {second}.", { first: pair[0], second: pair[1] }) };
        if (!isTyping()) return null;
        const left = labels.filter((label) => !typedOrder.has(typed, label));
        return { error: ngettext("{labels} has no place yet.", "{labels} have no place yet.", left.length, { labels: joinLabels(left) }) };
      },
      afterDraw: draw,
      opening: () => (question() ? whichIsBetter(question()) : ""),
      perform({ action, value }) {
        if (action === "order_by") { choose(value); return true; }
        if (action === "take_back") return takeBack();
        if (action === "leave_way" && isOrdering()) { choose(MOVED, { remember: false }); return true; }
        if (action === "type") return type(value);
        if (action === "tie_next_typed") return tieNext();
        if (action === "answer") return answer(value === "tie" ? null : question()[value]);
        return false;
      },
    };
  };
})();
