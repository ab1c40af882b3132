/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that a name service may answer: the fuzzer's bytes are the zone. A check asks no more
 * than it may, and what it says stays within its bounds.
 */
#include "base/check.h"
#include "codec/spf/spf.h"
#include "codec/spf/spf_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is asked, the next piece of the input is a record. */
struct stream {
	struct str rest;
	unsigned asked;
};

static void answer(void *ctx, struct str name, enum dns_type type, struct arena *a,
		   struct dns_answer *ret)
{
	struct stream *s = ctx;
	struct str piece;
	CHECK(name.n > 0 && name.n <= 253);
	s->asked++;
	*ret = (struct dns_answer){.outcome = DNS_NXDOMAIN};
	if (!str_cut(&s->rest, '\n', &piece))
		return;
	if (str_eq(piece, STR("!"))) {
		ret->outcome = DNS_TIMEOUT;
		return;
	}
	ret->records = arena_array(a, struct str, 12);
	if (!ret->records)
		return;
	struct str one;
	while (ret->n < 12 && str_cut(&piece, '\t', &one))
		ret->records[ret->n++] = zone_record(type, one, a);
	ret->outcome = DNS_FOUND;
}

static void check(struct str s, bool six)
{
	AUTO(arena) struct arena a = ARENA_INIT(1U << 20);
	struct stream stream = {.rest = s};
	struct spf_dns dns = {&stream, answer};
	struct spf_question q = {.ip = {192, 0, 2, 1}, .ip_n = six ? 16 : 4};
	struct spf_verdict v;
	str_cut(&stream.rest, '\n', &q.sender);
	str_cut(&stream.rest, '\n', &q.helo);
	spf_check(&q, &dns, &a, &v);
	CHECK((unsigned)v.result < SPF_RESULTS);
	CHECK(v.lookups <= SPF_LOOKUPS + 1 && v.voids <= SPF_VOIDS + 1);
	/* A record a term, its hosts, those of PTR for the term and for the macro, one explanation.
	 */
	CHECK(stream.asked <= 2 + (SPF_LOOKUPS + 1) * (SPF_HOSTS + 2) + 3 * (SPF_HOSTS + 1));
	for (size_t i = 0; i < v.explanation.n; i++)
		CHECK(v.explanation.p[i] >= 0x20 && v.explanation.p[i] <= 0x7e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = {(const char *)data, size};
	AUTO(arena) struct arena a = ARENA_INIT(1U << 20);
	struct stream stream = {.rest = s};
	struct spf_dns dns = {&stream, answer};
	struct spf_record r;
	struct spf_networks nets;
	struct fail why = FAIL_INIT;
	if (spf_is_record(s) && spf_record_parse(s, &a, &r, &why) == 0)
		CHECK(r.n <= SPF_TERMS_MAX);
	check(s, false);
	check(s, true);
	if (spf_networks_of(STR("a.test"), 40, &dns, &a, &nets, &why) == 0) {
		AUTO(buf) struct buf text = BUF_INIT(1U << 20);
		CHECK(nets.n > 0 && nets.n <= SPF_NETWORKS_MAX);
		for (size_t i = 0; i < nets.n; i++)
			spf_network_text(&nets.p[i], &text);
		CHECK(text.n > nets.n * 4);
	}
	CHECK(stream.asked <= 41);
	return 0;
}
