// A select whose options the app gives while somebody types: arrows move, Enter takes, Escape closes.

import { announce, fill, freshId, h } from "./dom.js";
import { act, Refused } from "./net.js";
import { whyFailed } from "./press.js";

const QUIET_MS = 200;

/** The node has `read()` with the chosen options, `input`, and says `chosen`. */
export function combobox(ctx, block, element, { many, kept, attributes }) {
  let chosen = [...kept];
  let offered = [];
  let at = -1;
  let timer = 0;
  const id = freshId("list");
  const input = h("input", {
    ...{ type: "text", class: "control", role: "combobox", autocomplete: "off" },
    ...{ "aria-expanded": "false", "aria-autocomplete": "list", "aria-controls": id },
    ...attributes,
    placeholder: element.placeholder?.text || "Search",
  });
  const box = h("ul", { id, class: "options", role: "listbox", hidden: true, "aria-label": "Options" });
  const tags = h("div", { class: "tags" });
  const node = h("div", { class: "combobox" }, tags, input, box);

  const close = () => {
    box.hidden = true;
    at = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const showChosen = () => {
    if (!many) input.value = chosen[0]?.text.text || "";
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
    if (many) input.value = "";
    changed();
  };
  const highlight = (place) => {
    at = (place + offered.length) % offered.length;
    [...box.children].forEach((row, index) => row.setAttribute("aria-selected", String(index === at)));
    input.setAttribute("aria-activedescendant", `${id}-${at}`);
    box.children[at]?.scrollIntoView({ block: "nearest" });
  };
  const offer = async () => {
    const query = input.value === chosen[0]?.text.text ? "" : input.value;
    try {
      const ids = { block_id: block.block_id, action_id: element.action_id };
      offered = (await act("suggest", { ...ctx.spot, ...ids, value: query })).options;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      offered = [];
      announce(whyFailed(error.message));
    }
    const row = (option, place) => h("li", { id: `${id}-${place}`, role: "option", "aria-selected": "false", on: { pointerdown: (event) => (event.preventDefault(), take(option)) } }, option.text.text);
    fill(box, offered.length ? offered.map(row) : h("li", { class: "note" }, "Nothing found"));
    box.hidden = false;
    input.setAttribute("aria-expanded", "true");
    announce(`${offered.length} options`);
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(offer, QUIET_MS);
  };
  input.addEventListener("input", () => {
    if (!many) chosen = [];
    if (input.value.length >= (element.min_query_length ?? 3)) later();
  });
  input.addEventListener("focus", () => (element.min_query_length ?? 3) === 0 && later());
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const keys = {
      ArrowDown: () => (box.hidden ? offer() : offered.length && highlight(at + 1)),
      ArrowUp: () => offered.length && highlight(at - 1),
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
