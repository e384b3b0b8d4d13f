// A list of messages that grows at both ends: older ones when one scrolls up, new ones at the bottom.
// Arrow keys move from message to message. It doesn't know where the messages come from.

import { dayTitle, day } from "./dates.js";
import { h } from "./dom.js";
import { drawMessage, followsOn } from "./message.js";

const NEAR = 80;

export class Stream {
  constructor(label, { openThread, older, beginning } = {}) {
    this.openThread = openThread;
    this.older = older;
    this.more = false;
    this.loading = false;
    this.messages = [];
    this.nodes = new Map();
    this.list = h("div", { class: "stream-list", role: "log", "aria-live": "off", "aria-label": label });
    this.jump = h("button", { type: "button", class: "jump", hidden: true, on: { click: () => this.toEnd() } }, "New messages ↓");
    this.beginning = h("p", { class: "note beginning", hidden: true }, beginning);
    this.scroller = h("div", { class: "scroller" }, h("div", { class: "push" }), this.beginning, this.list);
    this.node = h("div", { class: "stream" }, this.scroller, this.jump);
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.list.addEventListener("keydown", (event) => this.moved(event));
    this.list.addEventListener("focusin", () => this.reachable());
    const resized = new ResizeObserver(() => this.stuck && this.toEnd());
    for (const node of [this.list, this.scroller]) resized.observe(node);
    for (const kind of ["wheel", "touchmove", "pointerdown", "keydown"]) this.scroller.addEventListener(kind, () => (this.byHand = true), { passive: true });
    this.stuck = true;
    this.byHand = false;
    this.lastTop = 0;
  }

  /** Puts in a page of older messages, or the first. */
  prepend(messages, more) {
    this.more = more;
    this.beginning.hidden = more;
    const from = this.scroller.scrollHeight - this.scroller.scrollTop;
    this.messages = [...messages, ...this.messages];
    this.redraw(messages.length + 1);
    if (!this.stuck) this.scroller.scrollTop = this.scroller.scrollHeight - from;
    this.reachable();
  }

  /** Takes in a message that is new or has changed. */
  put(message) {
    const at = this.messages.findIndex((one) => one.ts === message.ts);
    if (at >= 0) {
      this.messages[at] = message;
      this.draw(at, true);
    } else {
      const place = this.messages.findIndex((one) => one.ts > message.ts);
      const index = place < 0 ? this.messages.length : place;
      if (index === 0 && this.more) return;
      this.messages.splice(index, 0, message);
      this.redraw(0, index);
      if (!this.stuck) this.jump.hidden = false;
    }
    this.reachable();
  }

  /** Takes a message out. */
  drop(ts) {
    const at = this.messages.findIndex((one) => one.ts === ts);
    if (at < 0) return;
    this.messages.splice(at, 1);
    this.nodes.get(ts)?.remove();
    this.nodes.delete(ts);
    this.redraw(0, at);
    this.reachable();
  }

  /** Draws the first `count` messages, or those from `from` on that have no node yet, and the headings of days. */
  redraw(count, from = 0) {
    const until = count ? Math.min(count, this.messages.length) : Math.min(from + 2, this.messages.length);
    for (let at = from; at < until; at += 1) this.draw(at, false);
  }

  draw(at, again) {
    const message = this.messages[at];
    const before = this.messages[at - 1];
    const follows = followsOn(message, before);
    let node = this.nodes.get(message.ts);
    if (!node || again) {
      const made = drawMessage(message, { openThread: this.openThread, follows });
      if (node) this.swap(node, made);
      else this.insert(made, at);
      node = made;
      this.nodes.set(message.ts, made);
    }
    node.classList.toggle("follows", follows);
    const first = !before || day(Number(before.ts)) !== day(Number(message.ts));
    const heading = node.previousElementSibling?.classList.contains("day") ? node.previousElementSibling : null;
    if (first && !heading) node.before(h("div", { class: "day" }, h("span", {}, dayTitle(Number(message.ts)))));
    if (!first) heading?.remove();
  }

  insert(node, at) {
    const next = this.messages.slice(at + 1).map((one) => this.nodes.get(one.ts)).find(Boolean);
    if (!next) return this.list.append(node);
    const heading = next.previousElementSibling?.classList.contains("day") ? next.previousElementSibling : next;
    return heading.before(node);
  }

  /** Replaces a message that was drawn; the focus stays on what it was on, or on the message. */
  swap(old, made) {
    const held = old.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    old.replaceWith(made);
    if (held) (made.querySelector(`[data-key="${CSS.escape(held)}"]`) || made).focus({ preventScroll: true });
  }

  /** Exactly one message can be reached with Tab, and then its tools; arrows move to other messages. */
  reachable() {
    const all = [...this.list.querySelectorAll(":scope > article")];
    const kept = all.find((node) => node.contains(document.activeElement)) || all[all.length - 1];
    for (const node of all) if (node.tabIndex === 0 && node !== kept) node.tabIndex = -1;
    if (kept) kept.tabIndex = 0;
  }

  moved(event) {
    if (!event.target.matches("article")) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const all = [...this.list.querySelectorAll(":scope > article")];
    const next = all[all.indexOf(event.target) + step];
    event.preventDefault();
    next?.focus();
  }

  async scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    // Only scrolling up leaves the end; a message that grows or shrinks does not.
    if (scrollHeight - scrollTop - clientHeight < NEAR) this.stuck = true;
    else if (scrollTop < this.lastTop && this.byHand) this.stuck = false;
    this.lastTop = scrollTop;
    if (this.stuck) this.jump.hidden = true;
    if (scrollTop < 400 && this.more && !this.loading && this.older) {
      this.loading = true;
      try {
        await this.older(this.messages[0]?.ts);
      } finally {
        this.loading = false;
      }
    }
  }

  toEnd() {
    this.stuck = true;
    this.byHand = false;
    this.jump.hidden = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /** Goes to one message, if it is here. */
  goTo(ts) {
    const node = this.nodes.get(ts);
    if (!node) return false;
    this.stuck = false;
    node.scrollIntoView({ block: "center" });
    node.focus({ preventScroll: true });
    node.classList.add("found");
    setTimeout(() => node.classList.remove("found"), 2500);
    return true;
  }
}
