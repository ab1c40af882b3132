#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py [--quick] [--rounds N] [MEASURE...] | list | report - what `./dev bench` runs.

Without a name all measures, in 20 to 30 minutes; with --quick a tenth of each, for a first look. `list` tells the
measures; `report` writes the page from the results at hand. Raw results stay in build/bench, the table goes to
standard output and, between its two marks, to docs/BENCHMARKS.md.
"""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab import measures, place, report  # noqa: E402  (needs the path above)
from lab.record import Record  # noqa: E402


class Size:
    """How long a run is."""

    def __init__(self, quick, rounds):
        self.quick = quick
        self.rounds = rounds or (1 if quick else 3)

    def of(self, n):
        """Messages of a full run, or of a quick one."""
        return n if not self.quick else max(100, n // 5)

    def seconds(self, s):
        return s if not self.quick else max(1, s // 4)


def options(arguments):
    """(size, names) of the command line."""
    quick, rounds, names = False, 0, []
    rest = iter(arguments)
    for a in rest:
        if a == "--quick":
            quick = True
        elif a == "--rounds":
            rounds = int(next(rest, "0"))
            if rounds < 1:
                raise place.Failure("bench: --rounds needs a number")
        elif a in measures.ALL or a in ("list", "report"):
            names.append(a)
        else:
            raise place.Failure(f"bench: no measure {a}; ./dev bench list tells them")
    return Size(quick, rounds), names


def stop(number, unused):
    """A signal becomes an exception, so that every server is taken down on the way out."""
    raise KeyboardInterrupt(number)


def run(size, names):
    """Run the measures; one that fails does not take the others with it."""
    failed = []
    for name in names:
        what = (measures.ALL[name].__doc__ or name).splitlines()[0]
        place.say(f"== {name}: {what}")
        record = Record(name, size.quick)
        try:
            measures.ALL[name](record, size)
            record.keep()
        except place.Failure as e:
            place.say(f"{name} failed: {e}")
            failed.append(name)
    return failed


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # also where the shell started us with them ignored
        signal.signal(number, stop)
    size, names = options(sys.argv[1:])
    if names == ["list"]:
        for name, f in measures.ALL.items():
            print(f"{name:16} {(f.__doc__ or '').splitlines()[0]}")
        return 0
    failed = []
    if names != ["report"]:
        place.require()
        failed = run(size, names or list(measures.ALL))
    print(report.write())
    if failed:
        print(f"bench: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except place.Failure as e:
        print(e, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("bench: interrupted; everything it started has been stopped", file=sys.stderr)
        sys.exit(130)
