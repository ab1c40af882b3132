/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/edge/peer.h"
#include "base/check.h"
#include "roles/edge/edge.h"
#include <stdio.h>

static struct netaddr netaddr_of(const struct endpoint *e)
{
	struct netaddr a = {.port = e->port};
	if (e->family == ENDPOINT_NONE)
		return (struct netaddr){0};
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool v4 = e->family == ENDPOINT_V4 || memcmp(e->bytes, mapped, sizeof mapped) == 0;
	a.family = v4 ? AF_INET : AF_INET6;
	if (!v4)
		memcpy(a.bytes, e->bytes, 16);
	else
		memcpy(a.bytes, e->bytes + (e->family == ENDPOINT_V4 ? 0 : 12), 4);
	return a;
}

/* What the client's address is good for. */
static void judge_client(struct peer *p, const struct edge *e)
{
	p->trusted = netcidrs_have(&e->trusted, &p->addr);
	p->trusted_client = netcidrs_have(&e->trusted_clients, &p->addr);
	p->normalise = netcidrs_have(&e->normalise, &p->addr);
	p->may_relay = netcidrs_have(&e->relay, &p->addr);
}

/*
 * The same behind a front end that ends the protocol itself: a password in the clear travels
 * between it and us, so its own trust stays.
 */
static void judge_claimed(struct peer *p, const struct edge *e)
{
	bool trusted = p->trusted;
	judge_client(p, e);
	p->trusted |= trusted;
}

/* For whom it may speak. Not asked again once it has: a client that was vouched for is no proxy. */
static void judge_front_end(struct peer *p, const struct edge *e)
{
	p->may_xclient = netcidrs_have(&e->xclient, &p->addr);
	p->may_xclient_login = p->may_xclient && netcidrs_have(&e->xclient_login, &p->addr);
	p->may_id = netcidrs_have(&e->id_from, &p->addr);
}

static struct peer_claims *claims_of(struct peer *p)
{
	if (!p->claims)
		p->claims = xcalloc(1, sizeof *p->claims);
	return p->claims;
}

static void speak_for(struct peer *p, enum peer_source source)
{
	if (p->proxy.family == 0)
		p->proxy = p->addr;
	p->source = source;
}

void peer_from_socket(struct peer *p, const struct edge *e, int fd, const struct netaddr *addr)
{
	*p = (struct peer){.addr = *addr, .source = PEER_SOCKET};
	(void)!sock_local(fd, &p->local, NULL);
	if (addr->family == 0)
		p->local_user = sock_peer_uid(fd, &p->uid);
	judge_client(p, e);
	judge_front_end(p, e);
}

static void keep_tls(struct peer_claims *c, const struct proxy_ssl *ssl)
{
	c->tls = true;
	c->certificate = ssl->verified;
	/* "TLSv1.3 TLS_AES_256_GCM_SHA384", or the version alone when it was not told more. */
	(void)snprintf(c->tls_text, sizeof c->tls_text, "%.*s%s%.*s",
		       STR_ARG(ssl->version.n ? str_sub(ssl->version, 0, 30) : STR("TLS")),
		       ssl->cipher.n ? " " : "", STR_ARG(str_sub(ssl->cipher, 0, 80)));
}

void peer_from_proxy(struct peer *p, const struct edge *e, const struct proxy_header *h)
{
	if (!h->local) {
		speak_for(p, PEER_PROXY);
		p->addr = netaddr_of(&h->from);
		p->local = netaddr_of(&h->to);
	}
	if (h->ssl.used)
		keep_tls(claims_of(p), &h->ssl);
	if (h->authority.n)
		(void)snprintf(claims_of(p)->sni, sizeof p->claims->sni, "%.*s",
			       STR_ARG(h->authority));
	judge_client(p, e);
	judge_front_end(p, e);
}

static void set_claim(const struct xclient *x, unsigned which, const char *value, char *into,
		      size_t size)
{
	if (x->given & which)
		(void)snprintf(into, size, "%s", value);
}

void peer_from_xclient(struct peer *p, const struct edge *e, const struct xclient *x)
{
	struct peer_claims *c = claims_of(p);
	speak_for(p, PEER_XCLIENT);
	if (x->given & XCLIENT_ADDR)
		p->addr = netaddr_of(&x->addr);
	if (x->given & XCLIENT_PORT)
		p->addr.port = x->port;
	if (x->given & XCLIENT_DESTADDR)
		p->local = netaddr_of(&x->dest);
	if (x->given & XCLIENT_DESTPORT)
		p->local.port = x->dest_port;
	set_claim(x, XCLIENT_NAME, x->name, c->rdns, sizeof c->rdns);
	set_claim(x, XCLIENT_HELO, x->helo, c->helo, sizeof c->helo);
	set_claim(x, XCLIENT_LOGIN, x->login, c->login, sizeof c->login);
	if (x->given & XCLIENT_PROTO)
		c->esmtp = x->esmtp;
	/* What comes now may be the client's own words, passed on as they are. */
	p->may_xclient = p->may_xclient_login = false;
	judge_claimed(p, e);
}

void peer_from_id(struct peer *p, const struct edge *e, const struct endpoint *client,
		  const struct endpoint *local)
{
	speak_for(p, PEER_ID);
	if (client->family)
		p->addr = netaddr_of(client);
	if (local->family)
		p->local = netaddr_of(local);
	judge_claimed(p, e);
}

void peer_clear(struct peer *p)
{
	free(p->claims);
	p->claims = NULL;
}

bool peer_is_front_end(const struct peer *p)
{
	return p->source != PEER_XCLIENT && p->source != PEER_ID && (p->may_xclient || p->may_id);
}

static struct str text_of(const struct netaddr *a, char room[NETADDR_TEXT_MAX])
{
	return a->family ? netaddr_text(a, false, room) : STR("");
}

struct msg_peer peer_message(const struct peer *p, const struct peer_tls *tls,
			     struct peer_texts *texts)
{
	static const struct peer_claims none;
	const struct peer_claims *c = p->claims ? p->claims : &none;
	bool here = tls->text.n > 0;
	texts->user[0] = '\0';
	if (p->local_user)
		(void)snprintf(texts->user, sizeof texts->user, "%u", p->uid);
	return (struct msg_peer){.user = str_c(texts->user),
				 .ip = text_of(&p->addr, texts->ip),
				 .port = p->addr.port,
				 .local_ip = text_of(&p->local, texts->local),
				 .local_port = p->local.port,
				 .proxy_ip = text_of(&p->proxy, texts->proxy),
				 .source = (uint8_t)p->source,
				 .tls = here || c->tls,
				 .tls_at_proxy = !here && c->tls,
				 .tls_text = here ? tls->text : str_c(c->tls_text),
				 .sni = here && tls->sni.n ? tls->sni : str_c(c->sni),
				 .ems = here && tls->ems,
				 .certificate = c->certificate,
				 .trusted = p->trusted,
				 .trusted_client = p->trusted_client,
				 .may_relay = p->may_relay,
				 .may_xclient = p->may_xclient,
				 .may_xclient_login = p->may_xclient_login,
				 .rdns = str_c(c->rdns),
				 .helo = str_c(c->helo),
				 .esmtp = c->esmtp,
				 .login = str_c(c->login)};
}
