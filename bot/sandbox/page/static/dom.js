// Makes elements. Text only ever becomes a text node, so nothing that anybody typed is read as markup.

const SVG = "http://www.w3.org/2000/svg";

function set(node, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name === "on") {
    for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
  } else if (name === "data") {
    Object.assign(node.dataset, value);
  } else {
    node.setAttribute(name, value === true ? "" : String(value));
  }
}

function made(node, props, children) {
  for (const [name, value] of Object.entries(props || {})) set(node, name, value);
  node.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== "" && child !== false));
  return node;
}

/** An HTML element; `on` are listeners, `data` its dataset, everything else attributes. */
export const h = (tag, props, ...children) => made(document.createElement(tag), props, children);

/** An SVG element. */
export const s = (tag, props, ...children) => made(document.createElementNS(SVG, tag), props, children);

const PATHS = {
  more: "M5 12h.01M12 12h.01M19 12h.01",
  close: "M6 6l12 12M18 6 6 18",
  back: "M15 5l-7 7 7 7",
  send: "M4 12 20 4l-6 16-3-7z",
  bolt: "M13 3 5 14h6l-1 7 8-11h-6z",
  reply: "M20 12a8 7 0 0 1-8 7H4l2-3a7 7 0 1 1 14-4z",
  eye: "M2 12s4-6 10-6 10 6 10 6-4 6-10 6S2 12 2 12zm10 2.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  hash: "M9 4 7 20M17 4l-2 16M4 9h16M4 15h16",
  key: "M14 9a5 5 0 1 1-10 0 5 5 0 0 1 10 0zm-1.5 3.5L20 20m-3.5-3.5 2.5-2.5",
  out: "M10 5H5v14h14v-5M13 5h6v6M19 5l-9 9",
  down: "M6 9l6 6 6-6",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zm5-2 5 5",
  warn: "M12 4 2.5 20h19zM12 10v5M12 17.5v.01",
  file: "M7 3h7l4 4v14H7zM14 3v4h4",
  scope: "M4 5h16M4 12h10M4 19h13",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3.5 2",
  tour: "M5 21V4M5 5c5-3 9 3 14 0v9c-5 3-9-3-14 0",
};

/** A small drawing that says nothing to a screen reader. */
export function icon(name) {
  const path = s("path", { d: PATHS[name] });
  return s("svg", { class: `icon icon-${name}`, viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, path);
}

/** A button with a drawing and a name. */
export function iconButton(name, label, props) {
  return h("button", { type: "button", "aria-label": label, title: label, ...props, class: `icon-button ${props?.class || ""}` }, icon(name));
}

let counter = 0;
/** An id that no other element has. */
export const freshId = (prefix) => `${prefix}-${(counter += 1)}`;

/** Says something to screen readers, without a word on the screen. */
export function announce(words) {
  document.getElementById("said").textContent = words;
}

/** Replaces the content only if it differs, so that a button that is being pressed stays the same node. */
export function renew(node, ...children) {
  const fresh = fill(node.cloneNode(false), ...children);
  if (fresh.isEqualNode(node)) return;
  const held = node.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  fill(node, ...fresh.childNodes);
  if (held) node.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
}

/** Replaces what is inside. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
  return node;
}
