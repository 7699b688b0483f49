// Sends a file in pieces: what the server has is where the next piece begins, so that a cut, a reload or a closed browser
// costs no more than the piece that was on its way.
(function () {
  "use strict";
  const { gettext } = window.Roundtable;
  const what = document.querySelector("#reading select[name=what]");
  // Another kind or format has other options.
  if (what) what.addEventListener("change", () => what.form.requestSubmit(what.form.querySelector("button[value=preview]")));

  const form = document.getElementById("file-sender");
  if (!form) return;
  const input = form.querySelector("input[type=file]");
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  const box = document.getElementById("upload-progress");
  const bar = box.querySelector("progress");
  const status = document.getElementById("upload-status");
  const pause = document.getElementById("upload-pause");
  const problem = document.getElementById("upload-error");
  const LONGEST_WAIT_SECONDS = 30;
  let paused = false;
  let wake = null;

  const say = (text) => { if (status.textContent !== text) status.textContent = text; };
  const fail = (text) => { problem.textContent = text; problem.hidden = !text; };
  const sleep = (seconds) => new Promise((resolve) => { wake = resolve; window.setTimeout(resolve, seconds * 1000); });
  const megabytes = (bytes) => (bytes / 1e6).toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 });

  class Refused extends Error {}
  class LoggedOut extends Error {}

  // {status, data}; throws TypeError without a connection.
  const ask = async (url, method, body, type) => {
    const headers = { Accept: "application/json", "X-CSRFToken": token };
    if (type) headers["Content-Type"] = type;
    const response = await window.fetch(url, { method, headers, body, credentials: "same-origin" });
    if (response.status === 401 || response.status === 403 || response.redirected) throw new LoggedOut();
    const isJson = (response.headers.get("Content-Type") || "").includes("application/json");
    const data = isJson ? await response.json() : {};
    if (response.status === 409) return data;
    if (response.status >= 500 && response.status !== 507) throw new TypeError("server away");
    if (!response.ok) throw new Refused(data.message || gettext("The server refused it ({status}).", { status: response.status }));
    return data;
  };

  // Repeats what a lost connection cut, ever more slowly.
  const askUntilAnswered = async (...request) => {
    for (let seconds = 1; ; seconds = Math.min(2 * seconds, LONGEST_WAIT_SECONDS)) {
      try {
        return await ask(...request);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        say(gettext("No connection to the server: trying again in {seconds} s.", { seconds }));
        await sleep(seconds);
      }
    }
  };

  const show = (offset, size, rate) => {
    bar.value = 100 * offset / size;
    const values = { prefix, percent: Math.floor(100 * offset / size), sent: megabytes(offset), size: megabytes(size) };
    if (rate > 0) {
      const seconds = Math.ceil((size - offset) / rate);
      say(gettext("{prefix}{percent} %: {sent} of {size} MB, about {seconds} s left", { ...values, seconds }));
    } else {
      say(gettext("{prefix}{percent} %: {sent} of {size} MB", values));
    }
  };

  let prefix = "";
  // What the server says of the file when it has all of it. `partOf`: of whose import it is one more file.
  const sendFile = async (file, partOf) => {
    box.hidden = false;
    const about = { name: file.name, size: file.size, fingerprint: `${file.size} ${file.lastModified}`, kind: form.dataset.kind };
    if (partOf) about.part_of = partOf;
    const upload = await askUntilAnswered(form.dataset.begin, "POST", JSON.stringify(about), "application/json");
    let offset = upload.offset;
    const began = performance.now();
    const first = offset;
    show(offset, file.size, 0);
    while (offset < file.size) {
      while (paused) await sleep(3600);
      const piece = file.slice(offset, offset + upload.piece_bytes);
      const answer = await askUntilAnswered(`${upload.pieces}?offset=${offset}`, "PUT", piece, "application/octet-stream");
      offset = answer.offset;
      const seconds = (performance.now() - began) / 1000;
      show(offset, file.size, seconds > 2 ? (offset - first) / seconds : 0);
    }
    return upload;
  };

  const sendAll = async (files) => {
    let first = form.dataset.partOf || "";
    let page = "";
    for (const [index, file] of files.entries()) {
      prefix = files.length > 1 ? gettext("{name}, {number} of {count}: ", { name: file.name, number: index + 1, count: files.length }) : "";
      const upload = await sendFile(file, first);
      if (!first) first = upload.id;
      if (!page) page = upload.page;
    }
    // The page of one more file leads to that of the first.
    window.location.assign(page);
  };

  input.addEventListener("change", async () => {
    // In the order of their names, as a person reads them: part 2 before part 10.
    const files = [...input.files].sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));
    const file = files[0];
    if (!file) return;
    fail("");
    if (form.dataset.size && (String(file.size) !== form.dataset.size || file.name !== form.dataset.name)) {
      fail(gettext("This is another file: choose {name} again, or begin anew on the page before.", { name: form.dataset.name }));
      return;
    }
    input.disabled = true;
    try {
      await sendAll(files);
    } catch (error) {
      if (error instanceof LoggedOut) fail(gettext("Your session has ended. Log in again; then choose the same file: it goes on from where it is."));
      else if (error instanceof Refused) fail(error.message);
      else fail(gettext("The file cannot be read any more: choose it again."));
    }
    input.disabled = false;
  });
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? gettext("Go on") : gettext("Pause");
    if (wake) wake();
  });
})();
