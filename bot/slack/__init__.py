"""Slack in and out: what people do comes in as one call of an operation, what they see goes out as
a rendering."""
