// Tables: `table` as it is, `data_table` with sorting, a filter and pages.

import { fill, h, icon } from "./dom.js";
import { richText } from "./richtext.js";

const CELLS = {
  raw_text: (cell) => cell.text,
  raw_number: (cell) => cell.text ?? String(cell.value),
  rich_text: (cell) => richText(cell),
};

const cellNodes = (cell) => (CELLS[cell.type] ? CELLS[cell.type](cell) : h("code", {}, `unknown: ${cell.type}`));

/** What sorting and filtering look at. */
function plainCell(cell) {
  if (cell.type === "rich_text") return h("div", {}, richText(cell)).textContent;
  return cell.type === "raw_number" ? cell.value : cell.text;
}

/** A `table` block; its first row is the head. */
export function tableBlock(block) {
  const settings = block.column_settings || [];
  const shape = (place) => `${settings[place]?.align || "left"}${settings[place]?.is_wrapped ? " wraps" : ""}`;
  const [head, ...rows] = block.rows;
  const row = (tag) => (cells) => h("tr", {}, cells.map((cell, place) => h(tag, { class: shape(place), scope: tag === "th" ? "col" : undefined }, cellNodes(cell))));
  const table = h("table", { class: "table" }, h("thead", {}, row("th")(head)), h("tbody", {}, rows.map(row("td"))));
  return h("div", { class: "table-box", tabindex: "0", role: "group", "aria-label": "Table" }, table);
}

function compared(one, other) {
  const [a, b] = [plainCell(one), plainCell(other)];
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
}

/** A `data_table` block. */
export function dataTable(block) {
  const [head, ...rows] = block.rows;
  const size = block.page_size || 5;
  const view = { page: 0, column: -1, down: false, filter: "" };
  const body = h("tbody", {});
  const heads = head.map((cell, place) => {
    const sort = h("button", { type: "button", class: "sort", on: { click: () => sortBy(place) } }, cellNodes(cell), icon("down"));
    return h("th", { scope: "col", "aria-sort": "none", class: rows[0]?.[place]?.type === "raw_number" ? "right" : undefined }, sort);
  });
  const where = h("span", { class: "note", role: "status" });
  const back = h("button", { type: "button", class: "button small", on: { click: () => turn(-1) } }, "Previous");
  const next = h("button", { type: "button", class: "button small", on: { click: () => turn(1) } }, "Next");
  const filter = h("input", { type: "search", class: "control small", placeholder: "Filter", "aria-label": `Filter ${block.caption}` });
  filter.addEventListener("input", () => draw(Object.assign(view, { filter: filter.value.toLowerCase(), page: 0 })));

  function sortBy(place) {
    Object.assign(view, { down: view.column === place && !view.down, column: place, page: 0 });
    draw();
  }
  function turn(by) {
    view.page += by;
    draw();
  }
  function found() {
    const kept = rows.filter((cells) => cells.some((cell) => String(plainCell(cell)).toLowerCase().includes(view.filter)));
    if (view.column >= 0) kept.sort((a, b) => compared(a[view.column], b[view.column]) * (view.down ? -1 : 1));
    return kept;
  }
  function cellOf(cell, place) {
    const heading = place === block.row_header_column_index;
    return h(heading ? "th" : "td", { scope: heading ? "row" : undefined, class: cell.type === "raw_number" ? "right" : "" }, cellNodes(cell));
  }
  function draw() {
    const kept = found();
    const last = Math.max(0, Math.ceil(kept.length / size) - 1);
    view.page = Math.min(view.page, last);
    fill(body, kept.slice(view.page * size, (view.page + 1) * size).map((cells) => h("tr", {}, cells.map(cellOf))));
    heads.forEach((node, place) => node.setAttribute("aria-sort", place !== view.column ? "none" : view.down ? "descending" : "ascending"));
    where.textContent = `${kept.length === 1 ? "1 row" : `${kept.length} rows`}, page ${view.page + 1} of ${last + 1}`;
    back.disabled = view.page === 0;
    next.disabled = view.page === last;
  }
  draw();
  const table = h("table", { class: "table" }, h("caption", {}, block.caption), h("thead", {}, h("tr", {}, heads)), body);
  const box = h("div", { class: "table-box", tabindex: "0", role: "group", "aria-label": block.caption }, table);
  return h("div", { class: "data-table" }, rows.length > size && filter, box, h("div", { class: "pager" }, where, rows.length > size && [back, next]));
}
