"""The smallest app over Socket Mode, a process of its own: Slack's own client, which answers
everything at once. It prints a line when it is connected and ends when its input does."""

from __future__ import annotations

import os

from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web import WebClient

from bench.place import answer, jobs
from tests.waiting import until

ANSWERS = {"slash_commands": {"text": "Here you are."}}


def acked(client: BaseSocketModeClient, request: SocketModeRequest) -> None:
    payload = ANSWERS.get(request.type)
    client.send_socket_mode_response(
        SocketModeResponse(envelope_id=request.envelope_id, payload=payload)
    )


if __name__ == "__main__":
    web = WebClient(os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"])
    client = SocketModeClient(os.environ["SLACK_APP_TOKEN"], web_client=web)
    client.socket_mode_request_listeners.append(acked)
    client.connect()
    until(client.is_connected)
    answer(ready=True)
    for _ in jobs():
        pass
    client.close()
