// A select whose options the app gives while somebody types: arrows move, Enter or a tap takes, Escape closes.

import { announce, fill, freshId, h } from "./dom.js";
import { act, Refused } from "./net.js";
import { complain, hush, whyFailed } from "./press.js";

const QUIET_MS = 200;

/** The node has `read()` with the chosen options, `input`, and says `chosen`. */
export function combobox(ctx, block, element, { many, kept, attributes }) {
  let chosen = [...kept];
  let offered = [];
  let at = -1;
  let timer = 0;
  let asked = 0;
  const id = freshId("list");
  const least = element.min_query_length ?? 3;
  const input = h("input", {
    ...{ type: "text", class: "control", role: "combobox", autocomplete: "off", spellcheck: "false" },
    ...{ "aria-expanded": "false", "aria-autocomplete": "list", "aria-controls": id },
    ...attributes,
    placeholder: element.placeholder?.text || "Search",
  });
  const box = h("ul", { id, class: "options", role: "listbox", hidden: true, "aria-label": "Options" });
  const tags = h("div", { class: "tags" });
  const node = h("div", { class: "combobox" }, tags, input, box);

  /** Closes the list; an answer that comes later does not open it again. */
  const close = () => {
    clearTimeout(timer);
    asked += 1;
    box.hidden = true;
    at = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const textOfChosen = () => (many ? "" : chosen[0]?.text.text || "");
  const showChosen = () => {
    input.value = textOfChosen();
    fill(tags, many && chosen.map((option) => h("button", { type: "button", class: "tag", on: { click: () => drop(option) }, "aria-label": `Remove ${option.text.text}` }, option.text.text, " ×")));
  };
  const changed = () => {
    showChosen();
    close();
    node.dispatchEvent(new Event("chosen"));
  };
  const drop = (option) => {
    chosen = chosen.filter((one) => one.value !== option.value);
    changed();
  };
  const take = (option) => {
    chosen = many ? [...chosen.filter((one) => one.value !== option.value), option] : [option];
    changed();
  };
  const highlight = (place) => {
    at = (place + offered.length) % offered.length;
    [...box.children].forEach((row, index) => row.setAttribute("aria-selected", String(index === at)));
    input.setAttribute("aria-activedescendant", `${id}-${at}`);
    box.children[at]?.scrollIntoView({ block: "nearest" });
  };
  const row = (option, place) =>
    h("li", { id: `${id}-${place}`, role: "option", "aria-selected": "false", on: { click: () => take(option) } }, option.text.text, option.description && h("small", { class: "note" }, option.description.text));
  const offer = async () => {
    clearTimeout(timer);
    const query = input.value === textOfChosen() ? "" : input.value;
    if (query.length < least) return close();
    const number = (asked += 1);
    const ids = { block_id: block.block_id, action_id: element.action_id };
    let found;
    try {
      found = await act("suggest", { ...ctx.spot, ...ids, value: query });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      found = { error: error.message, options: [] };
    }
    if (number !== asked) return undefined;
    hush(input);
    if (found.error) complain(input, whyFailed(found.error));
    offered = found.options;
    at = -1;
    input.removeAttribute("aria-activedescendant");
    fill(box, offered.length ? offered.map(row) : h("li", { class: "note" }, "Nothing found"));
    box.hidden = false;
    input.setAttribute("aria-expanded", "true");
    return announce(offered.length === 1 ? "1 option" : `${offered.length || "No"} options`);
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(offer, QUIET_MS);
  };
  input.addEventListener("input", later);
  input.addEventListener("click", () => {
    input.select();
    if (box.hidden) offer();
  });
  input.addEventListener("blur", () => {
    const emptied = !many && chosen.length && !input.value && block.optional;
    if (emptied) drop(chosen[0]);
    else showChosen();
    close();
  });
  // The focus stays in the field while somebody scrolls or taps the list.
  box.addEventListener("mousedown", (event) => event.preventDefault());
  input.addEventListener("keydown", (event) => {
    const keys = {
      ArrowDown: () => (box.hidden ? offer() : offered.length && highlight(at + 1)),
      ArrowUp: () => offered.length && !box.hidden && highlight(at < 0 ? -1 : at - 1),
      Enter: () => at >= 0 && take(offered[at]),
      Escape: close,
    };
    if (!(event.key in keys) || (event.key === "Escape" && box.hidden)) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  });
  showChosen();
  node.input = input;
  node.read = () => (many ? chosen : (chosen[0] ?? null));
  return node;
}
