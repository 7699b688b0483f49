// Formatted text from the clipboard as plain Markdown. The document it is parsed into runs and fetches nothing.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});
  const BLOCKS = new Set(["P", "DIV", "SECTION", "ARTICLE", "UL", "OL", "TABLE", "PRE", "BLOCKQUOTE", "H1", "H2", "H3", "H4", "H5", "H6", "HR", "LI", "TR"]);
  const DROPPED = new Set(["SCRIPT", "STYLE", "HEAD", "TITLE", "META", "LINK", "TEMPLATE"]);

  const marked = (text, mark) => {
    const [, before, inner, after] = text.match(/^(\s*)([\s\S]*?)(\s*)$/);
    return inner ? before + mark + inner + mark + after : text;
  };
  // Of one line: what has no block in it.
  const inline = (node) => {
    if (node.nodeType === Node.TEXT_NODE) return node.data.replace(/[ \t\r\n]+/g, " ");
    if (node.nodeType !== Node.ELEMENT_NODE || DROPPED.has(node.tagName)) return "";
    const inner = () => [...node.childNodes].map(inline).join("");
    switch (node.tagName) {
      case "BR": return "\n";
      case "STRONG": case "B": return node.style.fontWeight === "normal" ? inner() : marked(inner(), "**");
      case "EM": case "I": return marked(inner(), "*");
      case "S": case "DEL": return marked(inner(), "~~");
      case "CODE": case "TT": case "KBD": return marked(node.textContent, "`");
      case "A": {
        const address = node.getAttribute("href") || "";
        const text = inner();
        return /^https?:/.test(address) && text.trim() && text.trim() !== address ? `[${text.trim()}](${address})` : text;
      }
      default: return inner();
    }
  };
  const indented = (text, first) => text.split("\n").map((line, i) => (i ? (line && " ".repeat(first.length)) : first) + line).join("\n");
  const list = (node, isOrdered) => {
    let number = Number(node.getAttribute("start")) || 1;
    return [...node.children].filter((item) => item.tagName === "LI" || item.tagName === "UL" || item.tagName === "OL")
      .map((item) => item.tagName === "LI" ? indented(blocks(item).join("\n"), isOrdered ? `${number++}. ` : "- ") : indented(blocks(item.parentNode === node ? { childNodes: [item] } : item).join("\n"), "  "))
      .join("\n");
  };
  const table = (node) => {
    const rows = [...node.rows].map((row) => [...row.cells].map((cell) => inline(cell).trim().replace(/\n/g, " ").replace(/\|/g, "\\|")));
    if (!rows.length) return "";
    const width = Math.max(...rows.map((row) => row.length));
    const line = (row) => "| " + Array.from({ length: width }, (_, place) => row[place] || "").join(" | ") + " |";
    return [line(rows[0]), line(Array(width).fill("---")), ...rows.slice(1).map(line)].join("\n");
  };
  const block = (node) => {
    switch (node.tagName) {
      case "H1": case "H2": case "H3": case "H4": case "H5": case "H6": return `${"#".repeat(Number(node.tagName[1]))} ${inline(node).trim()}`;
      case "UL": return list(node, false);
      case "OL": return list(node, true);
      case "TABLE": return table(node);
      case "PRE": return "```\n" + node.textContent.replace(/\n$/, "") + "\n```";
      case "BLOCKQUOTE": return blocks(node).join("\n\n").replace(/^/gm, "> ");
      case "HR": return "---";
      default: return blocks(node).join("\n\n");
    }
  };
  const blocks = (parent) => {
    const found = [];
    let line = "";
    const end = () => { if (line.trim()) found.push(line.replace(/ *\n */g, "\n").trim()); line = ""; };
    for (const node of parent.childNodes) {
      const isBlock = node.nodeType === Node.ELEMENT_NODE && (BLOCKS.has(node.tagName) || node.querySelector([...BLOCKS].join()));
      if (!isBlock) { line += inline(node); continue; }
      end();
      const text = block(node);
      if (text.trim()) found.push(text);
    }
    end();
    return found;
  };

  Roundtable.htmlToMarkdown = (html) => blocks(new DOMParser().parseFromString(html, "text/html").body).join("\n\n");

  // In a text field; the browser's own undo takes it back.
  Roundtable.pasteAsMarkdown = (event) => {
    const html = event.clipboardData && event.clipboardData.getData("text/html");
    if (!html || event.target.tagName !== "TEXTAREA") return;
    const text = Roundtable.htmlToMarkdown(html);
    if (!text) return;
    event.preventDefault();
    if (!document.execCommand("insertText", false, text)) {
      event.target.setRangeText(text, event.target.selectionStart, event.target.selectionEnd, "end");
      event.target.dispatchEvent(new Event("input", { bubbles: true }));
    }
  };
})();
