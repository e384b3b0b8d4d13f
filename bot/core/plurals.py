"""Formats a number with its noun."""


def counted(number: int, one: str, many: str = "") -> str:
    """Formats "1 record" and "2,000 records"; `many` is the plural where it is not `one` and an
    s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
