// The guided tour beside the page: one step at a time, the same in every window, based on what this window shows.
// The steps are a table in tour.js.

import { avatar } from "./avatar.js";
import { focusable } from "./dialog.js";
import { fill, h, icon, iconButton } from "./dom.js";
import { mrkdwn } from "./mrkdwn.js";
import { look } from "./net.js";
import { direct, now, on, state } from "./store.js";
import { tools } from "./top.js";
import { COMMAND, NEEDS, TOUR, WORDS } from "./tour.js";

const KEPT = "guided-tour";
const ARRIVED = "guided-tour-arrived";
const HELD = "guided-tour-held";
const OFFER = -1;
const COMPOSER = "#main .composer-input";

const panel = document.getElementById("tour");
const words = h("div", { class: "guide-words", "aria-live": "polite", "aria-atomic": "true" });
const buttons = h("div", { class: "guide-buttons" });
const where = h("p", { class: "guide-where" });
const way = h("div", { class: "guide-bar", "aria-hidden": "true" });
const opener = h("button", { type: "button", class: "top-button", "aria-controls": "tour", "data-key": "tour", hidden: true }, icon("tour"), h("span", { class: "wide" }, "Tour"));

const again = h("button", { type: "button", class: "text-button", "data-key": "tour/again", on: { click: begin } }, "Start again");

const messages = new Map();
let tour = kept();
let drawn = "";
let entering = true;
let wantsFocus = false;
let started = false;

/** `at` is the step, OFFER before and TOUR.length after; `began` when each was entered, `done` those that were done. */
function kept() {
  const fresh = { open: false, at: OFFER, began: {}, done: {} };
  try {
    return { ...fresh, ...JSON.parse(localStorage.getItem(KEPT)) };
  } catch {
    return fresh;
  }
}

function keep(change) {
  tour = { ...tour, ...change };
  localStorage.setItem(KEPT, JSON.stringify(tour));
}

const step = () => TOUR[tour.at];
const named = (text) => text && text.replaceAll(COMMAND, state.app.commands[0].command);
const personOf = (name) => [...state.people.values()].find((one) => one.name === name);
const mine = () => step()?.who === state.me?.name;

// --- what is seen

const inThread = (message) => message.thread_ts && message.thread_ts !== message.ts;
const lately = (message) => Number(message.edited?.ts || message.ts);

/** What this window shows, for the table's questions. */
const seen = {
  get modal() {
    return state.modal;
  },
  get gate() {
    return state.gate;
  },
  id: (name) => personOf(name)?.id,
  began: (name) => tour.began[name] || 0,
  since: (name) => [...messages.values()].filter((one) => lately(one) >= seen.began(name)).sort((one, other) => one.ts - other.ts),
  shown: (selector) => Boolean(document.querySelector(selector)?.getClientRects().length),
};

function learn(changes) {
  for (const { channel, ts, message } of changes) {
    if (!message) messages.delete(ts);
    else if (!inThread(message)) messages.set(ts, { ...message, channel });
  }
}

/** Reads the messages that are already in the place of the step. */
async function readPlace() {
  const channel = mine() && placeOf(step());
  if (!channel?.member && !channel?.im_user) return;
  const found = await look("messages", { channel: channel.id });
  learn(found.messages.map((message) => ({ channel: channel.id, ts: message.ts, message })));
}

const placeOf = ({ place }) => (place === "app" ? direct() : [...state.channels.values()].find((one) => one.name === place));
const hashOf = (one) => (one.place === "app" ? "#app/messages" : `#${placeOf(one)?.id || placeOf(one)?.name || ""}`);
const isHere = (one) => location.hash.startsWith(hashOf(one)) || (one.place === "app" && location.hash.startsWith(`#${direct()?.id}`));

// --- moving between steps

/** Goes to a step; a step that was done stays done. */
async function enter(at, change = {}) {
  const began = { ...tour.began, ...change.began };
  if (TOUR[at] && began[TOUR[at].name] === undefined) began[TOUR[at].name] = now();
  keep({ ...change, at, began, open: true });
  await arrive();
}

/** Shows the step. One that is already done waits for a press, so that nobody misses its words. */
async function arrive() {
  entering = true;
  draw();
  await readPlace().catch(() => {});
  entering = false;
  if (step() && mine() && step().done(seen)) keep({ done: { ...tour.done, [step().name]: true } });
  draw();
}

/** Whether this window shows now that the step was done. */
function check() {
  if (!step() || !tour.open || entering) return;
  const to = mine() && !tour.done[step().name] && TOUR.findIndex((one) => one.name === step().ahead?.(seen));
  if (to > 0) {
    enter(to, { began: { [TOUR[0].name]: 0 }, done: {} });
  } else if (mine() && !tour.done[step().name] && step().done(seen)) {
    enter(tour.at + 1, { done: { ...tour.done, [step().name]: true }, told: step().did });
  } else {
    draw();
  }
}

function begin() {
  wantsFocus = true;
  enter(0, { began: {}, done: {}, told: "" });
}

function move(by) {
  wantsFocus = true;
  enter(tour.at + by, { told: "" });
}

function show(open) {
  keep({ open });
  if (open) {
    wantsFocus = true;
    arrive();
  } else {
    draw();
    opener.focus();
  }
}

// --- drawing

const plain = (title, props, act) => h("button", { type: "button", class: "button small", "data-key": `tour/${title}`, ...props, on: { click: act } }, title);
const main = (title, act) => plain(title, { class: "button small primary" }, act);

/** The button that helps most now. */
function help(one) {
  const person = personOf(one.who);
  const first = person.real_name.split(" ")[0];
  if (tour.done[one.name]) return main("Next", () => move(1));
  if (!mine()) return main(`Be ${first}`, () => be(one));
  if (!isHere(one)) return main(`Go to ${one.place === "app" ? state.app.name : `#${one.place}`}`, () => (location.hash = hashOf(one)));
  const text = named(one.write);
  if (text && document.querySelector(COMPOSER)?.value !== text) return main("Write it for me", () => write(text));
  return seen.shown(one.point(seen) || "nothing") && plain("Take me there", {}, () => takeThere(one.point(seen)));
}

function be(one) {
  sessionStorage.setItem(HELD, "yes");
  location.assign(`?as=${encodeURIComponent(one.who)}${hashOf(one)}`);
}

function takeThere(selector) {
  const node = document.querySelector(selector);
  const inside = node && (node.matches("a, button") ? node : focusable(node)[0]);
  inside?.focus();
}

function write(text) {
  const input = document.querySelector(COMPOSER);
  if (!input) return;
  input.value = text;
  input.focus();
  input.dispatchEvent(new Event("input", { bubbles: true }));
  draw();
}

function stepParts(one) {
  const person = personOf(one.who);
  const say = typeof one.say === "function" ? one.say(seen) : one.say;
  const done = tour.done[one.name];
  const you = h("p", { class: "guide-who" }, avatar(person.id, { class: "tiny" }), h("span", {}, mine() ? "You are " : "Next is ", h("strong", {}, person.real_name), person.title && h("span", { class: "note" }, h("span", { class: "hidden-text" }, ", "), person.title)));
  return {
    title: one.title,
    told: done ? one.did : tour.told,
    you,
    say: done ? "This is done. Continue when you have read it." : named(say),
    astray: (mine() && !done && named(one.astray?.(seen))) || "",
    do: [help(one), tour.at > 0 && plain("Back", {}, () => move(-1)), !done && plain("Skip", {}, () => move(1))],
  };
}

function parts() {
  if (tour.at === OFFER) return { ...WORDS.offer, do: [main("Start the tour", begin), plain("Not now", {}, () => show(false))] };
  if (!step()) return { ...WORDS.end, told: tour.told, do: [main("Close the tour", () => show(false)), plain("Start again", {}, begin)] };
  return stepParts(step());
}

const bar = () => fill(way, TOUR.map((one, at) => h("i", { class: at < tour.at || tour.done[one.name] ? "past" : at === tour.at ? "present" : "" })));

/** Draws what has changed: screen readers announce only new words, and the focus stays. */
function draw() {
  opener.setAttribute("aria-expanded", String(tour.open));
  const open = tour.open && !opener.hidden && Boolean(state.me);
  panel.hidden = document.getElementById("skip-to-tour").hidden = !open;
  again.hidden = !step() || tour.at === 0;
  if (!open) return mark();
  const found = parts();
  const count = step() ? `Step ${tour.at + 1} of ${TOUR.length}` : "Tour";
  const wordsNow = [count, found.title, found.told, found.you?.textContent, found.say, found.astray].join("\n");
  if (words.dataset.now !== wordsNow) {
    words.dataset.now = wordsNow;
    const told = found.told && h("p", { class: "guide-told" }, h("span", { "aria-hidden": "true" }, "✓ "), found.told);
    fill(where, count);
    bar();
    fill(words, told, h("h2", { tabindex: "-1" }, found.title), found.you, h("p", {}, mrkdwn(found.say)), found.astray && h("p", { class: "complaint" }, icon("warn"), found.astray));
  }
  drawButtons(found.do.filter(Boolean));
  return mark();
}

function drawButtons(nodes) {
  const now = nodes.map((node) => `${node.dataset.key} ${node.href || ""} ${tour.at}`).join("\n");
  const held = buttons.contains(document.activeElement);
  if (now !== drawn) {
    drawn = now;
    fill(buttons, nodes);
  }
  if (wantsFocus || (held && !buttons.contains(document.activeElement))) words.querySelector("h2").focus();
  wantsFocus = false;
}

// --- pointing

/** Marks the target of the step, and says in an open dialog what to do there. Changes only what differs. */
function mark() {
  const one = tour.open && !panel.hidden && step();
  const selector = one && mine() && !tour.done[one.name] && isHere(one) && one.point(seen);
  const node = selector ? document.querySelector(selector) : null;
  for (const old of document.querySelectorAll(".pointed")) if (old !== node) old.classList.remove("pointed");
  if (node && !node.classList.contains("pointed")) {
    node.classList.add("pointed");
    node.scrollIntoView({ block: "nearest" });
  }
  coach(one);
}

function coach(one) {
  const form = document.querySelector(".dialog:not(.small) .dialog-form");
  const before = TOUR[tour.at - 1];
  const said = one?.form && (mine() || before?.who === state.me.name) ? one.form : "";
  const old = document.querySelector(".coach");
  if (!said || !form) old?.remove();
  else if (!old) form.firstElementChild.after(h("p", { class: "coach", role: "status", data: { said } }, icon("tour"), h("span", {}, mrkdwn(said))));
  else if (old.dataset.said !== said) {
    old.dataset.said = said;
    fill(old.lastElementChild, mrkdwn(said));
  }
}

let waiting = 0;
const later = () => {
  waiting ||= requestAnimationFrame(() => {
    waiting = 0;
    check();
  });
};

// --- when

/** Somebody opened the page without `?as=`: they are offered the tour, once. */
export const arrived = () => sessionStorage.setItem(ARRIVED, "yes");

/** Whether this window was opened without `?as=`. */
export const cameAlone = () => sessionStorage.getItem(ARRIVED) === "yes";

function offered() {
  const here = Boolean(state.app?.commands?.length) && Boolean(state.links[NEEDS.link]);
  opener.hidden = !here;
  if (here && cameAlone() && !localStorage.getItem(KEPT)) keep({ open: true });
}

/** The page starts, or starts again after a break or at midnight: then the steps done meanwhile count as done now. */
async function start() {
  const before = started;
  started = true;
  if (Object.values(tour.began).some((at) => at > now() + 60)) keep({ at: OFFER, began: {}, done: {}, told: "" }); // of another workspace
  offered();
  wantsFocus = Boolean(sessionStorage.getItem(HELD));
  sessionStorage.removeItem(HELD);
  messages.clear();
  if (!before) return arrive();
  await readPlace().catch(() => {});
  return check();
}

fill(panel, h("div", { class: "guide-head" }, where, again, iconButton("close", "Close the tour", { on: { click: () => show(false) } })), way, words, buttons);
opener.addEventListener("click", () => show(!tour.open));
tools.append(opener);
document.getElementById("skip-to-tour").addEventListener("click", (event) => {
  event.preventDefault();
  words.querySelector("h2").focus();
});
new MutationObserver((changes) => changes.some((one) => !panel.contains(one.target)) && later()).observe(document.body, { childList: true, subtree: true });
addEventListener("hashchange", later);
addEventListener("storage", (event) => {
  if (event.key !== KEPT) return;
  tour = kept();
  arrive();
});
document.addEventListener("input", later);
on("begun", start);
on("links app", () => {
  offered();
  later();
});
on("messages", (changes) => {
  learn(changes);
  later();
});
on("modal gate directory", later);
