// Slack's mrkdwn as nodes: https://docs.slack.dev/messaging/formatting-message-text. Everything else stays text.

import { dateNode } from "./dates.js";
import { h } from "./dom.js";
import { EMOJI } from "./emoji.js";
import { nameOf, state } from "./store.js";

const ENTITIES = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };
export const unescape = (text) => text.replace(/&(?:lt|gt|amp);/g, (found) => ENTITIES[found]);

const TAGS = { "*": "strong", _: "em", "~": "s" };
const BARE = /https?:\/\/[^\s<>|]+[^\s<>|.,;:!?)'"]/g;
const WORD = /[\p{L}\p{N}_]/u;
const TOKEN = /```([\s\S]+?)```|`([^`\n]+)`|<([^<>\n]+)>|:([a-z0-9_+'-]+):|[*_~]/g;

/** A link, if it goes where links may go; a message of this workspace opens here. */
export function link(address, children) {
  let target;
  try {
    target = new URL(address);
  } catch {
    return h("span", {}, children);
  }
  if (!["http:", "https:", "mailto:"].includes(target.protocol)) return h("span", {}, children);
  const here = /^\/archives\/([A-Z0-9]+)\/p(\d+)(\d{6})$/.exec(target.pathname);
  if (here && target.hostname.endsWith(".slack.com")) {
    return h("a", { href: `#${here[1]}/${here[2]}.${here[3]}` }, children);
  }
  return h("a", { href: target.href, target: "_blank", rel: "noopener noreferrer nofollow" }, children);
}

/** A mention of a person, a group or everybody; mentions of the viewer are highlighted. */
export function mention(words, mine) {
  return h("span", { class: mine ? "mention mine" : "mention" }, words);
}

export const userMention = (id, label) => mention(`@${state.people.get(id)?.real_name || label || nameOf(id)}`, id === state.meId);

export function groupMention(id, label) {
  const group = state.groups.get(id);
  return mention(`@${(group?.handle || label || id).replace(/^@/, "")}`, group?.users.includes(state.meId));
}

export function channelMention(id, label) {
  const channel = state.channels.get(id);
  const words = `#${channel?.name || label || "private-channel"}`;
  return channel?.member ? h("a", { class: "mention", href: `#${id}` }, words) : mention(words);
}

/** An emoji by name; one without a picture here keeps its name. */
export const emoji = (name) => (EMOJI[name] ? h("span", { role: "img", "aria-label": name.replace(/_/g, " ") }, EMOJI[name]) : `:${name}:`);

const SPECIAL = {
  "@": (body, label) => userMention(body.slice(1), label),
  "#": (body, label) => channelMention(body.slice(1), label),
  "!": (body, label) => {
    const [kind, ...rest] = body.slice(1).split("^");
    if (kind === "date") return dateNode(rest[0], unescape(rest[1] || ""), unescape(label || ""));
    if (kind === "subteam") return groupMention(rest[0], label);
    return mention(`@${label || kind}`, true);
  },
};

function bracket(inside) {
  const bar = inside.indexOf("|");
  const body = bar < 0 ? inside : inside.slice(0, bar);
  const label = bar < 0 ? "" : inside.slice(bar + 1);
  const special = SPECIAL[body[0]];
  return special ? special(body, unescape(label)) : link(unescape(body), unescape(label || body));
}

/** Where the mark that opens at `start` closes, or -1. */
function closing(text, start) {
  const mark = text[start];
  if ((start > 0 && WORD.test(text[start - 1])) || !/\S/.test(text[start + 1] || " ")) return -1;
  for (let end = start + 2; end < text.length && text[end] !== "\n"; end += 1) {
    if (text[end] === mark && /\S/.test(text[end - 1]) && !WORD.test(text[end + 1] || " ")) return end;
  }
  return -1;
}

/** Words without any mark: escapes undone, bare addresses linked where Slack does it. */
function words(text, links) {
  const plain = unescape(text);
  if (!links) return plain ? [plain] : [];
  const found = [];
  let done = 0;
  for (const match of plain.matchAll(BARE)) {
    found.push(plain.slice(done, match.index), link(match[0], match[0]));
    done = match.index + match[0].length;
  }
  return [...found, plain.slice(done)];
}

/** One run of mrkdwn as nodes. */
export function inline(text, links = true) {
  const found = [];
  let done = 0;
  TOKEN.lastIndex = 0;
  const token = new RegExp(TOKEN);
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const node = tokenNode(match, text, links);
    if (!node) continue;
    found.push(...words(text.slice(done, match.index), links), node.made);
    done = token.lastIndex = node.end ?? match.index + match[0].length;
  }
  return [...found, ...words(text.slice(done), links)];
}

function tokenNode(match, text, links) {
  const [whole, fenced, code, inside, name] = match;
  if (fenced !== undefined) return { made: h("pre", {}, unescape(fenced.replace(/^\n/, ""))) };
  if (code !== undefined) return { made: h("code", {}, unescape(code)) };
  if (inside !== undefined) return { made: bracket(inside) };
  if (name !== undefined) return EMOJI[name] ? { made: emoji(name) } : null;
  const end = closing(text, match.index);
  if (end < 0) return null;
  return { made: h(TAGS[whole], {}, inline(text.slice(match.index + 1, end), links)), end: end + 1 };
}

/** A whole mrkdwn text: quotes by line, the rest as runs that keep their line breaks. */
export function mrkdwn(text, links = true) {
  const found = [];
  let run = [];
  let quoted = [];
  const flushRun = () => {
    if (run.length) found.push(h("span", { class: "run" }, inline(run.join("\n"), links)));
    run = [];
  };
  const flushQuote = () => {
    if (quoted.length) found.push(h("blockquote", { class: "run" }, inline(quoted.join("\n"), links)));
    quoted = [];
  };
  let fence = false;
  for (const line of text.split("\n")) {
    const quote = !fence && /^(?:&gt;|>) ?(.*)$/.exec(line);
    if (quote) {
      flushRun();
      quoted.push(quote[1]);
      continue;
    }
    flushQuote();
    run.push(line);
    if ((line.match(/```/g) || []).length % 2) fence = !fence;
  }
  flushRun();
  flushQuote();
  return found;
}

/** A text object. */
export function textNodes(object) {
  if (!object) return [];
  return object.type === "mrkdwn" ? mrkdwn(object.text, !object.verbatim) : [plainText(object)];
}

/** A plain text object; its emoji names become pictures unless it says otherwise. */
export function plainText(object) {
  if (object.emoji === false) return object.text;
  const parts = object.text.split(/:([a-z0-9_+'-]+):/);
  return h("span", {}, parts.map((part, place) => (place % 2 ? emoji(part) : part)));
}
