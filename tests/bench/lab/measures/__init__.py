# SPDX-License-Identifier: Apache-2.0
"""The measures, in the order in which they run. Each is a function of a record and a size of the run."""
from . import (classic_filters, durability, end_to_end, frontdoor, growth, latency, limits, mailbox, memory, outgoing,
               relaying, searching, slow_disk, starting, tls)

ALL = {
    "limits": limits.measure,
    "durability": durability.measure,
    "e2e-4k": end_to_end.small,
    "e2e-one": end_to_end.one,
    "e2e-50k": end_to_end.medium,
    "e2e-1m": end_to_end.large,
    "slow-disk": slow_disk.measure,
    "relay": relaying.measure,
    "latency": latency.measure,
    "tls": tls.measure,
    "rspamd": classic_filters.rspamd,
    "amavis": classic_filters.amavis,
    "frontdoor": frontdoor.measure,
    "imap-mix": mailbox.mix,
    "imap-login": mailbox.login,
    "imap-big": mailbox.big,
    "imap-mid": mailbox.mid,
    "imap-append": mailbox.append,
    "imap-search": searching.measure,
    "imap-search-100k": searching.many,
    "idle-client": memory.client,
    "sessions": memory.sessions,
    "idle-all": memory.everything,
    "start": starting.measure,
    "growing": growth.measure,
    "burst": outgoing.burst,
    "million": outgoing.million,
}
