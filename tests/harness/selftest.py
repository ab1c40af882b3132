# SPDX-License-Identifier: Apache-2.0
"""The harness tests itself: patterns, the IMAP tokenizer, structures. Run by `./dev test gates/harness`."""
import sys

from . import bodystructure, ledger, transcript, wire


def pattern(text, line, known=None):
    m = transcript.compile_pattern(text, known or {}).fullmatch(line)
    return m and m.groupdict()


def check(value, what):
    if not value:
        raise AssertionError(what)


def patterns():
    check(pattern("a1 OK ...", "a1 OK done") is not None, "rest of line")
    check(pattern("a1 OK ...", "a1 OK") is not None, "rest may be empty")
    check(pattern("a1 OK", "a1 OK done") is None, "whole line")
    check(pattern("* 1 FETCH (UID /[0-9]+/)", "* 1 FETCH (UID 17)") is not None, "expression")
    check(pattern('* LIST (\\X) "/" "A/B"', '* LIST (\\X) "/" "A/B"') is not None, "slashes in quotes")
    check(pattern('("TEXT/x" text/plain)', '("TEXT/x" text/plain)') is not None, "slashes in words")
    check(pattern("[UIDNEXT /(?<n>\\d+)/] x", "[UIDNEXT 12] x") == {"n": "12"}, "capture")
    check(pattern("UID $n", "UID 12", {"n": "12"}) is not None, "known name")
    check(pattern("$Junk", "$Junk") is not None, "unknown name stays")
    check(pattern("{3}\\r\\nabc", "{3}\r\nabc") is not None, "literal")
    check(pattern("a.c", "abc") is None, "a dot is a dot")
    check(pattern("é", "é".encode().decode("latin-1")) is not None, "UTF-8 as bytes")


def statements():
    t = transcript.Transcript.__new__(transcript.Transcript)
    t.steps, t.own, t.args, t.title, t.concurrent = [], False, [], "", False
    for n, line in enumerate((
            "# title", "given account alice password x with mailboxes INBOX, Work", "given message 1 in Work:",
            "| Subject: a", "|", "| b", "alice connects imap from 127.0.0.9 and sees * OK ...", "alice C: a1 NOOP  # why",
            "S within 2s: a1 OK ...", "S!: * BYE ...", "C| raw\\r", "C< corpus/x.eml", "!wait 20ms")):
        t.parse(n, line)
    kinds = [s.kind for s in t.steps]
    check(len(kinds) == 9, kinds)
    check(t.steps[1].block == ["Subject: a", "", "b"], t.steps[1].block)
    check(t.steps[3].text == "a1 NOOP", t.steps[3].text)
    check(t.steps[4].within == "2s" and t.steps[4].head == "S", "within")
    check([s.head for s in t.steps[3:8]] == ["C", "S", "S!", "C|", "C<"], [s.head for s in t.steps[3:8]])
    check(not t.own, "shares a server")
    t.parse(99, "!kill queue at commit")
    check(t.own, "kills need a server")
    for bad in ("!nonsense", "given nothing", "S; x", "| block"):
        try:
            t.parse(100, bad)
        except transcript.Wrong:
            continue
        raise AssertionError(f"accepted: {bad}")


def tokens():
    got = wire.imap_tokens(b'(FLAGS (\\Seen $x) BODY[HEADER.FIELDS (A B)]<0> {3}\r\na)b "q\\"" NIL 12)')
    check(got == [["FLAGS", ["\\Seen", "$x"], "BODY[HEADER.FIELDS (A B)]<0>", b"a)b", b'q"', None, "12"]], got)
    check(wire.dot_stuffed(b".a\r\nb\r\n..c") == b"..a\r\nb\r\n...c\r\n.\r\n", "dots")
    check(wire.crlf(b"a\nb\r\nc\rd") == b"a\r\nb\r\nc\r\nd", "line ends")


def names():
    n = transcript.Names()
    made = {n.unique("bob") for _ in range(300)}
    check(len(made) == 300 and all(len(x) == 3 for x in made), "unique names")


def structures():
    message = (b"From: a@b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhi\r\n--x\r\n"
               b"Content-Type: image/png; name=\"a b\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--x--\r\n")
    right = wire.imap_tokens(
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 2 1 NIL NIL NIL NIL)'
        b'("image" "png" ("name" "a b") NIL NIL "base64" 4 NIL NIL NIL NIL) "mixed" ("boundary" "x") NIL NIL NIL)')[0]
    check(bodystructure.differences(right, message) == [], bodystructure.differences(right, message))
    wrong = wire.imap_tokens(
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 2 1)("image" "gif" NIL NIL NIL "7bit" 5) "mixed")')[0]
    check(bodystructure.differences(wrong, message), "a wrong structure is seen")


def ledgers():
    """What the judge must see, and what it must not."""
    data = ledger.letter("k.1")
    check(ledger.key_of(b"Return-Path: <a@b>\r\n" + data) == ledger.key_of(data), "what is added on the way")
    check(ledger.key_of(data[:-2])[1] != ledger.key_of(data)[1], "a letter that is cut")
    check(ledger.key_of(b"Subject: x\r\n\r\n" + data)[0] is None, "a letter within another message")
    seen, more = frozenset({"\\Seen"}), frozenset({"\\Seen", "x"})

    def told():
        t = ledger.Told()
        check(t.look(7, 4, 20, [(1, "a", 10, seen), (3, "b", 12, seen)]) == [], "a first look")
        return t

    check(told().look(7, 5, 30, [(3, "b", 25, more), (4, "c", 30, seen)]) == [], "an expunge, a change, a new one")
    for what, view in (
            ("another UIDVALIDITY", (8, 4, 20, [])),
            ("UIDNEXT falls", (7, 3, 20, [(1, "a", 10, seen)])),
            ("HIGHESTMODSEQ falls", (7, 4, 19, [(1, "a", 10, seen)])),
            ("a UID is another message", (7, 4, 20, [(1, "z", 10, seen)])),
            ("a UID is given again", (7, 4, 30, [(2, "z", 30, seen)])),
            ("flags change under one MODSEQ", (7, 4, 20, [(1, "a", 10, more)])),
            ("a MODSEQ falls", (7, 4, 20, [(1, "a", 9, seen)])),
            ("UIDs do not rise", (7, 4, 20, [(3, "b", 12, seen), (1, "a", 10, seen)]))):
        check(told().look(*view), what)
    t = told()
    t.look(7, 4, 21, [(3, "b", 12, seen)])
    check(t.look(7, 4, 22, [(1, "a", 22, seen), (3, "b", 12, seen)]), "an expunged message is back")


if __name__ == "__main__":
    for test in (patterns, statements, tokens, names, structures, ledgers):
        test()
    sys.exit(0)
