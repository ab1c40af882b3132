# SPDX-License-Identifier: Apache-2.0
"""text_marks - find the texts for people in the C sources, and read and write gettext's .po files.

Shared by text-catalogue, text-compile and check-text; what they have to agree on stands here: which functions take
texts for people, and how a C source is cut into tokens.
"""
import os
import re

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
POT, LANGUAGES = "po/barid.pot", "po"

# Functions whose argument (counted from 0) is a text for people, as it stands. Each hands it to text_of() or puts it into
# a protocol reply. A pair of numbers is the two forms of a plural.
WRITERS = {
    # base/text.h
    "T": 0, "TX": 0, "T_MARK": 0, "TN": (0, 1),
    # the text that a failure shows to the client
    "fail_set": 2,
    # configuration
    "complain": 2, "conf_complain": 2, "why_not": 1,
    # answers of the protocols: English always, but in the catalogue
    "smtp_sayf": 3, "smtp_hang_up": 2, "reply_ok": 2, "reply_no": 2, "reply_bad": 1, "reply_bye": 2,
    "policy_reject": 1, "policy_defer": 1,
    # orders of the command line, answered by roles
    "refuse": 2, "say": 1, "reply_fail": 2, "order_message": 1,
    # the command line itself
    "cannot": 0, "decide": 3, "doctor_say": 3, "doctor_mend": 1, "tool_refuse": 2,
}
# Initialisers of these structs: which field (from 0) is a text for people.
STRUCTS = {"smtp_status": 2, "conf_setting": 9}

TOKEN = re.compile(r"""
    (?P<comment>/\*.*?\*/|//[^\n]*)
  | (?P<include>^[ \t]*\#[ \t]*include[^\n]*)
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<char>'(?:\\.|[^'\\\n])+')
  | (?P<word>[A-Za-z_]\w*)
  | (?P<number>\.?[0-9](?:[0-9A-Za-z_.]|[eE][+-])*)
  | (?P<space>\s+|\\\n)
  | (?P<mark>.)
""", re.X | re.S | re.M)


class Token:
    """kind: string word number char mark; text as in the source; comment: what a TRANSLATORS: comment before it says."""

    def __init__(self, kind, text, line):
        self.kind, self.text, self.line, self.comment = kind, text, line, ""


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


def tokens(source):
    out, line, note = [], 1, ""
    for m in TOKEN.finditer(source):
        kind, text = m.lastgroup, m.group()
        if kind == "comment":
            said = re.search(r"TRANSLATORS:\s*(.*?)\s*(?:\*/|$)", text, re.S)
            if said:
                note = re.sub(r"\s*\n[ \t*]*", " ", said.group(1))
        elif kind not in ("space", "include"):
            out.append(Token(kind, text, line))
            out[-1].comment = note
            if text in (";", "{"):
                note = ""
        line += text.count("\n")
    return out


def unescape(literal):
    """The value of a C string literal without its quotes."""
    simple = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'", "a": "\a", "v": "\v", "f": "\f", "b": "\b", "?": "?"}
    raw = bytearray()
    for m in re.finditer(r"\\x([0-9a-fA-F]+)|\\([0-7]{1,3})|\\(.)|([^\\]+)", literal, re.S):
        if m.group(1):
            raw.append(int(m.group(1), 16) & 255)
        elif m.group(2):
            raw.append(int(m.group(2), 8) & 255)
        elif m.group(3):
            raw += simple.get(m.group(3), m.group(3)).encode()
        else:
            raw += m.group(4).encode()
    return raw.decode("utf-8", errors="replace")


OPEN, CLOSE = "([{", ")]}"


def arguments(toks, at):
    """The parts between the bracket at toks[at] and its partner, cut at commas: lists of (begin, end). And the end."""
    depth, begin, parts = 0, at + 1, []
    for i in range(at, len(toks)):
        t = toks[i]
        if t.kind != "mark":
            continue
        if t.text in OPEN:
            depth += 1
        elif t.text in CLOSE:
            depth -= 1
            if depth == 0:
                if i > begin or parts:
                    parts.append((begin, i))
                return parts, i
        elif t.text == "," and depth == 1:
            parts.append((begin, i))
            begin = i + 1
    return parts, len(toks) - 1


class Problem(Exception):
    pass


CONSTANTS = {}


def literal(toks):
    """The text of tokens that are one literal (pieces beside each other, constants of ours between); else None."""
    if not any(t.kind == "string" for t in toks):
        return None
    out = ""
    for t in toks:
        if t.kind == "string":
            out += unescape(t.text[1:-1])
        elif t.kind == "word" and t.text in CONSTANTS:
            out += CONSTANTS[t.text]
        else:
            return None
    return out


def choices(toks):
    """What an argument can be: [text ...] of a literal or of c ? "a" : "b"; [] when no literal is in it."""
    while len(toks) > 2 and toks[0].text == "(" and toks[-1].text == ")":
        toks = toks[1:-1]
    if not any(t.kind == "string" for t in toks):
        return []
    one = literal(toks)
    if one is not None:
        return [one]
    if toks and toks[0].kind == "word" and toks[0].text in ("T", "TX", "T_MARK", "TN", "STR", "text_of"):
        return []  # found by itself
    depth, question = 0, None
    for i, t in enumerate(toks):
        if t.kind == "mark" and t.text in OPEN:
            depth += 1
        elif t.kind == "mark" and t.text in CLOSE:
            depth -= 1
        elif t.text == "?" and depth == 0 and question is None:
            question = i
    if question is None:
        raise Problem("is no whole literal")
    depth, nested = 0, 0
    for i in range(question + 1, len(toks)):
        t = toks[i]
        if t.kind != "mark":
            continue
        if t.text in OPEN:
            depth += 1
        elif t.text in CLOSE:
            depth -= 1
        elif t.text == "?" and depth == 0:
            nested += 1
        elif t.text == ":" and depth == 0:
            if nested == 0:
                return choices(toks[question + 1:i]) + choices(toks[i + 1:])
            nested -= 1
    raise Problem("is no whole literal")


class Text:
    """One text of the catalogue."""

    def __init__(self, msgid, plural=None):
        self.msgid, self.plural = msgid, plural
        self.files, self.notes = set(), set()


class Source:
    """The texts of one C file, and what is wrong with them."""

    def __init__(self, name, catalogue, problems):
        self.name, self.catalogue, self.problems = name, catalogue, problems
        self.toks = tokens(read(name))
        self.forced = False  # T_MARK: also what is nothing but conversions, for their order
        self.marked = set()  # indexes of tokens within a text for people
        self.scan()

    def add(self, begin, end, plural=None):
        toks = self.toks[begin:end]
        self.marked.update(range(begin, end))
        try:
            found = choices(toks)
            if plural:
                self.marked.update(range(*plural))
                second = choices(self.toks[plural[0]:plural[1]])
                if len(found) != 1 or len(second) != 1:
                    raise Problem("are no whole literals")
            for msgid in found:
                self.put(msgid, second[0] if plural else None, toks[0])
        except Problem as p:
            line = toks[0].line if toks else 0
            self.problems.append(f"{self.name}:{line}: a text for people {p}: write the whole sentence in one literal")

    def put(self, msgid, plural, first):
        if not self.forced and not re.search(r"[^\W\d_]{2}", re.sub(r"%[-+ #0-9.*]*[a-z]+", "", msgid)):
            return  # nothing to translate in "%s: %s\n"
        one = self.catalogue.setdefault(msgid, Text(msgid, plural))
        if plural and one.plural and one.plural != plural:
            self.problems.append(f"{self.name}:{first.line}: another plural of \"{msgid}\" exists")
        one.plural = one.plural or plural
        one.files.add(self.name)
        if first.comment:
            one.notes.add(first.comment)

    def call(self, i, where):
        parts, _ = arguments(self.toks, i + 1)
        if isinstance(where, tuple):
            if len(parts) > where[1]:
                self.add(*parts[where[0]], plural=parts[where[1]])
        elif len(parts) > where:
            begin, end = parts[where]
            names_only = all(t.kind != "string" for t in self.toks[begin:end])
            if not names_only:
                self.add(begin, end)

    def rows(self, i, field):
        """An initialiser at the brace toks[i]: of one struct, or of an array of them."""
        parts, end = arguments(self.toks, i)
        values = []
        for begin, stop in parts:
            k = begin
            while k < stop and self.toks[k].text in "[.":  # [INDEX] = or .field =
                while k < stop and self.toks[k].text != "=":
                    k += 1
                k += 1
            values.append((k, stop))
        for begin, stop in values:
            if begin < stop and self.toks[begin].text == "{":
                self.rows(begin, field)
        if len(values) > field and all(self.toks[b].text != "{" for b, e in values if b < e):
            begin, stop = values[field]
            if begin < stop and any(t.kind == "string" for t in self.toks[begin:stop]):
                self.add(begin, stop)
        return end

    def scan(self):
        toks = self.toks
        for i, t in enumerate(toks[:-1]):
            if t.kind != "word":
                continue
            defined = i > 0 and toks[i - 1].text in ("define",)
            self.forced = t.text == "T_MARK"
            if t.text in WRITERS and toks[i + 1].text == "(" and not defined:
                self.call(i, WRITERS[t.text])
            elif t.text in STRUCTS and i > 0 and toks[i - 1].text == "struct":
                self.initialiser(i, STRUCTS[t.text])

    def initialiser(self, i, field):
        """struct x name[] = {...}, or (struct x){...}."""
        k = i + 1
        while k < len(self.toks) and self.toks[k].text not in ("{", ";", "(", ",") and k < i + 9:
            k += 1
        if k < len(self.toks) and self.toks[k].text == "{":
            before = self.toks[k - 1].text
            if before in ("=", ")"):
                self.rows(k, field)


def sources():
    """C files that may hold texts, sorted."""
    found = []
    for folder, folders, files in os.walk(os.path.join(ROOT, "src")):
        folders.sort()
        for f in sorted(files):
            if f.endswith((".c", ".h")) and not f.endswith(("_test.c", "_fuzz.c", "_test.h", "_fake.h", "_run.h")):
                found.append(os.path.relpath(os.path.join(folder, f), ROOT))
    return sorted(n for n in found if n != "src/base/text.h")


def read_constants(names):
    """#define NAME "text": may stand within a literal."""
    for n in names:
        for m in re.finditer(r'^#define[ \t]+([A-Z][A-Z0-9_]*)[ \t]+"((?:\\.|[^"\\\n])*)"[ \t]*(?:/\*.*\*/)?$', read(n), re.M):
            CONSTANTS[m.group(1)] = unescape(m.group(2))


def collect():
    """({msgid: Text}, [problem], [Source])."""
    catalogue, problems, all_sources = {}, [], []
    names = sources()
    read_constants(names)
    for n in names:
        all_sources.append(Source(n, catalogue, problems))
    return catalogue, problems, all_sources


def conversions(text):
    """The conversions of a printf format, and the {fields} of a sentence, in the order that their arguments have."""
    plain = text.replace("%%", "")
    printf = re.findall(r"%(\d+\$)?[-+ #0]*(\*|\d+)?(?:\.(\*|\d+))?((?:hh|h|ll|l|z|j|t)?[diouxXcsfgep])", plain)
    numbered = [p for p in printf if p[0]]
    # Width and precision may differ, unless they take an argument.
    kinds = [((p[1] == "*") * "*" + (p[2] == "*") * ".*" + p[3]) for p in printf]
    if numbered:
        order = sorted(zip((int(p[0][:-1]) for p in printf if p[0]), kinds))
        kinds = [k for _, k in order]
    return kinds


def fields(text):
    return sorted(re.findall(r"\{[a-z][\w:-]*\}", text))


def is_format(text):
    return bool(conversions(text))


# --- .po files -----------------------------------------------------------------------------------


def quote(text):
    esc = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\", "\a": "\\a"}
    return '"' + "".join(esc.get(c, c) for c in text) + '"'


def po_string(word, text):
    """A keyword with its text; several lines where the text has them."""
    pieces = re.findall(r"[^\n]*\n|[^\n]+", text)
    if len(pieces) <= 1:
        return f"{word} {quote(text)}"
    return "\n".join([f'{word} ""'] + [quote(p) for p in pieces])


class Entry:
    """One message of a .po file; `texts` has one form, or those of a plural."""

    def __init__(self):
        self.msgid, self.plural, self.texts, self.flags, self.comments, self.line = None, None, [], set(), [], 0


def parse_po(name):
    """[Entry]; the first is the header (msgid "")."""
    entries, now, field = [], Entry(), None

    def put(piece):
        if field == "msgid":
            now.msgid += piece
        elif field == "msgid_plural":
            now.plural += piece
        else:
            now.texts[-1] += piece

    for number, line in enumerate(read(name).split("\n") + [""], 1):
        line = line.strip()
        if not line or (line.startswith("#") and field is not None):
            if now.msgid is not None:
                entries.append(now)
                now, field = Entry(), None
            if not line:
                continue
        if line.startswith("#~"):
            continue
        if line.startswith("#"):
            if line.startswith("#,"):
                now.flags.update(x.strip() for x in line[2:].split(","))
            now.comments.append(line)
            continue
        m = re.fullmatch(r'(msgid_plural|msgid|msgstr(?:\[\d+\])?)?\s*"(.*)"', line)
        if not m:
            raise Problem(f"{name}:{number}: not understood: {line}")
        if m.group(1):
            field = m.group(1)
            if field == "msgid":
                if now.msgid is not None:
                    entries.append(now)
                    now = Entry()
                now.msgid, now.line = "", number
            elif field == "msgid_plural":
                now.plural = ""
            else:
                now.texts.append("")
        put(unescape(m.group(2)))
    return entries


def languages():
    return sorted(f[:-3] for f in os.listdir(os.path.join(ROOT, LANGUAGES)) if f.endswith(".po"))


def header(entries):
    """{field: value} of the first entry."""
    first = entries[0].texts[0] if entries and entries[0].msgid == "" else ""
    return dict(line.split(": ", 1) for line in first.split("\n") if ": " in line)


def plural_rule(entries):
    """(number of forms, C expression in n)."""
    said = header(entries).get("Plural-Forms", "nplurals=2; plural=(n != 1);")
    m = re.fullmatch(r"\s*nplurals\s*=\s*(\d)\s*;\s*plural\s*=\s*([n0-9()<>=!&|?: %+*-]+?)\s*;?\s*", said)
    if not m or not 1 <= int(m.group(1)) <= 6:
        raise Problem(f"Plural-Forms not understood: {said}")
    return int(m.group(1)), m.group(2)
