# SPDX-License-Identifier: Apache-2.0
"""The table of what barid must reach: each row's figures, what is asked of it, and what the machine would allow."""
from .record import Results

BARID, CLASSIC = "barid", "Postfix + Dovecot"


class Row:
    """One line. asked(barid, peer) tells whether it is reached; limit is what the machine allows barid, or None."""

    def __init__(self, title, barid, peer, unit, asked, wanted, limit=None, limit_text="", less=False):
        self.title, self.barid, self.peer, self.unit = title, barid, peer, unit
        self.wanted, self.limit, self.limit_text = wanted, limit, limit_text
        self.ratio = barid / peer if barid is not None and peer else None
        self.measured = barid is not None and (peer is not None or not asked or not asked.needs_peer)
        self.reached = bool(asked(barid, peer)) if self.measured and asked else None
        # How much of what the machine allows is used; for costs the other way round.
        self.share = None
        if barid and limit:
            self.share = limit / barid if less else barid / limit


def times(factor):
    """At least so many times the peer."""
    def asked(barid, peer):
        return barid >= factor * peer
    asked.needs_peer = True
    return asked


def share(part):
    """At most this part of the peer."""
    def asked(barid, peer):
        return barid <= part * peer
    asked.needs_peer = True
    return asked


def under(bound):
    def asked(barid, _):
        return barid < bound
    asked.needs_peer = False
    return asked


def pair(measure, what, key, peer=CLASSIC):
    r = Results(measure)
    return r.median(what, BARID, key), r.median(what, peer, key)


def null(what, key="rate"):
    return Results("limits").median(f"null server, {what}", "machine", key)


def rate_and_cpu(measure, shape, title, factor, cpu_part):
    """A row for the rate end to end; one for CPU where some is asked."""
    yield Row(title, *pair(measure, "e2e", "rate"), "msg/s", times(factor), f"{factor}x", null(shape), f"null server {shape}")
    if cpu_part:
        yield Row(f"{title}: CPU of all processes", *pair(measure, "e2e", "cpu_s_per_1000"), "s per 1000", share(1 / cpu_part),
                  f"1/{cpu_part}", null(shape, "cpu_s_per_1000"), "null server's CPU", less=True)


def slow_disk():
    yield Row("the same, each sync 5 ms longer", *pair("slow-disk", "e2e", "rate"), "msg/s", times(10), "10x",
              null("4 KB, 20, 5 ms"), "null server, syncs 5 ms longer")
    yield Row("each sync 5 ms longer, 1 connection", *pair("slow-disk", "one", "rate"), "msg/s", None, "", null("4 KB, 1, 5 ms"),
              "null server, syncs 5 ms longer")


def latency():
    for what, where in (("paced at the maximum", "at the peers' maximum rate"), ("paced at a fifth", "at a fifth of it")):
        top = what.endswith("maximum")
        yield Row(f"p99 of acceptance {where}", *pair("latency", what, "p99_ms"), "ms", share(0.5) if top else None, "half" if top else "")
        yield Row(f"250 to visible in IMAP (IDLE), p99, {where}", *pair("latency", what, "visible_p99_ms"), "ms", under(100), "< 100 ms")
        yield Row(f"250 to visible in IMAP (IDLE), median, {where}", *pair("latency", what, "visible_p50_ms"), "ms", None, "")


def relaying():
    title = "accepted durably and delivered onward, 4 KB, 20 in and 20 out"
    yield Row(title, *pair("relay", "relay", "rate", "Postfix"), "msg/s", times(4), "4x")
    yield Row(f"{title}: CPU of all processes", *pair("relay", "relay", "cpu_s_per_1000", "Postfix"), "s per 1000", share(0.25), "1/4",
              less=True)


def searches():
    """Pieces from the middle of words, never the same twice."""
    for measure, n in (("imap-search", "20,000"), ("imap-search-100k", "100,000")):
        r = Results(measure)
        for key in ("body", "text"):
            peer = r.median("search", CLASSIC, f"{key}_ms")
            for who, title, factor, word in ((BARID, "with the index", 1 / 50, "50x"), ("barid, no index", "without", 1, "no slower")):
                yield Row(f"IMAP: SEARCH {key.upper()} over {n}, {title}", r.median("search", who, f"{key}_ms"), peer, "ms", share(factor),
                          word, less=True)
    for key, title in (("sort", "SORT (REVERSE DATE)"), ("subject", "SORT (SUBJECT)"), ("thread", "THREAD REFERENCES")):
        yield Row(f"IMAP: {title} over 20,000", *pair("imap-search", "order", f"{key}_ms"), "ms", share(1 / 3), "3x", less=True)


def mailboxes():
    """IMAP beside Dovecot: times are milliseconds of one command, to its tagged line."""
    yield Row("IMAP: realistic mix, 20 sessions, TLS (Dovecot with maildir)", *pair("imap-mix", "mix", "ops_s"), "ops/s", times(2.5), "2.5x")
    yield Row("IMAP: LOGIN+LOGOUT over TLS, 20 at once", *pair("imap-login", "login", "rate"), "/s", times(2), "2x",
              null("TLS each"), "null server, a TLS connection each")
    yield Row("POP3: login and RETR of 200 x 4 KB, 20 sessions, TLS", *pair("pop3", "fetch", "messages_s"), "messages/s", times(2), "2x")
    yield Row("POP3: login, STAT and UIDL of 200 messages, 20 sessions, TLS", *pair("pop3", "look", "sessions_s"), "sessions/s", times(2), "2x")
    for key, title, factor, word in (("select", "SELECT of 100,000", 1, "no slower"), ("FLAGS", "FETCH 1:* (UID FLAGS) of 100,000", 2, "2x"),
                                     ("ENVELOPE", "FETCH 1:* (ENVELOPE) of 100,000", 3, "3x"),
                                     ("BODYSTRUCTURE", "FETCH 1:* (BODYSTRUCTURE, ...) of 100,000", 3, "3x")):
        for when, which in (("warm", "warm"), ("first", "first after start")):
            yield Row(f"IMAP: {title}, {which}", *pair("imap-big", "big", f"{key}_{when}_ms"), "ms", share(1 / factor), word, less=True)
    for key, title, factor, word in (("bodies_warm", "FETCH of 2,000 bodies of 4 KB, warm", 1.5, "1.5x"),
                                     ("bodies_first", "FETCH of 2,000 bodies of 4 KB, first after start", 1.5, "1.5x"),
                                     ("store", "STORE of 10,000 flags (Dovecot does not sync it)", 1 / 3, "at most 3x its time"),
                                     ("copy", "COPY of 10,000", 1, "no slower"), ("move", "MOVE of 10,000", 1, "no slower"),
                                     ("expunge", "EXPUNGE of 10,000", 1, "no slower")):
        yield Row(f"IMAP: {title}", *pair("imap-mid", "mid", f"{key}_ms"), "ms", share(1 / factor), word, less=True)
    yield from searches()
    for conns, factor in ((1, 1.5), (20, 3)):
        yield Row(f"IMAP: APPEND of 4 KB, durable, {conns} session{'s' if conns > 1 else ''}", *pair("imap-append", f"append, {conns}", "rate"),
                  "/s", times(factor), f"{factor}x")


def memory():
    barid, dovecot = pair("idle-client", "idle client", "kib")
    yield Row("memory per idle TLS IMAP client, 1,000 messages", barid, dovecot, "KiB", under(24), "< 24 KiB")
    yield Row("the same beside hibernated Dovecot", barid, Results("idle-client").median("idle client", "hibernated", "kib"), "KiB", None, "")
    r = Results("sessions")
    for count in (1, 50):
        yield Row(f"memory of {count} session{'s' if count > 1 else ''} on a mailbox of 100,000, a minute in IDLE, beyond the same in no mailbox",
                  r.median(f"sessions, {count}", BARID, "kib"), None, "KiB", under(1024), "< 1 MiB")
    r = Results("idle-all")
    barid = r.median("idle", BARID, "mib")
    yield Row("idle memory of everything", barid, r.median("idle", CLASSIC, "mib"), "MiB", under(40), "< 40 MiB")
    yield Row("the same beside classic with Amavisd, policy, MariaDB, LDAP, memcached", barid,
              r.median("idle", "everything classic", "mib"), "MiB", None, "")


def services():
    for what, title in (("srs, there", "senders rewritten (port 7778), 8 connections"), ("srs, back", "and led back (port 7779)")):
        yield Row(title, *pair("srs", what, "rate", "postsrsd"), "/s", times(1), "as fast as postsrsd")
    yield Row("quota status (port 12340), 20 connections", *pair("quota", "quota", "rate", "Dovecot"), "/s", times(20), "20x")


def all_rows():
    """Every row, in the order of the page."""
    yield from rate_and_cpu("e2e-4k", "4 KB, 20", "end to end, 4 KB, 20 connections", 5, 8)
    yield from slow_disk()
    yield from latency()
    yield from rate_and_cpu("e2e-one", "4 KB, 1", "end to end, 4 KB, 1 connection", 3, 0)
    yield from rate_and_cpu("e2e-50k", "50 KB, 20", "end to end, 50 KB, 20 connections", 5, 0)
    yield from rate_and_cpu("e2e-1m", "1 MB, 20", "end to end, 1 MB, 20 connections", 3, 0)
    yield Row("accepted only, 20 connections, new TLS connection each", *pair("tls", "accepted, TLS each", "rate"), "msg/s", times(3),
              "3x", null("TLS each"), "null server, TLS each")
    for what, title in (("accepted", "accepted only, 20 connections, every check of the front door on, beside off"),
                        ("accepted, a connection each", "the same, a connection for each message")):
        yield Row(title, *pair("frontdoor", what, "rate", "barid, checks off"), "msg/s", times(0.85), "> 0.85x")
    yield from relaying()
    yield from mailboxes()
    yield from memory()
    yield from services()
    yield Row("compiling a Sieve script of 500 rules", *pair("sieve-compile", "compile", "ms"), "ms", under(5), "< 5 ms", less=True)
    yield Row("start until all ports answer", *pair("start", "start", "seconds"), "s", under(0.5), "< 0.5 s")
    for measure, peer in (("rspamd", "Postfix + rspamd + Dovecot"), ("amavis", "Postfix + Amavisd + Dovecot")):
        yield Row(f"end to end, 4 KB, 20 connections, beside {peer}", *pair(measure, "e2e", "rate", peer), "msg/s", None, "")
        yield Row(f"beside {peer}: CPU of all processes", *pair(measure, "e2e", "cpu_s_per_1000", peer), "s per 1000", None, "")
    yield from outgoing()
    for title, growth in grown():
        yield Row(title, growth, None, "x", under(1.5), "< 1.5x")


def outgoing():
    r = Results("burst")
    n = r.text("burst", BARID, "delivered") if r.rows else ""
    yield Row(f"burst to 1,000 domains, a third of them away, until {n or 'the others'} are delivered", *pair("burst", "burst", "seconds"), "s",
              share(1 / 3), "1/3", less=True)
    yield Row("the same: peak memory of the queue's process", *pair("burst", "burst", "queue_mib"), "MiB", under(100), "< 100 MiB")
    r = Results("million")
    n = f"{r.text('deferred', 'barid, full', 'messages'):,}" if r.rows else "1,000,000"
    full, empty = (r.median("deferred", f"barid, {which}", "rate") for which in ("full", "empty"))
    yield Row(f"accepting beside an empty queue, over beside {n} deferred messages", empty / full if full and empty else None, None, "x",
              under(1.25), "< 1.25x")
    yield Row(f"{n} deferred messages: start", r.median("deferred", "barid, full", "start_s"), None, "s", under(2), "< 2 s")
    yield Row(f"{n} deferred messages: first page of the list", r.median("deferred", "barid, full", "page_ms"), None, "ms", under(100),
              "< 100 ms")
    yield Row(f"{n} deferred messages: memory of the queue's process", r.median("deferred", "barid, full", "queue_mib"), None, "MiB",
              under(100), "< 100 MiB")


def grown():
    """(title, factor) of each row of growth: the cost among many over the cost among few."""
    r = Results("growing")
    for what in dict.fromkeys(row["what"] for row in r.rows):
        few, many = (r.median(what, f"barid, {which}", "cost") for which in ("small", "large"))
        size = r.rows and next((f"{k} {r.text(what, 'barid, small', k):,} to {r.text(what, 'barid, large', k):,}"
                                for k in ("accounts", "messages") if r.text(what, "barid, large", k)), "")
        yield f"growth of {what} ({size})", many / few if few and many else None
