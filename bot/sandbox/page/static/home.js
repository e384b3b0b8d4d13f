// The app: its home as it published it, the messages, and what it says about itself.

import { drawBlock } from "./blocks.js";
import { fill, h } from "./dom.js";
import { Form } from "./form.js";
import { act } from "./net.js";
import { openConversation, closeConversation } from "./conversation.js";
import { direct, on, state } from "./store.js";

let place = null;
let drawn = new Map();

const TABS = { home: "Home", messages: "Messages", about: "About" };

/** Which tabs the app has. */
function tabsOf(app) {
  const { home_tab_enabled: home, messages_tab_enabled: messages } = app.tabs;
  return Object.keys(TABS).filter((tab) => (tab === "home" ? home : tab === "messages" ? messages : true));
}

/** Tabs as a row of links; arrows move between them. */
export function tabs(current) {
  const all = tabsOf(state.app);
  const nodes = all.map((tab) =>
    h("a", { role: "tab", href: `#app/${tab}`, id: `tab-${tab}`, "aria-selected": String(tab === current), "aria-controls": "tab-panel", tabindex: tab === current ? "0" : "-1" }, TABS[tab]));
  const row = h("div", { class: "tabs", role: "tablist", "aria-label": state.app.name }, nodes);
  row.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = nodes[(nodes.indexOf(document.activeElement) + step + nodes.length) % nodes.length];
    next.focus();
    next.click();
  });
  return row;
}

/** Opens one of the app's tabs in `node`. */
export async function openApp(node, tab) {
  closeConversation();
  place = null;
  const panel = h("div", { id: "tab-panel", class: "tab-panel", role: "tabpanel", "aria-labelledby": `tab-${tab}` });
  fill(node, panel);
  if (tab === "about") return fill(panel, about());
  if (tab === "messages") return openConversation(panel, direct(), { readOnly: state.app.tabs.messages_tab_read_only_enabled });
  const scroller = h("div", { class: "home", tabindex: "0", role: "group", "aria-label": `${state.app.name}, home` });
  fill(panel, scroller);
  place = scroller;
  drawn = new Map();
  drawHome();
  return act("open_home", { tab: "home" }).catch(() => {});
}

function about() {
  const told = state.app.about;
  const commands = (state.app.commands || []).map((one) => [h("dt", {}, h("code", {}, one.command)), h("dd", {}, `${one.description}. `, h("code", {}, one.usage_hint || ""))]);
  const shortcuts = (state.app.shortcuts || []).map((one) => [h("dt", {}, one.name), h("dd", {}, `${one.description} (${one.type === "message" ? "from the menu of a message" : "everywhere"})`)]);
  return h("div", { class: "home", tabindex: "0" }, h("h2", {}, told.name || state.app.name), h("p", {}, told.description || ""), h("p", {}, told.long_description || ""), h("h3", {}, "Commands and shortcuts"), h("dl", {}, commands, shortcuts));
}

function drawHome() {
  if (!place?.isConnected) return;
  if (!state.home) {
    fill(place, h("p", { class: "note waiting" }, state.app.connected ? `${state.app.name} is preparing your home…` : `${state.app.name} is not connected.`));
    return;
  }
  const held = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const form = new Form();
  const ctx = { spot: { view_id: state.home.id }, form, values: state.home.state.values, level: 1 };
  const nodes = state.home.blocks.map((block) => {
    const source = JSON.stringify(block);
    const key = `${state.home.id}/${block.block_id}`;
    if (drawn.get(key)?.source !== source || block.type === "input") drawn.set(key, { source, node: drawBlock(ctx, block) });
    return drawn.get(key).node;
  });
  if (nodes.length === place.children.length && nodes.every((node, at) => place.children[at] === node)) return;
  fill(place, nodes);
  if (held) (place.querySelector(`[data-key="${CSS.escape(held)}"]`) || place).focus({ preventScroll: true });
}

on("home app", drawHome);
