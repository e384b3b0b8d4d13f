"""The worker: outbox queues and their handlers, the scheduler, and checks of systems."""
