// Everything that can be pressed, chosen or typed: a table from element type to function.
// Each gets its place (ctx), its block and the element, and returns a node; inputs tell the form how to read them.

import { combobox } from "./combobox.js";
import { localField } from "./dates.js";
import { h, iconButton } from "./dom.js";
import { menuButton, menuItem } from "./menu.js";
import { plainText, textNodes } from "./mrkdwn.js";
import { press } from "./press.js";
import { state, titleOf } from "./store.js";

const spotOf = (ctx) => ctx.spot.view_id || ctx.spot.ts;

/** The key of an element after its message or view was drawn again. A button's block has no lasting name. */
const keyOf = (ctx, block, element) => `${spotOf(ctx)}/${element.type === "button" ? "" : block.block_id}/${element.action_id}/${element.value ?? ""}`;
const words = (object) => object?.text || "";

/** The state that the view or message came with, else the element's own first value. */
const held = (ctx, block, element) => ctx.values?.[block.block_id]?.[element.action_id] || {};

/** Attributes that every control carries. */
function shared(ctx, block, element) {
  const named = block.type === "input" ? {} : { "aria-label": element.accessibility_label || words(element.placeholder) || "Choose" };
  return { ...named, ...ctx.field?.attributes, "data-key": keyOf(ctx, block, element), autofocus: element.focus_on_load };
}

/** Registers how the form reads this element; outside a form, or where the block asks for it, a change is a press. */
function listening(ctx, block, element, node, read, event = "change") {
  ctx.form?.reads(block, element, read);
  if (block.type !== "input" || block.dispatch_action) {
    node.addEventListener(event, () => press(ctx, block, element, node, { value: read() }));
  }
  return node;
}

function button(ctx, block, element) {
  const style = element.style || "";
  const props = {
    class: `button ${style}`,
    "aria-label": element.accessibility_label,
    "data-key": keyOf(ctx, block, element),
  };
  const node = h("button", { type: "button", ...props, on: { click: pressed } }, plainText(element.text));
  function pressed() {
    if (/^https?:/.test(element.url || "")) open(element.url, "_blank", "noopener,noreferrer");
    press(ctx, block, element, node);
  }
  return node;
}

function overflow(ctx, block, element) {
  const node = iconButton("more", element.accessibility_label || "More actions", { "data-key": keyOf(ctx, block, element) });
  const choose = (option) => () => press(ctx, block, element, node, { option: option.value });
  return menuButton(node, "More actions", () =>
    element.options.map((option) =>
      menuItem({ title: plainText(option.text), about: words(option.description), choose: choose(option) })),
  );
}

// --- choosing from a list

const plainOption = (value, text, chosen) => h("option", { value, selected: chosen.includes(value) }, text);

function optionNodes(element, chosen) {
  const one = (option) => plainOption(option.value, words(option.text), chosen);
  const groups = (element.option_groups || []).map((group) => h("optgroup", { label: words(group.label) }, group.options.map(one)));
  return [...(element.options || []).map(one), ...groups];
}

const people = () => [...state.people.values()].filter((one) => !one.deleted).map((one) => [one.id, one.real_name]);
const channels = () => [...state.channels.values()].filter((one) => !one.im_user).map((one) => [one.id, `#${one.name}`]);
const conversations = () => [...state.channels.values()].map((one) => [one.id, one.im_user ? titleOf(one) : `#${one.name}`]);

/** A native list: `chosen` are values, `options` option nodes. */
function list(ctx, block, element, chosen, options) {
  const none = h("option", { value: "" }, words(element.placeholder) || "Choose an option");
  const node = h("select", { class: "control", ...shared(ctx, block, element) }, none, options);
  node.value = chosen[0] ?? "";
  return listening(ctx, block, element, node, () => node.value || null);
}

/** Several of a list: checkboxes in a box that scrolls. */
function several(ctx, block, element, pairs, chosen) {
  const boxes = pairs.map(([value, text]) => h("input", { type: "checkbox", value, checked: chosen.includes(value), "data-text": text }));
  const rows = boxes.map((box) => h("label", { class: "choice" }, box, h("span", {}, box.dataset.text)));
  const node = h("div", { class: "control several", role: "group", ...shared(ctx, block, element) }, rows);
  const most = element.max_selected_items || boxes.length;
  const limit = () => {
    const full = boxes.filter((box) => box.checked).length >= most;
    for (const box of boxes) box.disabled = full && !box.checked;
  };
  node.addEventListener("change", limit);
  limit();
  return listening(ctx, block, element, node, () => boxes.filter((box) => box.checked).map((box) => box.value));
}

const allOptions = (element) => [...(element.options || []), ...(element.option_groups || []).flatMap((group) => group.options)];

function staticSelect(ctx, block, element) {
  const kept = held(ctx, block, element).selected_option ?? element.initial_option;
  const chosen = kept ? [kept.value] : [];
  return list(ctx, block, element, chosen, optionNodes(element, chosen));
}

function multiStatic(ctx, block, element) {
  const kept = held(ctx, block, element).selected_options ?? element.initial_options ?? [];
  const pairs = allOptions(element).map((option) => [option.value, words(option.text)]);
  return several(ctx, block, element, pairs, kept.map((option) => option.value));
}

/** A select of people or channels, single. */
const directorySelect = (pairs, slot, initial) => (ctx, block, element) => {
  const kept = held(ctx, block, element)[slot] ?? element[initial];
  const chosen = kept ? [kept] : [];
  return list(ctx, block, element, chosen, pairs().map(([value, text]) => plainOption(value, text, chosen)));
};

/** Its multi twin. */
const multiDirectory = (pairs, slot, initial) => (ctx, block, element) =>
  several(ctx, block, element, pairs(), held(ctx, block, element)[slot] ?? element[initial] ?? []);

function external(ctx, block, element) {
  const many = element.type.startsWith("multi");
  const known = held(ctx, block, element);
  const kept = many ? (known.selected_options ?? element.initial_options ?? []) : [known.selected_option ?? element.initial_option].filter(Boolean);
  const node = combobox(ctx, block, element, { many, kept, attributes: shared(ctx, block, element) });
  ctx.form?.reads(block, element, node.read);
  if (block.type !== "input" || block.dispatch_action) {
    node.addEventListener("chosen", () => press(ctx, block, element, node.input, { value: node.read() }));
  }
  return node;
}

function choices(kind) {
  return (ctx, block, element) => {
    const known = held(ctx, block, element);
    const kept = kind === "radio" ? [known.selected_option ?? element.initial_option].filter(Boolean) : (known.selected_options ?? element.initial_options ?? []);
    const values = kept.map((option) => option.value);
    const name = keyOf(ctx, block, element);
    const boxes = element.options.map((option, place) =>
      h("input", { type: kind, name, value: option.value, checked: values.includes(option.value), "data-key": `${keyOf(ctx, block, element)}/${place}` }));
    const rows = element.options.map((option, place) =>
      h("label", { class: "choice" }, boxes[place], h("span", {}, textNodes(option.text), option.description && h("small", {}, textNodes(option.description)))));
    const node = h("div", { class: "choices", role: kind === "radio" ? "radiogroup" : "group", ...shared(ctx, block, element) }, rows);
    const chosen = () => boxes.filter((box) => box.checked).map((box) => box.value);
    return listening(ctx, block, element, node, () => (kind === "radio" ? (chosen()[0] ?? null) : chosen()));
  };
}

// --- typing

function typed(props, read = (node) => node.value) {
  return (ctx, block, element) => {
    const value = held(ctx, block, element).value ?? element.initial_value ?? "";
    const settings = { class: "control", placeholder: words(element.placeholder) || undefined, ...props, ...shared(ctx, block, element) };
    const node = element.multiline ? h("textarea", { ...settings, type: undefined, rows: "4" }) : h("input", settings);
    node.value = value;
    ctx.form?.reads(block, element, () => read(node) || null);
    dispatching(ctx, block, element, node, () => read(node));
    return node;
  };
}

/** Typing presses only where the block asks for it: on Enter, or with every character. */
function dispatching(ctx, block, element, node, read) {
  if (block.type === "input" && !block.dispatch_action) return;
  const when = element.dispatch_action_config?.trigger_actions_on || ["on_enter_pressed"];
  const send = () => press(ctx, block, element, node, { value: read() });
  if (when.includes("on_character_entered")) node.addEventListener("input", send);
  if (when.includes("on_enter_pressed")) {
    node.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey) return;
      event.preventDefault();
      send();
    });
  }
}

function richInput(ctx, block, element) {
  const node = h("textarea", { class: "control", rows: "4", placeholder: words(element.placeholder) || undefined, ...shared(ctx, block, element) });
  const section = (text) => ({ type: "rich_text_section", elements: [{ type: "text", text }] });
  ctx.form?.reads(block, element, () => (node.value ? { type: "rich_text", elements: [section(node.value)] } : null));
  return node;
}

const fileInput = () => h("p", { class: "note" }, "The sandbox can't take files from a form.");

// --- times

const picker = (type, slot, initial) => (ctx, block, element) => {
  const node = h("input", { type, class: "control", ...shared(ctx, block, element) });
  node.value = held(ctx, block, element)[slot] ?? element[initial] ?? "";
  return listening(ctx, block, element, node, () => node.value || null);
};

function dateTime(ctx, block, element) {
  const node = h("input", { type: "datetime-local", class: "control", ...shared(ctx, block, element) });
  const kept = held(ctx, block, element).selected_date_time ?? element.initial_date_time;
  node.value = kept ? localField(kept) : "";
  listening(ctx, block, element, node, () => node.value || null);
  return h("div", { class: "with-zone" }, node, h("span", { class: "note" }, `Your time: ${state.me.tz}`));
}

export const ELEMENTS = {
  button,
  workflow_button: button,
  overflow,
  static_select: staticSelect,
  multi_static_select: multiStatic,
  external_select: external,
  multi_external_select: external,
  users_select: directorySelect(people, "selected_user", "initial_user"),
  multi_users_select: multiDirectory(people, "selected_users", "initial_users"),
  channels_select: directorySelect(channels, "selected_channel", "initial_channel"),
  multi_channels_select: multiDirectory(channels, "selected_channels", "initial_channels"),
  conversations_select: directorySelect(conversations, "selected_conversation", "initial_conversation"),
  multi_conversations_select: multiDirectory(conversations, "selected_conversations", "initial_conversations"),
  checkboxes: choices("checkbox"),
  radio_buttons: choices("radio"),
  plain_text_input: typed({ type: "text", autocomplete: "off" }),
  number_input: typed({ type: "text", inputmode: "decimal", autocomplete: "off" }),
  email_text_input: typed({ type: "text", inputmode: "email", autocomplete: "off" }),
  url_text_input: typed({ type: "text", inputmode: "url", autocomplete: "off" }),
  rich_text_input: richInput,
  file_input: fileInput,
  datepicker: picker("date", "selected_date", "initial_date"),
  timepicker: picker("time", "selected_time", "initial_time"),
  datetimepicker: dateTime,
};

/** One element; an unknown kind is shown as unknown. */
export function drawElement(ctx, block, element) {
  const draw = ELEMENTS[element.type];
  return draw ? draw(ctx, block, element) : h("code", { class: "unknown" }, `unknown element: ${element.type}`);
}
