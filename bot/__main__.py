"""`python -m bot` is `access-bot`."""

from bot.cli import main

main()
