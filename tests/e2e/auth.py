# SPDX-License-Identifier: Apache-2.0
"""Ways to log in beside a plain password: SCRAM, tokens, app passwords, master users; and what ends a session."""
import base64
import hashlib
import hmac
import itertools
import json
import os
import re
import smtplib
import sqlite3
import ssl
import subprocess
import time

from harness import wire

USER = "user1@example.test"
PASSWORD = "secret"
# Each attempt from an address of its own: failures of one slow its next.
SOURCES = (f"127.0.0.{n}" for n in itertools.count(2))
SCRAM_ON = {"BARID_DEMO_CONF": "[auth]\nscram = on\n"}


def b64(data):
    return base64.b64encode(data).decode()


def learn(server, user=USER, password=PASSWORD):
    """One login with the password, of which dir makes keys."""
    wire.Imap(server, user, password).close()


# --- SCRAM ----------------------------------------------------------------------------------------


class Scram:
    """The client's side, from RFC 5802 and RFC 7677 alone."""

    def __init__(self, user, password, gs2="n,,", nonce="fyko+d2lbbFgONRv9qkxdawL"):
        self.user, self.password, self.gs2, self.nonce = user, password, gs2, nonce

    def first(self):
        self.bare = f"n={self.user},r={self.nonce}"
        return (self.gs2 + self.bare).encode()

    def final(self, challenge):
        server_first = challenge.decode()
        values = dict(part.split("=", 1) for part in server_first.split(","))
        assert values["r"].startswith(self.nonce) and len(values["r"]) > len(self.nonce) + 16
        assert int(values["i"]) >= 100000, values
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(values["s"]), int(values["i"]))
        without = f"c={b64(self.gs2.encode())},r={values['r']}"
        auth = f"{self.bare},{server_first},{without}".encode()
        mac = lambda key, text: hmac.digest(key, text, "sha256")
        client = mac(salted, b"Client Key")
        signature = mac(hashlib.sha256(client).digest(), auth)
        proof = bytes(a ^ b for a, b in zip(client, signature))
        self.verdict = b"v=" + b64(mac(mac(salted, b"Server Key"), auth)).encode()
        return f"{without},p={b64(proof)}".encode()


def imap_scram(server, scram, initial=True):
    """AUTHENTICATE SCRAM-SHA-256 over IMAP; the tagged line."""
    w = wire.Wire(server.host, server.ports["imaps"], tls=True, source=next(SOURCES))
    try:
        assert re.search(rb"AUTH=SCRAM-SHA-256[] ]", w.line())
        if initial:
            w.send(f"a AUTHENTICATE SCRAM-SHA-256 {b64(scram.first())}\r\n".encode())
        else:
            w.send(b"a AUTHENTICATE SCRAM-SHA-256\r\n")
            assert w.line() == b"+ \r\n"
            w.send(b64(scram.first()).encode() + b"\r\n")
        line = w.line()
        if not line.startswith(b"+ "):
            return line
        w.send(b64(scram.final(base64.b64decode(line[2:].strip()))).encode() + b"\r\n")
        line = w.line()
        if not line.startswith(b"+ "):
            return line
        assert base64.b64decode(line[2:].strip()) == scram.verdict, "the server does not know the password"
        w.send(b"\r\n")
        return w.line()
    finally:
        w.close()


def case_scram_proves_the_password_both_ways(t):
    """A client of our own: right, wrong, unknown; no downgrade; the stored password changed by another program."""
    with t.own_server(users=2, env=SCRAM_ON) as server:
        learn(server)
        assert imap_scram(server, Scram(USER, PASSWORD)).startswith(b"a OK [CAPABILITY")
        assert imap_scram(server, Scram(USER, PASSWORD), initial=False).startswith(b"a OK")
        refused = imap_scram(server, Scram(USER, "wrong"))
        assert refused.startswith(b"a NO [AUTHENTICATIONFAILED]"), refused
        assert imap_scram(server, Scram("nobody@example.test", PASSWORD)) == refused
        # Known to the server, but not that it takes this account's proof: its keys are not there yet.
        assert imap_scram(server, Scram("user2@example.test", PASSWORD)) == refused
        # The client says that -PLUS was not offered, and it was: somebody is in between.
        assert imap_scram(server, Scram(USER, PASSWORD, gs2="y,,")) == refused
        database = sqlite3.connect(os.path.join(server.dir, "dir", "vmail.db"))
        with database:
            database.execute("UPDATE mailbox SET password = '{PLAIN}new' WHERE username = ?", (USER,))
        database.close()
        assert imap_scram(server, Scram(USER, PASSWORD)) == refused
        learn(server, password="new")
        assert imap_scram(server, Scram(USER, "new")).startswith(b"a OK")


def gsasl(t, server, service, mechanism, password=PASSWORD, *options):
    done = t.run([t.program("gsasl"), f"--{service}", f"--connect=127.0.0.1:{server.ports[service]}", "--starttls",
                  "--x509-ca-file=", "-m", mechanism, "-a", USER, "-p", password, *options], stdin=b"", check=False)
    return done.returncode == 0, done.stdout + done.stderr


def case_gsasl_binds_the_channel(t):
    """GNU SASL: SCRAM-SHA-256 and -PLUS (tls-exporter) over IMAP and submission."""
    t.program("gsasl")
    with t.own_server(users=2, env=SCRAM_ON) as server:
        server.ports["smtp"] = server.ports["submission"]
        learn(server)
        for service in "imap", "smtp":
            for mechanism, options in ("SCRAM-SHA-256-PLUS", []), ("SCRAM-SHA-256", ["--no-cb"]):
                good, output = gsasl(t, server, service, mechanism, PASSWORD, *options)
                assert good and b"server trusted" in output, (service, mechanism, output)
                good, output = gsasl(t, server, service, mechanism, "wrong", *options)
                assert not good, (service, mechanism, output)


def case_msmtp_sends_with_scram(t):
    """msmtp: AUTH SCRAM-SHA-256."""
    with t.own_server(users=2, env=SCRAM_ON) as server:
        learn(server)
        t.run([t.program("msmtp"), "--host=127.0.0.1", f"--port={server.ports['submission']}", "--tls=on",
               "--tls-starttls=on", "--tls-certcheck=off", "--auth=scram-sha-256", f"--user={USER}",
               f"--passwordeval=echo {PASSWORD}", f"--from={USER}", "user2@example.test"],
              stdin=b"Subject: scram\n\nhello\n")
        assert "mech=SCRAM-SHA-256" in server.log_text()
        t.until(lambda: len(list(wire.Imap(server, "user2@example.test").bodies("INBOX"))) == 1, what="delivery")


def case_scram_is_offered_when_everybody_can(t):
    """auto, the default: offered once every active account has keys, and not any more when one has none."""

    def offered(server):
        w = wire.Wire(server.host, server.ports["imaps"], tls=True)
        try:
            return b"AUTH=SCRAM-SHA-256" in w.line()
        finally:
            w.close()

    with t.own_server(users=1) as server:
        assert not offered(server)
        for user in "alice", "bob", "postmaster", "user1":
            if user != "alice":
                assert not offered(server)
            learn(server, f"{user}@example.test")
        t.until(lambda: offered(server), what="the offer")
        server.cli("user", "add", "new@example.test", "--password-hash", "{PLAIN}x")
        t.until(lambda: not offered(server), what="its end")
        server.cli("user", "passwd", "new@example.test", "y")
        t.until(lambda: offered(server), what="the offer")


# --- tokens ---------------------------------------------------------------------------------------


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """An issuer of tokens with one RSA key, made by openssl."""

    def __init__(self, t):
        self.t, self.key = t, os.path.join(t.scratch(), "key.pem")
        t.run(["openssl", "genrsa", "-out", self.key, "2048"])
        modulus = t.run(["openssl", "rsa", "-in", self.key, "-noout", "-modulus"]).stdout.decode()
        n = bytes.fromhex(modulus.strip().split("=")[1])
        self.jwks = json.dumps({"keys": [{"kty": "RSA", "kid": "one", "use": "sig", "alg": "RS256", "n": url64(n),
                                          "e": "AQAB"}]})

    def token(self, **change):
        claims = {"iss": "https://id.test", "aud": "mail", "exp": int(time.time()) + 600, "email": USER, **change}
        text = url64(json.dumps({"alg": "RS256", "kid": "one"}).encode()) + "." + url64(json.dumps(claims).encode())
        signature = self.t.run(["openssl", "dgst", "-sha256", "-sign", self.key], stdin=text.encode()).stdout
        return text + "." + url64(signature)

    def publish(self, server):
        path = os.path.join(server.dir, "dir", "oauth-keys.json")
        with open(path + ".new", "w", encoding="ascii") as f:
            f.write(self.jwks)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)


def case_curl_logs_in_with_tokens(t):
    """curl: OAUTHBEARER and XOAUTH2, IMAP and submission; expired and foreign tokens; keys that change."""
    curl, issuer, other = t.program("curl"), Issuer(t), Issuer(t)
    conf = "[oauth]\nissuer = https://id.test\naudience = mail\n"
    with t.own_server(users=2, env={"BARID_DEMO_CONF": conf}) as server:
        issuer.publish(server)

        def works(mechanism, token, service="imaps"):
            url = f"{service}://127.0.0.1:{server.ports['submission' if service == 'smtp' else service]}/"
            more = ["-X", "NOOP"] if service == "smtp" else []
            done = t.run([curl, "-sSk", "--ssl-reqd", "--login-options", f"AUTH={mechanism}", "--oauth2-bearer", token,
                          "-u", USER + ":", *more, url], check=False)
            return done.returncode == 0

        good = issuer.token()
        for mechanism in "OAUTHBEARER", "XOAUTH2":
            for service in "imaps", "smtp":
                assert works(mechanism, good, service), (mechanism, service)
        assert not works("XOAUTH2", issuer.token(exp=int(time.time()) - 600))
        assert not works("OAUTHBEARER", issuer.token(email="user2@example.test"))
        assert not works("OAUTHBEARER", other.token())
        other.publish(server)
        assert works("OAUTHBEARER", other.token()) and not works("OAUTHBEARER", good)
        assert good not in server.log_text()


# --- app passwords, second factors, master users --------------------------------------------------


def app_password(server, user, *options):
    rows = json.loads(server.cli("user", "app-password", "add", user, "--json", *options))["rows"]
    return next(row["value"] for row in rows if row["key"] == "app password")


def refused(server, user, password):
    try:
        wire.Imap(server, user, password).close()
    except wire.Refused:
        return True
    return False


def totp(secret):
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    mac = hmac.digest(key, (int(time.time()) // 30).to_bytes(8, "big"), "sha1")
    return "%06d" % ((int.from_bytes(mac[mac[19] & 15:][:4], "big") & 0x7fffffff) % 1000000)


def submission(server, user, password):
    smtp = smtplib.SMTP(server.host, server.ports["submission"])
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    smtp.starttls(context=context)
    smtp.login(user, password)
    return smtp


def case_app_passwords_are_bound(t):
    """One for sending as one address; one for everything, needed once a second factor is on."""
    with t.own_server(users=2) as server:
        server.cli("user", "set", USER, "--alias", "sales@example.test")
        sending = app_password(server, USER, "--label", "shop", "--services", "smtp", "--addresses", "sales@example.test")
        assert refused(server, USER, sending)
        smtp = submission(server, USER, sending)
        assert smtp.docmd("MAIL FROM:<sales@example.test>")[0] == 250
        smtp.rset()
        assert smtp.docmd("MAIL FROM:<user1@example.test>")[0] == 554
        # Its bound survives the process that was told of it.
        server.kill("mta")
        server.await_role("mta")
        assert smtp.docmd("MAIL FROM:<user1@example.test>")[0] == 554
        assert smtp.docmd("MAIL FROM:<sales@example.test>")[0] == 250
        smtp.close()
        rows = {r["key"]: r["value"] for r in json.loads(server.cli("user", "totp", "enable", USER, "--json"))["rows"]}
        learn(server)
        server.cli("user", "totp", "confirm", USER, totp(rows["secret"]))
        assert refused(server, USER, PASSWORD)
        learn(server, password=app_password(server, USER, "--label", "mutt"))
        text = server.log_text()
        assert "an app password is needed" in text
        assert sending not in text and rows["secret"] not in text


def case_master_users_act_for_others(t):
    """By name and by SASL PLAIN's authorization identity; in the log; not by submission."""
    with t.own_server(users=2, env={"BARID_DEMO_CONF": "[auth]\nmaster_users = on\n"}) as server:
        server.cli("master", "add", "root", "--password", "key")
        wire.Imap(server, USER + "*root", "key").close()
        w = wire.Wire(server.host, server.ports["imaps"], tls=True)
        w.line()
        w.send(b"a AUTHENTICATE PLAIN " + base64.b64encode(USER.encode() + b"\0root\0key") + b"\r\n")
        assert w.line().startswith(b"a OK")
        w.close()
        assert refused(server, USER + "*root", PASSWORD)
        assert "master=root" in server.log_text()
        try:
            submission(server, USER + "*root", "key")
            raise AssertionError("submission took a master user")
        except smtplib.SMTPAuthenticationError:
            pass


# --- ends -----------------------------------------------------------------------------------------


def ends(imap, seconds=4.0):
    """The server says BYE within so long, though the client is silent."""
    imap.wire.sock.settimeout(seconds)
    line = imap.wire.line()
    assert line.startswith(b"* BYE Your access has changed"), line


def goes_on(imap):
    imap.command(b"NOOP")


def case_sessions_end_with_their_right(t):
    """A new password, a deleted app password, a disabled account; by an order, by another program, over dir's death."""
    with t.own_server(users=4) as server:
        app = app_password(server, USER, "--label", "phone")
        own, by_app, other = (wire.Imap(server, USER), wire.Imap(server, USER, app),
                              wire.Imap(server, "user2@example.test"))
        idle = wire.Imap(server, USER)
        idle.select("INBOX")
        idle.wire.send(b"i IDLE\r\n")
        assert idle.wire.line().startswith(b"+")
        smtp = submission(server, USER, PASSWORD)
        server.cli("user", "passwd", USER, "another")
        ends(own)
        ends(idle)
        smtp.sock.settimeout(4)
        assert smtp.getreply()[0] == 421
        goes_on(by_app)
        goes_on(other)
        server.cli("user", "app-password", "del", USER, "phone")
        ends(by_app)
        database = sqlite3.connect(os.path.join(server.dir, "dir", "vmail.db"))
        with database:
            database.execute("UPDATE mailbox SET active = 0 WHERE username = 'user2@example.test'")
        database.close()
        ends(other)
        third, fourth = wire.Imap(server, "user3@example.test"), wire.Imap(server, "user4@example.test")
        server.kill("dir")
        server.await_role("dir")
        goes_on(third)
        server.cli("user", "set", "user3@example.test", "--imap", "off")
        ends(third)
        goes_on(fourth)
        assert re.search(r"event=login.revoked .*password was changed", server.log_text())
