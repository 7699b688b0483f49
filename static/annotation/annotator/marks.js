// What is asked beside the order of the answers: marks of each answer, confidence, none is good, cannot judge.
// The fragment (marks.html, asked.html) says what is asked: [data-marks=label] around the fields of one answer (without a
// label: of the judgment), [data-mark=name] and data-kind on each field.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext } = Roundtable;
  const TRUTH = { true: true, false: false };
  // By how much the upper tier is better: the words that settings have for it.
  const CASES = { 3: "significantly_better", 2: "better", 1: "slightly_better", 0: "negligibly_better" };

  const passagesOf = new WeakMap(); // field of passages -> passages.js
  const inputsOf = (field) => [...field.querySelectorAll("input, textarea")];
  const readField = (field) => {
    const { kind } = field.dataset;
    if (kind === "span") return passagesOf.get(field).get();
    if (kind === "text") return field.querySelector("textarea").value.trim() || undefined;
    const box = field.querySelector("input[type=checkbox]");
    if (box) return box.checked;
    const checked = field.querySelector("input:checked");
    if (!checked) return undefined;
    if (kind === "likert") return Number(checked.value);
    return kind === "yes_no" ? TRUTH[checked.value] : checked.value;
  };
  const writeField = (field, value) => {
    if (field.dataset.kind === "span") {
      passagesOf.get(field).set(value);
      return;
    }
    if (field.dataset.kind === "text") {
      field.querySelector("textarea").value = value === undefined ? "" : String(value);
      return;
    }
    for (const input of field.querySelectorAll("input")) {
      input.checked = input.type === "checkbox" ? value === true : value !== undefined && input.value === String(value);
    }
  };
  const labelOf = (field) => (field.querySelector("legend") || field).childNodes[0].textContent.trim();

  // Whether such a judgment needs a reason; `cases` are the words of data-reason-for.
  Roundtable.needsReason = (cases, { tiers, strengths }) => {
    const asked = (cases || "").split(" ");
    return (strengths || []).some((strength) => asked.includes(CASES[strength]))
      || (asked.includes("tie") && (tiers || []).some((tier) => tier.length > 1));
  };

  // `node` is the task. `onCannotJudge` gets the reason; `chooseTie` is called when none is good and nothing is chosen yet.
  Roundtable.openMarks = (node, { onChange, announce, onCannotJudge, chooseTie, leaveFields }) => {
    // In the order in which they stand now: cards of a ranking move.
    const fields = () => [...node.querySelectorAll("[data-mark]")];
    const ownerOf = (field) => field.closest("[data-marks]").dataset.marks;
    const isMissing = (field) => "required" in field.dataset && readField(field) === undefined;
    const firstInput = (field) => field.querySelector("input:checked") || inputsOf(field)[0];
    const goOn = (after) => {
      const all = fields();
      const later = all.slice(all.indexOf(after) + 1);
      const next = later.find(isMissing) || all.find(isMissing);
      if (next) firstInput(next).focus();
      else leaveFields();
    };
    const changed = (field) => {
      field.classList.remove("is-missing");
      onChange();
    };
    const radiosOf = (field) => [...field.querySelectorAll("input[type=radio]")];
    const choose = (field, radio) => {
      radio.checked = true;
      changed(field);
      announce(`${labelOf(field)}: ${radio.getAttribute("aria-label") || radio.nextElementSibling.textContent}`);
      goOn(field);
    };
    const clear = (field) => {
      for (const radio of radiosOf(field)) radio.checked = false;
      changed(field);
    };

    for (const field of node.querySelectorAll("[data-mark][data-kind=span]")) {
      passagesOf.set(field, Roundtable.openPassages(field, field.closest("[data-response]"), { onChange: () => changed(field), announce }));
    }
    for (const part of node.querySelectorAll("[data-marks]")) {
      part.addEventListener("change", (event) => changed(event.target.closest("[data-mark]")));
      part.addEventListener("input", (event) => { if (event.target.matches("textarea")) changed(event.target.closest("[data-mark]")); });
    }
    // On a field a digit chooses: the point, or the first, second ... of its words; then the next that is still open is asked.
    node.addEventListener("keydown", (event) => {
      const field = event.target.closest("[data-mark]");
      if (!field || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("textarea")) return;
      const radios = radiosOf(field);
      if (!radios.length) return;
      if (event.key === "Backspace" || event.key === "Delete") {
        // On a question that is open the one before is meant, where the page knows such a key.
        if (!radios.some((radio) => radio.checked) && node.dataset.kind === "rating") return;
        event.preventDefault();
        clear(field);
        return;
      }
      const singleKeys = document.getElementById("single-keys");
      if (!/^[0-9]$/.test(event.key) || (singleKeys && !singleKeys.checked)) return;
      event.preventDefault();
      const radio = radios[(Number(event.key) || 10) - 1];
      if (!radio || event.repeat) return;
      choose(field, radio);
    });

    // --- none of the answers is good ------------------------------------------------------------------------------
    const bothBad = node.querySelector("[name=flags][value=both_bad]");
    const reasons = node.querySelector(".both-bad-reasons");
    const showReasons = () => {
      if (!reasons) return;
      reasons.hidden = !bothBad.checked;
      if (!bothBad.checked) for (const box of reasons.querySelectorAll("input")) box.checked = false;
    };
    const remarks = node.querySelector(".remarks");
    if (remarks) {
      remarks.addEventListener("change", () => {
        showReasons();
        onChange();
      });
    }

    // --- cannot judge -----------------------------------------------------------------------------------------------
    const dialog = node.querySelector("#reasons-dialog");
    const openReasons = () => { if (dialog) dialog.showModal(); };
    if (dialog) {
      node.querySelector("[data-opens-reasons]").addEventListener("click", openReasons);
      dialog.querySelector("[data-closes-reasons]").addEventListener("click", () => dialog.close());
      const choose = (button) => {
        dialog.close();
        onCannotJudge(button.dataset.reason);
      };
      for (const button of dialog.querySelectorAll("[data-reason]")) button.addEventListener("click", () => choose(button));
      dialog.addEventListener("keydown", (event) => {
        const button = [...dialog.querySelectorAll("[data-key]")].find((other) => other.dataset.key === event.key);
        if (!button || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
        event.preventDefault();
        choose(button);
      });
    }

    return {
      // {marks: {label: {name: value}}, confidence}, as a judgment and a draft have them.
      state() {
        const marks = {};
        let confidence = null;
        for (const field of fields()) {
          const value = readField(field);
          if (value === undefined) continue;
          const owner = ownerOf(field);
          if (owner) (marks[owner] = marks[owner] || {})[field.dataset.mark] = value;
          else confidence = value;
        }
        return { marks, confidence };
      },
      restore({ marks, confidence }) {
        for (const field of fields()) {
          const owner = ownerOf(field);
          const value = owner ? ((marks || {})[owner] || {})[field.dataset.mark] : confidence;
          if (value !== undefined && value !== null) writeField(field, value);
        }
        showReasons();
      },
      // What stands against a submit, or null.
      missing() {
        const open = fields().filter(isMissing);
        for (const field of fields()) field.classList.toggle("is-missing", open.includes(field));
        if (!open.length) return null;
        const owner = ownerOf(open[0]);
        const question = labelOf(open[0]);
        let error = gettext("Say how sure you are.");
        if (owner && node.dataset.kind === "rating") error = gettext("The answer: say “{question}”.", { question });
        else if (owner) error = gettext("Answer {label}: say “{question}”.", { label: owner, question });
        return { error, focusTarget: firstInput(open[0]) };
      },
      isAsked: () => fields().length > 0,
      // A digit for the first question that is still open: of the required ones, else of any.
      grade(digit) {
        const open = fields().filter((field) => radiosOf(field).length && readField(field) === undefined);
        const field = open.find(isMissing) || open[0];
        const radio = field && radiosOf(field)[(digit || 10) - 1];
        if (!field) announce(gettext("Every question is answered: M goes to them, Backspace takes the last one back"));
        else if (!radio) announce(gettext("{question}: there is no {digit}", { question: labelOf(field), digit }));
        else choose(field, radio);
        return true;
      },
      // The last question that is answered is open again.
      takeBack() {
        const answered = fields().filter((field) => radiosOf(field).some((radio) => radio.checked));
        const field = answered[answered.length - 1];
        if (!field) return false;
        clear(field);
        firstInput(field).focus();
        announce(gettext("{question}: taken back", { question: labelOf(field) }));
        return true;
      },
      goToMarks() {
        const all = fields();
        const field = all.find(isMissing) || all[0];
        if (field) firstInput(field).focus();
      },
      toggleBothBad() {
        if (!bothBad) return;
        bothBad.checked = !bothBad.checked;
        if (bothBad.checked) chooseTie();
        showReasons();
        onChange();
        announce(bothBad.checked ? gettext("None of the answers is good") : gettext("Taken back: none of the answers is good"));
      },
      openReasons,
    };
  };
})();
