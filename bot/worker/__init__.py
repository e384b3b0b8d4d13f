"""What runs in the worker: outbox queues and their handlers, the clock, and checks of systems."""
