# SPDX-License-Identifier: Apache-2.0
"""Mail in by SMTP until all of it is visible by IMAP. Both servers are up, and take turns."""
from .. import drive, side


def turns(record, size, sides, what, run):
    """Rounds in which each side has its turn, the first one changing."""
    for i in range(size.rounds):
        for s in sides if i % 2 == 0 else list(reversed(sides)):
            record.add(what, s.name, run(s), round=i + 1)


def compare(record, size, what, conns, bytes_, counts):
    """counts: messages a round for each side; a faster side gets more, that its round lasts as long."""
    with side.Classic() as c, side.Barid() as b:
        n = {c.name: size.of(counts["classic"]), b.name: size.of(counts["barid"])}
        for s in (c, b):
            drive.end_to_end(s, conns, max(drive.USERS, n[s.name] // 10), min(bytes_, 4096))  # mailboxes are made
        turns(record, size, [c, b], what, lambda s: drive.end_to_end(s, conns, n[s.name], bytes_))


def small(record, size):
    """End to end, 4 KB, 20 connections."""
    compare(record, size, "e2e", 20, 4096, {"classic": 2500, "barid": 15000})


def one(record, size):
    """End to end, 4 KB, 1 connection."""
    compare(record, size, "e2e", 1, 4096, {"classic": 1000, "barid": 4000})


def medium(record, size):
    """End to end, 50 KB, 20 connections."""
    compare(record, size, "e2e", 20, 51200, {"classic": 1200, "barid": 6000})


def large(record, size):
    """End to end, 1 MB, 20 connections."""
    compare(record, size, "e2e", 20, 1 << 20, {"classic": 200, "barid": 600})
