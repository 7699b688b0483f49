// The keyboard. Which key does what comes from the page (annotator/shortcuts.py): for each kind of task, and for every
// task, {key: {action, value, is_single_key}}. A task's own keys come first.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const TEXT_FIELDS = "textarea, select, input:not([type=radio]):not([type=checkbox])";

  const readTable = () => JSON.parse(document.getElementById("shortcuts").textContent);
  // Letters stand in the table as capitals. What the browser fills in by itself comes without a key.
  const nameOf = ({ key = "" }) => (key.length === 1 ? key.toUpperCase() : key);
  // Where the layout writes something else (Cyrillic, Arabic, Greek letters; AZERTY's row of digits), the place of the key
  // counts. A Latin letter or sign that means nothing here stays that: on Dvorak an O lies where an S is elsewhere.
  const placeOf = ({ key = "", code = "", shiftKey }) => {
    const [, kind, name] = /^(Key|Digit)(.)$/.exec(code) || [];
    const isLatinKey = key.length !== 1 || key <= "\u007f";
    if (kind === "Key") return isLatinKey && key !== "Unidentified" ? null : name;
    return kind === "Digit" && !shiftKey && !/^[A-Za-z]$/.test(key) ? name : null;
  };

  // Switches single keys off for people who use speech input: a spoken word would be many of them.
  const singleKeysSwitch = (root, storage) => {
    const toggle = document.getElementById("single-keys");
    const show = () => root.classList.toggle("keys-off", !toggle.checked);
    toggle.checked = storage.get("single-keys") !== false;
    toggle.addEventListener("change", () => { storage.set("single-keys", toggle.checked); show(); });
    show();
    return { areOn: () => toggle.checked };
  };

  // `commands` are what the actions of every task do; those of a kind are its controller's `perform`.
  Roundtable.listenForShortcuts = ({ root, storage, currentTask, commands, leaveTextField }) => {
    const table = readTable();
    const singleKeys = singleKeysSwitch(root, storage);
    const scopeOf = (name) => table[name] || {};
    // A ranking has other keys while letters are typed or a question is asked.
    const kindOf = ({ kind, controller }) => (controller && controller.scope ? controller.scope() : kind);
    const find = (scope, event) => {
      const task = currentTask();
      const name = nameOf(event);
      const isKnown = name in scopeOf("every_task") || (task && name in scopeOf(kindOf(task)));
      const shortcut = scopeOf(scope)[isKnown ? name : placeOf(event)];
      return shortcut && (singleKeys.areOn() || !shortcut.is_single_key) ? shortcut : null;
    };
    const submits = (event) => (find("every_task", event) || {}).action === "submit";

    document.addEventListener("keydown", (event) => {
      if (event.defaultPrevented || document.querySelector("dialog:modal")) return;
      const target = event.target;
      if (submits(event) && (event.ctrlKey || event.metaKey) && !event.repeat && !root.classList.contains("is-paused")) {
        event.preventDefault();
        commands.submit();
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      // While the clock is stopped there is nothing to judge: only its own key works.
      if (root.classList.contains("is-paused")) {
        if ((find("every_task", event) || {}).action === "pause" && !event.repeat) commands.pause();
        return;
      }
      if (target.closest(TEXT_FIELDS)) {
        if (event.key === "Escape") leaveTextField(target);
        return;
      }
      if (submits(event)) {
        if (!event.repeat && target.closest("button, a, summary, label")) return;
        event.preventDefault();
        if (!event.repeat) commands.submit();
        return;
      }
      const task = currentTask();
      const ownShortcut = task && task.controller && find(kindOf(task), event);
      if (ownShortcut && task.controller.perform(ownShortcut, target)) {
        event.preventDefault();
        return;
      }
      // What the controller left alone may be a thing of the page.
      const shortcut = ownShortcut && commands[ownShortcut.action] ? ownShortcut : find("every_task", event);
      if (shortcut && !event.repeat) {
        event.preventDefault();
        commands[shortcut.action](shortcut.value);
      }
    });
    // The name of the first key of an action of every task, for sentences that speak of it.
    return { keyOf: (action) => Object.keys(table.every_task).find((key) => table.every_task[key].action === action) };
  };
})();
