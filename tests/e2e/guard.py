# SPDX-License-Identifier: Apache-2.0
"""The take-over guard: 300 strangers within a minute are held, a user's usual correspondents never are."""
import json
import os
import smtplib

from harness import wire

PASSWORD = "secret"


def login(server, user):
    s = smtplib.SMTP_SSL(server.host, server.ports["submissions"], timeout=60)
    s.login(f"{user}@example.test", PASSWORD)
    return s


def send(s, user, to, subject):
    s.sendmail(f"{user}@example.test", to, f"From: {user}@example.test\r\nSubject: {subject}\r\n\r\nhi\r\n")


def states(server, user):
    """How many recipients of the user's mail are in each state of the queue."""
    rows = json.loads(server.cli("queue", "list", "--from", f"{user}@example.test", "--max", "10000", "--json"))["rows"]
    found = {}
    for row in rows:
        found[row["state"]] = found.get(row["state"], 0) + 1
    return found


def held(server):
    return {row["account"]: row for row in json.loads(server.cli("guard", "list", "--json"))["rows"]}


def case_three_hundred_strangers(t):
    """The login is held at the 101st, the client is told nothing, the postmaster is; rejecting empties the queue."""
    with t.own_server(users=2) as server:
        s = login(server, "user1")
        for i in range(30):
            send(s, "user1", [f"stranger{i * 10 + k}@far.test" for k in range(10)], f"offer {i}")
        assert held(server)["user1@example.test"]["new"] == "200", held(server)
        assert states(server, "user1").get("held") == 200, states(server, "user1")
        imap = wire.Imap(server, "postmaster@example.test")
        t.until(lambda: [b for _, b in imap.bodies("INBOX") if b"Mail is held: user1@example.test" in b], what="the alert")
        imap.close()
        # Held it stays, also for whom it knows, and over a restart.
        server.stop()
        server.start()
        s = login(server, "user1")
        send(s, "user1", ["stranger1@far.test"], "another one")
        assert states(server, "user1").get("held") == 201, states(server, "user1")
        server.cli("guard", "reject", "user1@example.test", "--disable")
        assert not held(server) and "held" not in states(server, "user1")
        try:
            login(server, "user1")
            raise AssertionError("the account is not switched off")
        except smtplib.SMTPAuthenticationError:
            pass


def case_usual_correspondents(t):
    """Thirty people whom the user knows, again and again: never held; nor is anybody within the server."""
    server = t.server()
    s = login(server, "user3")
    friends = [f"friend{i}@far.test" for i in range(30)]
    for i in range(20):
        send(s, "user3", friends, f"news {i}")
    for i in range(30):
        send(s, "user3", [f"user{1 + k % 9}+{i}x{k}@example.test" for k in range(10)], f"inside {i}")
    assert "user3@example.test" not in held(server)
    assert "held" not in states(server, "user3")


def case_released(t):
    """It was the owner: the mail goes on its way, and those people are no strangers any more."""
    server = t.server()
    s = login(server, "user4")
    for i in range(12):
        send(s, "user4", [f"guest{i * 10 + k}@far.test" for k in range(10)], f"invitation {i}")
    assert states(server, "user4").get("held") == 20, states(server, "user4")
    server.cli("guard", "release", "user4@example.test")
    assert "held" not in states(server, "user4") and "user4@example.test" not in held(server)
    send(s, "user4", [f"guest{k}@far.test" for k in range(120)], "reminder")
    assert "user4@example.test" not in held(server)


def case_allowed(t):
    """An account that sends newsletters is not looked at."""
    server = t.server()
    server.cli("guard", "allow", "user5@example.test")
    s = login(server, "user5")
    send(s, "user5", [f"reader{i}@far.test" for i in range(300)], "newsletter")
    assert "held" not in states(server, "user5")
    server.cli("guard", "allow", "user5@example.test", "off")
    assert "user5@example.test" not in held(server)


def case_rates_and_defer(t):
    """Rates ask to come later; so does the guard where it is told to defer."""
    conf = "[guard]\naction = defer\nnew_recipients = 5\n[submission]\nrate_messages_hour = 3\n"
    with t.own_server(users=2, env={"BARID_DEMO_CONF": conf}) as server:
        s = login(server, "user1")
        for i in range(3):
            send(s, "user1", ["user2@example.test"], f"number {i}")
        code, text = refusal(s, "user1", ["user2@example.test"])
        assert code == 450 and b"4.7.1" in text and b"too much" in text, (code, text)
        s = login(server, "user2")
        code, text = refusal(s, "user2", [f"x{i}@far.test" for i in range(6)])
        assert code == 450 and b"postmaster" in text, (code, text)
        assert "user2@example.test" in held(server)


def refusal(s, user, to):
    try:
        send(s, user, to, "one too many")
    except smtplib.SMTPDataError as e:
        return e.smtp_code, e.smtp_error
    raise AssertionError("it was taken")


def login_from(server, user, source):
    s = smtplib.SMTP_SSL(server.host, server.ports["submissions"], timeout=60, source_address=(source, 0))
    s.login(f"{user}@example.test", PASSWORD)
    return s


def case_from_all_over_the_world(t):
    """Logins from many networks within the hour, to known people: held, whichever service was logged in to; released, it goes on."""
    with t.own_server(users=2, env={"BARID_DEMO_CONF": "[guard]\nnetworks = 3\nheld_messages = 2\n"}) as server:
        conf = os.path.join(server.dir, "demo.conf")
        with open(conf, encoding="utf-8") as f:
            text = f.read()
        with open(conf, "w", encoding="utf-8") as f:
            f.write("language = de\n" + text)
        server.cli("reload")
        send(login_from(server, "user1", "127.9.1.1"), "user1", ["friend@far.test"], "one")
        send(login_from(server, "user1", "127.9.1.77"), "user1", ["friend@far.test"], "the same network")
        send(login_from(server, "user1", "127.9.2.1"), "user1", ["friend@far.test"], "another")
        assert not held(server)
        imap = wire.Imap(server, "user1@example.test", source="127.9.3.1")
        imap.close()
        s = login_from(server, "user1", "127.9.4.1")
        send(s, "user1", ["user2@example.test"], "within the server")
        assert not held(server)
        send(s, "user1", ["friend@far.test"], "a fourth")
        assert held(server)["user1@example.test"]["reason"] == "take-over guard: 4 networks within 60 minutes", held(server)
        imap = wire.Imap(server, "postmaster@example.test")
        alert = t.until(lambda: [b for _, b in imap.bodies("INBOX") if b"Angehaltene Post: user1@example.test" in b], what="the alert")[0]
        imap.close()
        assert "Grund: take-over guard: 4 networks within 60 minutes. Es war von 127.9.4.1 aus verbunden.".encode() in alert, alert
        send(s, "user1", ["friend@far.test"], "waits too")
        code, text = refusal(s, "user1", ["friend@far.test"])
        assert code == 450 and b"4.7.1" in text, (code, text)
        assert states(server, "user1").get("held") == 2, states(server, "user1")
        server.cli("guard", "release", "user1@example.test")
        assert "held" not in states(server, "user1")
        send(s, "user1", ["friend@far.test"], "free again")
        assert not held(server)


def case_rates_of_one(t):
    """A rate of a user or a domain counts in place of the configuration's; `barid guard rates` shows where everybody stands."""
    with t.own_server(users=3, env={"BARID_DEMO_CONF": "[submission]\nrate_messages_hour = 2\n"}) as server:
        server.cli("domain", "set", "example.test", "--rate-messages-hour", "3")
        server.cli("user", "set", "user2@example.test", "--rate-messages-hour", "unlimited", "--rate-recipients-day", "7")
        one, two = login(server, "user1"), login(server, "user2")
        for i in range(3):
            send(one, "user1", ["user3@example.test"], f"number {i}")
            send(two, "user2", ["user3@example.test", "user1@example.test"], f"number {i}")
        assert refusal(one, "user1", ["user3@example.test"])[0] == 450
        assert refusal(two, "user2", ["user3@example.test", "user1@example.test"])[0] == 450
        send(two, "user2", ["user3@example.test"], "the seventh")
        rows = {r["account"]: r for r in json.loads(server.cli("guard", "rates", "--json"))["rows"]}
        assert rows["user1@example.test"]["messages-hour"] == "3 of 3", rows
        assert rows["user2@example.test"]["messages-hour"] == "4" and rows["user2@example.test"]["recipients-day"] == "7 of 7", rows
        assert "rate_recipients_day:7;" in server.cli("user", "show", "user2@example.test")
        server.cli("user", "set", "user1@example.test", "--rate-messages-hour", "4")
        send(one, "user1", ["user3@example.test"], "one more")
