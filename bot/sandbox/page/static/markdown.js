// The `markdown` block: the usual Markdown, its common part. Everything else stays text.

import { h } from "./dom.js";
import { link } from "./mrkdwn.js";

const INLINE = /`([^`]+)`|\[([^\]]+)\]\(([^)\s]+)\)|\*\*(.+?)\*\*|__(.+?)__|~~(.+?)~~|\*(.+?)\*|(?<![\p{L}\p{N}])_(.+?)_(?![\p{L}\p{N}])/gu;

function inline(text) {
  const found = [];
  let done = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, words, address, bold, bold2, strike, italic, italic2] = match;
    found.push(text.slice(done, match.index), made());
    done = match.index + whole.length;
    function made() {
      if (code !== undefined) return h("code", {}, code);
      if (address !== undefined) return link(address, inline(words));
      if (bold ?? bold2) return h("strong", {}, inline(bold ?? bold2));
      return strike ? h("s", {}, inline(strike)) : h("em", {}, inline(italic ?? italic2));
    }
  }
  return [...found, text.slice(done)];
}

const LINES = [
  [/^(#{1,6})\s+(.*)$/, (match) => h("p", { class: `md-heading md-${match[1].length}`, role: "heading", "aria-level": String(Math.min(6, match[1].length + 2)) }, inline(match[2]))],
  [/^\s*[-*+]\s+(.*)$/, (match) => h("li", { data: { list: "ul" } }, inline(match[1]))],
  [/^\s*\d+[.)]\s+(.*)$/, (match) => h("li", { data: { list: "ol" } }, inline(match[1]))],
  [/^>\s?(.*)$/, (match) => h("blockquote", {}, inline(match[1]))],
  [/^(?:-{3,}|\*{3,})$/, () => h("hr", {})],
];

/** The nodes of a Markdown text. */
export function markdown(text) {
  const found = [];
  const pieces = text.split(/^```.*$/m);
  pieces.forEach((piece, place) => {
    if (place % 2) found.push(h("pre", {}, piece.replace(/^\n|\n$/g, "")));
    else found.push(...piece.split("\n").filter((line) => line.trim()).map(lineNode));
  });
  return grouped(found);
}

function lineNode(line) {
  for (const [pattern, make] of LINES) {
    const match = pattern.exec(line);
    if (match) return make(match);
  }
  return h("p", {}, inline(line));
}

/** Items of one list after the other become one list. */
function grouped(nodes) {
  const found = [];
  for (const node of nodes) {
    const kind = node.dataset?.list;
    const last = found[found.length - 1];
    if (!kind) found.push(node);
    else if (last?.tagName.toLowerCase() === kind) last.append(node);
    else found.push(h(kind, {}, node));
  }
  return found;
}
