// One message as people see it: who, when, its blocks or words, its thread, and what can be done with it.

import { avatar } from "./avatar.js";
import { drawBlocks } from "./blocks.js";
import { time, timeNode, format, day } from "./dates.js";
import { h, icon, iconButton } from "./dom.js";
import { menuButton, menuItem } from "./menu.js";
import { mrkdwn } from "./mrkdwn.js";
import { act } from "./net.js";
import { complain, whyFailed, working } from "./press.js";
import { nameOf, state } from "./store.js";

const seconds = (message) => Number(message.ts);

/** What a screen reader announces for a new message. */
export const spoken = (message) => `${nameOf(message.user)}: ${(message.text || "").replace(/<[^>]*\|([^>]*)>/g, "$1").replace(/[<>*_~`]/g, "").slice(0, 200)}`;

function head(message) {
  const app = message.bot_id || message.user === "USLACKBOT";
  const at = seconds(message);
  return h(
    "div",
    { class: "message-head" },
    h("span", { class: "author" }, nameOf(message.user)),
    app && h("span", { class: "badge" }, "app"),
    timeNode(at, time(at), { class: "at" }),
  );
}

function body(message, level) {
  const ctx = { spot: { channel: message.channel, ts: message.ts }, level };
  const blocks = message.blocks?.length ? drawBlocks(ctx, message.blocks) : h("div", { class: "text" }, mrkdwn(message.text || ""));
  const edited = message.edited && !message.bot_id && h("span", { class: "note" }, "(edited)");
  return h("div", { class: "message-body" }, blocks, edited, (message.files || []).map(file));
}

function file(attached) {
  const address = `/page/file/${encodeURIComponent(attached.id)}?${new URLSearchParams({ as: state.as })}`;
  return h("a", { class: "file", href: address, download: attached.name }, icon("file"), h("span", {}, attached.title || attached.name), h("span", { class: "note" }, `${attached.size} bytes`));
}

function replies(message, openThread) {
  if (!message.reply_count) return null;
  const words = `${message.reply_count} ${message.reply_count === 1 ? "reply" : "replies"}`;
  return h("button", { type: "button", class: "replies", "data-key": `replies/${message.ts}`, on: { click: () => openThread(message) } }, icon("reply"), words);
}

function privately(message) {
  const dismiss = h("button", { type: "button", class: "text-button", on: { click: () => working(dismiss, () => act("dismiss", { ts: message.ts })) } }, "Dismiss");
  return h("p", { class: "only-you" }, icon("eye"), "Only visible to you", dismiss);
}

function tools(message, node, openThread) {
  const shortcuts = (state.app.shortcuts || []).filter((one) => one.type === "message");
  const run = async (one) => {
    try {
      const done = await act("shortcut", { callback_id: one.callback_id, channel: message.channel, ts: message.ts });
      if (done.error) complain(node(), whyFailed(done.error, state.app.name));
    } catch (error) {
      complain(node(), whyFailed(error.message, state.app.name));
    }
  };
  const reply = !message.is_ephemeral && openThread && iconButton("reply", "Reply in thread", { "data-key": `reply/${message.ts}`, on: { click: () => openThread(message) } });
  const more = shortcuts.length > 0 && menuButton(iconButton("more", "More message actions", { "data-key": `more/${message.ts}` }), "Message actions", () =>
    shortcuts.map((one) => menuItem({ title: one.name, about: `${state.app.name} · ${one.description}`, choose: () => run(one) })));
  return h("div", { class: "message-tools" }, reply, more);
}

/** A message as an article. `openThread` is left out inside a thread. */
export function drawMessage(message, { openThread, follows }) {
  const node = h("article", {
    class: `message ${message.is_ephemeral ? "private" : ""} ${follows ? "follows" : ""}`,
    tabindex: "-1",
    "aria-label": `${nameOf(message.user)}, ${format(seconds(message), "{date_short_pretty} {time}")}${message.is_ephemeral ? ", only visible to you" : ""}`,
    data: { ts: message.ts, key: `message/${message.ts}` },
  });
  node.append(
    avatar(message.user, { class: "side-avatar" }),
    h("div", { class: "message-main" }, message.is_ephemeral && privately(message), head(message), body(message, openThread ? 2 : 3), openThread && replies(message, openThread)),
    tools(message, () => node, openThread),
  );
  return node;
}

/** Whether a message follows shortly after one of the same person, so that the name is not repeated. */
export function followsOn(message, before) {
  return Boolean(before) && before.user === message.user && !before.is_ephemeral === !message.is_ephemeral && seconds(message) - seconds(before) < 180 && day(seconds(message)) === day(seconds(before)) && !message.bot_id;
}

