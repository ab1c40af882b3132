# SPDX-License-Identifier: Apache-2.0
"""Acceptance alone, with a new TLS connection for each message."""
from .. import drive, side
from .end_to_end import turns


def measure(record, size):
    """Accepted only, 4 KB, 20 connections, a new STARTTLS connection for each message."""
    with side.Classic(TRANSPORT="discard:") as c, side.Barid() as b:
        n = {c.name: size.of(1200), b.name: size.of(3600)}
        for s in (c, b):
            drive.accepted(s, 20, 200, 4096)
        turns(record, size, [c, b], "accepted, TLS each", lambda s: drive.accepted(s, 20, n[s.name], 4096, "-S", "-m", 1))
        turns(record, size, [c, b], "accepted, plain", lambda s: drive.accepted(s, 20, 3 * n[s.name], 4096))
