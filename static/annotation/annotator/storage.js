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

  // In localStorage; in memory what it refuses: a private window, no space left. Windows share it, each with a copy of
  // its own for some milliseconds: a value that is read, changed and written loses what another window wrote meanwhile.
  // What windows add to has a name of its own for each item (`names`).
  Roundtable.openStorage = (owner) => {
    const memory = new Map();
    const keyOf = (name) => `roundtable:${owner}:${name}`;
    return {
      keyOf,
      get(name) {
        if (memory.has(name)) return memory.get(name);
        try { return JSON.parse(window.localStorage.getItem(keyOf(name))); } catch (error) { return null; /* refused or damaged */ }
      },
      set(name, value) {
        try {
          window.localStorage.setItem(keyOf(name), JSON.stringify(value));
          memory.delete(name);
        } catch (error) { memory.set(name, value); }
      },
      remove(name) {
        memory.delete(name);
        try { window.localStorage.removeItem(keyOf(name)); } catch (error) { /* nothing was there */ }
      },
      // The names that begin so.
      names(prefix) {
        const start = keyOf(prefix);
        let keys = [];
        try { keys = Object.keys(window.localStorage).filter((key) => key.startsWith(start)); } catch (error) { /* refused */ }
        const kept = keys.map((key) => key.slice(keyOf("").length));
        return [...new Set([...kept, ...[...memory.keys()].filter((name) => name.startsWith(prefix))])];
      },
      // Values under one name each, told apart by `idOf(value)`; the oldest first, by their `addedAt`. In version 0.1.0
      // they were a list under the name `list`, which is taken apart.
      collection(list, { idOf, upgrade = (value) => value }) {
        const nameOf = (id) => `${list}:${id}`;
        const put = (value) => this.set(nameOf(idOf(value)), value);
        return {
          put,
          remove: (id) => this.remove(nameOf(id)),
          all: () => {
            const before = this.get(list);
            if (before) {
              this.remove(list); // first: there may be no room for both
              before.map(upgrade).forEach((value, place) => put({ addedAt: place, ...value }));
            }
            const values = this.names(nameOf("")).map((name) => this.get(name)).filter(Boolean);
            return values.map(upgrade).sort((one, other) => one.addedAt - other.addedAt);
          },
        };
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
