"""Provides a command group that imports the module of a command only when that command runs."""

import gc
from importlib import import_module

import click


class LazyCommand(click.Command):
    """The name and one-line help of the command that `module` defines as a variable of that
    name, with _ for -."""

    def __init__(self, name: str, module: str, help: str) -> None:
        super().__init__(name, help=help)
        self._module = module

    def load(self) -> click.Command:
        """Imports the module and returns the command itself."""
        gc.disable()  # imported objects stay: collecting during an import costs 10 % of the start
        try:
            command = getattr(import_module(self._module), str(self.name).replace("-", "_"))
        finally:
            gc.enable()
        assert isinstance(command, click.Command)
        return command


class LazyGroup(click.Group):
    """Lists its commands in their order, without an import, and loads the one that is invoked."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, loaded(command) if command else None, rest


def loaded(command: click.Command) -> click.Command:
    """Returns the command itself, where only its name and help are there so far."""
    return command.load() if isinstance(command, LazyCommand) else command
