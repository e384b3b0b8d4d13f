// Block Kit as nodes: a table from block type to function. An unknown block is shown as unknown, never dropped.
// https://docs.slack.dev/reference/block-kit/blocks

import { chartBlock } from "./charts.js";
import { freshId, h, icon } from "./dom.js";
import { drawElement } from "./elements.js";
import { markdown } from "./markdown.js";
import { link, plainText, textNodes } from "./mrkdwn.js";
import { richText } from "./richtext.js";
import { dataTable, tableBlock } from "./tables.js";

const text = (object, props) => object && h("div", { class: "text", ...props }, textNodes(object));

/** Pictures are on other servers, from which this page loads nothing: it shows their words and address. */
const picture = (image) =>
  h("span", { class: "picture" }, icon("out"), image.image_url ? link(image.image_url, `Image: ${image.alt_text}`) : `Image: ${image.alt_text}`);

function section(ctx, block) {
  const accessory = block.accessory && (block.accessory.type === "image" ? picture(block.accessory) : drawElement(ctx, block, block.accessory));
  const fields = block.fields && h("div", { class: "fields" }, block.fields.map((field) => text(field)));
  const words = h("div", { class: "section-words" }, text(block.text), fields);
  return h("div", { class: "section" }, words, accessory && h("div", { class: "accessory" }, accessory));
}

const header = (ctx, block) =>
  h("p", { class: `header level-${block.level || 1}`, role: "heading", "aria-level": String(Math.min(6, (block.level || 1) + (ctx.level || 2))) }, plainText(block.text));

const context = (ctx, block) =>
  h("div", { class: "context" }, block.elements.map((item) => (item.type === "image" ? picture(item) : h("span", {}, textNodes(item)))));

const actions = (ctx, block) => h("div", { class: "actions" }, block.elements.map((item) => drawElement(ctx, block, item)));

const GROUPS = new Set(["checkboxes", "radio_buttons", "multi_static_select", "multi_users_select", "multi_channels_select", "multi_conversations_select"]);

function input(ctx, block) {
  const id = freshId("field");
  const group = GROUPS.has(block.element.type);
  const described = [block.hint && `${id}-hint`, `${id}-error`].filter(Boolean).join(" ");
  const required = block.optional || group ? undefined : "true";
  const attributes = { id, "aria-describedby": described, "aria-required": required, ...(group ? { "aria-labelledby": `${id}-label` } : {}) };
  const optional = block.optional && h("span", { class: "optional" }, " (optional)");
  const label = h(group ? "span" : "label", { class: "label", id: `${id}-label`, for: group ? undefined : id }, plainText(block.label), optional);
  const control = drawElement({ ...ctx, field: { attributes } }, block, block.element);
  const error = h("p", { class: "field-error", id: `${id}-error`, role: "alert" });
  ctx.form?.field(block, error, () => document.getElementById(id));
  return h("div", { class: "input" }, label, control, block.hint && h("p", { class: "hint", id: `${id}-hint` }, plainText(block.hint)), error);
}

const LEVELS = { default: "Note", info: "Note", warning: "Warning", error: "Error", success: "Done" };

function alert(ctx, block) {
  const level = block.level || "default";
  return h("div", { class: `alert ${level}`, role: "note" }, h("strong", { class: "hidden-text" }, `${LEVELS[level]}: `), text(block.text));
}

function card(ctx, block) {
  const images = [block.hero_image, block.icon].filter(Boolean).map(picture);
  const buttons = block.actions && h("div", { class: "actions" }, block.actions.map((item) => drawElement(ctx, block, item)));
  return h("div", { class: "card" }, images, text(block.title, { class: "card-title" }), text(block.subtitle, { class: "note" }), text(block.body), buttons);
}

const STATUS = { pending: "○ to do", in_progress: "◐ under way", complete: "● done", error: "✕ failed" };

function task(ctx, block) {
  const rest = [block.details, block.output].filter(Boolean).map((part) => h("div", { class: "rich" }, richText(part)));
  const status = block.status || "pending";
  return h("div", { class: "task" }, h("span", { class: `task-status ${status}` }, STATUS[status]), h("div", {}, h("strong", {}, block.title), rest));
}

function container(ctx, block) {
  const title = block.rich_text_title ? richText(block.rich_text_title) : block.title && plainText(block.title);
  const head = [h("strong", {}, title), block.subtitle && h("span", { class: "note" }, textNodes(block.subtitle))];
  const inside = h("div", { class: "container-body" }, drawBlocks(ctx, block.child_blocks));
  if (!block.is_collapsible) return h("div", { class: "container" }, h("div", { class: "container-head" }, head), inside);
  return h("details", { class: "container", open: !block.default_collapsed }, h("summary", { class: "container-head" }, head), inside);
}

const plan = (ctx, block) => h("div", { class: "plan" }, h("strong", {}, block.title), (block.tasks || []).map((one) => task(ctx, one)));

export const BLOCKS = {
  section,
  header,
  divider: () => h("hr", {}),
  image: (ctx, block) => h("div", {}, block.title && h("p", { class: "note" }, plainText(block.title)), picture(block)),
  context,
  actions,
  input,
  rich_text: (ctx, block) => h("div", { class: "rich" }, richText(block)),
  markdown: (ctx, block) => h("div", { class: "markdown" }, markdown(block.text)),
  table: (ctx, block) => tableBlock(block),
  data_table: (ctx, block) => dataTable(block),
  data_visualization: (ctx, block) => chartBlock(block),
  alert,
  card,
  carousel: (ctx, block) => h("div", { class: "carousel", tabindex: "0", role: "group", "aria-label": "Cards" }, block.elements.map((one) => card(ctx, one))),
  container,
  plan,
  task_card: task,
};

/** A block that this page can't draw: its type and what it says. */
function unknown(block, why) {
  return h("details", { class: "unknown" }, h("summary", {}, `${why}: ${block.type}`), h("pre", {}, JSON.stringify(block, null, 2)));
}

/** One block. */
export function drawBlock(ctx, block) {
  const draw = Object.hasOwn(BLOCKS, block.type) && BLOCKS[block.type];
  let inside;
  try {
    inside = draw ? draw(ctx, block) : unknown(block, "Unknown block");
  } catch (error) {
    console.error(error);
    inside = unknown(block, "This block could not be drawn");
  }
  return h("div", { class: `block block-${block.type.replace(/\W/g, "")}`, data: { block: block.block_id || "" } }, inside);
}

/** All blocks of a message or view. */
export const drawBlocks = (ctx, blocks) => blocks.map((block) => drawBlock(ctx, block));
