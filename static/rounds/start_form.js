// The numbers used where nothing is typed stand in the empty fields; another preset or policy has others. The form is
// asked for anew and only what it shows is taken over: what was typed stays, also while the answer is on its way.
(function () {
  "use strict";
  const form = document.getElementById("start-round");
  const chosen = ["id_preset", "id_ppo_preset", "id_reward_model_preset", "id_start_policy", "id_criterion"].map((id) => document.getElementById(id));
  let newest = 0;

  async function showDefaults() {
    const number = ++newest;
    const parameters = new URLSearchParams();
    for (const select of chosen) parameters.set(select.name, select.value);
    const answer = await fetch(`${form.dataset.defaults}?${parameters}`, { credentials: "same-origin" });
    if (!answer.ok || answer.redirected || number !== newest) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const input of form.querySelectorAll("input[id]")) {
      const other = page.getElementById(input.id);
      if (other) input.placeholder = other.placeholder;
    }
    for (const select of form.querySelectorAll(".option-section select[id]")) {
      const other = page.getElementById(select.id);
      if (other) select.options[0].textContent = other.options[0].textContent;
    }
    for (const help of form.querySelectorAll(".form-text[id], .option-from[id]")) {
      const other = page.getElementById(help.id);
      if (other) help.textContent = other.textContent;
    }
  }

  // Another recipe or preset of a step has other fields: the form comes back with them, and with all that was typed.
  for (const select of form.querySelectorAll("[data-changes-steps]")) {
    select.addEventListener("change", () => form.requestSubmit(document.getElementById("show-steps")));
  }

  for (const select of chosen) select.addEventListener("change", () => showDefaults().catch(() => {}));
})();
