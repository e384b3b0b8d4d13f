"""Which Slack messages were posted, and which must be updated."""
