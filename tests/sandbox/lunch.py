"""A Bolt app of another project, as its own program: who eats where today. It reads Slack's usual
variables and knows nothing of the sandbox, nor of this project's bot."""

from __future__ import annotations

import os
from typing import Any

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

Json = dict[str, Any]
web = WebClient(os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"])
app = App(client=web)


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def form(title: str, *blocks: Json, submit: str = "Ask") -> Json:
    return {
        "type": "modal",
        "callback_id": "poll",
        "title": plain(title),
        "submit": plain(submit),
        "close": plain("Close"),
        "blocks": list(blocks),
    }


PLACES: Json = {
    "type": "input",
    "block_id": "places",
    "label": plain("Places"),
    "hint": plain("One in each line"),
    "element": {"type": "plain_text_input", "action_id": "places", "multiline": True},
}
ROOM: Json = {
    "type": "input",
    "block_id": "room",
    "label": plain("Channel"),
    "element": {"type": "conversations_select", "action_id": "room"},
}


def poll(votes: dict[str, list[str]]) -> list[Json]:
    """A section for each place, with its voters and a button."""
    return [
        {
            "type": "section",
            "block_id": place,
            "text": plain(f"{place}: {len(people)}"),
            "accessory": {
                "type": "button",
                "action_id": "vote",
                "value": ",".join(people) or "-",
                "text": plain(f"Eat at {place}"),
            },
        }
        for place, people in votes.items()
    ]


@app.command("/lunch")
def ask(ack: Any, command: Json, client: WebClient) -> None:
    if command["text"] == "help":
        ack("Write /lunch and name some places.")
        return
    ack()
    client.views_open(trigger_id=command["trigger_id"], view=form("Lunch", PLACES, ROOM))


@app.view("poll")
def asked(ack: Any, view: Json, client: WebClient) -> None:
    values = view["state"]["values"]
    places = [
        line.strip() for line in values["places"]["places"]["value"].splitlines() if line.strip()
    ]
    if len(places) < 2:
        ack(response_action="errors", errors={"places": "Name two places at least."})
        return
    done = {
        **form("Lunch is asked"),
        "blocks": [{"type": "section", "text": plain(f"{len(places)} places")}],
    }
    del done["submit"]
    ack(response_action="update", view=done)
    client.chat_postMessage(
        channel=values["room"]["room"]["selected_conversation"],
        text="Where do we eat?",
        blocks=poll({place: [] for place in places}),
    )


@app.action("vote")
def voted(ack: Any, body: Json, action: Json, client: WebClient) -> None:
    ack()
    votes = {
        block["block_id"]: [name for name in block["accessory"]["value"].split(",") if name != "-"]
        for block in body["message"]["blocks"]
    }
    person = body["user"]["id"]
    moved = {place: [name for name in people if name != person] for place, people in votes.items()}
    moved[action["block_id"]].append(person)
    client.chat_update(
        channel=body["channel"]["id"],
        ts=body["message"]["ts"],
        text="Where do we eat?",
        blocks=poll(moved),
    )


@app.event("app_home_opened")
def home(event: Json, client: WebClient) -> None:
    people = sum(len(page["members"]) for page in client.users_list(limit=3))
    block = {"type": "section", "text": plain(f"Lunch for {people}")}
    client.views_publish(user_id=event["user"], view={"type": "home", "blocks": [block]})


@app.event("team_join")
def welcome(event: Json, client: WebClient) -> None:
    client.chat_postMessage(channel=event["user"]["id"], text="Hungry? Write /lunch.")


if __name__ == "__main__":
    SocketModeHandler(app, os.environ["SLACK_APP_TOKEN"], web_client=web, ping_interval=1).start()
