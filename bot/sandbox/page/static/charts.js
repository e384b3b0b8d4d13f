// Charts as drawings: a table from chart type to function. The numbers stand below as a table, for everybody.

import { h, s } from "./dom.js";

const WIDTH = 520;
const HEIGHT = 220;
const LEFT = 44;
const BOTTOM = 34;
const TOP = 10;

const label = (x, y, text, anchor = "middle") => s("text", { x, y, "text-anchor": anchor }, text);
const short = (text) => (text.length > 12 ? `${text.slice(0, 11)}…` : text);
const number = (value) => new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 }).format(value);

/** Round steps for an axis that holds `low` to `high`. */
export function ticks(low, high) {
  const span = Math.max(high - low, 1e-9);
  const rough = span / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough);
  const found = [];
  for (let at = Math.floor(low / step) * step; at < high + step; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

function frame(chart) {
  const values = chart.series.flatMap((series) => series.data.map((point) => point.value));
  const steps = ticks(Math.min(0, ...values), Math.max(0, ...values, 1e-9));
  const [low, high] = [steps[0], steps[steps.length - 1]];
  const { categories } = chart.axis_config;
  const slot = (WIDTH - LEFT) / categories.length;
  const y = (value) => TOP + ((high - value) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const lines = steps.map((step) => [s("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(step), y2: y(step) }), label(LEFT - 6, y(step) + 4, number(step), "end")]);
  const names = categories.map((name, place) => label(LEFT + slot * (place + 0.5), HEIGHT - BOTTOM + 18, short(name)));
  const value = (series, name) => series.data.find((point) => point.label === name)?.value ?? 0;
  return { categories, slot, y, value, axes: [lines, names] };
}

function bars(chart) {
  const { categories, slot, y, value, axes } = frame(chart);
  const width = Math.min(40, (slot * 0.8) / chart.series.length);
  const one = (series, row) =>
    categories.map((name, place) => {
      const at = value(series, name);
      const x = LEFT + slot * (place + 0.5) + (row - chart.series.length / 2) * width;
      return s("rect", { class: `fill-${row}`, x: x + 1, width: width - 2, y: Math.min(y(at), y(0)), height: Math.max(1, Math.abs(y(at) - y(0))), rx: 2 });
    });
  return [axes, chart.series.map(one)];
}

const curve = (area) => (chart) => {
  const { categories, slot, y, value, axes } = frame(chart);
  const one = (series, row) => {
    const points = categories.map((name, place) => [LEFT + slot * (place + 0.5), y(value(series, name))]);
    const path = points.map(([x, at], place) => `${place ? "L" : "M"}${x} ${at}`).join("");
    const closed = `${path}L${points[points.length - 1][0]} ${y(0)}L${points[0][0]} ${y(0)}Z`;
    const dots = points.map(([x, at]) => s("circle", { class: `fill-${row}`, cx: x, cy: at, r: 3.5 }));
    return [area && s("path", { class: `area fill-${row}`, d: closed }), s("path", { class: `line stroke-${row}`, d: path }), dots];
  };
  return [axes, chart.series.map(one)];
};

function pie(chart) {
  const total = chart.segments.reduce((sum, part) => sum + part.value, 0);
  const [cx, cy, r] = [WIDTH / 2, HEIGHT / 2, HEIGHT / 2 - 8];
  if (chart.segments.length === 1) return [s("circle", { class: "fill-0", cx, cy, r })];
  let from = -Math.PI / 2;
  return chart.segments.map((part, row) => {
    const to = from + (part.value / total) * 2 * Math.PI;
    const at = (angle) => `${cx + r * Math.cos(angle)} ${cy + r * Math.sin(angle)}`;
    const d = `M${cx} ${cy}L${at(from)}A${r} ${r} 0 ${to - from > Math.PI ? 1 : 0} 1 ${at(to)}Z`;
    from = to;
    return s("path", { class: `slice fill-${row}`, d });
  });
}

const CHARTS = { bar: bars, line: curve(false), area: curve(true), pie };

function legend(names) {
  return h("ul", { class: "legend" }, names.map((name, row) => h("li", {}, s("svg", { viewBox: "0 0 10 10", class: "swatch", "aria-hidden": "true" }, s("rect", { class: `fill-${row}`, width: 10, height: 10, rx: 2 })), name)));
}

function numbers(chart) {
  const head = chart.type === "pie" ? ["Part", "Value"] : ["", ...chart.series.map((series) => series.name)];
  const rows = chart.type === "pie"
    ? chart.segments.map((part) => [part.label, number(part.value)])
    : chart.axis_config.categories.map((name) => [name, ...chart.series.map((series) => number(series.data.find((point) => point.label === name)?.value ?? 0))]);
  return h("table", { class: "table" }, h("thead", {}, h("tr", {}, head.map((cell) => h(cell ? "th" : "td", cell ? { scope: "col" } : {}, cell)))), h("tbody", {}, rows.map(([first, ...rest]) => h("tr", {}, h("th", { scope: "row" }, first), rest.map((cell) => h("td", {}, cell))))));
}

/** A data_visualization block. */
export function chartBlock(block) {
  const { chart } = block;
  const names = chart.type === "pie" ? chart.segments.map((part) => `${part.label}: ${number(part.value)}`) : chart.series.map((series) => series.name);
  const axis = chart.axis_config || {};
  return h(
    "figure",
    { class: "chart" },
    h("figcaption", {}, block.title),
    axis.y_label && h("p", { class: "note" }, axis.y_label),
    s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${chart.type} chart: ${block.title}` }, CHARTS[chart.type](chart)),
    axis.x_label && h("p", { class: "note x-label" }, axis.x_label),
    legend(names),
    h("details", {}, h("summary", {}, "Numbers"), numbers(chart)),
  );
}
