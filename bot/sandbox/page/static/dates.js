// Times in the viewer's zone, as in their profile. https://docs.slack.dev/messaging/formatting-message-text

import { h } from "./dom.js";
import { now, state } from "./store.js";

const DAY = 86400;
const zone = () => state.me?.tz || "UTC";
const show = (seconds, options) => new Intl.DateTimeFormat("en-US", { timeZone: zone(), ...options }).format(new Date(seconds * 1000));
const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

/** The calendar day as 2026-11-22, in the reader's zone. */
export const day = (seconds) =>
  new Intl.DateTimeFormat("en-CA", { timeZone: zone(), year: "numeric", month: "2-digit", day: "2-digit" }).format(new Date(seconds * 1000));

/** Hours and minutes. */
export const time = (seconds) => show(seconds, clock);

/** A day as a heading: today, yesterday, or in full. */
export const dayTitle = (seconds) => {
  const near = nearby(seconds);
  return near ? near[0].toUpperCase() + near.slice(1) : show(seconds, { weekday: "long", month: "long", day: "numeric" });
};

function nearby(seconds) {
  const found = { [day(now())]: "today", [day(now() + DAY)]: "tomorrow", [day(now() - DAY)]: "yesterday" };
  return found[day(seconds)];
}

function ago(seconds) {
  const past = now() - seconds;
  const [size, name] = [[DAY, "day"], [3600, "hour"], [60, "minute"], [1, "second"]].find(([one]) => Math.abs(past) >= one) || [1, "second"];
  const count = Math.round(Math.abs(past) / size);
  const words = `${count} ${name}${count === 1 ? "" : "s"}`;
  return past >= 0 ? `${words} ago` : `in ${words}`;
}

const TOKENS = {
  date_num: day,
  date: (at) => show(at, { month: "long", day: "numeric", year: "numeric" }),
  date_slash: (at) => show(at, { month: "2-digit", day: "2-digit", year: "numeric" }),
  date_short: (at) => show(at, { month: "short", day: "numeric", year: "numeric" }),
  date_long: (at) => show(at, { weekday: "long", month: "long", day: "numeric", year: "numeric" }),
  time,
  time_secs: (at) => show(at, { ...clock, second: "2-digit" }),
  ago,
};

/** A format string such as `{date_short_pretty} at {time}`, filled in. */
export function format(seconds, pattern) {
  return pattern.replace(/\{(\w+)\}/g, (whole, token) => {
    const plain = token.replace(/_pretty$/, "");
    const near = plain === token ? "" : nearby(seconds);
    return near || (TOKENS[plain] ? TOKENS[plain](seconds) : whole);
  });
}

/** A time element; hovering shows it in full with its zone. */
export function timeNode(seconds, words, props) {
  const full = `${TOKENS.date_long(seconds)}, ${TOKENS.time_secs(seconds)} (${zone()})`;
  return h("time", { datetime: new Date(seconds * 1000).toISOString(), title: full, ...props }, words);
}

/** A date token; what can't be read as one shows its fallback. */
export function dateNode(seconds, pattern, fallback) {
  const at = Number(seconds);
  return Number.isFinite(at) && Math.abs(at) < 8.64e12 ? timeNode(at, format(at, pattern || "{date_short} {time}")) : h("span", {}, fallback || "");
}

/** What a datetime-local field shows for a moment, in the reader's zone. */
export const localField = (seconds) => `${day(seconds)}T${time(seconds)}`;
