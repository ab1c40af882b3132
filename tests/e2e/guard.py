# SPDX-License-Identifier: Apache-2.0
"""The take-over guard: 300 strangers within a minute are held, a user's usual correspondents never are."""
import json
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
