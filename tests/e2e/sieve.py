# SPDX-License-Identifier: Apache-2.0
"""Sieve: our own cases, and the same scripts by Dovecot's sieve-test where it is installed."""
import json
import os
import re
import shlex
import subprocess

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "sieve", "cases")
SECTIONS = ("script", "message", "options", "expect")


def tool(t, *args):
    """Run barid-sieve; its exit code, output and errors."""
    done = subprocess.run([os.path.join(t.build, "libexec", "barid-sieve"), *args], text=True, timeout=60, check=False,
                          capture_output=True)
    return done.returncode, done.stdout, done.stderr


def cases():
    """(file, title, script, message, options, expected text) of each case."""
    for name in sorted(os.listdir(FOLDER)):
        message = ""
        with open(os.path.join(FOLDER, name), encoding="utf-8") as f:
            text = f.read()
        for block in re.split(r"\n(?=# [^\n]*\nscript:\n)", text)[1:]:
            title, _, rest = block.partition("\n")
            parts = dict.fromkeys(SECTIONS, None)
            for m in re.finditer(r"^(script|message|options|expect):([^\n]*\n)(.*?)(?=^(?:script|message|options|expect):|\Z)", rest,
                                 re.S | re.M):
                parts[m.group(1)] = m.group(2).strip() if m.group(1) == "options" else m.group(3)
            message = parts["message"] or message
            yield name, title[2:], parts["script"], message, parts["options"] or "", parts["expect"].strip()


def written(folder, script, message):
    paths = os.path.join(folder, "script.sieve"), os.path.join(folder, "message.eml")
    for path, text in zip(paths, (script, message.replace("\n", "\r\n"))):
        with open(path, "w", encoding="utf-8", newline="") as f:
            f.write(text)
    return paths


def option_list(text):
    """`--from  --to x` has an empty value."""
    words = []
    for m in re.finditer(r"(--\w+) (\"[^\"]*\"|\S*)", text):
        words += [m.group(1), shlex.split(m.group(2))[0] if m.group(2) else ""]
    return words


def case_cases(t):
    """Script and message give the actions that the case says."""
    folder, wrong, n = t.scratch(), [], 0
    for name, title, script, message, options, expected in cases():
        paths = written(folder, script, message)
        _, out, _ = tool(t, "test", *paths, "--quiet", *option_list(options))
        n += 1
        if out.strip() != expected:
            wrong.append(f"{name}: {title}\n--- is\n{out}--- expected\n{expected}")
    assert not wrong, "\n".join(wrong)
    assert n > 30, n


def case_notes(t):
    """Errors have line and column, for people and for programs; the trace says why."""
    folder = t.scratch()
    script, message = written(folder, "keep;\nfileinto \"a\";\nif true { nix; }\n", "Subject: x\n\nx\n")
    code, _, out = tool(t, "check", script)
    assert code == 1, out
    assert f"{script}:2:1: error: " in out and 'require "fileinto";' in out and f"{script}:3:11: error: " in out, out
    _, out, _ = tool(t, "check", "--json", script)
    notes = json.loads(out)
    assert [(n["line"], n["column"], n["severity"]) for n in notes] == [(2, 1, "error"), (3, 11, "error")], out
    script, message = written(folder, "if header :contains \"subject\" \"x\" {\n discard;\n}\n", "Subject: axb\n\nx\n")
    _, out, _ = tool(t, "test", "--json", script, message)
    told = json.loads(out)
    assert told["actions"] == ["discard"] and not told["implicit_keep"], out
    assert {"line": 1, "text": '"axb" matches'} in told["trace"], out
    done = subprocess.run([os.path.join(t.build, "barid"), "sieve", "check", "--extensions"], text=True, timeout=60, check=True,
                          capture_output=True)
    assert {"fileinto", "vacation", "regex"} <= set(done.stdout.split()), done.stdout


# --- beside Dovecot --------------------------------------------------------------------------------

CONF = """protocols =
mail_uid = {uid}
mail_gid = {uid}
first_valid_uid = 1
mail_home = {home}
mail_location = maildir:{home}/mail
log_path = /dev/null
ssl = no
plugin {{
  sieve_extensions = +editheader
}}
"""
SAME = (  # what sieve-test prints: what barid-sieve prints of it
    (r"store message in folder: (.*)$", r"store \1"),
    (r"redirect message to: <(.*)>$", r"redirect \1"),
    (r"discard$", "discard"),
    (r"reject message with reason: .*$", "reject"),
    (r"send vacation message:?$", "vacation"),
)
SCRIPTS = (
    'if header :contains "subject" "plan" { fileinto "A"; } else { discard; }',
    'if address :domain :is ["from", "to"] "example.com" { fileinto "A"; }\nif address :localpart "to" "alice" { fileinto "B"; }',
    'if allof(not exists "x-none", anyof(size :under 100, size :over 50)) { redirect "a@example.net"; }',
    'if header :matches "subject" "[*] *: *" { fileinto "${1}-${2}-${3}"; }',
    'set :upper "a" "x${0}"; fileinto "${a}";',
    'if header :matches "subject" "?*e*" { set :length "n" "${2}"; fileinto "${1}|${2}|${3}|${n}"; }',
    'if body :contains "lottery" { fileinto "A"; }\nif body :raw :contains "Gr=FC" { fileinto "B"; }',
    'if body :content "text/html" :contains "here" { fileinto "A"; }\nif body :text :contains "win" { keep; }',
    'if date :originalzone "date" "hour" "23" { fileinto "A"; }\nif date :zone "+0100" "date" "day" "04" { fileinto "B"; }',
    'if date :zone "+0000" "received" "time" "11:00:00" { fileinto "A"; }\nif date "date" "julian" "61075" { fileinto "B"; }',
    'if header :count "ge" :comparator "i;ascii-numeric" "received" "2" { fileinto "A"; }',
    'if header :value "lt" "from" "k" { fileinto "A"; } else { fileinto "B"; }',
    'if header :regex "subject" "^\\\\[(d.)v\\\\]" { fileinto "${1}"; }',
    'if envelope :detail "to" "work" { fileinto "A"; }\nif envelope :user "to" "alice" { fileinto "B"; }',
    'foreverypart { if header :mime :subtype "content-type" "html" { fileinto "A"; break; } }',
    'foreverypart { if header :mime :param "filename" :matches "content-disposition" "*.*" { fileinto "${2}"; } }',
    'if header :mime :anychild :contenttype "content-type" "text/html" { fileinto "A"; }',
    'addflag "\\\\Seen"; if hasflag "\\\\seen" { fileinto :flags "x" "A"; }',
    'if exists ["from", "date"] { keep; stop; }\ndiscard;',
    'fileinto :copy "A"; redirect :copy "a@example.net";',
    'fileinto "A"; fileinto "A"; keep; redirect "a@example.net"; redirect "a@example.net";',
    'addheader "X-A" "b"; if header "x-a" "b" { fileinto "A"; }',
    'deleteheader "subject"; if not exists "subject" { fileinto "A"; }',
    'if string :is "${unset}" "" { fileinto "A"; }',
    'if not header :contains ["to", "cc"] "nobody" { fileinto "A"; } elsif true { fileinto "B"; }',
    'if header :comparator "i;octet" :contains "subject" "Plan" { fileinto "A"; } else { fileinto "B"; }',
    'if environment :contains "name" "zzz" { fileinto "A"; }',
    'reject "no";',
    'if ihave "nothing" { nix; } else { fileinto "A"; }',
)
REQUIRE = ('require ["fileinto", "body", "date", "index", "relational", "comparator-i;ascii-numeric", "regex", "variables", '
           '"envelope", "subaddress", "foreverypart", "mime", "imap4flags", "copy", "editheader", "environment", "reject", '
           '"vacation", "ihave"];\n')
MESSAGES = ("Subject: plain plan\nFrom: joe@example.com\nTo: alice@example.test\nDate: Tue, 3 Feb 2026 23:30:00 -0200\n\nlottery\n",
            "Subject: apple\nTo: x@example.org\n\nwin\n")


def actions_of_dovecot(out):
    """What `Performed actions` and `Implicit keep` say, in our words."""
    found = []
    for line in out.splitlines():
        for pattern, word in SAME:
            m = re.match(r"\s*\* " + pattern, line)
            if m:
                found.append(m.expand(word))
    return sorted(found)


def actions_of_barid(out):
    found = []
    for line in out.splitlines():
        m = re.match(r'(fileinto|redirect)(?: :copy)? "((?:[^"\\]|\\.)*)"', line)
        if m:
            found.append(("store " if m.group(1) == "fileinto" else "redirect ") + re.sub(r"\\(.)", r"\1", m.group(2)))
        elif line.startswith(("keep", "implicit keep")):
            found.append("store INBOX")
        elif line.startswith(("discard", "vacation")):
            found.append(line.split()[0])
        elif line.startswith("reject"):
            found.append("reject")
    return sorted(found)


def case_dovecot(t):
    """Scripts on three messages do the same as with Dovecot's sieve-test.

    Where it has the specification against it, it is not asked: i;ascii-casemap orders capitals (RFC 4790 9.2), it orders small
    letters; of two Received fields it takes the first for `:index 2`. Its vacation decides later than sieve-test tells.
    """
    t.program("sieve-test")
    folder, uid = t.scratch(), 65534
    home = os.path.join(folder, "home")
    os.mkdir(home)
    os.chown(home, uid, uid)
    os.chmod(folder, 0o755)
    conf = os.path.join(folder, "dovecot.conf")
    with open(conf, "w", encoding="utf-8") as f:
        f.write(CONF.format(uid=uid, home=home))
    mime = next(message for name, _, _, message, _, _ in cases() if name == "extensions.txt")
    wrong, compared = [], 0
    for script in SCRIPTS:
        for message in MESSAGES + (mime,):
            paths = written(folder, REQUIRE + script + "\n", message)
            _, ours, _ = tool(t, "test", *paths, "--quiet", "--from", "joe@example.com", "--to", "alice+work@example.test")
            theirs = subprocess.run(["sieve-test", "-c", conf, "-f", "joe@example.com", "-a", "alice+work@example.test", "-r",
                                     "alice+work@example.test", *paths], text=True, timeout=60, check=False, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT).stdout
            compared += 1
            if actions_of_barid(ours) != actions_of_dovecot(theirs):
                wrong.append(f"{script}\non {message[:60]!r}\n--- barid\n{ours}--- sieve-test\n{theirs}")
    t.note(f"{compared} compared")
    assert not wrong, f"{len(wrong)} differ\n" + "\n".join(wrong)
