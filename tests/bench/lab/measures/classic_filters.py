# SPDX-License-Identifier: Apache-2.0
"""The classic pair with a content filter, as barid always has one."""
from .. import drive, side
from .end_to_end import turns


def compare(record, size, c, n):
    with c, side.Barid() as b:
        counts = {c.name: size.of(n), b.name: size.of(15000)}
        for s in (c, b):
            drive.end_to_end(s, 20, min(100, counts[s.name]), 4096)
        turns(record, size, [c, b], "e2e", lambda s: drive.end_to_end(s, 20, counts[s.name], 4096))


def rspamd(record, size):
    """End to end, 4 KB, 20 connections: Postfix with rspamd as milter, and Dovecot."""
    with side.Side("rspamd", "rspamd") as filter_:
        compare(record, size, side.Classic("Postfix + rspamd + Dovecot", MILTER="127.0.0.1:21332", beside=[filter_]), 1500)


def amavis(record, size):
    """End to end, 4 KB, 20 connections: Postfix with Amavisd and SpamAssassin, and Dovecot."""
    with side.Side("Amavisd", "amavis", FORWARD=2526) as filter_:
        compare(record, size, side.Classic("Postfix + Amavisd + Dovecot", CONTENT_FILTER="127.0.0.1:21024", beside=[filter_]), 120)
