# SPDX-License-Identifier: Apache-2.0
"""What the checks of port 25 cost, with a DNS whose answers are remembered."""
import os
import sys

from .. import drive, place, side
from .end_to_end import turns

ON, OFF = "barid", "barid, checks off"
SENDER = "sender@load.test"  # the driver says EHLO load.test


def world():
    """A name service on loopback that knows the driver, and two lists that know nobody."""
    sys.path.insert(0, os.path.join(place.ROOT, "tests"))
    from harness.internet import Internet  # needs the path above
    net = Internet(ttl=600)
    net.domain("load.test", mx=[(10, "load.test")], a=["127.0.0.1"])
    net.ptr("127.0.0.1", "load.test")
    for name in ("one.list", "two.list"):
        net.listed(name, "127.99.0.1")
    return net


class Door(side.Barid):
    def __init__(self, name, offset, conf):
        super().__init__(BARID_DEMO_CONF=conf)
        self.environment["OFFSET"] = str(offset)
        self.name = name
        self.dir = os.path.join(place.scratch(), f"door{offset}")


def measure(record, size):
    """Accepted only, 4 KB, 20 connections: every check of the front door on, beside all of them off."""
    with world() as net:
        # The driver's address is one for all: its limits would be those of one client.
        on = net.conf("[frontdoor]\nknown_networks =\ngreet_wait = 1 s\n"
                      "dns_lists = one.list=127.0.0.[2..11]*3, two.list*2\n")
        off = net.conf("[frontdoor]\nhelo_access =\ndns_lists =\ngreet_wait = 0 s\nclient_names = off\n"
                       "reject_unknown_helo = off\nreject_unknown_sender = off\n")
        with Door(OFF, place.OFFSET, off) as b, Door(ON, place.OFFSET + 1200, on) as a:
            n = size.of(20000)
            for s in (a, b):
                drive.accepted(s, 20, 400, 4096, "-f", SENDER)
            turns(record, size, [a, b], "accepted", lambda s: drive.accepted(s, 20, n, 4096, "-f", SENDER))
            turns(record, size, [a, b], "accepted, a connection each",
                  lambda s: drive.accepted(s, 20, n // 2, 4096, "-f", SENDER, "-m", 1))
