"""Reads roles.toml into the values of `bot.core.roles`."""
