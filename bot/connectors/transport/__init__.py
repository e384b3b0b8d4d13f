"""The transports of connectors: HTTP, REST and processes."""
