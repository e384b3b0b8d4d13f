"""Names the command that turns a panic switch off."""


def resume_command(*switches: tuple[str, str]) -> str:
    """`switches` are pairs of a kind (`all`, `role` or `user`) and a name; those without a name add
    nothing."""
    return "access-bot resume" + "".join(f" --{kind} {name}" for kind, name in switches if name)
