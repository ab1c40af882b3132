/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/barid/dns.h"
#include "base/arena.h"
#include "base/check.h"
#include "base/vec.h"
#include "sys/sock.h"
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct record {
	struct str name, type, value;
	const char *note; /* what it is for, above the first of its kind */
};

struct records {
	struct arena arena;
	const char *domain, *hostname;
	VEC(struct record) all;
	size_t public_addresses, private_addresses;
};

bool dns_is_host_name(struct str name)
{
	size_t label = 0, labels = 1;
	for (size_t i = 0; i < name.n; i++) {
		char ch = name.p[i];
		bool edge =
			i == 0 || i + 1 == name.n || name.p[i - 1] == '.' || name.p[i + 1] == '.';
		if (ch == '.') {
			if (label == 0)
				return false;
			label = 0;
			labels++;
			continue;
		}
		if (!ascii_alpha(ch) && !ascii_digit(ch) && (ch != '-' || edge))
			return false;
		if (++label > 63)
			return false;
	}
	return name.n <= 253 && labels >= 2 && label > 0;
}

static void add(struct records *r, const char *note, struct str name, const char *type,
		struct str value)
{
	*vec_push(&r->all) =
		(struct record){.name = name, .type = str_c(type), .value = value, .note = note};
}

/* "WORD.domain." */
static struct str below(struct records *r, const char *word)
{
	return arena_printf(&r->arena, "%s%s%s.", word, *word ? "." : "", r->domain);
}

/* --- addresses of this machine --- */

static bool within(const struct netaddr *a, const char *const *nets, size_t n)
{
	struct netcidr net;
	for (size_t i = 0; i < n; i++)
		if (netcidr_parse(str_c(nets[i]), &net) && netcidr_has(&net, a))
			return true;
	return false;
}

/* Nobody reaches these from outside: those of a machine behind a router, and of examples. */
static bool is_private(const struct netaddr *a)
{
	static const char *const nets[] = {"192.0.2.0/24",   "198.51.100.0/24", "203.0.113.0/24",
					   "2001:db8::/32",  "10.0.0.0/8",	"172.16.0.0/12",
					   "192.168.0.0/16", "100.64.0.0/10",	"192.0.0.0/24",
					   "198.18.0.0/15",  "169.254.0.0/16",	"fc00::/7"};
	return within(a, nets, ARRAY_LEN(nets));
}

static bool is_local(const struct netaddr *a)
{
	static const char *const nets[] = {"169.254.0.0/16", "fe80::/10"};
	return netaddr_is_loopback(a) || netaddr_is_any(a) || within(a, nets, ARRAY_LEN(nets));
}

static bool take_address(const struct ifaddrs *i, struct netaddr *ret)
{
	*ret = (struct netaddr){0};
	if (!i->ifa_addr || !(i->ifa_flags & IFF_UP))
		return false;
	ret->family = i->ifa_addr->sa_family;
	if (ret->family == AF_INET)
		memcpy(ret->bytes,
		       &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr, 4);
	else if (ret->family == AF_INET6)
		memcpy(ret->bytes,
		       &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr, 16);
	else
		return false;
	return !is_local(ret);
}

static void add_reverse(struct records *r, const struct netaddr *a)
{
	struct str name;
	AUTO(buf) struct buf nibbles = BUF_INIT(200);
	if (a->family == AF_INET) {
		name = arena_printf(&r->arena, "%u.%u.%u.%u.in-addr.arpa.", a->bytes[3],
				    a->bytes[2], a->bytes[1], a->bytes[0]);
	} else {
		for (size_t i = 16; i-- > 0;)
			(void)buf_addf(&nibbles, "%x.%x.", a->bytes[i] & 15u, a->bytes[i] >> 4);
		name = arena_printf(&r->arena, "%sip6.arpa.", buf_c(&nibbles));
	}
	add(r,
	    "The way back, set where you rent the address (most providers have a form for it).\n"
	    "; Without it many servers refuse your mail.",
	    name, "PTR", arena_printf(&r->arena, "%s.", r->hostname));
}

static void add_address(struct records *r, const struct netaddr *a)
{
	char text[NETADDR_TEXT_MAX];
	struct str value = arena_str(&r->arena, netaddr_text(a, false, text));
	add(r, "The server's own name and addresses.", arena_printf(&r->arena, "%s.", r->hostname),
	    a->family == AF_INET ? "A" : "AAAA", value);
}

/* fn for each public address, once. */
static void each_public(struct records *r, void (*fn)(struct records *r, const struct netaddr *a))
{
	struct ifaddrs *list = NULL;
	struct netaddr a;
	r->public_addresses = r->private_addresses = 0;
	if (getifaddrs(&list) < 0)
		return;
	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		if (!take_address(i, &a))
			continue;
		if (is_private(&a)) {
			r->private_addresses++;
		} else {
			r->public_addresses++;
			fn(r, &a);
		}
	}
	freeifaddrs(list);
}

/* --- services --- */

static unsigned port_of(const struct conf_list *listen)
{
	struct netaddr a;
	return listen->n && netaddr_parse(str_c(listen->p[0]), &a) ? a.port : 0;
}

static void add_service(struct records *r, const char *service, unsigned priority, unsigned port)
{
	/* RFC 6186 3.4: "." says that the service is not offered. */
	struct str value =
		port ? arena_printf(&r->arena, "%u 1 %u %s.", priority, port, r->hostname)
		     : STR("0 0 0 .");
	add(r,
	    "Where mail programs find the services (RFC 6186, RFC 8314); \".\" means not offered.",
	    below(r, service), "SRV", value);
}

static void add_services(struct records *r, const struct conf *conf)
{
	add_service(r, "_imaps._tcp", 0, port_of(&conf->imaps_listen));
	add_service(r, "_imap._tcp", 10, port_of(&conf->imap_listen));
	add_service(r, "_submissions._tcp", 0, port_of(&conf->submissions_listen));
	add_service(r, "_submission._tcp", 10, port_of(&conf->submission_listen));
	add_service(r, "_pop3s._tcp", 20, port_of(&conf->pop3s_listen));
	add_service(r, "_pop3._tcp", 30, port_of(&conf->pop3_listen));
	if (conf->managesieve_listen.n) /* RFC 5804 1.8 */
		add_service(r, "_sieve._tcp", 0, port_of(&conf->managesieve_listen));
}

static void collect(struct records *r, const struct conf *conf)
{
	add(r, "Mail for the domain comes to this server.", below(r, ""), "MX",
	    arena_printf(&r->arena, "10 %s.", r->hostname));
	each_public(r, add_address);
	if (!r->public_addresses)
		add(r, "The server's own name. Put its public address here.",
		    arena_printf(&r->arena, "%s.", r->hostname), "A", STR("192.0.2.1"));
	each_public(r, add_reverse);
	add(r,
	    "Who may send mail of the domain: its MX, nobody else (SPF). Other senders of yours\n"
	    "; (newsletters, a web shop) need an include: or ip4: of their own in front of -all.",
	    below(r, ""), "TXT", STR("\"v=spf1 mx -all\""));
	add(r, "The server greets with its own name: that has an SPF record, too.",
	    arena_printf(&r->arena, "%s.", r->hostname), "TXT", STR("\"v=spf1 a -all\""));
	add(r,
	    "What receivers do with mail that fails (DMARC). Nothing, while you watch the "
	    "reports;\n"
	    "; after some weeks p=quarantine, then p=reject.",
	    below(r, "_dmarc"), "TXT",
	    arena_printf(&r->arena, "\"v=DMARC1; p=none; rua=mailto:postmaster@%s\"", r->domain));
	add(r, "Other servers tell about trouble with TLS (TLS-RPT).", below(r, "_smtp._tls"),
	    "TXT", arena_printf(&r->arena, "\"v=TLSRPTv1; rua=mailto:postmaster@%s\"", r->domain));
	add_services(r, conf);
}

/* --- printing --- */

static void print_zone(const struct records *r)
{
	const char *note = NULL;
	(void)printf("; DNS records of %s: lines of a zone file.\n", r->domain);
	for (size_t i = 0; i < r->all.n; i++) {
		const struct record *x = &r->all.p[i];
		if (x->note != note)
			(void)printf("\n; %s\n", note = x->note);
		(void)printf("%-36.*s  3600 IN %-5.*s %.*s\n", STR_ARG(x->name), STR_ARG(x->type),
			     STR_ARG(x->value));
	}
	if (r->private_addresses && !r->public_addresses)
		(void)puts("\n; This machine has private addresses alone: it is behind a router. "
			   "192.0.2.1 stands for\n; the public address.");
	(void)printf("\n; MTA-STS needs a web server at mta-sts.%s and is not printed for that "
		     "reason; DKIM is not,\n; because this barid does not sign yet.\n",
		     r->domain);
}

static void print_table(const struct cli *c, const struct records *r)
{
	static const struct str columns[] = {{"name", 4}, {"type", 4}, {"record", 6}};
	struct str *cells = xcalloc(r->all.n * 3, sizeof *cells);
	for (size_t i = 0; i < r->all.n; i++) {
		cells[3 * i] = r->all.p[i].name;
		cells[3 * i + 1] = r->all.p[i].type;
		cells[3 * i + 2] = r->all.p[i].value;
	}
	struct cli_table t = {.name = "records",
			      .columns = columns,
			      .n_columns = ARRAY_LEN(columns),
			      .cells = cells,
			      .n_cells = r->all.n * 3};
	cli_print(c, &t);
	free(cells);
}

void dns_print(const struct cli *c, const struct conf *conf, const char *domain)
{
	struct records r = {
		.arena = ARENA_INIT(MIB(1)), .domain = domain, .hostname = conf->hostname};
	collect(&r, conf);
	if (c->json)
		print_table(c, &r);
	else
		print_zone(&r);
	vec_clear(&r.all);
	arena_clear(&r.arena);
}

int cli_dns(const struct cli *c)
{
	struct conf *conf = NULL;
	AUTO(buf) struct buf errors = BUF_INIT(KIB(64));
	if (c->n > 2 && c->n <= 4 && strcmp(c->args[1], "lookup") == 0)
		return cli_admin(c);
	if (c->n > 2)
		return cli_usage("dns");
	if (conf_load(c->conf, &conf, &errors) < 0) {
		(void)fputs(buf_c(&errors), stderr);
		return EXIT_FAILED;
	}
	const char *domain = c->n == 2 ? c->args[1] : conf->postmaster_domain;
	int r = EXIT_DONE;
	if (!dns_is_host_name(str_c(domain))) {
		(void)fprintf(stderr,
			      *domain ? "%s is not a domain name.\n"
				      : "%sWhich domain? For example: barid dns example.org\n",
			      domain);
		r = EXIT_USAGE;
	} else {
		dns_print(c, conf, domain);
	}
	conf_free(conf);
	return r;
}
