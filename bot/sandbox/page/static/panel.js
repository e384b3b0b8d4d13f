// A panel under a button of the bar: the focus goes in and comes back, Escape and a press elsewhere close it.

import { focusable } from "./dialog.js";
import { freshId, h } from "./dom.js";

let open = null;

/** Closes the panel that is open; `giveBack` moves the focus to its button. */
export function closePanel(giveBack = false) {
  if (!open) return;
  const { button, panel } = open;
  open = null;
  panel.hidden = true;
  button.setAttribute("aria-expanded", "false");
  if (giveBack) button.focus();
}

/** Puts a panel called `label` under `button`; `opened` is called to fill it whenever it opens. Gives both and the panel. */
export function panelUnder(button, label, opened) {
  const id = freshId("panel");
  const panel = h("div", { id, class: "tool-panel", role: "dialog", "aria-label": label, tabindex: "-1", hidden: true });
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-controls", id);
  button.addEventListener("click", async () => {
    const again = open?.button === button;
    closePanel(again);
    if (again) return;
    open = { button, panel };
    panel.hidden = false;
    button.setAttribute("aria-expanded", "true");
    await opened();
    if (open?.panel === panel) (focusable(panel)[0] || panel).focus();
  });
  return { node: h("div", { class: "tool" }, button, panel), panel };
}

// The focus moves in when the panel has been filled, and falls to the body when its node is drawn again.
document.addEventListener("keydown", (event) => {
  const { target } = event;
  if (event.key !== "Escape" || !open || !(target === document.body || open.button.contains(target) || open.panel.contains(target))) return;
  event.preventDefault();
  event.stopPropagation();
  closePanel(true);
}, true);

document.addEventListener("pointerdown", (event) => {
  if (open && !open.panel.contains(event.target) && !open.button.contains(event.target)) closePanel();
});
