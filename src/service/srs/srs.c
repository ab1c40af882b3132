/* SPDX-License-Identifier: Apache-2.0 */
#include "service/srs/srs.h"
#include "base/check.h"
#include "runtime/conf.h"
#include "service/srs/srs_int.h"
#include "sys/clock.h"
#include "sys/digest.h"
#include <stdlib.h>

#define EXCLUDE_MAX 1000u
#define DAY_S	    86400

_Static_assert(SRS_MAC_LEN == 20, "SHA-1");

struct srs {
	struct srs_rules rules;
	struct str secrets[SRS_SECRETS_MAX];
	char domain[SMTP_DOMAIN_MAX + 1];
	struct str exclude[EXCLUDE_MAX];
	size_t exclude_n;
	char *text; /* that the secrets are in */
	size_t text_n;
	char *names; /* likewise the excluded domains, in lower case */
};

static void hmac(struct str key, struct str text, unsigned char ret[SRS_MAC_LEN])
{
	CHECK(digest_hmac(DIGEST_SHA1, key, text, ret, NULL) == 0);
}

bool srs_secrets_next(struct str *text, struct str *ret)
{
	while (str_cut(text, '\n', ret)) {
		*ret = str_trim(*ret);
		if (ret->n && ret->p[0] != '#')
			return true;
	}
	return false;
}

static char *copy(struct str s)
{
	char *p = xcalloc(s.n + 1, 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	return p;
}

static void take_exclude(struct srs *s, struct str names)
{
	struct str rest, name;

	s->names = copy(names);
	for (size_t i = 0; i < names.n; i++)
		s->names[i] = strchr(", \t\n", s->names[i]) ? ' ' : ascii_lower(s->names[i]);
	rest = str_make(s->names, names.n);
	while (s->exclude_n < EXCLUDE_MAX && str_cut(&rest, ' ', &name)) {
		while (str_starts(name, STR(".")))
			name = str_skip(name, 1);
		if (name.n)
			s->exclude[s->exclude_n++] = name;
	}
}

int srs_make(const struct srs_settings *c, struct str secrets, struct srs **ret, struct fail *why)
{
	AUTO(buf) struct buf domain = BUF_INIT(SMTP_DOMAIN_MAX);
	AUTO(srs) struct srs *s = xcalloc(1, sizeof *s);
	struct str text;

	if (smtp_domain_normalise(c->domain, &domain) < 0 || !smtp_domain_is_full(buf_str(&domain)))
		return fail_set(why, FAIL_SYNTAX, NULL, "srs: not a full domain: %.*s",
				STR_ARG(c->domain));
	memcpy(s->domain, domain.p, domain.n);
	s->text = copy(secrets);
	s->text_n = secrets.n;
	text = str_make(s->text, secrets.n);
	while (s->rules.n < SRS_SECRETS_MAX && srs_secrets_next(&text, &s->secrets[s->rules.n]))
		s->rules.n++;
	if (s->rules.n == 0)
		return fail_set(why, FAIL_SYNTAX, NULL, "srs: no secret");
	s->rules.secrets = s->secrets;
	s->rules.hash_len =
		MIN(MAX(c->hash_len, (unsigned)SRS_HASH_LEAST), (unsigned)SRS_HASH_MOST);
	s->rules.age_max = c->age_max;
	s->rules.separator = c->separator;
	s->rules.hmac = hmac;
	take_exclude(s, c->exclude);
	*ret = TAKE(s);
	return 0;
}

void srs_free(struct srs *s)
{
	if (!s)
		return;
	if (s->text)
		explicit_bzero(s->text, s->text_n);
	free(s->text);
	free(s->names);
	free(s);
}

struct str srs_domain(const struct srs *s)
{
	return str_c(s->domain);
}

uint32_t srs_today(void)
{
	return (uint32_t)(clock_wall().v / SEC_US / DAY_S);
}

struct srs_settings srs_settings_of(const struct conf *c)
{
	return (struct srs_settings){
		.domain = str_c(c->srs_domain[0] ? c->srs_domain : c->hostname),
		.exclude = str_c(c->srs_exclude),
		.hash_len = (unsigned)c->srs_hash_length,
		.age_max = (unsigned)(c->srs_age_max_ms / (DAY_S * UINT64_C(1000))),
		.separator = c->srs_separator[0]};
}

static bool is_excluded(const struct srs *s, struct str domain)
{
	for (size_t i = 0; i < s->exclude_n; i++) {
		struct str e = s->exclude[i];
		if (str_ends(domain, e) && (domain.n == e.n || domain.p[domain.n - e.n - 1] == '.'))
			return true;
	}
	return false;
}

int srs_rewrite(const struct srs *s, const struct smtp_addr *sender, const struct srs_ours *ours,
		uint32_t day, struct smtp_addr *ret, const char **ret_reason)
{
	struct str domain = smtp_addr_domain(sender);

	if (str_eq(domain, str_c(s->domain))) {
		*ret_reason = "the domain of rewritten senders";
		return 0;
	}
	if (is_excluded(s, domain)) {
		*ret_reason = "an excluded domain";
		return 0;
	}
	int r = ours->ask(ours->ctx, domain, NULL);
	if (r != 0) {
		*ret_reason = r < 0 ? "the directory does not answer" : "a domain of this server";
		return MIN(r, 0);
	}
	if (srs_forward(&s->rules, sender, str_c(s->domain), day, ret) < 0) {
		*ret_reason = "the rewritten address would be too long";
		return 0;
	}
	return 1;
}

int srs_restore(const struct srs *s, const struct smtp_addr *recipient, uint32_t day,
		struct smtp_addr *ret, const char **ret_reason)
{
	AUTO(buf) struct buf plain = BUF_INIT(KIB(1));

	*ret_reason = "not a rewritten address";
	if (!str_eq(smtp_addr_domain(recipient), str_c(s->domain)) ||
	    smtp_addr_plain_local(recipient, &plain) < 0)
		return 0;
	int r = srs_reverse(&s->rules, buf_str(&plain), day, ret);
	if (r == -FAIL_NOTFOUND)
		return 0;
	if (r == -FAIL_PERM)
		*ret_reason = "the hash is not one of this server";
	else if (r == -FAIL_DEADLINE)
		*ret_reason = "the address has expired";
	else if (r < 0)
		*ret_reason = "not a whole rewritten address";
	return r < 0 ? r : 1;
}
