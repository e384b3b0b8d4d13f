// A person's picture: initials on a colour of their own.

import { h, icon } from "./dom.js";
import { nameOf, state } from "./store.js";

const COLOURS = 8;

/** The picture of somebody by id. */
export function avatar(id, props) {
  const name = nameOf(id);
  const initials = name.split(/\s+/).map((word) => [...word][0]).slice(0, 2).join("").toUpperCase();
  const colour = [...id].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 9973, 7) % COLOURS;
  const app = id === state.app?.user;
  return h("span", { ...props, class: `avatar ${app ? "app" : `tone-${colour}`} ${props?.class || ""}`, "aria-hidden": "true" }, app ? icon("key") : initials);
}
