# SPDX-License-Identifier: Apache-2.0
"""Each other role taken over: it may say to its peers what belongs to its work, and nothing else. What a role can do with
what it may say stands in docs/SECURITY-MODEL.md; edge and scan, which strangers reach first, have files of their own."""
from harness.impostor import Intruded
from harness.ipc import SCHEMA

RENEWING = {"login_over", "login_again", "login_renew"}
SESSION = {"session_out", "session_done"}
MAY = {
    "mta": {"dir": RENEWING | {"route", "sender_allowed", "guard", "url_ask", "policy_domain", "policy_access", "policy_login", "srs_secrets",
                            "domain_ours"}, "scan": {"scan"},
            "queue": {"submit", "body_open", "body_seal", "body_drop"}, "dns": {"resolve"}, "user": {"url_read"},
            "edge": SESSION | {"session_feed", "inquired"}},
    "queue": {"user": {"deliver", "receipt_drop"}, "dir": {"route", "routes_look", "tls_due", "tls_counts", "tls_reported"}, "scan": {"scan"},
              "dns": {"resolve"}, "mta": set(), "relay": {"relay", "tls_post"}},
    "user": {"dir": RENEWING | {"usage", "account", "url_ask", "guest_ask", "acl_name", "hosts", "share"}, "user": {"guest", "guest_wake", "guest_end"}, "scan": {"scan"}, "edge": SESSION, "queue": set(),
             "mta": {"url_read"}},
    "scan": {"mta": set(), "queue": set(), "user": set()},
    "admin": {"edge": set()},
    "dns": {"mta": set(), "queue": set(), "relay": set()},
    "relay": {"queue": set(), "dns": {"resolve"}, "dir": {"relay_login", "sts_find", "sts_keep", "tls_session", "srs_sender"}},
    "dir": {"edge": {"login_offer", "session_over"}, "user": {"grant", "session_over", "account_gone"},
            "mta": {"grant", "session_over", "policy_stale"}, "queue": set(), "relay": set()},
}


def case_roles_say_what_is_theirs(t):
    """Every message of the schema from every role to each of its peers: what is not its to say is refused and logged."""
    for role, may in MAY.items():
        with Intruded([f"{role} 0"], build=t.build, users=2) as server:
            me = server.impostor(f"{role} 0")
            restarts = server.restarts()
            for name in list(me.peers):
                assert name.split(" ")[0] in may, f"{role} has a channel to {name}"
            for peer, allowed in may.items():
                channel = me.peer(f"{peer} 0" if f"{peer} 0" in me.peers else f"{peer} 1")
                asked = {}
                for message in SCHEMA.messages:
                    if message in allowed:
                        continue
                    channel.requests += 1
                    asked[channel.requests] = message
                    assert channel.send(message, request=channel.requests), (role, peer, message)
                # Peers that answer at all answer in order, or nearly so; scan and edge say nothing.
                for request, message in sorted(asked.items(), reverse=True):
                    reply = channel.reply(request, timeout=1 if request == max(asked) else 0)
                    assert reply is None or reply.name == "fail", (role, peer, message, reply)
                assert channel.open, (role, peer)
                t.until(lambda peer=peer, role=role: said(server, peer, role), what=f"{peer} refusing {role}")
            assert server.restarts() == restarts, f"{role}: {server.restarts()}"


def said(server, peer, role):
    return any(f" {peer}[" in line and "event=ipc.refused" in line and f" role={role} " in line
               for line in server.log_text().splitlines())
