// What this window knows: who looks, the directory, what is unread. Says when something of it has changed.

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

/** Tells that something has changed. */
export function tell(kind, what) {
  for (const listener of listeners.get(kind) || []) listener(what);
}

/** Seconds since the epoch on the workspace's clock. */
export const now = () => Date.now() / 1000 + state.ahead;

function keep(name, value) {
  state[name] = value;
  tell(name, value);
}

function learnDirectory({ people, groups, channels }) {
  state.people = new Map(people.map((one) => [one.id, one]));
  state.groups = new Map(groups.map((one) => [one.id, one]));
  state.channels = new Map(channels.map((one) => [one.id, one]));
  state.me = state.people.get(state.meId);
  tell("directory");
}

const PARTS = ["app", "unread", "waiting", "modal", "home", "links"];

/** Takes in everything that the page begins with. */
export function learnAll(found) {
  state.meId = found.me;
  state.team = found.team;
  state.ahead = found.now - Date.now() / 1000;
  learnDirectory(found);
  for (const name of PARTS) keep(name, found[name]);
}

/** Takes in a batch of changes. */
export function learn(batch) {
  state.ahead = batch.now - Date.now() / 1000;
  if (batch.directory) learnDirectory(batch.directory);
  for (const name of PARTS) if (name in batch) keep(name, batch[name]);
  if (batch.messages.length) tell("messages", batch.messages);
  if (batch.record) tell("record");
}

/** The name of somebody, or the id. */
export const nameOf = (id) => (id === "USLACKBOT" ? "Slackbot" : state.people.get(id)?.real_name || id);

/** How a conversation is called. */
export function titleOf(channel) {
  return channel.im_user ? state.app.name : channel.name;
}

/** The app's direct conversation with whoever looks. */
export const direct = () => [...state.channels.values()].find((channel) => channel.im_user === state.meId);
