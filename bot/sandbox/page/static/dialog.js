// Dialogs over the page: the focus stays inside, Escape closes, and the focus goes back to where it was.

import { freshId, h } from "./dom.js";
import { plainText, textNodes } from "./mrkdwn.js";

const FOCUSABLE = "a[href], button:not(:disabled), input:not(:disabled), select:not(:disabled), textarea:not(:disabled), summary, [tabindex='0']";

/** What can be reached with Tab inside `node`. */
export const focusable = (node) => [...node.querySelectorAll(FOCUSABLE)].filter((one) => one.getClientRects().length);

function keepInside(dialog, event) {
  if (event.key !== "Tab") return;
  const inside = focusable(dialog);
  const first = inside[0];
  const last = inside[inside.length - 1];
  if (event.shiftKey && document.activeElement === first) {
    event.preventDefault();
    last.focus();
  } else if (!event.shiftKey && document.activeElement === last) {
    event.preventDefault();
    first.focus();
  }
}

/** Remembers the element with the focus, also by its key, because it may be drawn again meanwhile. */
export function remember() {
  const node = document.activeElement;
  const key = node?.dataset?.key;
  return () => {
    const again = node?.isConnected ? node : key && document.querySelector(`[data-key="${CSS.escape(key)}"]`);
    (again || document.getElementById("main")).focus();
  };
}

/** Opens a dialog; `closed` is called on Escape. */
export function openDialog(dialog, closed) {
  dialog.addEventListener("keydown", (event) => keepInside(dialog, event));
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    closed();
  });
  document.body.append(dialog);
  dialog.showModal();
}

/** Asks what an element's `confirm` says; gives whether the answer was yes. */
export function confirmed({ title, text, confirm, deny, style }) {
  return new Promise((answer) => {
    const back = remember();
    const heading = freshId("confirm");
    const done = (yes) => () => {
      dialog.remove();
      back();
      answer(yes);
    };
    const no = h("button", { type: "button", class: "button", on: { click: done(false) } }, plainText(deny));
    const kind = style === "danger" ? "danger" : "primary";
    const yes = h("button", { type: "button", class: `button ${kind}`, on: { click: done(true) } }, plainText(confirm));
    const dialog = h(
      "dialog",
      { class: "dialog small", role: "alertdialog", "aria-labelledby": heading, "aria-describedby": `${heading}-text` },
      h("h2", { id: heading, class: "dialog-title" }, plainText(title)),
      h("div", { id: `${heading}-text`, class: "dialog-text run" }, textNodes(text)),
      h("div", { class: "dialog-buttons" }, no, yes),
    );
    openDialog(dialog, done(false));
    (style === "danger" ? no : yes).focus();
  });
}
