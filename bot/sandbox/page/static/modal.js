// Draws the top modal that the app has opened for the viewer, as the server reports it.

import { drawBlock } from "./blocks.js";
import { openDialog, remember } from "./dialog.js";
import { announce, fill, h, iconButton } from "./dom.js";
import { Form } from "./form.js";
import { plainText } from "./mrkdwn.js";
import { act } from "./net.js";
import { complain, hush, whyFailed, working } from "./press.js";
import { on, state } from "./store.js";

let shown = null;

class Modal {
  constructor() {
    this.back = remember();
    this.form = new Form();
    this.drawn = new Map();
    this.title = h("h2", { id: "modal-title", class: "dialog-title" });
    this.body = h("div", { class: "dialog-body" });
    this.buttons = h("div", { class: "dialog-buttons" });
    const close = iconButton("close", "Close", { on: { click: () => this.leave() } });
    this.frame = h("form", { class: "dialog-form", novalidate: true, on: { submit: (event) => this.submit(event) } }, h("div", { class: "dialog-head" }, this.title, close), this.body, this.buttons);
    this.dialog = h("dialog", { class: "dialog", "aria-labelledby": "modal-title" }, this.frame);
    openDialog(this.dialog, () => this.leave());
  }

  /** Draws a view; unchanged blocks keep their nodes and the typed text. */
  show(view) {
    const another = view.id !== this.view?.id;
    const typed = another ? {} : this.typed();
    const held = another ? null : document.activeElement?.dataset?.key;
    if (another) this.drawn.clear();
    this.view = view;
    fill(this.title, plainText(view.title));
    this.form.keepOnly(new Set(view.blocks.map((block) => block.block_id)));
    const ctx = { spot: { view_id: view.id }, form: this.form, values: { ...view.state.values, ...typed }, level: 2 };
    const nodes = view.blocks.map((block) => this.node(ctx, block));
    if (nodes.some((node, place) => this.body.children[place] !== node) || nodes.length !== this.body.children.length) fill(this.body, nodes);
    this.drawButtons(view);
    if (another) this.begin();
    else if (!this.dialog.contains(document.activeElement)) this.again(held);
  }

  node(ctx, block) {
    const source = JSON.stringify(block);
    const old = this.drawn.get(block.block_id);
    if (old?.source === source) return old.node;
    const node = drawBlock(ctx, block);
    this.drawn.set(block.block_id, { source, node });
    return node;
  }

  /** The texts of the fields now, in the shape of state.values: they survive an update that changes their block. */
  typed() {
    const values = this.form.values();
    const found = {};
    for (const { block, element } of this.form.readers.values()) {
      if (/_input$/.test(element.type) && element.type !== "rich_text_input") {
        found[block.block_id] = { ...found[block.block_id], [element.action_id]: { value: values[block.block_id][element.action_id] } };
      }
    }
    return found;
  }

  drawButtons(view) {
    const cancel = h("button", { type: "button", class: "button", on: { click: () => this.leave() } }, view.close ? plainText(view.close) : view.submit ? "Cancel" : "Close");
    this.send = view.submit && h("button", { type: "submit", class: "button primary" }, plainText(view.submit));
    fill(this.buttons, cancel, this.send);
  }

  /** Restores the focus after an update: to the same control, or to the first one. */
  again(held) {
    const same = held && this.dialog.querySelector(`[data-key="${CSS.escape(held)}"]`);
    if (same) same.focus();
    else this.begin();
  }

  begin() {
    const first = this.body.querySelector("[autofocus], input, select, textarea") || this.body.querySelector("button") || this.buttons.querySelector("button");
    first?.focus();
    this.body.scrollTop = 0;
    announce(`${this.view.title.text}: dialog`);
  }

  async submit(event) {
    event.preventDefault();
    if (!this.send) return;
    const { id } = this.view;
    hush(this.buttons);
    const done = await working(this.send, () => act("submit", { view_id: id, values: this.form.values() }));
    if (shown !== this || !done) return;
    this.form.show(done.errors || {});
  }

  async leave() {
    try {
      await act("close", { view_id: this.view.id });
    } catch (error) {
      complain(this.buttons, whyFailed(error.message));
    }
  }

  gone() {
    this.dialog.close();
    this.dialog.remove();
    this.back();
  }
}

on("modal", () => {
  if (!state.modal) {
    shown?.gone();
    shown = null;
    return;
  }
  shown ||= new Modal();
  shown.show(state.modal);
});
