// The state of this window: the viewer, the directory, unread counts. Notifies listeners of changes.

export const state = {
  as: "",
  me: null,
  people: new Map(),
  groups: new Map(),
  channels: new Map(),
  app: null,
  unread: {},
  waiting: {},
  modal: null,
  home: null,
  links: {},
  /** The last answer of the gate beside the workspace to a browser: {open, who, at}. */
  gate: {},
  /** Behind the scenes: {closed, ahead, app, troubles}. */
  tools: null,
  team: "",
  /** The workspace's clock may be ahead of this machine's: seconds. */
  ahead: 0,
};

const listeners = new Map();

/** Calls `listener` whenever one of the `kinds` has changed. */
export function on(kinds, listener) {
  for (const kind of kinds.split(" ")) {
    listeners.set(kind, [...(listeners.get(kind) || []), listener]);
  }
}

/** Notifies the listeners of a change. */
export function tell(kind, what) {
  for (const listener of listeners.get(kind) || []) listener(what);
}

/** Seconds since the epoch on the workspace's clock. */
export const now = () => Date.now() / 1000 + state.ahead;

const PARTS = ["app", "unread", "waiting", "modal", "home", "links", "gate", "tools"];

/** Stores what was found, then notifies the listeners of each part. */
function takeIn(found) {
  state.ahead = found.now - Date.now() / 1000;
  const known = PARTS.filter((name) => name in found);
  for (const name of known) state[name] = found[name];
  const directory = found.people ? found : found.directory;
  if (directory) learnDirectory(directory);
  for (const name of known) tell(name);
}

function learnDirectory({ people, groups, channels }) {
  state.people = new Map(people.map((one) => [one.id, one]));
  state.groups = new Map(groups.map((one) => [one.id, one]));
  state.channels = new Map(channels.map((one) => [one.id, one]));
  state.me = state.people.get(state.meId);
  tell("directory");
}

/** Takes in everything that the page begins with. */
export function learnAll(found) {
  state.meId = found.me;
  state.team = found.team;
  takeIn(found);
}

/** Takes in a batch of changes. */
export function learn(batch) {
  takeIn(batch);
  if (batch.messages.length) tell("messages", batch.messages);
  if (batch.record) tell("record");
}

/** The name of somebody, or the id. */
export const nameOf = (id) => (id === "USLACKBOT" ? "Slackbot" : state.people.get(id)?.real_name || id);

/** How a conversation is called. */
export function titleOf(channel) {
  return channel.im_user ? state.app.name : channel.name;
}

/** The app's direct conversation with the viewer. */
export const direct = () => [...state.channels.values()].find((channel) => channel.im_user === state.meId);
