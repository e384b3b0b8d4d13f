"""Reads the configuration: settings, logging and roles.toml."""
