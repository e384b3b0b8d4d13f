// The list of conversations with unread counts, and the current person.

import { avatar } from "./avatar.js";
import { time } from "./dates.js";
import { h, icon } from "./dom.js";
import { menuButton, menuItem } from "./menu.js";
import { now, on, state, titleOf, direct } from "./store.js";

const side = document.getElementById("side");
let current = "";

function badge(unread) {
  if (!unread) return null;
  const words = unread.count > 99 ? "99+" : String(unread.count);
  return h("span", { class: unread.pings ? "count pings" : "count" }, words, h("span", { class: "hidden-text" }, unread.pings ? ` unread, ${unread.pings} for you` : " unread"));
}

function entry(href, drawing, words, unread, more) {
  const open = current === href;
  return h("li", {}, h("a", { href, class: `entry ${unread ? "unread" : ""}`, "aria-current": open ? "page" : undefined, data: { key: href } }, drawing, h("span", { class: "entry-words" }, words), more, badge(unread)));
}

function byName(one, other) {
  return one.name.localeCompare(other.name);
}

/** Keeps a node that would look the same, so that a press ends on the node it began on, and a node with an open menu. */
const stays = (old, one) => old?.isEqualNode(one) || Boolean(old?.querySelector(":scope [aria-expanded=true]"));

/** Replaces what is inside as far as it has changed; one level down into lists. */
function redraw(node, ...children) {
  const kept = children.flat(Infinity).filter(Boolean).map((one, place) => {
    const old = node.children[place];
    if (old?.tagName === "UL" && one.tagName === "UL") return redraw(old, ...one.children);
    return stays(old, one) ? old : one;
  });
  for (const old of [...node.children]) if (!kept.includes(old) && !old.matches(".menu")) old.remove();
  kept.forEach((one, place) => node.children[place] !== one && node.insertBefore(one, node.children[place] || null));
  return node;
}

function draw() {
  if (!state.me) return;
  const held = side.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const channels = [...state.channels.values()].filter((one) => one.member && !one.im_user).sort(byName);
  const app = direct();
  const rows = channels.map((one) => entry(`#${one.id}`, icon(one.is_private ? "lock" : "hash"), one.name, state.unread[one.id]));
  const others = [...state.channels.values()].filter((one) => !one.member && !one.im_user).sort(byName);
  const dot = h("span", { class: `presence ${state.app.connected ? "there" : ""}`, role: "img", "aria-label": state.app.connected ? "connected" : "not connected", title: state.app.connected ? "connected" : "not connected" });
  redraw(
    side,
    switcher(),
    h("h2", { class: "side-title" }, "Apps"),
    h("ul", {}, app && entry("#app", avatar(state.app.user, { class: "tiny" }), titleOf(app), state.unread[app.id], dot)),
    h("h2", { class: "side-title" }, "Channels"),
    h("ul", {}, rows),
    others.length > 0 && h("p", { class: "side-note" }, `You are not in ${others.map((one) => `#${one.name}`).join(", ")}.`),
  );
  if (held) side.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
}

/** What somebody is in the company: by their title, else by their groups. */
function rolesOf(person) {
  if (person.deleted) return "deactivated";
  if (person.title) return person.title;
  const groups = [...state.groups.values()].filter((group) => group.users.includes(person.id) && group.handle !== "engineers").map((group) => group.name);
  const guest = person.is_stranger ? "from a partner company" : person.is_restricted ? "guest" : "engineer";
  return groups.join(", ") || guest;
}

const address = (person) => `?as=${encodeURIComponent(person.name)}${location.hash}`;

function personItems() {
  const people = [...state.people.values()].filter((one) => !one.is_bot && !one.deleted);
  const label = h("p", { class: "menu-label", role: "none", "aria-hidden": "true" }, "Be somebody else");
  const rows = people.map((one) => {
    const waiting = state.waiting[one.id];
    const count = waiting && one.id !== state.meId ? h("span", { class: "count pings" }, String(waiting), h("span", { class: "hidden-text" }, " waiting")) : null;
    const item = menuItem({ title: [avatar(one.id, { class: "tiny" }), one.real_name], about: rolesOf(one), href: address(one), current: one.id === state.meId, side: count });
    const again = h("a", { role: "menuitem", tabindex: "-1", class: "again", href: address(one), target: "_blank", rel: "noopener", title: `Open a second window as ${one.real_name}`, "aria-label": `Open a second window as ${one.real_name}` }, icon("out"));
    return h("div", { class: "menu-row", role: "none" }, item, again);
  });
  return [label, rows];
}

function switcher() {
  const { me } = state;
  const others = Object.entries(state.waiting).filter(([id, count]) => count && id !== state.meId).length;
  const hint = others ? h("span", { class: "note" }, `${others} other${others === 1 ? " has" : "s have"} news`) : h("span", { class: "note" }, rolesOf(me));
  const button = h("button", { type: "button", class: "switcher", data: { key: "switcher" } }, avatar(me.id), h("span", { class: "switcher-words" }, h("strong", {}, h("span", { class: "hidden-text" }, "You are "), me.real_name), hint), h("span", { class: "hidden-text" }, "Be somebody else"), icon("down"));
  return h("div", { class: "who" }, menuButton(button, "Be somebody else", personItems), h("p", { class: "side-note clock" }, clockWords()));
}

const clockWords = () => `${time(now())} in ${state.me.tz.split("/").pop().replace(/_/g, " ")}`;

setInterval(() => {
  const node = side.querySelector(".clock");
  if (node) node.textContent = clockWords();
}, 10_000);

/** Marks the conversation that is open, by its address. */
export function markOpen(href) {
  current = href;
  draw();
}

on("directory unread waiting app tools", draw);
