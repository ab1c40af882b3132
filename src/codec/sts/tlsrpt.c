/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sts/tlsrpt.h"
#include "base/civil.h"
#include "base/encode.h"
#include "base/num.h"
#include "base/utf8.h"
#include "codec/smtp/received.h"
#include <string.h>

#define TEXT_MAX 200 /* characters of others that one JSON text takes */

/* ---- the record ---- */

/* Blanks around it are none of it (3: *WSP). */
static void take_place(struct str s, struct tlsrpt_record *ret)
{
	struct tlsrpt_place p = {0};
	struct tlsrpt_url url;
	s = str_trim(s);
	if (str_startsi(s, STR("mailto:"))) {
		s = str_skip(s, 7);
		s = str_sub(s, 0, str_find(s, 0, '?'));
		if (str_find(s, 0, '@') == s.n || str_find(s, 0, '%') < s.n)
			return;
	} else if (tlsrpt_url_parse(s, &url)) {
		p.https = true;
	} else {
		return;
	}
	if (s.n > TLSRPT_PLACE_MAX || ret->n == TLSRPT_PLACES_MAX)
		return;
	memcpy(p.text, s.p, s.n);
	ret->v[ret->n++] = p;
}

static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return true;
}

bool tlsrpt_record_parse(struct str text, struct tlsrpt_record *ret)
{
	struct tlsrpt_record out = {0};
	struct str field = STR_NULL, place = STR_NULL;
	bool any = false;
	if (!is_plain(text) || !str_cut(&text, ';', &field) ||
	    !str_eq(str_trim(field), STR("v=TLSRPTv1")))
		return false;
	while (str_cut(&text, ';', &field)) {
		field = str_trim(field);
		if (any || !str_starts(field, STR("rua=")))
			continue;
		any = true;
		field = str_skip(field, 4);
		while (str_cut(&field, ',', &place))
			take_place(place, &out);
	}
	*ret = out;
	return out.n > 0;
}

static bool is_host(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alpha(s.p[i]) && !ascii_digit(s.p[i]) && s.p[i] != '-' && s.p[i] != '.')
			return false;
	return s.n > 0 && s.n <= 253 && str_find(s, 0, '.') < s.n;
}

bool tlsrpt_url_parse(struct str uri, struct tlsrpt_url *ret)
{
	struct tlsrpt_url u = {.port = 443};
	uint32_t port = 443;
	if (!str_startsi(uri, STR("https://")) || !is_plain(uri) || str_find(uri, 0, ' ') < uri.n)
		return false;
	struct str rest = str_skip(uri, 8);
	size_t end = str_find(rest, 0, '/');
	struct str place = str_sub(rest, 0, end);
	size_t colon = str_find(place, 0, ':');
	u.host = str_sub(place, 0, colon);
	u.path = end < rest.n ? str_skip(rest, end) : STR("/");
	u.path = str_sub(u.path, 0, str_find(u.path, 0, '#'));
	if (colon < place.n &&
	    (!num_parse_u32(str_skip(place, colon + 1), &port) || port == 0 || port > UINT16_MAX))
		return false;
	u.port = (uint16_t)port;
	*ret = u;
	return is_host(u.host);
}

/* ---- the document ---- */

/* Text of others: what is no character, or would end it, is written as one that does no harm. */
static void add_text(struct buf *out, struct str s)
{
	bool utf8 = utf8_valid(s);
	buf_addc(out, '"');
	for (size_t i = 0; i < s.n && i < TEXT_MAX; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '"' || c == '\\')
			buf_addc(out, '\\');
		buf_addc(out, c < 0x20 || c == 0x7f || (c > 0x7e && (!utf8 || s.n > TEXT_MAX))
				      ? '?'
				      : (char)c);
	}
	buf_addc(out, '"');
}

static void add_pair(struct buf *out, const char *before, const char *name, struct str value)
{
	buf_addf(out, "%s\"%s\":", before, name);
	add_text(out, value);
}

static void add_moment(struct buf *out, const char *before, const char *name, struct wall_us at)
{
	struct civil c;
	civil_from_us(at, &c);
	buf_addf(out, "%s\"%s\":\"%04d-%02d-%02dT%02d:%02d:%02dZ\"", before, name, (int)c.year,
		 c.month, c.day, c.hour, c.minute, c.second);
}

/* Lines of the policy that begin with a word, as a list; `skip` bytes of each are left out. */
static void add_lines(struct buf *out, struct str text, struct str word, size_t skip)
{
	struct str line = STR_NULL;
	bool any = false;
	while (str_cut(&text, '\n', &line)) {
		line = str_trim(line);
		if (line.n == 0 || !str_starts(line, word))
			continue;
		buf_add_c(out, any ? "," : "");
		add_text(out, str_trim(str_skip(line, skip)));
		any = true;
	}
}

static void add_policy(struct buf *out, const struct tlsrpt_report *r, struct str type)
{
	bool sts = str_eq(type, STR("sts")) && r->sts_policy.n > 0;
	add_pair(out, "{\"policy\":{", "policy-type", type);
	if (sts) {
		buf_add_c(out, ",\"policy-string\":[");
		add_lines(out, r->sts_policy, STR(""), 0);
		buf_add_c(out, "]");
	}
	add_pair(out, ",", "policy-domain", r->domain);
	if (sts) {
		buf_add_c(out, ",\"mx-host\":[");
		add_lines(out, r->sts_policy, STR("mx:"), 3);
		buf_add_c(out, "]");
	}
	buf_add_c(out, "}");
}

static void add_failure(struct buf *out, const struct tlsrpt_count *c, const char *before)
{
	add_pair(out, before, "result-type", c->result);
	if (c->mx.n)
		add_pair(out, ",", "receiving-mx-hostname", c->mx);
	if (c->ip.n)
		add_pair(out, ",", "receiving-ip", c->ip);
	buf_addf(out, ",\"failed-session-count\":%llu", (unsigned long long)c->n);
	if (c->reason.n)
		add_pair(out, ",", "failure-reason-code", c->reason);
	buf_add_c(out, "}");
}

static bool is_ok(const struct tlsrpt_count *c)
{
	return str_eq(c->result, STR("ok"));
}

/* Those of one policy, which stand together. How many they were. */
static size_t add_counts(struct buf *out, const struct tlsrpt_report *r, size_t from)
{
	struct str type = r->counts[from].policy;
	uint64_t good = 0, bad = 0;
	size_t n = 0;
	bool any = false;
	for (; from + n < r->n && str_eq(r->counts[from + n].policy, type); n++) {
		const struct tlsrpt_count *c = &r->counts[from + n];
		*(is_ok(c) ? &good : &bad) += c->n;
	}
	add_policy(out, r, type);
	buf_addf(out,
		 ",\"summary\":{\"total-successful-session-count\":%llu,"
		 "\"total-failure-session-count\":%llu}",
		 (unsigned long long)good, (unsigned long long)bad);
	for (size_t i = 0; i < n; i++) {
		if (is_ok(&r->counts[from + i]))
			continue;
		add_failure(out, &r->counts[from + i], any ? ",{" : ",\"failure-details\":[{");
		any = true;
	}
	buf_add_c(out, any ? "]}" : "}");
	return n;
}

int tlsrpt_id_write(struct buf *out, const struct tlsrpt_report *r)
{
	return buf_addf(out, "%lld-%.*s@%.*s", (long long)(r->from.v / SEC_US), STR_ARG(r->domain),
			STR_ARG(r->organization));
}

int tlsrpt_json_write(struct buf *out, const struct tlsrpt_report *r)
{
	AUTO(buf) struct buf id = BUF_INIT(KIB(2));
	(void)tlsrpt_id_write(&id, r);
	add_pair(out, "{", "organization-name", r->organization);
	add_moment(out, ",\"date-range\":{", "start-datetime", r->from);
	add_moment(out, ",", "end-datetime", r->to);
	add_pair(out, "},", "contact-info", r->contact);
	add_pair(out, ",", "report-id", buf_str(&id));
	buf_add_c(out, ",\"policies\":[");
	for (size_t i = 0; i < r->n;) {
		buf_add_c(out, i ? "," : "");
		i += add_counts(out, r, i);
	}
	buf_add_c(out, "]}");
	return out->failed || id.failed ? -FAIL_LIMIT : 0;
}

/* ---- the message ---- */

static void add_base64(struct buf *out, struct str s)
{
	for (; s.n > 0; s = str_skip(s, 57)) {
		(void)base64_encode(out, str_sub(s, 0, 57));
		buf_add_c(out, "\r\n");
	}
}

int tlsrpt_mail_write(struct buf *out, const struct tlsrpt_report *r, struct str to,
		      struct wall_us now, struct str packed)
{
	AUTO(buf) struct buf id = BUF_INIT(KIB(2));
	long long from = r->from.v / SEC_US, until = r->to.v / SEC_US;
	(void)tlsrpt_id_write(&id, r);
	buf_addf(out,
		 "From: <%.*s>\r\nTo: <%.*s>\r\n"
		 "Subject: Report Domain: %.*s\r\n\tSubmitter: %.*s\r\n\tReport-ID: <%s>\r\nDate: ",
		 STR_ARG(r->contact), STR_ARG(to), STR_ARG(r->domain), STR_ARG(r->organization),
		 buf_c(&id));
	rfc5322_date_write(out, now);
	buf_addf(out,
		 "\r\nMessage-ID: <tlsrpt-%s>\r\nAuto-Submitted: auto-generated\r\n"
		 "TLS-Report-Domain: %.*s\r\nTLS-Report-Submitter: %.*s\r\nTLS-Required: No\r\n"
		 "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=\"tlsrpt\";\r\n"
		 "\tboundary=\"barid-tlsrpt-%lld\"\r\n\r\n--barid-tlsrpt-%lld\r\n"
		 "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
		 "This is an aggregate report about TLS on connections of %.*s\r\n"
		 "to the mail servers of %.*s (RFC 8460).\r\n\r\n--barid-tlsrpt-%lld\r\n",
		 buf_c(&id), STR_ARG(r->domain), STR_ARG(r->organization), from, from,
		 STR_ARG(r->organization), STR_ARG(r->domain), from);
	buf_addf(out,
		 "Content-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n"
		 "Content-Disposition: attachment;\r\n"
		 "\tfilename=\"%.*s!%.*s!%lld!%lld.json.gz\"\r\n\r\n",
		 STR_ARG(r->organization), STR_ARG(r->domain), from, until);
	add_base64(out, packed);
	buf_addf(out, "--barid-tlsrpt-%lld--\r\n", from);
	return out->failed || id.failed ? -FAIL_LIMIT : 0;
}
