// Where one writes: Enter sends, Shift+Enter makes a line, `/` offers commands with their hints, `@` and `#` names.

import { announce, fill, freshId, h, iconButton } from "./dom.js";
import { plainText } from "./mrkdwn.js";
import { act } from "./net.js";
import { complain, hush, working } from "./press.js";
import { state } from "./store.js";

/** The words of a usage hint that stand between bars are ways to use the command. */
function commandOffers(text) {
  const word = text.split(" ")[0].toLowerCase();
  return (state.app.commands || [])
    .filter((one) => one.command.startsWith(word))
    .map((one) => ({ insert: `${one.command} `, title: one.command, about: `${one.description} · ${state.app.name}`, hint: one.usage_hint }));
}

/** Suggestions for the rest of a typed command, from its hint. */
function hintOffers(text) {
  const found = (state.app.commands || []).find((one) => text.startsWith(`${one.command} `));
  if (!found?.usage_hint?.includes("|")) return [];
  const typed = text.slice(found.command.length + 1);
  if (typed.includes(" ")) return [];
  return found.usage_hint
    .split("|")
    .map((way) => way.trim())
    .filter((way) => way.startsWith(typed) && way !== typed)
    .map((way) => ({ insert: `${found.command} ${way.split(" ")[0]} `, title: `${found.command} ${way}` }));
}

function nameOffers(text) {
  const found = /(?:^|\s)([@#])([\w.-]*)$/.exec(text);
  if (!found) return [];
  const [, mark, typed] = found;
  const head = text.slice(0, text.length - typed.length);
  const known = mark === "@"
    ? [...[...state.people.values()].filter((one) => !one.deleted).map((one) => [one.name, one.real_name]), ...[...state.groups.values()].map((one) => [one.handle, one.name])]
    : [...state.channels.values()].filter((one) => one.name).map((one) => [one.name, ""]);
  return known
    .filter(([name, full]) => name.startsWith(typed.toLowerCase()) || full.toLowerCase().startsWith(typed.toLowerCase()))
    .slice(0, 8)
    .map(([name, full]) => ({ insert: `${head}${name} `, title: `${mark}${name}`, about: full }));
}

function offersFor(text) {
  if (/^\/\S*$/.test(text)) return commandOffers(text);
  if (text.startsWith("/")) return [...hintOffers(text), ...nameOffers(text)];
  return nameOffers(text);
}

export class Composer {
  /** `where` gives {channel} or {channel, thread_ts}; `sent` is called on success. */
  constructor(label, where, sent) {
    this.where = where;
    this.sent = sent;
    this.offers = [];
    this.at = -1;
    const id = freshId("offers");
    this.id = id;
    this.box = h("ul", { id, class: "options offers", role: "listbox", "aria-label": "Suggestions", hidden: true });
    this.input = h("textarea", {
      ...{ class: "composer-input", rows: "1", placeholder: label, "aria-label": label, "data-key": `composer/${label}` },
      ...{ "aria-autocomplete": "list", "aria-controls": id, "aria-haspopup": "listbox" },
    });
    this.button = iconButton("send", "Send", { class: "send", on: { click: () => this.send() } });
    this.hint = h("p", { class: "note composer-hint" });
    this.node = h("div", { class: "composer" }, this.box, h("div", { class: "composer-row" }, this.input, this.button), this.hint);
    this.input.addEventListener("input", () => this.typed());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("blur", () => this.close());
    this.typed();
  }

  typed() {
    const text = this.input.value;
    hush(this.button);
    this.input.style.height = "auto";
    if (text) this.input.style.height = `${Math.min(this.input.scrollHeight, 200)}px`;
    const command = (state.app.commands || []).find((one) => text.startsWith(`${one.command} `) || text === one.command);
    fill(this.hint, command?.usage_hint ? [h("code", {}, command.command), ` ${command.usage_hint}`] : "");
    this.offers = this.input.selectionStart === text.length ? offersFor(text) : [];
    this.at = -1;
    if (!this.offers.length || !text) return this.close();
    const row = (offer, place) => h("li", { id: `${this.id}-${place}`, role: "option", "aria-selected": "false", on: { pointerdown: (event) => (event.preventDefault(), this.take(place)) } }, h("strong", {}, offer.title), offer.about && h("span", { class: "note" }, offer.about));
    fill(this.box, this.offers.map(row));
    this.box.hidden = false;
    return announce(this.offers.length === 1 ? "1 suggestion" : `${this.offers.length} suggestions`);
  }

  close() {
    this.box.hidden = true;
    this.at = -1;
    this.input.removeAttribute("aria-activedescendant");
  }

  take(place) {
    this.input.value = this.offers[place].insert;
    this.input.focus();
    this.typed();
  }

  highlight(step) {
    this.at = (this.at + step + this.offers.length) % this.offers.length;
    [...this.box.children].forEach((row, place) => row.setAttribute("aria-selected", String(place === this.at)));
    this.input.setAttribute("aria-activedescendant", `${this.id}-${this.at}`);
    this.box.children[this.at].scrollIntoView({ block: "nearest" });
  }

  key(event) {
    if (event.isComposing) return;
    const offering = !this.box.hidden;
    if (offering && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      this.highlight(event.key === "ArrowDown" ? 1 : this.at < 0 ? 0 : -1);
    } else if (offering && event.key === "Escape") {
      event.stopPropagation();
      this.close();
    } else if (offering && (event.key === "Tab" || event.key === "Enter") && (this.at >= 0 || event.key === "Tab") && !event.shiftKey) {
      event.preventDefault();
      this.take(Math.max(0, this.at));
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.send();
    }
  }

  /** Puts words there, as if they were typed. */
  write(text) {
    this.input.value = text;
    this.input.focus();
    this.typed();
  }

  async send() {
    const text = this.input.value.trim();
    const where = this.where();
    if (!text) return;
    const command = /^\/\S/.test(text);
    if (command && where.thread_ts) {
      complain(this.button, `${text.split(" ")[0]} is not supported in threads. Sorry!`);
      return;
    }
    this.close();
    const done = await working(this.button, () => act(command ? "command" : "say", { ...where, text }));
    if (done?.error === "unknown_command") {
      complain(this.button, `${text.split(" ")[0]} is not a valid command.`);
    } else if (done && !this.refused(done)) {
      this.input.value = "";
      this.typed();
      this.sent?.();
    }
  }

  /** Refused words stay in the field; Slackbot has already reported a command without an answer. */
  refused(done) {
    if (done.outcome && done.error === done.outcome) hush(this.button);
    return Boolean(done.error) && done.outcome === undefined;
  }
}

/** A line in place of a composer. */
export const closedComposer = (words) => h("p", { class: "composer closed" }, plainText({ text: words, emoji: false }));
