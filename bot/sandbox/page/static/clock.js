// The clock of the workspace, which the bot follows: shows what comes next, and jumps ahead to it.

import { day, time } from "./dates.js";
import { announce, h, icon, renew } from "./dom.js";
import { act } from "./net.js";
import { closePanel, panelUnder } from "./panel.js";
import { working } from "./press.js";
import { nameOf, now, on, state, tell } from "./store.js";
import { tools } from "./top.js";

const HOW = "The bot takes its time from one clock, and for this demo that clock follows the workspace's. It only moves forward. The clock of a bot in production can't be moved.";

const named = h("span", { class: "hidden-text" });
const shown = h("span", {});
const ahead = h("span", { class: "wide" });
const button = h("button", { type: "button", class: "top-button", "data-key": "clock", "data-clock": "open" }, icon("clock"), named, shown, ahead);
const { node, panel } = panelUnder(button, "Clock", look);
let coming = null;
let today = "";

/** A span in words: 25 min, 1 h 05 min, 3 days. */
export function span(seconds) {
  const minutes = Math.round(seconds / 60);
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${String(minutes % 60).padStart(2, "0")} min` : ""}`;
  return `${Math.round(minutes / 1440)} days`;
}

const moment = (at) => (day(at) === day(now()) ? time(at) : `${day(at)} ${time(at)}`);

function row(name, title, about, asked) {
  const label = [h("strong", {}, title), h("span", { class: "note" }, about)];
  const go = h("button", { type: "button", class: "tool-row", disabled: !asked || Boolean(state.tools.closed), "data-key": `clock/${name}`, data: { clock: name } }, label);
  go.addEventListener("click", () => jump(go, asked()));
  return go;
}

async function jump(go, asked) {
  const done = await working(go, () => act("jump", asked));
  if (!done || done.error) return;
  closePanel(true);
  announce(`It is ${moment(now())} in the workspace now.`);
}

/** A jump to the next reminder or end that the bot has reported. */
function rowTo(name, title, next, nothing) {
  if (!next || next.at <= now()) return row(name, title, nothing);
  return row(name, title, `${moment(next.at)}, in ${span(next.at - now())}: ${nameOf(next.person)}, ${next.role}`, () => ({ to: next.at }));
}

const rowBy = (seconds) => row(`+${seconds}`, `+ ${span(seconds)}`, `to ${moment(now() + seconds)}`, () => ({ by: seconds }));

function draw() {
  const silent = coming ? "" : state.tools.closed ? "Not yet." : "The bot does not answer.";
  const nobody = silent || "Nobody has access just now.";
  const active = coming?.end && coming.end.at > now();
  renew(
    panel,
    h("h2", { class: "tool-title" }, "Clock"),
    h("p", {}, "In the workspace it is ", h("strong", {}, moment(now())), state.tools.ahead > 1 ? `, ${span(state.tools.ahead)} ahead of your machine.` : ", as on your machine."),
    state.tools.closed && h("p", { class: "complaint" }, icon("warn"), state.tools.closed),
    coming?.stale && h("p", { class: "note" }, "The bot is not running: this is its last answer."),
    h("div", { class: "tool-rows" }, rowTo("reminder", "Next reminder", coming?.reminder, active ? "None is left." : nobody), rowTo("end", "The end", coming?.end, nobody)),
    h("div", { class: "tool-rows two" }, rowBy(900), rowBy(3600)),
    h("p", { class: "note" }, HOW),
  );
}

/** Asks the bot what comes next. Its last answer is drawn first, so that nobody jumps to a past time. */
async function look() {
  draw();
  coming = state.tools.closed ? null : (await act("coming", {}).catch(() => ({}))).coming;
  draw();
}

let timer = 0;
function later() {
  clearTimeout(timer);
  if (!panel.hidden) timer = setTimeout(look, 400);
}

function say(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

function tick() {
  const ours = Boolean(state.tools?.app);
  node.hidden = !ours;
  if (!ours || !state.me) return;
  const shifted = state.tools.ahead > 1;
  button.classList.toggle("shifted", shifted);
  shown.classList.toggle("wide", !shifted);
  say(named, shifted ? "Clock: " : "");
  say(shown, shifted ? time(now()) : "Clock");
  say(ahead, shifted ? `(+${span(state.tools.ahead)})` : "");
  if (today && today !== day(now())) tell("begun"); // a new day: draws everything again
  today = day(now());
}

tools.append(node);
setInterval(tick, 1000);
on("tools directory", tick);
on("tools messages", later);
