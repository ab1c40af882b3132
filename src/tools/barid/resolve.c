/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/barid/resolve.h"
#include "base/check.h"
#include "sys/sock.h"
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>

struct resolver {
	struct __res_state state;
};

struct resolver *resolver_open(const char *server)
{
	struct resolver *r = xcalloc(1, sizeof *r);
	struct netaddr a = {0};
	bool ok = res_ninit(&r->state) == 0;
	r->state.retrans = 2;
	r->state.retry = 2;
	if (ok && server) {
		ok = netaddr_parse(str_c(server), &a) && a.family == AF_INET;
		r->state.nscount = 1;
		r->state.nsaddr_list[0].sin_family = AF_INET;
		r->state.nsaddr_list[0].sin_port = htons(a.port ? a.port : 53);
		memcpy(&r->state.nsaddr_list[0].sin_addr, a.bytes, 4);
	}
	if (ok)
		return r;
	resolver_close(r);
	return NULL;
}

void resolver_close(struct resolver *r)
{
	if (!r)
		return;
	res_nclose(&r->state);
	free(r);
}

static bool read_name(ns_msg *msg, const unsigned char *at, char *ret)
{
	return ns_name_uncompress(ns_msg_base(*msg), ns_msg_end(*msg), at, ret, RESOLVE_TEXT_MAX) >=
	       0;
}

/* A TXT record is several strings of up to 255 bytes that belong together. */
static void read_text(const unsigned char *p, size_t n, char *ret)
{
	size_t out = 0;
	for (size_t at = 0; at < n;) {
		size_t len = p[at++];
		for (size_t i = 0; i < len && at < n; i++, at++)
			if (out + 1 < RESOLVE_TEXT_MAX)
				ret[out++] = (char)p[at];
	}
	ret[out] = '\0';
}

static bool read_record(ns_msg *msg, const ns_rr *rr, unsigned *preference, char *text)
{
	const unsigned char *p = ns_rr_rdata(*rr);
	size_t n = ns_rr_rdlen(*rr);
	ns_type type = ns_rr_type(*rr);
	*preference = 0;
	if (type == ns_t_a && n == 4)
		return inet_ntop(AF_INET, p, text, RESOLVE_TEXT_MAX);
	if (type == ns_t_aaaa && n == 16)
		return inet_ntop(AF_INET6, p, text, RESOLVE_TEXT_MAX);
	if (type == ns_t_mx && n > 2) {
		*preference = (unsigned)p[0] << 8 | p[1];
		return read_name(msg, p + 2, text);
	}
	if (type == ns_t_txt) {
		read_text(p, n, text);
		return true;
	}
	return (type == ns_t_ptr || type == ns_t_cname) && read_name(msg, p, text);
}

static const ns_type types[] = {
	[RESOLVE_A] = ns_t_a,	  [RESOLVE_AAAA] = ns_t_aaaa, [RESOLVE_MX] = ns_t_mx,
	[RESOLVE_TXT] = ns_t_txt, [RESOLVE_PTR] = ns_t_ptr,   [RESOLVE_CNAME] = ns_t_cname};

int resolve_answer(struct str answer, enum resolve_type type, struct resolved *ret)
{
	ns_msg msg;
	ret->n = 0;
	if (ns_initparse((const unsigned char *)answer.p, (int)answer.n, &msg) < 0)
		return -FAIL_TEMP;
	for (int i = 0; i < ns_msg_count(msg, ns_s_an) && ret->n < RESOLVE_MAX; i++) {
		ns_rr rr;
		if (ns_parserr(&msg, ns_s_an, i, &rr) < 0)
			return -FAIL_TEMP;
		if (ns_rr_type(rr) == types[type] &&
		    read_record(&msg, &rr, &ret->v[ret->n].preference, ret->v[ret->n].text))
			ret->n++;
	}
	return 0;
}

int resolver_ask(struct resolver *r, const char *name, enum resolve_type type, struct resolved *ret)
{
	unsigned char answer[16384];
	ret->n = 0;
	int n = res_nquery(&r->state, name, ns_c_in, (int)types[type], answer, sizeof answer);
	if (n < 0 && r->state.res_h_errno == NO_DATA)
		return 0;
	if (n < 0)
		return r->state.res_h_errno == HOST_NOT_FOUND ? -FAIL_NOTFOUND : -FAIL_TEMP;
	return resolve_answer(str_make((const char *)answer, MIN((size_t)n, sizeof answer)), type,
			      ret);
}

bool resolve_reverse_name(const char *address, char *ret, size_t size)
{
	struct netaddr a;
	if (!netaddr_parse(str_c(address), &a))
		return false;
	if (a.family == AF_INET) {
		(void)snprintf(ret, size, "%u.%u.%u.%u.in-addr.arpa", a.bytes[3], a.bytes[2],
			       a.bytes[1], a.bytes[0]);
		return true;
	}
	size_t at = 0;
	for (int i = 15; i >= 0 && at + 5 < size; i--)
		at += (size_t)snprintf(ret + at, size - at, "%x.%x.", a.bytes[i] & 15,
				       a.bytes[i] >> 4);
	(void)snprintf(ret + at, size - at, "ip6.arpa");
	return true;
}
