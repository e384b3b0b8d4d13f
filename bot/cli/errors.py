"""Defines the failures that a command reports as one line, with their exit codes."""

from typing import IO, Any

import click


class Failure(click.ClickException):
    """Prints its message on standard error, without a prefix. It may quote text that must not
    control the terminal."""

    def show(self, file: IO[Any] | None = None) -> None:
        text = self.format_message()
        shown = "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)
        click.echo(shown, file=file, err=True)


class Refusal(Failure):
    """The command was refused or had nothing to do, and changed nothing."""

    exit_code = 1


class Wrong(Failure):
    """An argument or a setting is wrong."""

    exit_code = 2
