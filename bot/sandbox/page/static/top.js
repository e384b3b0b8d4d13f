// The bar on top: back (on a phone), shortcuts, further addresses, tools, the inspector.

import { fill, h, icon, iconButton } from "./dom.js";
import { toggleInspector } from "./inspector.js";
import { menuButton, menuItem } from "./menu.js";
import { act } from "./net.js";
import { complain, hush, whyFailed } from "./press.js";
import { on, state } from "./store.js";

const bar = document.getElementById("top");
const links = h("span", { class: "top-links" });
const inspect = h("button", { type: "button", class: "top-button", "aria-expanded": "false", "aria-controls": "inspector", "data-key": "inspect" }, icon("scope"), h("span", { class: "wide" }, "Inspector"));
const shortcuts = h("button", { type: "button", class: "top-button", "data-key": "shortcuts" }, icon("bolt"), h("span", { class: "wide" }, "Shortcuts"));
const broken = h("p", { class: "broken", role: "status", hidden: true }, "The connection to the server is lost. Reconnecting…");

/** Other modules put their controls here: a tour, a clock, faults. */
export const tools = h("div", { id: "tools", class: "tools", role: "group", "aria-label": "Tools" });

const run = async (one) => {
  hush(shortcuts);
  try {
    const done = await act("shortcut", { callback_id: one.callback_id });
    if (done.error) complain(shortcuts, whyFailed(done.error, state.app.name));
  } catch (error) {
    complain(shortcuts, whyFailed(error.message, state.app.name));
  }
};

/** Builds the bar; `back` is for the phone, where the list and the conversation take turns. */
export function buildTop(back) {
  const home = iconButton("back", "Back to the list", { class: "only-narrow", on: { click: back } });
  menuButton(shortcuts, "Shortcuts", () =>
    (state.app.shortcuts || []).filter((one) => one.type === "global").map((one) => menuItem({ title: one.name, about: `${state.app.name} · ${one.description}`, choose: () => run(one) })));
  inspect.addEventListener("click", () => toggleInspector(inspect));
  fill(bar, home, h("span", { class: "brand" }, h("span", { class: "brand-name" }, "Sandbox"), h("span", { class: "note wide" }, "a workspace on this machine")), tools, links, h("div", { class: "message-body top-do" }, shortcuts), inspect, broken);
}

on("links", () =>
  fill(links, Object.entries(state.links).map(([title, url]) => h("a", { class: "top-button", href: url, target: "_blank", rel: "noopener" }, icon("out"), h("span", { class: "wide" }, title)))));
on("app", () => (shortcuts.hidden = !(state.app.shortcuts || []).some((one) => one.type === "global")));
on("line", (up) => (broken.hidden = up));
