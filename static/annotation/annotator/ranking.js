// K answers in tiers, best first. One state, drawn after every change: what is on the screen is what is submitted.
// The grade of a step belongs to the two tiers on its sides; when either changes, the step asks again.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const WORDS = { 3: "significantly better", 2: "better", 1: "slightly better", 0: "negligibly better" };

  Roundtable.mountRanking = (task, { changed, announce }) => {
    const list = task.querySelector("#ranking");
    const blank = task.querySelector("#ranking-strengths");
    const cards = new Map([...task.querySelectorAll(".rank-card")].map((card) => [card.dataset.response, card]));
    const handles = [...cards.keys()];
    const allowTies = task.dataset.allowTies === "1";
    let tiers = handles.map((handle) => [handle]);
    let grades = {};
    let sortables = [];

    const bond = (i) => `${tiers[i].join("")}>${tiers[i + 1].join("")}`;
    const gradeOf = (i) => (bond(i) in grades ? grades[bond(i)] : null);
    const placeOf = (handle) => tiers.findIndex((tier) => tier.includes(handle));
    const inOrder = (tier) => handles.filter((handle) => tier.includes(handle));
    const said = (tier) => tier.join(" and ");

    const slot = (className) => {
      const box = document.createElement("div");
      box.className = `slot ${className}`;
      return box;
    };
    const item = (className) => {
      const row = document.createElement("div");
      row.className = className;
      return row;
    };
    const gap = () => { const row = item("gap"); row.append(slot("slot-gap")); return row; };

    const step = (i) => {
      const row = item("step-row");
      const fieldset = blank.content.firstElementChild.cloneNode(true);
      fieldset.querySelector("legend").textContent = `How much better ${tiers[i].length > 1 ? "are" : "is"} ${said(tiers[i])} than ${said(tiers[i + 1])}?`;
      for (const radio of fieldset.querySelectorAll("input")) {
        radio.name = `step-${i}`;
        radio.checked = gradeOf(i) === Number(radio.value);
      }
      fieldset.classList.toggle("is-open", gradeOf(i) === null);
      fieldset.dataset.step = i;
      row.append(slot("slot-gap"), fieldset);
      return row;
    };

    const draw = () => {
      const focused = document.activeElement && task.contains(document.activeElement) ? document.activeElement : null;
      sortables.forEach((sortable) => sortable.destroy());
      const rows = [gap()];
      tiers.forEach((tier, i) => {
        const row = item(tier.length > 1 ? "tier is-tie" : "tier");
        row.setAttribute("role", "group");
        row.setAttribute("aria-label", `Rank ${i + 1}${tier.length > 1 ? ", a tie" : ""}`);
        const number = document.createElement("span");
        number.className = "tier-rank";
        number.setAttribute("aria-hidden", "true");
        number.textContent = i + 1;
        const box = slot("slot-tier");
        tier.forEach((handle) => box.append(cards.get(handle)));
        row.append(number, box);
        rows.push(row, i < tiers.length - 1 ? step(i) : gap());
      });
      list.replaceChildren(...rows);
      handles.forEach((handle) => {
        const at = placeOf(handle);
        const tools = cards.get(handle);
        tools.querySelector("[data-move=up]").disabled = at === 0 && tiers[0].length === 1;
        tools.querySelector("[data-move=down]").disabled = at === tiers.length - 1 && tiers[at].length === 1;
      });
      if (focused && focused.isConnected && document.activeElement !== focused) {
        (focused.disabled ? focused.closest(".rank-card") : focused).focus();
      }
      // Sortable carries the gesture and the picture under the pointer; nothing on the page moves until the drop, so
      // that what the pointer is over stays where it was seen.
      sortables = [...list.querySelectorAll(".slot-tier")].map((box) => new window.Sortable(box, {
        group: { name: "ranking", pull: false, put: false }, sort: false,
        draggable: ".rank-card", handle: ".rank-card-head", filter: "button", preventOnFilter: false,
        forceFallback: true, fallbackTolerance: 4, delay: 150, delayOnTouchOnly: true,
        onStart: lifted,
        onEnd: dropped,
      }));
    };

    // --- dragging: the row under the pointer decides. Rows alternate: a gap, a tier, the step between, a tier, ... a gap.
    const pointOf = (event) => (event.changedTouches && event.changedTouches[0]) || event;
    const rowAt = ({ clientX, clientY }) => {
      const under = document.elementFromPoint(clientX, clientY);
      return [...list.children].find((row) => row.contains(under)) || null;
    };
    let point = null;
    const aim = (event) => {
      if (event.type !== "scroll") point = pointOf(event);
      const row = point && rowAt(point);
      for (const other of list.children) other.classList.toggle("is-target", other === row);
    };
    const watch = (how) => {
      for (const name of ["pointermove", "touchmove"]) document[how](name, aim, { passive: true });
      window[how]("scroll", aim, { passive: true });
    };
    function lifted() {
      list.classList.add("is-moving");
      point = null;
      watch("addEventListener");
    }
    function dropped(event) {
      watch("removeEventListener");
      const ended = event.originalEvent;
      const row = ended && !ended.type.endsWith("cancel") ? rowAt(pointOf(ended)) : null;
      list.classList.remove("is-moving");
      const moved = event.item.dataset.response;
      settle(row ? placed(moved, [...list.children].indexOf(row)) : tiers, moved);
    }
    // The tiers once `moved` lies on the row of this number. Without ties, what was dropped on another goes in front of it.
    const placed = (moved, row) => {
      const next = tiers.map((tier) => tier.filter((other) => other !== moved));
      const i = Math.floor(row / 2);
      if (row % 2 && (allowTies || placeOf(moved) === i)) next[i].push(moved);
      else next.splice(i, 0, [moved]);
      return next.filter((tier) => tier.length).map(inOrder);
    };

    const settle = (next, moved) => {
      const before = JSON.stringify(tiers);
      tiers = next;
      draw();
      if (before === JSON.stringify(tiers)) return;
      changed();
      const at = placeOf(moved);
      const others = tiers[at].filter((handle) => handle !== moved);
      announce(`Answer ${moved}, rank ${at + 1} of ${tiers.length}${others.length ? `, tied with ${said(others)}` : ""}`);
    };

    const move = (handle, how) => {
      const at = placeOf(handle);
      const alone = tiers[at].length === 1;
      const next = tiers.map((tier) => tier.filter((other) => other !== handle));
      if (how === "tie") {
        if (!allowTies || tiers.length === 1 && alone) return;
        if (!alone) next.splice(at + 1, 0, [handle]);
        else next[at > 0 ? at - 1 : 1].push(handle);
      } else if (!alone) {
        next.splice(how === "up" ? at : at + 1, 0, [handle]);
      } else {
        const to = how === "up" ? at - 1 : at + 1;
        if (to < 0 || to >= tiers.length) return;
        next.splice(at, 1);
        next.splice(to, 0, [handle]);
      }
      settle(next.filter((tier) => tier.length).map(inOrder), handle);
    };

    const grade = (i, value) => {
      grades[bond(i)] = value;
      draw();
      changed();
      announce(`${said(tiers[i])} ${WORDS[value]} than ${said(tiers[i + 1])}`);
    };

    list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const card = button.closest(".rank-card");
      if (button.dataset.move) { move(card.dataset.response, button.dataset.move); if (!button.disabled) button.focus(); else card.focus(); }
      else if (button.classList.contains("btn-unfold")) unfold(card);
    });
    list.addEventListener("change", (event) => {
      const fieldset = event.target.closest("[data-step]");
      if (!fieldset) return;
      const i = Number(fieldset.dataset.step);
      grade(i, Number(event.target.value));
      list.querySelector(`[name="step-${i}"]:checked`).focus();
    });

    // The sentence beside the buttons may be a screen away from the step it speaks of.
    const problemAt = (i, text) => {
      list.querySelectorAll(".step-problem").forEach((old) => old.remove());
      const words = document.createElement("p");
      words.className = "step-problem";
      words.setAttribute("aria-hidden", "true");
      words.textContent = text;
      list.querySelector(`[data-step="${i}"]`).append(words);
      words.scrollIntoView({ block: "nearest" });
    };

    const unfold = (card) => {
      const button = card.querySelector(".btn-unfold");
      if (button.hidden) return;
      const open = card.classList.toggle("is-open");
      button.setAttribute("aria-expanded", String(open));
      button.textContent = open ? "Show less" : "Show all";
    };
    const measure = () => cards.forEach((card) => {
      const body = card.querySelector(".rank-card-body");
      if (!card.classList.contains("is-open")) card.querySelector(".btn-unfold").hidden = body.scrollHeight <= body.clientHeight + 4;
    });

    draw();
    window.requestAnimationFrame(measure);
    new ResizeObserver(measure).observe(list);

    return {
      state: () => ({ tiers, grades }),
      restore(saved) {
        const given = saved.tiers;
        const whole = Array.isArray(given) && given.every(Array.isArray) && given.flat().sort().join() === [...handles].sort().join();
        if (whole && (allowTies || given.every((tier) => tier.length === 1))) tiers = given.map(inOrder);
        if (saved.grades) grades = { ...saved.grades };
        if (saved.strengths && whole) saved.strengths.forEach((value, i) => { grades[bond(i)] = value; });
        draw();
      },
      answer() {
        const strengths = tiers.slice(1).map((_, i) => gradeOf(i));
        const open = strengths.indexOf(null);
        if (open >= 0) {
          return {
            problem: `Say how much better ${said(tiers[open])} ${tiers[open].length > 1 ? "are" : "is"} than ${said(tiers[open + 1])}.`,
            at: list.querySelector(`[name="step-${open}"]`),
            say: (text) => problemAt(open, text),
          };
        }
        return { tiers: tiers.map((tier) => [...tier]), strengths };
      },
      key(event) {
        const letter = event.key.toUpperCase();
        if (event.key.length === 1 && cards.has(letter)) { cards.get(letter).focus(); return true; }
        const focused = document.activeElement && task.contains(document.activeElement) ? document.activeElement : null;
        const card = focused && focused.closest(".rank-card");
        if (!card && /^[0-3]$/.test(event.key)) {
          // On a step its own grade; elsewhere the first step that has none. Then on to the next open one.
          const on = focused && focused.closest("[data-step]");
          const i = on ? Number(on.dataset.step) : tiers.slice(1).findIndex((_, step) => gradeOf(step) === null);
          if (i < 0) return false;
          grade(i, Number(event.key));
          const open = tiers.slice(1).findIndex((_, step) => gradeOf(step) === null);
          list.querySelector(`[name="step-${open < 0 ? i : open}"]${open < 0 ? ":checked" : ""}`).focus();
          return true;
        }
        if (!card) return false;
        const handle = card.dataset.response;
        const how = { ArrowUp: "up", ArrowDown: "down", t: "tie", T: "tie" }[event.key];
        if (how) { move(handle, how); card.focus(); return true; }
        if (letter === "X") { unfold(card); return true; }
        if (/^[0-3]$/.test(event.key)) {
          const at = placeOf(handle);
          if (at < tiers.length - 1) grade(at, Number(event.key));
          else announce(`Answer ${handle} is last: there is no step below it`);
          card.focus();
          return true;
        }
        return false;
      },
    };
  };
})();
