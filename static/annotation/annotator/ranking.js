// K responses in tiers, best first. One state, drawn after every change: what is on the screen is what is submitted.
// The strength of a step belongs to the two tiers on its sides; when either changes, the step asks again.
// Keys act on what was picked: a card that has the focus (by its letter, its bar, its buttons), or a step. A click into
// a text picks nothing: who reads and scrolls with the arrow keys must not move an answer.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext, ngettext, joinLabels } = Roundtable;
  Roundtable.controllers = Roundtable.controllers || {};

  // Sortable is loaded with the first ranking: pairs need no dragging, and it is a fifth of the page's scripts.
  const { sortableScript } = document.currentScript.dataset;
  let loading = null;
  const loadSortable = () => {
    loading = loading || new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = sortableScript;
      script.onload = resolve;
      script.onerror = () => { loading = null; script.remove(); reject(); };
      document.head.append(script);
    });
    return loading;
  };

  const makeDiv = (className) => {
    const div = document.createElement("div");
    div.className = className;
    return div;
  };

  Roundtable.controllers.ranking = (task, { onChange, announce }) => {
    const list = task.querySelector("#ranking");
    const stepTemplate = task.querySelector("#ranking-strengths");
    const cards = new Map([...task.querySelectorAll(".rank-card")].map((card) => [card.dataset.response, card]));
    const labels = [...cards.keys()];
    const strengthNames = new Map(
      [...stepTemplate.content.querySelectorAll("input")].map((radio) => [Number(radio.value), radio.dataset.name]));
    const allowTies = task.dataset.allowTies === "1";
    let tiers = labels.map((label) => [label]);
    let strengths = {}; // by step, those of steps that are gone included: a tier that comes back finds its strength
    let sortables = [];
    let ways = null;

    const stepKey = (i) => `${tiers[i].join("")}>${tiers[i + 1].join("")}`;
    const strengthOf = (i) => (stepKey(i) in strengths ? strengths[stepKey(i)] : null);
    const stepStrengths = () => tiers.slice(1).map((_, i) => strengthOf(i));
    const tierIndexOf = (label) => tiers.findIndex((tier) => tier.includes(label));
    const inOrder = (tier) => labels.filter((label) => tier.includes(label));
    const tiersWithout = (label) => tiers.map((tier) => tier.filter((other) => other !== label));

    // --- drawing ----------------------------------------------------------------------------------------------
    const makeSlot = (className) => makeDiv(`slot ${className}`);
    const makeGap = () => {
      const row = makeDiv("gap");
      row.append(makeSlot("slot-gap"));
      return row;
    };
    const makeStep = (i) => {
      const row = makeDiv("step-row");
      const fieldset = stepTemplate.content.firstElementChild.cloneNode(true);
      const [better, worse] = [tiers[i], tiers[i + 1]];
      fieldset.querySelector("legend").textContent = ngettext(
        "How much better is {better} than {worse}?", "How much better are {better} than {worse}?",
        better.length, { better: joinLabels(better), worse: joinLabels(worse) });
      for (const radio of fieldset.querySelectorAll("input")) {
        radio.name = `step-${i}`;
        radio.checked = strengthOf(i) === Number(radio.value);
      }
      fieldset.classList.toggle("is-open", strengthOf(i) === null);
      fieldset.dataset.step = i;
      fieldset.tabIndex = -1; // digits act on it; the arrow keys, which would change a radio button, scroll
      row.append(makeSlot("slot-gap"), fieldset);
      return row;
    };
    const makeTier = (tier, i) => {
      const row = makeDiv(tier.length > 1 ? "tier is-tie" : "tier");
      row.setAttribute("role", "group");
      row.setAttribute("aria-label", tier.length > 1 ? gettext("Rank {rank}, a tie", { rank: i + 1 }) : gettext("Rank {rank}", { rank: i + 1 }));
      const rank = document.createElement("span");
      rank.className = "tier-rank";
      rank.setAttribute("aria-hidden", "true");
      rank.textContent = i + 1;
      const slot = makeSlot("slot-tier");
      tier.forEach((label) => slot.append(cards.get(label)));
      row.append(rank, slot);
      return row;
    };

    const focusedElement = () => (document.activeElement && task.contains(document.activeElement) ? document.activeElement : null);
    const draw = () => {
      const focused = focusedElement();
      sortables.forEach((sortable) => sortable.destroy());
      sortables = [];
      const rows = [makeGap()];
      tiers.forEach((tier, i) => rows.push(makeTier(tier, i), i < tiers.length - 1 ? makeStep(i) : makeGap()));
      list.replaceChildren(...rows);
      for (const label of labels) {
        const i = tierIndexOf(label);
        const card = cards.get(label);
        card.querySelector("[data-move=up]").disabled = i === 0 && tiers[0].length === 1;
        card.querySelector("[data-move=down]").disabled = i === tiers.length - 1 && tiers[i].length === 1;
      }
      if (focused && focused.isConnected && document.activeElement !== focused) {
        (focused.disabled ? focused.closest(".rank-card") : focused).focus();
      }
      makeSortable();
      if (ways) ways.afterDraw();
    };
    const makeSortable = () => {
      if (ways && ways.isOrdering()) return; // a drag would change what is being asked
      if (!window.Sortable) {
        // Without it (no connection) the buttons and keys still order; the next change tries again.
        loadSortable().then(() => { if (list.isConnected && !sortables.length) makeSortable(); }, () => {});
        return;
      }
      // Sortable carries the gesture and the picture under the pointer; nothing on the page moves until the drop, so
      // that what the pointer is over stays where it was seen.
      sortables = [...list.querySelectorAll(".slot-tier")].map((slot) => new window.Sortable(slot, {
        group: { name: "ranking", pull: false, put: false }, sort: false,
        draggable: ".rank-card", handle: ".rank-card-head", filter: "button", preventOnFilter: false,
        forceFallback: true, fallbackTolerance: 4, delay: 150, delayOnTouchOnly: true,
        onStart: onDragStart,
        onEnd: onDragEnd,
      }));
    };

    // --- dragging: the row under the pointer decides. Rows alternate: a gap, a tier, the step between, a tier, ... a gap.
    const pointOf = (event) => (event.changedTouches && event.changedTouches[0]) || event;
    const rowAt = ({ clientX, clientY }) => {
      const under = document.elementFromPoint(clientX, clientY);
      return [...list.children].find((row) => row.contains(under)) || null;
    };
    let point = null;
    const highlightTarget = (event) => {
      if (event.type !== "scroll") point = pointOf(event);
      const target = point && rowAt(point);
      for (const row of list.children) row.classList.toggle("is-target", row === target);
    };
    const toggleDragListeners = (method) => {
      for (const name of ["pointermove", "touchmove"]) document[method](name, highlightTarget, { passive: true });
      window[method]("scroll", highlightTarget, { passive: true });
    };
    function onDragStart() {
      list.classList.add("is-moving");
      point = null;
      toggleDragListeners("addEventListener");
    }
    function onDragEnd(event) {
      toggleDragListeners("removeEventListener");
      const lastEvent = event.originalEvent;
      const row = lastEvent && !lastEvent.type.endsWith("cancel") ? rowAt(pointOf(lastEvent)) : null;
      list.classList.remove("is-moving");
      const moved = event.item.dataset.response;
      applyTiers(row ? tiersAfterDrop(moved, [...list.children].indexOf(row)) : tiers, moved);
      // Dropped is done: the arrow keys scroll again.
      task.closest("[tabindex]").focus({ preventScroll: true });
    }
    // The tiers once `moved` lies on the row of this index. Without ties, what was dropped on another goes in front of it.
    const tiersAfterDrop = (moved, rowIndex) => {
      const next = tiersWithout(moved);
      const i = Math.floor(rowIndex / 2);
      if (rowIndex % 2 && (allowTies || tierIndexOf(moved) === i)) next[i].push(moved);
      else next.splice(i, 0, [moved]);
      return next.filter((tier) => tier.length).map(inOrder);
    };

    // --- changes ----------------------------------------------------------------------------------------------
    const applyTiers = (next, moved) => {
      const before = JSON.stringify(tiers);
      tiers = next;
      draw();
      if (before === JSON.stringify(tiers)) return;
      onChange();
      const i = tierIndexOf(moved);
      const others = tiers[i].filter((label) => label !== moved);
      const place = { label: moved, rank: i + 1, ranks: tiers.length };
      announce(others.length
        ? gettext("Answer {label}, rank {rank} of {ranks}, tied with {others}", { ...place, others: joinLabels(others) })
        : gettext("Answer {label}, rank {rank} of {ranks}", place));
    };

    const move = (label, direction) => {
      const i = tierIndexOf(label);
      const isTied = tiers[i].length > 1;
      const next = tiersWithout(label);
      if (direction === "tie") {
        if (!allowTies || (tiers.length === 1 && !isTied)) return;
        if (isTied) next.splice(i + 1, 0, [label]);
        else next[i > 0 ? i - 1 : 1].push(label);
      } else if (isTied) {
        next.splice(direction === "up" ? i : i + 1, 0, [label]);
      } else {
        const target = direction === "up" ? i - 1 : i + 1;
        if (target < 0 || target >= tiers.length) return;
        next.splice(i, 1);
        next.splice(target, 0, [label]);
      }
      applyTiers(next.filter((tier) => tier.length).map(inOrder), label);
    };

    const setStrength = (i, value) => {
      strengths[stepKey(i)] = value;
      draw();
      onChange();
      const [better, worse] = [tiers[i], tiers[i + 1]].map(joinLabels);
      announce(gettext("{better} above {worse}: {strength}", { better, worse, strength: strengthNames.get(value) }));
    };

    // The two tiers beside a step become one.
    const tieStep = (i) => {
      if (!allowTies) {
        announce(gettext("This project does not allow ties"));
        return;
      }
      const next = tiers.map((tier) => [...tier]);
      const [moved] = next[i + 1];
      next[i].push(...next.splice(i + 1, 1)[0]);
      applyTiers(next.map(inOrder), moved);
    };

    // `act` on a step: on the one below a picked card, on a picked step, elsewhere on the first that has no strength, and
    // then on to the next one without.
    const actBelow = (card, act) => {
      const i = tierIndexOf(card.dataset.response);
      if (i < tiers.length - 1) act(i);
      else announce(gettext("Answer {label} is last: there is no step below it", { label: card.dataset.response }));
      card.focus();
      return true;
    };
    const actInTurn = (step, act) => {
      const i = step ? Number(step.dataset.step) : stepStrengths().indexOf(null);
      if (i < 0) return false;
      act(i);
      const open = stepStrengths().indexOf(null);
      focusStep(open < 0 ? Math.min(i, tiers.length - 2) : open);
      return true;
    };
    const focusStep = (i) => {
      const step = list.querySelector(`[data-step="${i}"]`);
      (step || task.closest("[tabindex]")).focus();
    };

    // --- long responses -----------------------------------------------------------------------------------------
    const unfold = (card) => {
      const button = card.querySelector(".btn-unfold");
      if (button.hidden) return;
      const isOpen = card.classList.toggle("is-open");
      button.setAttribute("aria-expanded", String(isOpen));
      button.textContent = isOpen ? gettext("Show less") : gettext("Show all");
    };
    const offerUnfolding = () => cards.forEach((card) => {
      const body = card.querySelector(".rank-card-body");
      if (!card.classList.contains("is-open")) card.querySelector(".btn-unfold").hidden = body.scrollHeight <= body.clientHeight + 4;
    });

    // --- the page's events --------------------------------------------------------------------------------------
    list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      const bar = event.target.closest(".rank-card-head");
      if (bar && !button) bar.closest(".rank-card").focus({ preventScroll: true });
      if (!button) return;
      const card = button.closest(".rank-card");
      if (button.dataset.move) {
        move(card.dataset.response, button.dataset.move);
        // Who clicks has picked the card; who presses a button by keyboard presses it again.
        (button.disabled || event.pointerType ? card : button).focus();
      } else if (button.classList.contains("btn-unfold")) unfold(card);
      else if ("tieStep" in button.dataset) {
        const i = Number(button.closest("[data-step]").dataset.step);
        tieStep(i);
        focusStep(Math.min(i, tiers.length - 2));
      }
    });
    let isMouse = false;
    list.addEventListener("click", (event) => { isMouse = event.pointerType === "mouse"; }, true);
    list.addEventListener("change", (event) => {
      const step = event.target.closest("[data-step]");
      if (!step) return;
      const i = Number(step.dataset.step);
      setStrength(i, Number(event.target.value));
      if (isMouse) focusStep(i);
      else list.querySelector(`[name="step-${i}"]:checked`).focus();
    });

    // The sentence beside the buttons may be a screen away from the step it speaks of.
    const showErrorAtStep = (i, words) => {
      list.querySelectorAll(".step-problem").forEach((old) => old.remove());
      const sentence = document.createElement("p");
      sentence.className = "step-problem";
      sentence.setAttribute("aria-hidden", "true");
      sentence.textContent = words;
      list.querySelector(`[data-step="${i}"]`).append(sentence);
      sentence.scrollIntoView({ block: "nearest" });
    };

    ways = Roundtable.rankingWays(task, {
      labels,
      cards,
      allowTies,
      draw,
      tiers: () => tiers,
      setTiers(next) {
        tiers = next.map(inOrder);
        draw();
      },
      focusOpenStep: () => focusStep(Math.max(0, stepStrengths().indexOf(null))),
    }, { onChange, announce });
    draw();
    window.requestAnimationFrame(offerUnfolding);
    new ResizeObserver(offerUnfolding).observe(list);

    return {
      state: () => ({ tiers, strengths_by_step: strengths, ...(ways && ways.state()) }),
      scope: () => (ways ? ways.scope() : "ranking"),
      start: () => ways && ways.start(),
      evidence: () => (ways ? ways.evidence() : {}),
      opening: () => (ways ? ways.opening() : ""),
      restore(saved) {
        const isTierList = Array.isArray(saved.tiers) && saved.tiers.every(Array.isArray);
        const isComplete = isTierList && saved.tiers.flat().sort().join() === [...labels].sort().join();
        if (isComplete && (allowTies || saved.tiers.every((tier) => tier.length === 1))) tiers = saved.tiers.map(inOrder);
        if (saved.strengths_by_step) strengths = { ...saved.strengths_by_step };
        if (saved.strengths && isComplete) saved.strengths.forEach((value, i) => { strengths[stepKey(i)] = value; });
        if (ways) ways.restore(saved);
        draw();
      },
      getJudgment() {
        const missing = ways && ways.missing();
        if (missing) return missing;
        const open = stepStrengths().indexOf(null);
        if (open >= 0) {
          const [better, worse] = [tiers[open], tiers[open + 1]];
          return {
            error: ngettext(
              "Say how much better {better} is than {worse}.", "Say how much better {better} are than {worse}.",
              better.length, { better: joinLabels(better), worse: joinLabels(worse) }),
            focusTarget: list.querySelector(`[data-step="${open}"]`),
            showError: (words) => showErrorAtStep(open, words),
          };
        }
        return { tiers: tiers.map((tier) => [...tier]), strengths: stepStrengths() };
      },
      perform({ action, value }, target) {
        if (ways && ways.perform({ action, value })) return true;
        if (action === "focus_response") {
          if (!cards.has(value)) return false;
          cards.get(value).focus();
          return true;
        }
        const focused = focusedElement();
        const cardAround = focused && focused.closest(".rank-card");
        // The focus inside its text (a click, a link) does not pick a card.
        const card = focused && focused.closest(".rank-card-body, .btn-unfold") ? null : cardAround;
        if (action === "set_strength" || action === "tie_next") {
          const act = (i) => (action === "tie_next" ? tieStep(i) : setStrength(i, value));
          return card ? actBelow(card, act) : actInTurn(focused && focused.closest("[data-step]"), act);
        }
        if (action === "unfold" && cardAround) {
          unfold(cardAround);
          return true;
        }
        if (!card) return false;
        if (action === "move") {
          // Up and down are the arrow keys: on a button inside the card they stay the browser's own.
          if (value !== "tie" && !target.matches(".rank-card")) return false;
          move(card.dataset.response, value);
          card.focus();
          return true;
        }
        return false;
      },
    };
  };
})();
