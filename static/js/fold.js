// A part of a page that somebody folded stays folded in their browser. <details data-fold="NAME">

for (const part of document.querySelectorAll("details[data-fold]")) {
  const key = `folded:${part.dataset.fold}`;
  try {
    if (localStorage.getItem(key)) part.open = false;
  } catch {
    continue; // without storage it is open again
  }
  part.addEventListener("toggle", () => {
    if (part.open) localStorage.removeItem(key);
    else localStorage.setItem(key, "1");
  });
}
