/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/dns/resolver.h"
#include "base/check.h"
#include "sys/sock.h"
#include <stdio.h>
#include <string.h>
#include <unbound.h>

/* RFC 1035 4.1.1. */
enum { RCODE_OK = 0, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3 };
#define CLASS_IN 1

struct resolver {
	struct ub_ctx *ctx;
};

/* The keys of the root that IANA has published: KSK-2017 and KSK-2024. */
static const char *const root_anchors[] = {
	". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
	". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
};

struct option {
	const char *name, *value;
};

/*
 * Thousands of questions wait at a time, and have sockets for two thousand: what libunbound keeps
 * for one is 0.9 KiB from the start, used or not. The others wait for a socket. Caches have bounds
 * in memory. Answers of the RFC 8198 kind save questions to signed zones.
 */
static const struct option options[] = {
	{"num-queries-per-thread:", "8192"}, {"outgoing-range:", "2048"},
	{"outgoing-num-tcp:", "64"},	     {"msg-cache-size:", "16m"},
	{"rrset-cache-size:", "32m"},	     {"key-cache-size:", "4m"},
	{"neg-cache-size:", "2m"},	     {"cache-max-ttl:", "86400"},
	{"cache-max-negative-ttl:", "3600"}, {"aggressive-nsec:", "yes"},
	{"qname-minimisation:", "yes"},	     {"harden-referral-path:", "no"},
	{"val-permissive-mode:", "no"},	     {"use-syslog:", "no"},
};

/*
 * Another resolver is asked about everything, also what RFC 6303 and 6761 keep from the root: it
 * may know names of its own, and may be on this machine.
 */
static const struct option forward_options[] = {
	{"do-not-query-localhost:", "no"},
	{"unblock-lan-zones:", "yes"},
	{"insecure-lan-zones:", "yes"},
};
/* Zones that libunbound answers itself where it is not told otherwise. */
static const char *const own_zones[] = {"test.", "localhost.", "127.in-addr.arpa."};

static int said(int error, const char *what, const char *value, struct fail *why)
{
	if (error == UB_NOERROR)
		return 0;
	return fail_set(why, FAIL_SYNTAX, NULL, "libunbound does not take %s %s: %s", what, value,
			ub_strerror(error));
}

static int set_options(struct ub_ctx *ctx, const struct option *o, size_t n, struct fail *why)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = said(ub_ctx_set_option(ctx, o[i].name, o[i].value), o[i].name, o[i].value, why);
	return r;
}

static int add_forwarder(struct ub_ctx *ctx, const char *text, struct fail *why)
{
	struct netaddr a;
	char address[NETADDR_TEXT_MAX], whole[NETADDR_TEXT_MAX + 8];
	if (!netaddr_parse(str_c(text), &a))
		return fail_set(why, FAIL_SYNTAX, NULL, "[dns] forward: %s", text);
	(void)snprintf(whole, sizeof whole, "%.*s@%u", STR_ARG(netaddr_text(&a, false, address)),
		       a.port ? a.port : 53u);
	return said(ub_ctx_set_fwd(ctx, whole), "forwarder", whole, why);
}

static int forward(struct ub_ctx *ctx, const struct conf *c, struct fail *why)
{
	int r = set_options(ctx, forward_options, ARRAY_LEN(forward_options), why);
	for (size_t i = 0; r == 0 && i < c->dns_forward.n; i++)
		r = add_forwarder(ctx, c->dns_forward.p[i], why);
	return r;
}

static int add_anchors(struct ub_ctx *ctx, const char *file, struct fail *why)
{
	int r = 0;
	if (strcmp(file, "none") == 0)
		return 0;
	if (file[0])
		return said(ub_ctx_add_ta_file(ctx, file), "trust anchor", file, why);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(root_anchors); i++)
		r = said(ub_ctx_add_ta(ctx, root_anchors[i]), "trust anchor", root_anchors[i], why);
	return r;
}

/*
 * The anchor's file is read, and all of it checked, when the context is final. Nothing may be set
 * afterwards: an anchor that came later would be left out without a word, and everything unsigned.
 */
static int make_final(struct ub_ctx *ctx, const struct conf *c, struct fail *why)
{
	const char *file = c->dns_trust_anchor;
	bool forwards = strcmp(c->dns_mode, "forward") == 0;
	int error = ub_ctx_zone_remove(ctx, "barid.invalid."); /* makes it final */
	for (size_t i = 0; error == UB_NOERROR && forwards && i < ARRAY_LEN(own_zones); i++)
		error = ub_ctx_zone_remove(ctx, own_zones[i]);
	if (error == UB_NOERROR)
		return 0;
	return fail_set(why, FAIL_SYNTAX, NULL,
			"the resolver does not start: %s. Is [dns] trust_anchor (%s) a file with "
			"DS or DNSKEY records?",
			ub_strerror(error), file[0] ? file : "built in");
}

int resolver_new(const struct conf *c, struct resolver **ret, struct fail *why)
{
	struct resolver *r = xcalloc(1, sizeof *r);
	r->ctx = ub_ctx_create();
	if (!r->ctx) {
		free(r);
		return fail_errno(why, FAIL_BUG, "cannot make a context of libunbound");
	}
	(void)ub_ctx_debugout(r->ctx, NULL);
	int e = set_options(r->ctx, options, ARRAY_LEN(options), why);
	if (e == 0)
		e = said(ub_ctx_async(r->ctx, 1), "thread", "", why);
	if (e == 0 && strcmp(c->dns_mode, "forward") == 0)
		e = forward(r->ctx, c, why);
	if (e == 0)
		e = add_anchors(r->ctx, c->dns_trust_anchor, why);
	if (e == 0)
		e = make_final(r->ctx, c, why);
	if (e == 0) {
		*ret = r;
		return 0;
	}
	ub_ctx_delete(r->ctx);
	free(r);
	return e;
}

int resolver_fd(struct resolver *r)
{
	return ub_fd(r->ctx);
}

void resolver_serve(struct resolver *r)
{
	(void)ub_process(r->ctx);
}

/* --- answers
 * ----------------------------------------------------------------------------------- */

static enum dns_outcome outcome_of(const struct ub_result *u)
{
	if (u->bogus)
		return DNS_BOGUS;
	if (u->rcode == RCODE_NXDOMAIN || (u->nxdomain && u->rcode == RCODE_OK))
		return DNS_NXDOMAIN;
	if (u->rcode != RCODE_OK)
		return DNS_FAILED;
	return u->havedata ? DNS_FOUND : DNS_NODATA;
}

static void without_dot(const char *name, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s", name ? name : "");
	size_t n = strlen(ret);
	if (n > 0 && ret[n - 1] == '.')
		ret[n - 1] = '\0';
}

static void tell(struct resolver_question *q, const struct ub_result *u)
{
	static char *const nothing[] = {NULL};
	char canonical[300], why[200] = "";
	struct resolver_result result = {.outcome = outcome_of(u),
					 .secure = u->secure != 0,
					 .data = nothing,
					 .sizes = u->len,
					 .canonical = canonical,
					 .why = why};
	if (dns_is_known(result.outcome) && u->ttl > 0)
		result.ttl = (uint32_t)u->ttl;
	if (result.outcome == DNS_FOUND) /* what is bogus is not for anybody's eyes */
		result.data = u->data;
	without_dot(u->canonname ? u->canonname : u->qname, canonical, sizeof canonical);
	if (result.outcome == DNS_BOGUS)
		(void)snprintf(why, sizeof why, "%s",
			       u->why_bogus ? u->why_bogus : "validation failed");
	else if (result.outcome == DNS_FAILED)
		(void)snprintf(why, sizeof why, "the name service answers with code %d%s", u->rcode,
			       u->rcode == RCODE_SERVFAIL ? " (SERVFAIL)" : "");
	q->done(q, &result);
}

static void answered(void *arg, int error, struct ub_result *u)
{
	struct resolver_question *q = arg;
	char *none[] = {NULL};
	struct resolver_result failed = {
		.outcome = DNS_FAILED, .canonical = "", .data = none, .why = "the resolver failed"};
	if (error == UB_NOERROR && u)
		tell(q, u);
	else
		q->done(q, &failed);
	ub_resolve_free(u);
}

int resolver_ask(struct resolver *r, struct resolver_question *q, const char *name, uint16_t type,
		 struct fail *why)
{
	int e = ub_resolve_async(r->ctx, name, type, CLASS_IN, q, answered, &q->id);
	return e == UB_NOERROR ? 0 : fail_set(why, FAIL_DNS, NULL, "asking: %s", ub_strerror(e));
}

void resolver_cancel(struct resolver *r, struct resolver_question *q)
{
	(void)ub_cancel(r->ctx, q->id);
}
