// The turns of the playground and the answers to choose from, as elements. Every text goes in as text, never as HTML:
// what a policy writes is nobody's to run.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext, ngettext } = Roundtable;

  const makeElement = (tag, className) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    return element;
  };
  const setText = (element, words) => {
    if (element.textContent !== words) element.textContent = words;
    return element;
  };
  const makeButton = (words, label, onClick, isMain = false) => {
    const button = makeElement("button", isMain ? "btn btn-sm btn-primary" : "btn btn-sm btn-outline-secondary");
    button.type = "button";
    if (label) button.setAttribute("aria-label", label);
    button.addEventListener("click", onClick);
    return setText(button, words);
  };
  const makeText = (words) => {
    const text = makeElement("div", "play-text");
    text.dir = "auto";
    return setText(text, words);
  };
  const makeFact = (words, isWarning = false) => setText(makeElement("p", isWarning ? "play-facts play-warning" : "play-facts"), words);

  // How an answer was drawn and how it ended: its `facts`, as the site told them.
  const tellFacts = (facts) => {
    const told = [ngettext("{n} token", "{n} tokens", facts.tokens)];
    told.push(facts.ended ? gettext("ended by itself (EOS)") : gettext("cut at the limit of {n} tokens", { n: facts.max_tokens }));
    told.push(gettext("seed {seed}", { seed: facts.seed }), gettext("temperature {value}", { value: facts.temperature }), gettext("top-p {value}", { value: facts.top_p }));
    if (facts.edited) told.push(gettext("edited"));
    return told.join(" · ");
  };

  const addFacts = (parent, facts) => {
    if (facts.prompt_cut) parent.append(makeFact(gettext("The beginning of the dialogue did not fit the policy and was left out."), true));
    parent.append(makeFact(tellFacts(facts)));
  };

  // `turn`: {role, content, policy, facts}. `on`: edit(index), remove(index).
  Roundtable.makePlaygroundTurn = (turn, index, on) => {
    const number = index + 1;
    const item = document.createElement("li");
    item.className = `turn turn-${turn.role}`;
    const head = makeElement("div", "turn-head");
    const isPerson = turn.role === "user";
    const speaker = setText(makeElement("p", "turn-speaker"), isPerson ? gettext("You") : turn.policy);
    speaker.dir = "auto";
    const tools = makeElement("div", "play-tools");
    tools.append(
      makeButton(gettext("Edit"), gettext("Edit turn {number}", { number }), () => on.edit(index)),
      makeButton(gettext("Remove from here"), gettext("Remove from here: turn {number}", { number }), () => on.remove(index)),
    );
    head.append(speaker, tools);
    item.append(head, turn.content ? makeText(turn.content) : makeFact(gettext("(empty)")));
    if (turn.facts) addFacts(item, turn.facts);
    return item;
  };

  // A turn being edited: `text` is what stands in its field. `on`: type(text), save(index, text), cancel(index).
  Roundtable.makePlaygroundEditor = (turn, index, text, on) => {
    const item = document.createElement("li");
    item.className = `turn turn-${turn.role}`;
    const field = makeElement("textarea", "form-control mb-2");
    field.value = text;
    field.rows = Math.min(12, 2 + text.split("\n").length);
    field.dir = "auto";
    field.setAttribute("aria-label", gettext("Text of turn {number}", { number: index + 1 }));
    const save = () => on.save(index, field.value);
    field.addEventListener("input", () => on.type(field.value));
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") on.cancel(index);
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      save();
    });
    const buttons = makeElement("div", "play-tools");
    buttons.append(
      makeButton(gettext("Save"), "", save, true),
      makeButton(gettext("Cancel"), "", () => on.cancel(index)),
    );
    item.append(field, buttons);
    return item;
  };

  // A card of an answer that is asked for: [its element, a function that shows how it stands]. `choose()`: go on with it.
  Roundtable.makePlaygroundAnswer = (answer, number, choose) => {
    const name = gettext("Answer {number} of {policy}", { number, policy: answer.policy });
    const card = makeElement("section", "card-surface play-answer");
    card.setAttribute("aria-label", name);
    const title = setText(makeElement("h3", ""), name);
    title.dir = "auto";
    const text = makeText("");
    const line = makeElement("div", "");
    const button = makeButton(gettext("Go on with this one"), gettext("Go on with this one: answer {number}", { number }), choose, true);
    card.append(title, text, line, button);
    const show = (now) => {
      setText(text, now.text);
      const isWritten = now.state === "waiting" || now.state === "writing";
      card.setAttribute("aria-busy", String(isWritten));
      button.hidden = now.state !== "done";
      line.replaceChildren();
      if (now.state === "done") {
        if (!now.text) line.append(makeFact(gettext("(empty)")));
        addFacts(line, now.facts);
      } else line.append(makeFact(isWritten ? gettext("Writing …") : now.problem, !isWritten));
    };
    show(answer);
    return [card, show];
  };
})();
