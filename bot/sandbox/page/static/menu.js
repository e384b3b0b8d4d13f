// A menu under a button: arrows move, Enter chooses, Escape closes and gives the focus back.

import { h } from "./dom.js";

let open = null;

/** Closes the menu that is open. */
export function closeMenu(giveBack = false) {
  if (!open) return;
  const { menu, opener } = open;
  open = null;
  menu.remove();
  opener.setAttribute("aria-expanded", "false");
  if (giveBack) opener.focus();
}

function move(menu, event) {
  const items = [...menu.querySelectorAll("[role=menuitem]")];
  const at = items.indexOf(document.activeElement);
  const steps = { ArrowDown: at + 1, ArrowUp: at - 1 + (at < 0 ? 1 : 0), Home: 0, End: items.length - 1 };
  if (event.key in steps) {
    event.preventDefault();
    items[(steps[event.key] + items.length) % items.length].focus();
  } else if (event.key === "Escape") {
    event.preventDefault();
    event.stopPropagation();
    closeMenu(true);
  } else if (event.key === "Tab") {
    closeMenu(true);
  }
}

/** An entry: a title, words below it, and what choosing it does; with `href` it is a link. */
export function menuItem({ title, about, choose, href, current, side }) {
  const words = [h("span", { class: "menu-title" }, title), about && h("span", { class: "menu-about" }, about)];
  const inside = [h("span", { class: "menu-words" }, words), side];
  const shared = { role: "menuitem", tabindex: "-1", "aria-current": current ? "true" : undefined };
  if (href) return h("a", { ...shared, href }, inside);
  const chosen = () => {
    closeMenu(true);
    choose();
  };
  return h("button", { ...shared, type: "button", on: { click: chosen } }, inside);
}

/** Opens a menu of `items` below (or above) its button; a second press closes it. */
export function openMenu(opener, label, items) {
  const again = open?.opener === opener;
  closeMenu();
  if (again) return;
  const menu = h("div", { class: "menu", role: "menu", "aria-label": label }, items);
  menu.addEventListener("keydown", (event) => move(menu, event));
  (opener.closest("dialog, nav, main, header, aside") || document.body).append(menu);
  opener.setAttribute("aria-expanded", "true");
  place(menu, opener.getBoundingClientRect());
  open = { menu, opener };
  menu.querySelector("[role=menuitem]")?.focus();
}

function place(menu, at) {
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = at.bottom + 4 + height <= innerHeight;
  menu.style.left = `${Math.max(8, Math.min(at.left, innerWidth - width - 8))}px`;
  menu.style.top = `${Math.max(8, below ? at.bottom + 4 : at.top - height - 4)}px`;
}

/** A button that opens a menu. */
export function menuButton(button, label, items) {
  button.setAttribute("aria-haspopup", "menu");
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => openMenu(button, label, items()));
  return button;
}

document.addEventListener("pointerdown", (event) => {
  if (open && !open.menu.contains(event.target) && !open.opener.contains(event.target)) closeMenu();
});
addEventListener("resize", () => closeMenu());
