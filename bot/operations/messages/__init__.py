"""Keeps the places of Slack messages, and finds messages that must be updated."""
