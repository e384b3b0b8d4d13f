"""Copies the database while the bot runs, and puts a copy back so that it gives nothing again."""
