// The traffic between the app and the workspace: calls with answers, payloads with acks, and every refusal.

import { time } from "./dates.js";
import { fill, h, iconButton } from "./dom.js";
import { look } from "./net.js";
import { on } from "./store.js";

const pane = document.getElementById("inspector");
const KEPT = 400;
const FILTERS = {
  all: ["Everything", () => true],
  call: ["Calls", (entry) => entry.kind === "call"],
  delivery: ["Payloads", (entry) => entry.kind === "delivery"],
  refused: ["Refused", (entry) => !entry.ok || entry.warnings?.length],
};

const entries = new Map();
let filter = "all";
let list = null;
let opener = null;
let timer = 0;
let busy = false;
let again = false;

const ms = (seconds) => (seconds === null || seconds === undefined ? "…" : `${Math.round(seconds * 1000)} ms`);
const keyOf = (entry) => `${entry.kind}/${entry.number}`;

/** The last number of a kind up to which nothing can change. */
function settled(kind) {
  const mine = [...entries.values()].filter((entry) => entry.kind === kind);
  const open = mine.filter((entry) => entry.outcome === "waiting").map((entry) => entry.number - 1);
  return open.length ? Math.min(...open) : Math.max(0, ...mine.map((entry) => entry.number));
}

function words(entry) {
  if (entry.kind === "call") return entry.ok ? "ok" : entry.error;
  return entry.ok ? (entry.outcome === "waiting" ? "waiting" : "acked") : entry.outcome;
}

function details(entry) {
  const json = (title, value) => value !== null && value !== undefined && [h("h3", {}, title), h("pre", { tabindex: "0" }, JSON.stringify(value, null, 2))];
  const problems = entry.problems?.length ? h("ul", { class: "problems" }, entry.problems.map((one) => h("li", {}, one))) : null;
  const call = entry.kind === "call";
  return [
    !entry.ok && h("p", { class: "complaint" }, call ? `Slack would answer: ${entry.error}` : `No valid ack: ${entry.outcome}. The person sees an error.`),
    problems,
    entry.warnings?.length ? h("p", { class: "note" }, `Warnings: ${entry.warnings.join(", ")}`) : null,
    entry.attempt ? h("p", { class: "note" }, `Retry ${entry.attempt}`) : null,
    json(call ? "Sent by the app" : "Payload to the app", entry.sent),
    json(call ? "Answer" : "Ack", entry.answer),
  ];
}

function row(entry) {
  const state = entry.outcome === "waiting" ? "wait" : entry.ok ? (entry.warnings?.length ? "warned" : "ok") : "bad";
  const body = h("div", { class: "record-body" });
  const summary = h(
    "summary",
    {},
    h("span", { class: "record-way", title: entry.kind === "call" ? "call of the app" : "payload to the app", "aria-hidden": "true" }, entry.kind === "call" ? "→" : "←"),
    h("span", { class: "hidden-text" }, entry.kind === "call" ? "Call: " : "Payload: "),
    h("span", { class: "record-title" }, entry.title, entry.about && h("span", { class: "note" }, ` ${entry.about}`)),
    h("span", { class: `record-state ${state}` }, words(entry)),
    h("span", { class: "record-time" }, ms(entry.seconds)),
  );
  const node = h("details", { class: `record ${state}`, data: { key: keyOf(entry) }, title: time(entry.at) }, summary, body);
  node.addEventListener("toggle", () => node.open && !body.firstChild && fill(body, details(entry)));
  return node;
}

function draw() {
  if (!list) return;
  const open = new Set([...list.querySelectorAll("details[open]")].map((node) => node.dataset.key));
  const held = list.contains(document.activeElement) ? document.activeElement.closest("details")?.dataset.key : null;
  const shown = [...entries.values()].filter(FILTERS[filter][1]).reverse();
  fill(list, shown.length ? shown.map(row) : h("p", { class: "note empty" }, filter === "refused" ? "Nothing was refused." : "Nothing yet."));
  for (const node of list.querySelectorAll("details")) {
    if (open.has(node.dataset.key)) node.open = true;
    if (held === node.dataset.key) node.querySelector("summary").focus();
  }
}

async function refresh() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    const found = await look("record", { call: settled("call"), delivery: settled("delivery") });
    for (const entry of found.entries) entries.set(keyOf(entry), entry);
    const sorted = [...entries].sort(([, a], [, b]) => a.at - b.at).slice(-KEPT);
    entries.clear();
    for (const [key, entry] of sorted) entries.set(key, entry);
    if (found.entries.length) draw();
  } finally {
    busy = false;
    if (again) {
      again = false;
      later();
    }
  }
}

function later() {
  if (pane.hidden) return;
  clearTimeout(timer);
  timer = setTimeout(() => refresh().catch(() => {}), 250);
}

function filters() {
  const buttons = Object.entries(FILTERS).map(([name, [title]]) => h("button", { type: "button", "aria-pressed": String(name === filter), on: { click: () => choose(name) } }, title));
  const choose = (name) => {
    filter = name;
    buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(Object.keys(FILTERS)[place] === name)));
    draw();
  };
  return h("div", { class: "filters", role: "group", "aria-label": "Show" }, buttons);
}

function show() {
  list = h("div", { class: "records", tabindex: "0", role: "group", "aria-label": "Calls and payloads, newest first" });
  const close = iconButton("close", "Close inspector", { on: { click: () => toggleInspector(opener) } });
  fill(pane, h("div", { class: "pane-head" }, h("h2", {}, "Inspector"), close), h("p", { class: "note pane-note" }, "→ what the app asked Slack for, ← what Slack sent to the app and how fast it was acked. Newest first. What real Slack would refuse is refused here, with its own error."), filters(), list);
  draw();
  refresh().catch(() => {});
}

/** Opens or closes the panel; `button` is the one that does it. */
export function toggleInspector(button) {
  opener = button;
  pane.hidden = !pane.hidden;
  button.setAttribute("aria-expanded", String(!pane.hidden));
  if (pane.hidden) {
    list = null;
    button.focus();
  } else {
    show();
    pane.querySelector(".filters button").focus();
  }
}

pane.addEventListener("keydown", (event) => event.key === "Escape" && !event.defaultPrevented && toggleInspector(opener));

on("record begun", later);
