# SPDX-License-Identifier: Apache-2.0
"""Compares an IMAP BODYSTRUCTURE with what Python's email package, an independent MIME library, sees.

compare(structure, message) gives (differences, accepted): the first must be empty; the second names the classes of
difference that are no error, because the message is not well formed there and the standards leave the reading open:

  no-boundary       multipart without a usable boundary, or whose first boundary never comes
  loose-boundary    a line begins with a boundary but goes on otherwise, such as the longer boundary of a part inside:
                    whether that is a delimiter is read both ways
  repeated-field    the same MIME field twice: first or last
  no-close          the last boundary is missing: the size of the last part may differ by its trailing line end
  broken-header     a header block with a line that is no field: where the body begins is open
  broken-type       Content-Type not in RFC 2045 grammar: type and parameters are a guess
  broken-field      the same for Content-Disposition and Content-Transfer-Encoding
  encoded-composite multipart or message/rfc822 with base64 or quoted-printable, which RFC 2045 6.4 forbids
  split-parameter   RFC 2231 continuations: the server may show them joined or as they stand
  foreign-message   message/* other than rfc822: Python parses what IMAP shows as a leaf; its inside is not compared
  empty-multipart   a multipart without parts, which IMAP's grammar cannot say
  deep              below the server's limit of nesting or number of parts it is a leaf

Not compared: size and line count of message/rfc822 (Python keeps no raw copy), the envelope, Content-MD5.
"""
import email
import email.policy
import re

TOKEN = r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+"
VALUE = rf'(?:{TOKEN}|"(?:[^"\\]|\\.)*")'
PARAMETERS = rf"(?:\s*;\s*{TOKEN}\s*=\s*{VALUE})*\s*;?\s*"
TYPE = re.compile(rf"\s*({TOKEN})\s*/\s*({TOKEN})({PARAMETERS})$", re.S)
DISPOSITION = re.compile(rf"\s*({TOKEN})({PARAMETERS})$", re.S)
PARAMETER = re.compile(rf"({TOKEN})\s*=\s*({VALUE})", re.S)
ENCODINGS = ("7bit", "8bit", "binary", "quoted-printable", "base64")
MAX_DEPTH = 50


def text(value):
    """An IMAP string or atom as lower-case-comparable text."""
    if value is None:
        return ""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def plain(value):
    """White space folded, bytes as latin-1, as both sides are compared."""
    value = value.encode("ascii", "surrogateescape").decode("latin-1") if isinstance(value, str) else text(value)
    return re.sub(r"\s+", " ", value).strip()


def unquote(value):
    return re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.S) if value.startswith('"') else value


def field(part, name):
    """The raw value of the first header field of that name, or None."""
    for key, value in part.raw_items():
        if key.lower() == name:
            return str(value)
    return None


def parameters(source):
    return {name.lower(): plain(unquote(value)) for name, value in PARAMETER.findall(source)}


def shown_parameters(values):
    """The parameter list of a BODYSTRUCTURE as a dictionary."""
    values = values or []
    return {text(k).lower(): plain(text(v).encode("latin-1")) for k, v in zip(values[::2], values[1::2])}


def loose(boundary, message):
    """Boundaries that RFC 2046 forbids: empty, used twice, the beginning of another, or of a line that goes on."""
    line = b"(?m)^--" + re.escape(boundary.encode("latin-1")) + rb"(?!(?:--)?[ \t]*\r?$)"
    known = re.findall(rb'boundary="?([^";\s]*)', message, re.I)
    clash = any(a.startswith(b) for i, a in enumerate(known) for j, b in enumerate(known) if i != j)
    return re.search(line, message) is not None or clash


class Comparison:
    def __init__(self, message):
        self.message_bytes = message
        self.wrong, self.accepted = [], set()

    def equal(self, where, what, got, wanted):
        if got != wanted:
            self.wrong.append(f"part {where or 'top'}: {what} is {got!r}, Python says {wanted!r}")

    def part(self, shown, part, where, default, depth=0):
        defects = {type(d).__name__ for d in part.defects}
        if defects & {"MissingHeaderBodySeparatorDefect", "FirstHeaderLineIsContinuationDefect",
                      "MisplacedEnvelopeHeaderDefect"}:
            self.accepted.add("broken-header")
            return
        multipart = bool(shown) and isinstance(shown[0], list)
        if depth >= MAX_DEPTH:
            self.accepted.add("deep")
            return
        names = [key.lower() for key, _ in part.raw_items() if key.lower().startswith("content-")]
        if len(set(names)) != len(names):
            self.accepted.add("repeated-field")
            return
        source = field(part, "content-type")
        strict = TYPE.match(source) if source is not None else None
        if source is not None and not strict:
            self.accepted.add("broken-type")
            return
        kind = f"{strict[1]}/{strict[2]}".lower() if strict else default
        encoding = (field(part, "content-transfer-encoding") or "7bit").strip().lower()
        if kind.startswith(("multipart/", "message/rfc822")) and encoding in ("base64", "quoted-printable"):
            self.accepted.add("encoded-composite")
        elif kind.startswith("multipart/"):
            self.multipart(shown, part, where, strict, defects, depth, multipart)
        elif multipart:
            self.wrong.append(f"part {where or 'top'}: shown as multipart, Python says {kind}")
        else:
            self.leaf(shown, part, where, kind, strict, encoding, depth)

    def multipart(self, shown, part, where, strict, defects, depth, is_multipart):
        children = part.get_payload()
        if defects & {"NoBoundaryInMultipartDefect", "StartBoundaryNotFoundDefect", "MultipartInvariantViolationDefect"} \
                or not isinstance(children, list) or not parameters(strict[3]).get("boundary"):
            self.accepted.add("no-boundary")
            return
        if not children:
            self.accepted.add("empty-multipart")
            return
        if "CloseBoundaryNotFoundDefect" in defects:
            self.accepted.add("no-close")
        if not is_multipart:
            self.wrong.append(f"part {where or 'top'}: shown as {text(shown[0])}, Python says multipart")
            return
        count = next((i for i, x in enumerate(shown) if not isinstance(x, list)), len(shown))
        shown_children = shown[:count]
        self.equal(where, "subtype", text(shown[count]).lower(), strict[2].lower())
        if len(shown) > count + 1:
            self.parameters(where, shown[count + 1], strict[3])
        if len(shown) > count + 2:
            self.disposition(where, shown[count + 2], part)
        if len(shown_children) != len(children) and loose(parameters(strict[3]).get("boundary", ""), self.message_bytes):
            self.accepted.add("loose-boundary")
            return
        if len(shown_children) != len(children):
            self.wrong.append(f"part {where or 'top'}: {len(shown_children)} parts, Python says {len(children)}")
            return
        default = "message/rfc822" if strict[2].lower() == "digest" else "text/plain"
        for i, (one, other) in enumerate(zip(shown_children, children), 1):
            self.part(one, other, f"{where}.{i}".lstrip("."), default, depth + 1)

    def leaf(self, shown, part, where, kind, strict, encoding, depth):
        self.equal(where, "type", f"{text(shown[0])}/{text(shown[1])}".lower(), kind)
        if strict:
            self.parameters(where, shown[2], strict[3], strict[1].lower())
        self.equal(where, "id", plain(text(shown[3]).encode("latin-1")), plain(field(part, "content-id") or ""))
        self.equal(where, "description", plain(text(shown[4]).encode("latin-1")),
                   plain(field(part, "content-description") or ""))
        if encoding in ENCODINGS:
            self.equal(where, "encoding", text(shown[5]).lower(), encoding)
        else:
            self.accepted.add("broken-field")
        if kind == "message/rfc822":
            self.message(shown, part, where, depth)
        elif kind.startswith("message/"):
            self.accepted.add("foreign-message")
        else:
            self.sizes(shown, part, where, kind)
            at = 9 if kind.startswith("text/") else 8
            if len(shown) > at:
                self.disposition(where, shown[at], part)

    def message(self, shown, part, where, depth):
        inner = part.get_payload()
        if not isinstance(inner, list) or len(shown) < 9 or not isinstance(shown[8], list):
            self.wrong.append(f"part {where or 'top'}: a message whose inside is not shown")
            return
        self.part(shown[8], inner[0], f"{where}.m".lstrip("."), "text/plain", depth + 1)

    def sizes(self, shown, part, where, kind):
        # get_payload() would decode 8-bit text; the stored text keeps each byte.
        body = part._payload  # pylint: disable=protected-access
        body = body.encode("ascii", "surrogateescape") if isinstance(body, str) else b""
        size = int(shown[6])
        if size != len(body):
            if "no-close" in self.accepted and abs(size - len(body)) <= 2:
                return
            self.equal(where, "size", size, len(body))
        elif kind.startswith("text/"):
            # Whether a last line without line end counts is not defined.
            lines = body.count(b"\n")
            if int(shown[7]) not in (lines, lines + 1):
                self.equal(where, "lines", int(shown[7]), lines)

    def parameters(self, where, shown, source, kind=""):
        wanted, got = parameters(source), shown_parameters(shown)
        if any("*" in name for name in wanted):
            self.accepted.add("split-parameter")
            bases = {name.split("*")[0] for name in wanted if "*" in name}
            wanted = {k: v for k, v in wanted.items() if k.split("*")[0] not in bases}
            got = {k: v for k, v in got.items() if k.split("*")[0] not in bases}
        # RFC 2045 5.2: a text without charset is us-ascii, and a server may say so. Charset names know no case.
        for parameters_ in (got, wanted):
            if "charset" in parameters_ or kind == "text":
                parameters_["charset"] = parameters_.get("charset", "us-ascii").lower()
        self.equal(where, "parameters", got, wanted)

    def disposition(self, where, shown, part):
        source = field(part, "content-disposition")
        if source is None:
            self.equal(where, "disposition", shown, None)
            return
        strict = DISPOSITION.match(source)
        if not strict:
            self.accepted.add("broken-field")
            return
        self.equal(where, "disposition", text(shown[0]).lower() if shown else None, strict[1].lower())
        if shown:
            self.parameters(where, shown[1], strict[2])


def compare(structure, message):
    """(list of differences, set of accepted classes) of a parsed BODYSTRUCTURE and the message's bytes."""
    parsed = email.message_from_bytes(message, policy=email.policy.compat32)
    comparison = Comparison(message)
    comparison.part(structure, parsed, "", "text/plain")
    return comparison.wrong, comparison.accepted


def differences(structure, message):
    return compare(structure, message)[0]
