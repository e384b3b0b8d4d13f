// The conversation in the middle, the thread beside it, and the messages tab of the app.

import { Composer, closedComposer } from "./composer.js";
import { announce, fill, h, icon, iconButton } from "./dom.js";
import { drawMessage, spoken } from "./message.js";
import { act, look } from "./net.js";
import { whyFailed } from "./press.js";
import { on, state, titleOf } from "./store.js";
import { Stream } from "./stream.js";

let here = null;
let beside = null;

const inThread = (message) => message.thread_ts && message.thread_ts !== message.ts && message.subtype !== "thread_broadcast";

/** Tells the server that what is on the screen has been read. */
function markRead(channel) {
  if (document.visibilityState === "visible" && document.hasFocus() !== false && state.unread[channel]) act("read", { channel }).catch(() => {});
}

const beginningOf = (channel) =>
  channel.im_user ? `This is the beginning of your messages with ${titleOf(channel)}. Only you and ${titleOf(channel)} see them.` : `This is the beginning of #${channel.name}.`;

/** Opens a conversation in `place`; gives it for `goTo`. */
export async function openConversation(place, channel, { readOnly } = {}) {
  closeConversation();
  const stream = new Stream(`Messages in ${titleOf(channel)}`, { openThread: (message) => openThread(channel, message.ts), older, beginning: beginningOf(channel) });
  const composer = readOnly ? null : new Composer(`Message ${channel.im_user ? titleOf(channel) : `#${channel.name}`}`, () => ({ channel: channel.id }), () => stream.toEnd());
  fill(place, stream.node, composer ? composer.node : closedComposer(`Sending messages to ${titleOf(channel)} has been turned off. Commands work in every channel.`));
  const mine = { channel, stream, composer };
  here = mine;
  async function older(before) {
    const found = await look("messages", { channel: channel.id, before });
    if (here === mine) stream.prepend(found.messages, found.more);
  }
  try {
    await older();
  } catch (error) {
    fill(place, h("p", { class: "notice" }, whyFailed(error.message)));
    return mine;
  }
  stream.toEnd();
  markRead(channel.id);
  return mine;
}

/** Nothing is open any more. */
export function closeConversation() {
  here = null;
}

/** Goes to a message, loading older ones until it is there. */
export async function goTo(ts) {
  const mine = here;
  for (let tries = 0; mine && tries < 40; tries += 1) {
    if (mine.stream.goTo(ts)) return;
    if (!mine.stream.more || here !== mine) return;
    await mine.stream.older(mine.stream.messages[0].ts);
  }
}

// --- threads

const pane = () => document.getElementById("thread");

/** Opens a thread beside the conversation. */
export async function openThread(channel, ts) {
  const back = document.activeElement;
  const stream = new Stream("Thread");
  const composer = new Composer("Reply…", () => ({ channel: channel.id, thread_ts: ts }), () => stream.toEnd());
  const close = iconButton("close", "Close thread", { on: { click: () => closeThread(true) } });
  const parent = h("div", { class: "thread-parent" });
  stream.list.before(parent);
  fill(pane(), h("div", { class: "pane-head" }, h("h2", {}, "Thread"), h("span", { class: "note" }, channel.im_user ? titleOf(channel) : `#${channel.name}`), close), stream.node, channel.im_user ? null : composer.node);
  pane().hidden = false;
  const mine = { channel, ts, stream, parent, back };
  beside = mine;
  const { messages } = await look("thread", { channel: channel.id, ts });
  if (beside !== mine) return;
  takeIn(mine, messages);
  close.focus({ preventScroll: true });
}

function takeIn(mine, messages) {
  for (const message of messages) {
    if (message.ts === mine.ts) fill(mine.parent, drawMessage(message, {}));
    else if (message.thread_ts === mine.ts) mine.stream.put(message);
  }
}

/** Closes the thread; `giveBack` takes the focus to where it was opened. */
export function closeThread(giveBack = false) {
  if (!beside) return;
  const { back, ts } = beside;
  beside = null;
  pane().hidden = true;
  fill(pane());
  if (!giveBack) return;
  const again = back?.isConnected ? back : document.querySelector(`[data-key="replies/${ts}"]`) || document.getElementById("main");
  again.focus();
  if (document.activeElement === again) return;
  again.closest("article")?.focus({ preventScroll: true }); // its tools can be seen only then
  again.focus();
}

document.getElementById("thread").addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented) closeThread(true);
});

// --- what comes in

on("messages", (changes) => {
  for (const { channel, ts, message } of changes) {
    if (beside && beside.channel.id === channel && message) takeIn(beside, [message]);
    if (!message) {
      here?.stream.drop(ts);
      beside?.stream.drop(ts);
    } else if (here?.channel.id === channel && !inThread(message)) {
      const fresh = !here.stream.nodes.has(ts);
      here.stream.put(message);
      if (fresh && message.user !== state.meId) announce(spoken(message));
    } else if (message.user !== state.meId && !message.edited && state.unread[channel]) {
      const place = state.channels.get(channel);
      if (place && !inThread(message)) announce(`In ${titleOf(place)}: ${spoken(message)}`);
    }
  }
});

on("unread", () => here && markRead(here.channel.id));
addEventListener("focus", () => here && markRead(here.channel.id));

/** The head of a channel. */
export function channelHead(channel) {
  const marks = [channel.is_private && "private", channel.is_ext_shared && "shared with another company", channel.is_archived && "archived"].filter(Boolean);
  return [h("h1", { class: "place-title" }, icon(channel.is_private ? "lock" : "hash"), channel.name), h("span", { class: "note" }, [`${channel.members} members`, ...marks].join(" · "))];
}
