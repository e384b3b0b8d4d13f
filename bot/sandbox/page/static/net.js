// Calls the server as the viewer; returns results, or throws a Refused with Slack's error.

import { learn, learnAll, state, tell } from "./store.js";

export class Refused extends Error {
  constructor(answer) {
    super(answer.error);
    this.answer = answer;
  }
}

async function asked(path, options) {
  let answer;
  try {
    answer = await (await fetch(path, { cache: "no-store", ...options })).json();
  } catch {
    throw new Refused({ error: "the server can't be reached" });
  }
  if (!answer.ok) throw new Refused(answer);
  return answer.result;
}

/** Looks something up. */
export function look(what, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  return asked(`/page/${what}?${new URLSearchParams({ as: state.as, ...Object.fromEntries(given) })}`);
}

/** Does something. */
export function act(verb, what) {
  return asked(`/page/do/${verb}?${new URLSearchParams({ as: state.as })}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Sandbox-Page": "1" },
    body: JSON.stringify(what),
  });
}

/** Loads everything, then listens for changes. The browser reconnects automatically after a break. */
export async function begin() {
  const found = await look("begin");
  learnAll(found);
  tell("begun");
  listen(found.last);
}

function listen(last) {
  const source = new EventSource(`/page/events?${new URLSearchParams({ as: state.as, last })}`);
  source.addEventListener("batch", (event) => learn(JSON.parse(event.data)));
  source.addEventListener("start_over", () => startOver(source));
  source.addEventListener("gone", () => location.reload());
  source.addEventListener("open", () => tell("line", true));
  source.addEventListener("error", () => {
    tell("line", false);
    if (source.readyState === EventSource.CLOSED) setTimeout(() => startOver(source), 1000);
  });
}

async function startOver(source) {
  source.close();
  try {
    await begin();
  } catch {
    setTimeout(() => startOver(source), 1000);
  }
}
