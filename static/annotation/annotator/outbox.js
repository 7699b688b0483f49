// What an annotator has done and the server does not have yet. Everything is written to the browser's storage before
// it is sent, and leaves it when the server has said that it is stored: a dropped network, an ended session or a
// closed tab loses nothing. Every answer carries an idempotency key, so sending twice is harmless.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});

  class Offline extends Error {}
  class LoggedOut extends Error {}
  Object.assign(Roundtable, { Offline, LoggedOut });

  Roundtable.newKey = () => {
    if (window.crypto.randomUUID) return window.crypto.randomUUID();
    const bytes = window.crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  };

  // The same for a window as long as it lives, reloads included.
  Roundtable.windowKey = () => {
    try {
      const known = window.sessionStorage.getItem("roundtable:window") || Roundtable.newKey();
      window.sessionStorage.setItem("roundtable:window", known);
      return known;
    } catch (error) {
      return Roundtable.newKey();
    }
  };

  // A drawer of named values in localStorage; in memory where a private window refuses it.
  Roundtable.openDrawer = (owner) => {
    const memory = new Map();
    const place = (name) => `roundtable:${owner}:${name}`;
    return {
      place,
      get(name) {
        try {
          const text = window.localStorage.getItem(place(name));
          if (text !== null) return JSON.parse(text);
        } catch (error) { /* refused or damaged: what memory has */ }
        return memory.has(name) ? memory.get(name) : null;
      },
      set(name, value) {
        memory.set(name, value);
        try { window.localStorage.setItem(place(name), JSON.stringify(value)); } catch (error) { /* memory has it */ }
      },
      remove(name) {
        memory.delete(name);
        try { window.localStorage.removeItem(place(name)); } catch (error) { /* nothing was there */ }
      },
    };
  };

  const cookie = (name) => {
    const found = document.cookie.split("; ").find((part) => part.startsWith(`${name}=`));
    return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
  };

  // One call to the server: {status, data}. Throws Offline and LoggedOut; renews an old CSRF token once by itself.
  Roundtable.makeCaller = (tokenUrl) => {
    const once = async (url, body, keepalive) => {
      let response;
      try {
        response = await window.fetch(url, {
          method: body === undefined ? "GET" : "POST",
          credentials: "same-origin",
          keepalive: Boolean(keepalive),
          headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": cookie("csrftoken") },
          body: body === undefined ? undefined : JSON.stringify(body),
        });
      } catch (error) {
        throw new Offline();
      }
      if (response.status === 401) throw new LoggedOut();
      if (response.status === 429 || response.status >= 500) throw new Offline();
      const type = response.headers.get("Content-Type") || "";
      const data = type.includes("application/json") ? await response.json() : {};
      return { status: response.status, data };
    };
    return async (url, body, keepalive) => {
      const answer = await once(url, body, keepalive);
      if (answer.status !== 403 || body === undefined) return answer;
      await once(tokenUrl);
      return once(url, body, keepalive);
    };
  };

  // The queue of answers and skips. `tell` hears {waiting, offline, loggedOut} and refusals.
  // All windows of a person share it: one sends at a time, each what it wrote itself, so that a refusal is told where
  // the answer was given. What another window wrote is sent for it when it has lain for a while: that one may be closed.
  Roundtable.openOutbox = ({ drawer, call, tell, refused }) => {
    const LEFT_BEHIND = 5000;
    const me = Roundtable.windowKey();
    let running = null;
    let timer = null;
    let pause = 1000;
    const read = () => drawer.get("outbox") || [];
    const mine = () => read().filter((entry) => entry.by === me || Date.now() - entry.at > LEFT_BEHIND);
    // Only a secure page has locks; without them two windows may send the same, which the answers' keys make harmless.
    const alone = (work) => (navigator.locks ? navigator.locks.request(drawer.place("outbox"), work) : work());
    const write = (entries) => (entries.length ? drawer.set("outbox", entries) : drawer.remove("outbox"));
    const drop = (entry) => write(read().filter((other) => other.id !== entry.id));

    const later = () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(flush, pause);
      pause = Math.min(pause * 2, 15000);
    };

    const send = async () => {
      for (let [entry] = mine(); entry; [entry] = mine()) {
        const { status, data } = await call(entry.url, entry.body);
        drop(entry);
        // Given back to the person, also when this task was answered otherwise in another window (409).
        if (status >= 400) refused(entry, data.message || "The server refused this answer.");
        pause = 1000;
      }
    };

    // Resolves to true when nothing waits any more. `why` is what stopped it.
    let why = null;
    function flush() {
      if (!running) {
        window.clearTimeout(timer);
        running = alone(send)
          .then(() => {
            tell({ waiting: 0 });
            if (read().length) later();  // another window's, should it not send it itself
            return true;
          })
          .catch((error) => {
            why = error;
            tell({ waiting: read().length, offline: error instanceof Offline, loggedOut: error instanceof LoggedOut });
            if (error instanceof Offline) later();
            else if (!(error instanceof LoggedOut)) throw error;
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
      async empty() { if (!(await flush())) throw why; },
      add(entry) {
        write([...read(), { id: Roundtable.newKey(), by: me, at: Date.now(), ...entry }]);
        tell({ waiting: read().length });
        return (running || Promise.resolve()).then(flush);
      },
      holds: (handle) => read().some((entry) => entry.handle === handle),
      get size() { return read().length; },
    };
  };
})();
