// Starts the page and decides by the address what is open: `?as=ana` who one is, `#C…` where, `#C…/ts` which message.

import { channelHead, closeThread, goTo, openConversation } from "./conversation.js";
import { avatar } from "./avatar.js";
import { fill, h } from "./dom.js";
import { arrived, cameAlone } from "./guide.js";
import "./clock.js";
import "./faults.js";
import { openApp, tabs } from "./home.js";
import "./modal.js";
import { begin, look, Refused } from "./net.js";
import { whyFailed } from "./press.js";
import { markOpen } from "./side.js";
import "./steady.js";
import { direct, on, state } from "./store.js";
import { buildTop } from "./top.js";

const main = document.getElementById("main");
const shell = document.getElementById("shell");
let opened = "";

/** What the address asks for: {channel, ts} or {tab}. */
function wanted() {
  const [first, second] = location.hash.slice(1).split("/");
  if (first === "app") return { tab: second || "home" };
  const channel = state.channels.get(first);
  if (channel?.im_user) return { tab: "messages", ts: second };
  if (channel?.member) return { channel, ts: second };
  return null;
}

/** Without a place in the address: the first person, in the conversation with the app. */
function firstPlace() {
  if (cameAlone() && state.app.tabs.messages_tab_enabled) return "#app/messages";
  const channels = [...state.channels.values()].filter((one) => one.member && !one.im_user);
  const busy = channels.find((one) => state.unread[one.id]?.pings) || channels[0];
  return busy ? `#${busy.id}` : "#app";
}

async function open() {
  const found = wanted();
  shell.classList.toggle("at-list", !location.hash);
  if (!found) {
    if (location.hash || matchMedia("(min-width: 700px)").matches) history.replaceState(null, "", firstPlace());
    else return markOpen("");
    return open();
  }
  const place = found.tab ? `#app/${found.tab}` : `#${found.channel.id}`;
  markOpen(found.tab ? "#app" : place);
  if (place !== opened) {
    opened = place;
    closeThread();
    await show(found);
  }
  if (found.ts && place === opened) await goTo(found.ts);
  return undefined;
}

async function show({ tab, channel }) {
  const head = h("div", { class: "place-head" });
  const body = h("div", { class: "place-body" });
  const fromTab = document.activeElement?.matches("[role=tab]");
  fill(main, head, body);
  if (tab) {
    fill(head, h("h1", { class: "place-title" }, avatar(state.app.user, { class: "tiny" }), state.app.name), tabs(tab));
    document.title = `${state.app.name} · ${state.me.real_name}`;
    if (fromTab) document.getElementById(`tab-${tab}`).focus();
    await openApp(body, tab);
  } else {
    fill(head, channelHead(channel));
    document.title = `#${channel.name} · ${state.me.real_name}`;
    await openConversation(body, channel);
  }
}

/** Nobody, or somebody who can't sign in: a list to choose from. */
async function chooseSomebody(why) {
  const { people } = await look("who");
  const rows = people.filter((one) => !one.deleted).map((one) => h("li", {}, h("a", { class: "button", href: `?as=${encodeURIComponent(one.name)}` }, one.name)));
  fill(main, h("div", { class: "home" }, h("h1", {}, "Who do you want to be?"), h("p", { class: "note" }, why), h("ul", { class: "choose" }, rows)));
}

async function start() {
  state.as = new URLSearchParams(location.search).get("as") || "";
  if (!state.as) {
    const { people } = await look("who");
    arrived();
    location.replace(`?as=${encodeURIComponent(people.find((one) => !one.deleted).name)}${location.hash}`);
    return;
  }
  buildTop(() => {
    history.replaceState(null, "", location.pathname + location.search);
    shell.classList.add("at-list");
    opened = "";
    closeThread();
    document.querySelector("#side .entry")?.focus();
  });
  on("begun", () => {
    opened = "";
    open();
  });
  on("directory", () => direct() && opened && !wanted() && open());
  addEventListener("hashchange", open);
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address says which place is open
    main.focus();
  });
  try {
    await begin();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    await chooseSomebody(whyFailed(error.message, "This page"));
  }
}

start();
