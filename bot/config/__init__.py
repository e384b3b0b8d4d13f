"""What an administrator configures: settings, logging and roles.toml."""
