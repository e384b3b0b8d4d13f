// Buttons for faults; during a fault a banner with what waits, what to watch, and a button to end it.

import { span } from "./clock.js";
import { announce, h, icon, iconButton, renew } from "./dom.js";
import { act } from "./net.js";
import { closePanel, panelUnder } from "./panel.js";
import { working } from "./press.js";
import { now, on, state } from "./store.js";
import { tools } from "./top.js";

const KINDS = {
  down: {
    title: "Slack is down",
    does: "Every call of the bot is answered with 503. What people press still arrives.",
    watch: "Press Approve on a request now, then bring Slack back within two minutes: the decision is still there, and nothing is posted twice.",
    back: "Bring Slack back",
    over: "Slack is back",
  },
  limited: {
    title: "Slack limits the rate",
    does: "Every call is answered with 429: retry in five seconds.",
    watch: "Ask for access now: it is recorded at once, and the approvers get one message when the limit is lifted.",
    back: "Lift the limit",
    over: "The limit is lifted",
  },
  slow: {
    title: "Slack is slow",
    does: "Every answer takes a second and a half.",
    watch: "Press anything: it is still acknowledged in milliseconds, and access does not wait for messages.",
    back: "Make Slack fast again",
    over: "Slack is fast again",
  },
  killed: {
    title: "The bot is dead",
    does: "Killed in the middle of its work (SIGKILL). People see at once that it does not answer, and the protected system lets nobody in.",
    watch: "Move the clock past the end of somebody's access, then start the bot: what came due meanwhile is done first, and nothing is done twice.",
    back: "Start the bot",
    over: "The bot is back",
  },
};
const SLACK = ["down", "limited", "slow"];
const NOT_RUNNING = { kind: "killed", began: null, ended: null, payloads: 0, missed: [] };

const banner = document.getElementById("banner");
const words = h("span", { class: "wide" }, "Faults");
const button = h("button", { type: "button", class: "top-button", "data-key": "faults" }, icon("warn"), words);
const { node, panel } = panelUnder(button, "Faults", draw);
let told = "";

const isOn = (kind) => state.tools.troubles.some((one) => one.kind === kind && !one.ended);
const dead = () => state.tools.app === "dead";
const counted = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

async function make(go, kind) {
  const verb = kind === "killed" ? (dead() ? "start_app" : "kill_app") : isOn(kind) ? "end_trouble" : "make_trouble";
  const done = await working(go, () => act(verb, { kind }));
  if (done && !done.error) closePanel(true);
}

function row(kind) {
  const pressed = kind === "killed" ? dead() : isOn(kind);
  const title = pressed ? KINDS[kind].back : kind === "killed" ? "Kill the bot" : KINDS[kind].title;
  const go = h("button", { type: "button", class: `tool-row ${pressed ? "on" : ""}`, disabled: Boolean(state.tools.closed), "data-key": `faults/${kind}`, data: { fault: kind } }, h("strong", {}, title), h("span", { class: "note" }, KINDS[kind].does));
  go.addEventListener("click", () => make(go, kind));
  return go;
}

function draw() {
  renew(
    panel,
    h("h2", { class: "tool-title" }, "What can go wrong"),
    h("p", { class: "note" }, "Break something, and see what happens to people's requests."),
    state.tools.closed && h("p", { class: "complaint" }, icon("warn"), state.tools.closed),
    h("div", { class: "tool-rows" }, SLACK.map(row)),
    state.tools.app && h("div", { class: "tool-rows" }, row("killed")),
  );
}

// --- the banner

/** The effects so far, in a few words. */
function sum(one) {
  if (one.kind === "killed") return one.payloads ? `${counted(one.payloads, "payload")} reached nobody; people got an error.` : `Nothing was sent to it ${one.ended ? "meanwhile" : "so far"}.`;
  if (one.kind === "slow") return `${counted(one.calls, "call")}, the slowest took ${one.slowest.toFixed(1)} s.`;
  return one.refused ? `${counted(one.refused, "call")} refused.` : "No call refused so far.";
}

function fate(missed, ended) {
  if (missed.done) return "done since";
  if (missed.once) return "is not repeated: press again";
  return ended ? "not repeated so far" : "waits";
}

function missedList(one) {
  if (!one.missed.length) return null;
  const rows = one.missed.map((missed) => h("li", { class: missed.done ? "done" : "" }, h("span", { "aria-hidden": "true" }, missed.done ? "✓ " : "… "), h("code", {}, missed.what), ` ${missed.about} `, h("span", { class: "trouble-fate" }, `${counted(missed.tries, "try").replace("trys", "tries")}, ${fate(missed, one.ended)}`)));
  return h("ul", { class: "trouble-missed", "aria-label": "Calls that were refused" }, rows, one.more > 0 && h("li", {}, `and ${one.more} more`));
}

function way(one) {
  if (one.ended) return iconButton("close", `Close: ${KINDS[one.kind].over}`, { "data-key": `trouble/close/${one.kind}`, on: { click: () => act("forget_trouble", { kind: one.kind }) } });
  const go = h("button", { type: "button", class: "button small primary", "data-key": `trouble/back/${one.kind}` }, KINDS[one.kind].back);
  go.addEventListener("click", () => working(go, () => act(one.kind === "killed" ? "start_app" : "end_trouble", {})));
  return go;
}

function since(one) {
  if (one.began === null) return ". ";
  return one.ended ? ` after ${span(one.ended - one.began)}. ` : ` for ${span(now() - one.began)}. `;
}

function trouble(one) {
  const kind = KINDS[one.kind];
  const title = one.ended ? kind.over : kind.title;
  const head = h("p", { class: "trouble-head" }, icon("warn"), h("strong", {}, title), since(one), sum(one));
  const inside = h("div", { class: "trouble-words" }, head, !one.ended && h("p", { class: "trouble-watch" }, kind.watch), missedList(one));
  return h("section", { class: `trouble ${one.ended ? "over" : ""}`, "aria-label": title, data: { trouble: one.kind } }, inside, way(one));
}

/** The troubles, and a bot that stopped for any other reason. */
function troubles() {
  const found = state.tools.troubles;
  return dead() && !isOn("killed") ? [...found.filter((one) => one.kind !== "killed"), NOT_RUNNING] : found;
}

function show() {
  const found = troubles();
  const held = banner.contains(document.activeElement);
  for (const [place, one] of found.entries()) drawOne(place, trouble(one));
  while (banner.children.length > found.length) banner.lastChild.remove();
  banner.hidden = !found.length;
  if (held && !banner.contains(document.activeElement)) button.focus();
  const active = found.filter((one) => !one.ended);
  button.classList.toggle("troubled", active.length > 0);
  const saying = found.map((one) => `${one.kind} ${Boolean(one.ended)}`).join(" ");
  if (saying !== told && found.length) announce(found.map((one) => (one.ended ? `${KINDS[one.kind].over}. ${sum(one)}` : `${KINDS[one.kind].title}. ${KINDS[one.kind].watch}`)).join(" "));
  told = saying;
}

/** Draws a trouble; its button stays the same node while it does the same. */
function drawOne(place, fresh) {
  const old = banner.children[place];
  if (!old) return banner.append(fresh);
  const [words, go] = old.children;
  if (go.dataset.key !== fresh.lastChild.dataset.key) {
    const held = go === document.activeElement;
    old.replaceWith(fresh);
    if (held) fresh.lastChild.focus();
  } else if (!words.isEqualNode(fresh.firstChild)) {
    words.replaceWith(fresh.firstChild);
  }
  return undefined;
}

tools.append(node);
setInterval(() => state.tools && show(), 1000);
on("tools", () => {
  show();
  if (!panel.hidden) draw();
});
