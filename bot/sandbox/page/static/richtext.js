// Rich text, which is never parsed: each part says what it is. A table from part type to function.

import { dateNode } from "./dates.js";
import { h } from "./dom.js";
import { channelMention, emoji, groupMention, link, mention, userMention } from "./mrkdwn.js";

const STYLES = { bold: "strong", italic: "em", strike: "s", code: "code", underline: "u", highlight: "mark", client_highlight: "mark" };

function styled(part, node) {
  const wanted = Object.keys(STYLES).filter((style) => part.style?.[style]);
  return wanted.reduce((inside, style) => h(STYLES[style], {}, inside), node);
}

const PARTS = {
  text: (part) => part.text,
  link: (part) => link(part.url, part.text || part.url),
  emoji: (part) => emoji(part.name),
  user: (part) => userMention(part.user_id),
  usergroup: (part) => groupMention(part.usergroup_id),
  channel: (part) => channelMention(part.channel_id),
  broadcast: (part) => mention(`@${part.range}`, true),
  date: (part) => dateNode(part.timestamp, part.format, part.fallback),
  color: (part) => h("code", {}, part.value),
};

const inside = (section) => section.elements.map((part) => (PARTS[part.type] ? styled(part, PARTS[part.type](part)) : h("code", {}, `unknown: ${part.type}`)));

function list(section) {
  const items = section.elements.map((item) => h("li", {}, inside(item)));
  const ordered = section.style === "ordered";
  const start = ordered && section.offset ? section.offset + 1 : undefined;
  return h(ordered ? "ol" : "ul", { class: `rich-list indent-${Math.min(section.indent || 0, 8)}`, start }, items);
}

const SECTIONS = {
  rich_text_section: (section) => h("div", { class: "run" }, inside(section)),
  rich_text_list: list,
  rich_text_quote: (section) => h("blockquote", { class: "run" }, inside(section)),
  rich_text_preformatted: (section) => preformatted(section),
};

/** Code or a credential, with a button that copies it. */
function preformatted(section) {
  const text = section.elements.map((part) => part.text ?? part.url ?? "").join("");
  const copy = h("button", { type: "button", class: "copy", on: { click: () => copied(copy, text) } }, "Copy");
  return h("div", { class: "code-box" }, h("pre", { tabindex: "0", "aria-label": "Preformatted text" }, inside(section)), copy);
}

async function copied(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.previousSibling);
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

/** The nodes of a rich_text block or cell. */
export const richText = (block) =>
  block.elements.map((section) => (SECTIONS[section.type] ? SECTIONS[section.type](section) : h("code", {}, `unknown: ${section.type}`)));
