/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be wrong with a configuration although each of its values is fine.
 */
#include "base/num.h"
#include "base/text.h"
#include "base/vec.h"
#include "codec/pop3/pop3_uidl.h"
#include "codec/smtp/dnsbl.h"
#include "runtime/conf_int.h"
#include "sys/sock.h"
#include <string.h>

struct check {
	const struct conf *conf;
	const struct conf_place *said;
	struct buf *errors;
};

/* Where the setting was said; NULL when it has its default. */
static const struct conf_place *place_of(const struct check *ck, const char *section,
					 const char *key)
{
	for (size_t i = 0; i < conf_settings_n; i++)
		if (strcmp(conf_settings[i].section, section) == 0 &&
		    strcmp(conf_settings[i].key, key) == 0 && ck->said[i].line)
			return &ck->said[i];
	return NULL;
}

void conf_vcomplain(struct buf *errors, const struct conf_place *at, const char *fmt, va_list ap)
{
	if (at && at->line)
		(void)buf_addf(errors, "%s:%u: ", at->file, at->line);
	else if (at)
		(void)buf_addf(errors, "%s: ", at->file);
	(void)buf_vaddf(errors, text_of(fmt), ap);
	(void)buf_addc(errors, '\n');
}

static void complain(const struct check *ck, const struct conf_place *at, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
static void complain(const struct check *ck, const struct conf_place *at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	conf_vcomplain(ck->errors, at, fmt, ap);
	va_end(ap);
}

/* --- host names
 * ------------------------------------------------------------------------------------- */

/* RFC 1123 2.1: labels of letters, digits and inner hyphens. */
static bool label_ok(struct str label)
{
	if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (!ascii_alpha(label.p[i]) && !ascii_digit(label.p[i]) && label.p[i] != '-')
			return false;
	return true;
}

static bool host_ok(const char *name)
{
	struct str rest = str_c(name), label;
	while (str_cut(&rest, '.', &label))
		if (!label_ok(label))
			return false;
	return name[0] != '\0';
}

static void check_names(const struct check *ck)
{
	const struct conf *c = ck->conf;
	if (!host_ok(c->hostname))
		complain(ck, place_of(ck, "", "hostname"),
			 "hostname = %s: not a host name; allowed: labels of letters, digits and "
			 "hyphens with dots between them, as in mail.example.org",
			 c->hostname);
	if (c->postmaster_domain[0] && !host_ok(c->postmaster_domain))
		complain(ck, place_of(ck, "smtp", "postmaster_domain"),
			 "postmaster_domain = %s: not a domain; allowed: labels of letters, digits "
			 "and hyphens with dots between them, as in example.org",
			 c->postmaster_domain);
	if (strcmp(c->language, "en") != 0 && !text_find_language(c->language))
		complain(ck, place_of(ck, "", "language"),
			 "language = %s: this version has no such translation; allowed: en %s",
			 c->language, text_languages());
	if (c->state_dir[0] != '/')
		complain(ck, place_of(ck, "", "state_dir"),
			 "state_dir = %s: must begin with / (the server may be started anywhere)",
			 c->state_dir);
}

/* --- addresses
 * ------------------------------------------------------------------------------------- */

struct listening {
	const struct conf_setting *setting;
	const struct conf_place *at;
	const char *text;
	struct netaddr a;
};

/* Can the system bind only one of the two? */
static bool collide(const struct netaddr *a, const struct netaddr *b)
{
	return a->family == b->family && a->port == b->port &&
	       (netaddr_same_host(a, b) || netaddr_is_any(a) || netaddr_is_any(b));
}

static void check_addresses(const struct check *ck)
{
	VEC(struct listening) all = {0};
	for (size_t i = 0; i < conf_settings_n; i++) {
		const struct conf_setting *s = &conf_settings[i];
		if (s->type != CONF_ADDRESSES || strcmp(s->key, "listen") != 0)
			continue;
		const struct conf_list *l = (const void *)((const char *)ck->conf + s->offset);
		for (size_t k = 0; k < l->n; k++) {
			struct listening one = {.setting = s, .text = l->p[k]};
			one.at = ck->said[i].line ? &ck->said[i] : NULL;
			if (netaddr_parse(str_c(l->p[k]), &one.a))
				*vec_push(&all) = one;
		}
	}
	for (size_t i = 0; i < all.n; i++)
		for (size_t k = 0; k < i; k++) {
			struct listening *a = &all.p[i], *b = &all.p[k];
			char one[CONF_NAME_MAX], two[CONF_NAME_MAX];
			if (!collide(&a->a, &b->a))
				continue;
			(void)conf_name(a->setting, one);
			(void)conf_name(b->setting, two);
			complain(ck, a->at ? a->at : b->at,
				 "%s: %s is taken already, by %s = %s: give each its own port or "
				 "address",
				 one, a->text, two, b->text);
		}
	vec_clear(&all);
}

static void check_dns(const struct check *ck)
{
	if (strcmp(ck->conf->dns_mode, "forward") == 0 && ck->conf->dns_forward.n == 0)
		complain(ck, place_of(ck, "dns", "mode"),
			 "[dns] mode = forward needs the resolvers that are asked, in forward");
}

static void check_auth(const struct check *ck)
{
	static const char *const services[] = {"smtp", "imap", "pop3", "managesieve",
					       "web",  "dav",  "eas"};
	struct str rest = str_c(ck->conf->master_services);
	struct str word;
	if (ck->conf->oauth_issuer[0] && !ck->conf->oauth_audience[0])
		complain(ck, place_of(ck, "oauth", "issuer"),
			 "[oauth] issuer needs an audience: without one, tokens for other services "
			 "would open mailboxes here");
	if (strchr(ck->conf->oauth_keys, '/'))
		complain(ck, place_of(ck, "oauth", "keys"),
			 "[oauth] keys is the name of a file in the folder dir of the state "
			 "folder, without a path");
	while (str_cut(&rest, ' ', &word)) {
		size_t i = 0;
		while (i < ARRAY_LEN(services) && !str_eqi(word, str_c(services[i])))
			i++;
		if (word.n > 0 && i == ARRAY_LEN(services))
			complain(ck, place_of(ck, "auth", "master_services"),
				 "[auth] master_services: there is no service %.*s", STR_ARG(word));
	}
}

static void check_pop3(const struct check *ck)
{
	if (!pop3_uidl_format_good(str_c(ck->conf->pop3_uidl_format)))
		complain(ck, place_of(ck, "pop3", "uidl_format"),
			 "[pop3] uidl_format needs %%u, and what it makes may have no blanks and "
			 "no more "
			 "than 70 characters");
}

static void check_lists(const struct check *ck)
{
	struct str rest = str_c(ck->conf->dns_lists), one;
	struct dnsbl_site site;
	size_t n = 0;
	while (rest.n && str_cut(&rest, ',', &one)) {
		const char *problem = dnsbl_parse(str_trim(one), &site);
		if (!problem && ++n > DNSBL_SITES_MAX)
			problem = T("more lists than can be asked");
		if (problem)
			complain(ck, place_of(ck, "frontdoor", "dns_lists"),
				 "[frontdoor] dns_lists: \"%.*s\": %s", STR_ARG(str_trim(one)),
				 text_of(problem));
	}
}

/* --- content filters
 * ------------------------------------------------------------------------------------- */

/* "smtp:[127.0.0.1]:10024", "[filter.example.org]:10024", "lmtp:[...]:..."; *ret_at has an address
 * only when there is one. */
static bool filter_parse(struct str s, struct netaddr *ret_at)
{
	uint32_t port = 0;
	struct netaddr a = {0};
	if (str_starts(s, STR("smtp:")) || str_starts(s, STR("lmtp:")))
		s = str_skip(s, 5);
	size_t close = str_find(s, 0, ']');
	if (s.n == 0 || s.p[0] != '[' || close + 2 >= s.n || s.p[close + 1] != ':' ||
	    !num_parse_u32(str_skip(s, close + 2), &port) || port == 0 || port > UINT16_MAX)
		return false;
	struct str host = str_sub(s, 1, close);
	char name[256];
	(void)snprintf(name, sizeof name, "%.*s", STR_ARG(host));
	bool is_address = netaddr_parse(host, &a);
	a.port = (uint16_t)port;
	*ret_at = a;
	return is_address || (host.n < sizeof name && host_ok(name));
}

/* Does somebody who connects there reach this list? */
static bool listens_at(const struct conf_list *listen, const struct netaddr *at)
{
	for (size_t i = 0; i < listen->n; i++) {
		struct netaddr a;
		if (netaddr_parse(str_c(listen->p[i]), &a) && a.port == at->port &&
		    a.family == at->family && (netaddr_is_any(&a) || netaddr_same_host(&a, at)))
			return true;
	}
	return false;
}

static void check_filter(const struct check *ck, const char *section, const char *text)
{
	const struct conf *c = ck->conf;
	const struct conf_place *place = place_of(ck, section, "content_filter");
	struct netaddr at = {0};
	if (!text[0])
		return;
	if (!filter_parse(str_c(text), &at))
		complain(ck, place,
			 "[%s] content_filter = %s: not understood; allowed: "
			 "smtp:[127.0.0.1]:10024",
			 section, text);
	else if (at.family &&
		 (listens_at(&c->smtp_listen, &at) || listens_at(&c->submission_listen, &at)))
		complain(ck, place,
			 "[%s] content_filter = %s: this server itself listens there, and mail "
			 "would go round",
			 section, text);
}

void conf_check(const struct conf *c, const struct conf_place *said, struct buf *errors)
{
	struct check ck = {.conf = c, .said = said, .errors = errors};
	const struct conf_place *at = place_of(&ck, "smtp", "errors_soft");
	if (c->errors_soft > c->errors_hard)
		complain(&ck, at ? at : place_of(&ck, "smtp", "errors_hard"),
			 "[smtp] errors_soft is larger than errors_hard");
	at = place_of(&ck, "queue", "retry_min");
	if (c->retry_min_ms > c->retry_max_ms)
		complain(&ck, at ? at : place_of(&ck, "queue", "retry_max"),
			 "[queue] retry_min is longer than retry_max");
	at = place_of(&ck, "tls", "certificate");
	if (c->tls_certificate.n != c->tls_key.n)
		complain(&ck, at ? at : place_of(&ck, "tls", "key"),
			 "[tls] names %zu certificates and %zu keys: give a key for each "
			 "certificate, in the same order",
			 c->tls_certificate.n, c->tls_key.n);
	check_names(&ck);
	check_addresses(&ck);
	check_auth(&ck);
	check_pop3(&ck);
	check_dns(&ck);
	check_lists(&ck);
	check_filter(&ck, "smtp", c->smtp_content_filter);
	check_filter(&ck, "submission", c->submission_content_filter);
}
