// Named values in the browser's storage, apart for every person and project, and what versions before this one stored.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});

  Roundtable.randomId = () => {
    if (window.crypto.randomUUID) return window.crypto.randomUUID();
    const bytes = window.crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  };

  // The same for a window as long as it lives, reloads included.
  Roundtable.windowId = () => {
    try {
      const id = window.sessionStorage.getItem("roundtable:window") || Roundtable.randomId();
      window.sessionStorage.setItem("roundtable:window", id);
      return id;
    } catch (error) {
      return Roundtable.randomId();
    }
  };

  // In localStorage; in memory where a private window refuses it.
  Roundtable.openStorage = (owner) => {
    const memory = new Map();
    const keyOf = (name) => `roundtable:${owner}:${name}`;
    return {
      keyOf,
      get(name) {
        try {
          const text = window.localStorage.getItem(keyOf(name));
          if (text !== null) return JSON.parse(text);
        } catch (error) { /* refused or damaged: what memory has */ }
        return memory.has(name) ? memory.get(name) : null;
      },
      set(name, value) {
        memory.set(name, value);
        try { window.localStorage.setItem(keyOf(name), JSON.stringify(value)); } catch (error) { /* memory has it */ }
      },
      remove(name) {
        memory.delete(name);
        try { window.localStorage.removeItem(keyOf(name)); } catch (error) { /* nothing was there */ }
      },
    };
  };

  // Up to version 0.1.0 drafts and unsent judgments had other names for their fields. They may lie in a browser, or as
  // a draft on the server, for as long as their task does.
  const withNewNames = (value, newNames) => {
    const result = { ...value };
    for (const [oldName, newName] of Object.entries(newNames)) {
      if (!(oldName in result)) continue;
      if (!(newName in result)) result[newName] = result[oldName];
      delete result[oldName];
    }
    return result;
  };
  Roundtable.upgradeDraft = (draft) =>
    draft && withNewNames(draft, { key: "idempotency_key", at: "saved_at", grades: "strengths_by_step" });
  Roundtable.upgradeEntry = (entry) => {
    const upgraded = withNewNames(entry, { handle: "publicId", by: "windowId", at: "addedAt" });
    if (upgraded.draft) upgraded.draft = Roundtable.upgradeDraft(upgraded.draft);
    upgraded.body = withNewNames(upgraded.body, { key: "idempotency_key" });
    return upgraded;
  };
})();
