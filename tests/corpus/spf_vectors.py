#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The published tests of SPF (rfc7208-tests.yml) against barid's evaluator.

    spf_vectors.py SPF-RUN [FILE] [-v]

FILE: ../shared/vectors/spf/rfc7208-tests.yml beside the repository, or that of the Debian package python3-spf. Where a test allows
several results, each is fine. Exit status 77 when there is no such file, or nothing that reads YAML.
"""
import argparse
import gzip
import os
import subprocess
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
PLACES = [os.path.join(ROOT, "..", "shared", "vectors", "spf", "rfc7208-tests.yml"),
          "/usr/share/doc/python3-spf/rfc7208-tests.yml.gz"]


HOSTS = "codec/dns takes no host of an MX whose name has octets that names of hosts do not have"
ACCEPTED = {"mx-colon-domain": HOSTS, "mx-colon-domain-ip4mapped": HOSTS}


def scenarios(path):
    import yaml
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="latin-1" if path.endswith(".gz") else None) as f:
        return [s for s in yaml.safe_load_all(f) if s]


def escaped(text):
    return "".join(c if " " <= c <= "~" and c != "\\" else f"\\x{b:02x}" for b in text.encode("latin-1") for c in [chr(b)])


def zone(data):
    """Lines of a zone. An SPF record (type 99) counts as TXT unless the name has a TXT of its own: the suite's convention."""
    for name, records in data.items():
        pairs = [("TIMEOUT", "") if r == "TIMEOUT" else next(iter(r.items())) for r in records]
        has_txt = any(kind == "TXT" for kind, _ in pairs)
        for kind, value in pairs:
            if kind == "SPF":
                if has_txt:
                    continue
                kind = "TXT"
            if value == "NONE" and kind == "TXT":
                kind, value = "NOTHING", ""
            if value == "TIMEOUT":
                kind, value = "TIMEOUT", ""
            if kind == "MX":
                value = f"{value[0]} {value[1]}"
            elif kind == "TXT":
                value = escaped("".join(value) if isinstance(value, list) else value)
            yield f"ZONE {name.lower()}\t{kind}\t{str(value).rstrip('.') if kind in ('PTR', 'CNAME', 'MX') else value}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("file", nargs="?")
    parser.add_argument("-v", action="store_true")
    args = parser.parse_args()
    path = args.file or next((p for p in PLACES if os.path.exists(p)), None)
    try:
        import yaml  # noqa: F401
    except ImportError:
        path = None
    if not path:
        print("no vectors here: skipped")
        return 77
    lines, wanted = [], []
    for scenario in scenarios(path):
        lines += zone(scenario["zonedata"])
        for name, test in scenario["tests"].items():
            lines.append(f"ASK\t{test['host']}\t{test['helo']}\t{test['mailfrom'] or ''}")
            wanted.append((scenario["description"], name, test))
        lines.append("END")
    done = subprocess.run([args.run], input="\n".join(lines) + "\n", capture_output=True, encoding="latin-1", timeout=100, check=True)
    answers = done.stdout.split("\n")[:-1]
    assert len(answers) == len(wanted), (len(answers), len(wanted), done.stderr)
    bad = 0
    for (scenario, name, test), line in zip(wanted, answers):
        result, _, explanation, problem = line.split("\t")
        allowed = test["result"] if isinstance(test["result"], list) else [test["result"]]
        said = test.get("explanation")
        fine = result in allowed and (said is None or (said == "DEFAULT" and not explanation) or said == explanation)
        if not fine and name in ACCEPTED:
            print(f"accepted {name}: {ACCEPTED[name]}")
            continue
        if not fine or args.v:
            print(f"{'ok ' if fine else 'BAD'} {scenario}: {name}: {line!r}, wanted {allowed} {said or ''}")
        bad += not fine
    print(f"{len(wanted)} tests, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
