// Judgments and skips that the server does not have yet. Everything is written to the browser's storage before it is
// sent, and leaves it when the server has said that it is stored: a dropped network, an ended session or a closed tab
// loses nothing. Every judgment carries an idempotency key, so sending twice is harmless.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const { gettext } = Roundtable;
  // What another window wrote is sent for it after so long: that window may be closed.
  const STALE_AFTER_MS = 5000;
  const FIRST_DELAY_MS = 1000;
  const LONGEST_DELAY_MS = 15000;

  // `onSyncStatus` gets {waiting, offline, loggedOut}; `onRejected` an entry that the server refused, its sentence and
  // its code.
  // `addToBody(entry)` gives what an entry's first request says beside it; `onStored(entry, data, added)` hears the answer.
  // All windows of a person share the queue: one sends at a time, each what it wrote itself, so that a rejection is
  // shown where the judgment was given.
  Roundtable.openOutbox = ({ storage, api, onSyncStatus, onRejected, addToBody, onStored }) => {
    const windowId = Roundtable.windowId();
    let running = null;
    let timer = null;
    let delay = FIRST_DELAY_MS;
    let lastError = null;
    let sendsForOthers = false;
    let addedAt = 0; // of the last entry: two of one millisecond keep their order
    const entries = storage.collection("outbox", { idOf: ({ id }) => id, upgrade: Roundtable.upgradeEntry });
    const read = entries.all;
    const ownEntries = () =>
      read().filter((entry) => sendsForOthers || entry.windowId === windowId || Date.now() - entry.addedAt > STALE_AFTER_MS);
    // Only a secure page has locks; without them two windows may send the same, which the idempotency keys make harmless.
    const withLock = (work) => (navigator.locks ? navigator.locks.request(storage.keyOf("outbox"), work) : work());

    const scheduleFlush = () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(flush, delay);
      delay = Math.min(delay * 2, LONGEST_DELAY_MS);
    };

    const sendEntries = async () => {
      for (let [entry] = ownEntries(); entry; [entry] = ownEntries()) {
        const added = addToBody(entry);
        const { status, data } = await api.requestJson(entry.url, { ...entry.body, ...added });
        // Given back to the person, also when this task was judged otherwise in another window (409); before the entry
        // goes, so that a window closed in between loses nothing.
        if (status >= 400) onRejected(entry, data.message || gettext("The server refused this judgment."), data.code);
        else onStored(entry, data, added);
        entries.remove(entry.id);
        delay = FIRST_DELAY_MS;
      }
    };

    // Resolves to true when nothing waits any more; otherwise `lastError` is what stopped it.
    function flush() {
      if (!running) {
        window.clearTimeout(timer);
        running = withLock(sendEntries)
          .then(() => {
            onSyncStatus({ waiting: 0 });
            if (read().length) scheduleFlush();  // another window's, should it not send it itself
            return true;
          })
          .catch((error) => {
            lastError = error;
            const [offline, loggedOut] = [Roundtable.Offline, Roundtable.LoggedOut].map((type) => error instanceof type);
            onSyncStatus({ waiting: read().length, offline, loggedOut });
            if (offline) scheduleFlush();
            else if (!loggedOut) throw error;
            return false;
          })
          .finally(() => { running = null; });
      }
      return running;
    }

    window.addEventListener("online", flush);
    window.addEventListener("focus", () => { if (read().length) flush(); });
    return {
      flush,
      // Sends everything, or throws what stopped it.
      async drain() { if (!(await flush())) throw lastError; },
      // What another window wrote a moment ago as well.
      async drainAll() {
        sendsForOthers = true;
        try { if (!(await flush())) throw lastError; } finally { sendsForOthers = false; }
      },
      // An entry: {publicId, url, body} and, where a rejection gives it back, the draft.
      add(entry) {
        addedAt = Math.max(Date.now(), addedAt + 1);
        entries.put({ id: Roundtable.randomId(), windowId, addedAt, ...entry });
        onSyncStatus({ waiting: read().length });
        return (running || Promise.resolve()).then(flush);
      },
      has: (publicId) => read().some((entry) => entry.publicId === publicId),
    };
  };
})();
