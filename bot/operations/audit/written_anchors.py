"""Lists the anchors that the anchor file must have, so that a shortened file is noticed."""

from bot.core.anchors import Anchor
from bot.core.audit import parsed_detail
from bot.operations._unit_of_work import Context, reading
from storage import anchors


def written_anchors(world: Context, path: str) -> list[Anchor]:
    """Returns the anchors that the log says were made for the file at `path`, without those that
    still wait to be appended. Raises StorageUnavailable."""
    if not path:
        return []
    with reading(world) as u:
        made, waiting = anchors.recorded(u.db), anchors.waiting(u.db)
    found = []
    for at, text in made:
        detail = parsed_detail(text)
        seq, digest = detail.get("seq"), detail.get("hash")
        if detail.get("file") != path or not isinstance(seq, int) or not isinstance(digest, str):
            continue
        if (seq, digest) not in waiting:
            found.append(Anchor(seq, digest, at))
    return found
