"""Verifies an export of the audit log without Access Bot: `python3 verify_audit.py EXPORT.jsonl`.

It needs Python 3.8 or newer and nothing else. EXPORT.jsonl is the output of `access-bot audit
export`, without filters. Bundles of `access-bot audit archive` may be given before it, oldest
first: `verify_audit.py 2031.zip 2032.zip EXPORT.jsonl`. Without them, a record of the export must
say that the records before it were archived. With `--anchors FILE`, which may be given several
times, the log must also have every record that was anchored. A line of such a file is
`AT SEQ HASH`, as in the anchor file and in the security channel; the rest of the line is ignored.

Exit code 0: intact. 1: broken. 2: could not be checked.
"""

import argparse
import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path

HASHED = ["seq", "at", "event", "actor", "subject", "role", "system"]
HASHED += ["request", "grant", "reason", "detail", "prev"]
GENESIS = "0" * 64
ARCHIVED, RECORDS = "audit:log:archived", "records.jsonl"
ANCHOR = re.compile(r"(\S+) ([1-9][0-9]*) ([0-9a-f]{64})(?: .*)?")


class Broken(Exception):
    """The log was changed: the first place, and why."""


class Unchecked(Exception):
    """A file can't be read."""


def digest(record):
    """The hash of a record: SHA-256 of the JSON array of its values, without white space."""
    values = [record[name] for name in HASHED]
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_anchors(path):
    """Yields number, hash and time of the anchors in a file."""
    with Path(path).open(encoding="ascii", errors="replace") as file:
        for number, line in enumerate(map(str.strip, file), 1):
            if not line or line.startswith("#"):
                continue
            found = ANCHOR.fullmatch(line)
            if found is None:
                raise Unchecked(f"line {number} of {path} is not an anchor")
            yield int(found[2]), found[3], found[1]


def verify(lines, anchors):
    """Numbers of the records before the first one and of the last one, the hash of the last, and
    the number of anchors that agree. `anchors` are {number: [(hash, time)]}. Raises Broken."""
    seq, prev, agree, first, before, archived = 0, GENESIS, 0, None, GENESIS, (0, GENESIS)
    for line in lines:
        record, hashed = parsed(line, seq + 1)
        if first is None and isinstance(record["seq"], int) and record["seq"] > 1:
            seq, prev = record["seq"] - 1, record["prev"]
            agree += compare(seq, prev, anchors)
        if first is None:
            first, before = seq, prev
        if record["event"] == ARCHIVED:
            archived = max(archived, archived_by(record))
        if record["seq"] != seq + 1:
            raise Broken(f"record {seq + 1} is missing: {record['seq']} follows {seq}")
        if record["prev"] != prev:
            raise Broken(f"record {seq + 1} does not follow the record before it")
        if hashed != record.get("hash"):
            raise Broken(f"the content of record {seq + 1} does not match its hash")
        seq, prev = seq + 1, hashed
        agree += compare(seq, hashed, anchors)
    if first and archived[0] < first:
        missing = archived[0] + 1
        raise Broken(f"record {missing} is missing, and no record says that it was archived")
    if first and archived[0] == first and archived[1] != before:
        raise Broken(f"record {first + 1} does not follow the records that were archived")
    last = max(anchors, default=0)
    if last > seq:
        at = anchors[last][0][1]
        raise Broken(
            f"the log ends at record {seq}, and record {last} was anchored at {at}:"
            " the log, or the whole database, was put back to an older copy"
        )
    return first or 0, seq, prev, agree


def compare(seq, hashed, anchors):
    """The number of anchors that agree with a record. Raises Broken for another one."""
    for anchored, at in anchors.get(seq, ()):
        if anchored != hashed:
            raise Broken(f"record {seq} is not the one that was anchored at {at}")
    return len(anchors.get(seq, ()))


def archived_by(record):
    """Number and hash of the last record that this record says was archived."""
    try:
        found = json.loads(record["detail"])
        last, hashed = found["last"], str(found["hash"])
    except (ValueError, KeyError, TypeError):
        return 0, GENESIS
    return (last, hashed) if isinstance(last, int) and last < record["seq"] else (0, GENESIS)


def lines_of(paths):
    """The lines of all these exports and bundles, one after another."""
    for path in paths:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as bundle, bundle.open(RECORDS) as lines:
                for line in lines:
                    yield line.decode()
        else:
            with Path(path).open(encoding="utf-8", newline="\n") as lines:
                yield from lines


def parsed(line, number):
    """A record and the hash that it should have."""
    try:
        record = json.loads(line, object_pairs_hook=only_columns)
        return record, digest(record)
    except (ValueError, KeyError, TypeError):
        raise Broken(f"the line of record {number} is not a record") from None


def only_columns(pairs):
    """An object that has each column once, so that nothing in a line is left unverified."""
    if sorted(name for name, _ in pairs) != sorted([*HASHED, "hash"]):
        raise ValueError("not a record")
    return dict(pairs)


def printable(error):
    """The text without characters that control a terminal: it may quote a forged record."""
    return "".join(each if each.isprintable() else "?" for each in str(error))


def main():
    parser = argparse.ArgumentParser(
        description="Verify an export of the audit log of Access Bot without Access Bot.",
        epilog="Exit code 0: intact. 1: broken. 2: could not be checked.",
    )
    about = "the output of `access-bot audit export`, or bundles of `audit archive` before it"
    parser.add_argument("export", nargs="+", help=about)
    parser.add_argument("--anchors", action="append", default=[], metavar="FILE")
    asked = parser.parse_args()
    anchors = {}
    try:
        for path in asked.anchors:
            for seq, hashed, at in read_anchors(path):
                anchors.setdefault(seq, []).append((hashed, at))
        first, seq, head, agree = verify(lines_of(asked.export), anchors)
    except Broken as broken:
        sys.stderr.write(f"The audit log is BROKEN: {printable(broken)}.\n")
        return 1
    except (OSError, UnicodeDecodeError, KeyError, zipfile.BadZipFile, Unchecked) as error:
        sys.stderr.write(f"The audit log could not be checked: {printable(error)}.\n")
        return 2
    count = seq - first
    here = f"{count:,} record{'' if count == 1 else 's'}"
    here += f" after {first:,} that were archived" if first else ""
    sys.stdout.write(
        f"The audit log is intact: {here}, head {head}. Anchors that agree: {agree:,}.\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
