"""What connectors talk through: HTTP, REST and processes."""
