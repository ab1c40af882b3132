/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/policy/policy_request.h"
#include "base/num.h"
#include <stddef.h>

static const char *const states[POLICY_STATES] = {
	"CONNECT", "EHLO", "HELO", "MAIL", "RCPT", "DATA", "END-OF-MESSAGE", "VRFY", "ETRN", "-"};

const char *policy_state_name(enum policy_state s)
{
	return states[s < POLICY_STATES ? s : POLICY_STATE_OTHER];
}

enum policy_state policy_state_of(struct str name)
{
	for (unsigned i = 0; i < POLICY_STATE_OTHER; i++)
		if (str_eqi(name, str_c(states[i])))
			return (enum policy_state)i;
	return POLICY_STATE_OTHER;
}

/* Texts and numbers of a request, by the names that Postfix gives them. */
static const struct field {
	const char *name;
	size_t at;
	bool number;
} fields[] = {
#define TEXT(f)                                                                                    \
	{                                                                                          \
#f, offsetof(struct policy_request, f), false                                      \
	}
#define NUMBER(f)                                                                                  \
	{                                                                                          \
#f, offsetof(struct policy_request, f), true                                       \
	}
	TEXT(protocol_name),
	TEXT(helo_name),
	TEXT(queue_id),
	TEXT(sender),
	TEXT(recipient),
	NUMBER(recipient_count),
	TEXT(client_address),
	TEXT(client_name),
	TEXT(reverse_client_name),
	TEXT(instance),
	TEXT(sasl_method),
	TEXT(sasl_username),
	TEXT(sasl_sender),
	NUMBER(size),
	TEXT(ccert_subject),
	TEXT(ccert_issuer),
	TEXT(ccert_fingerprint),
	TEXT(encryption_protocol),
	TEXT(encryption_cipher),
	NUMBER(encryption_keysize),
	TEXT(etrn_domain),
	TEXT(stress),
	TEXT(ccert_pubkey_fingerprint),
	NUMBER(client_port),
	TEXT(policy_context),
	TEXT(server_address),
	NUMBER(server_port),
	TEXT(compatibility_level),
	TEXT(mail_version),
	TEXT(tls_sni),
#undef TEXT
#undef NUMBER
};

static struct str *text_at(struct policy_request *r, const struct field *f)
{
	return (struct str *)(void *)((char *)r + f->at);
}

static uint64_t *number_at(struct policy_request *r, const struct field *f)
{
	return (uint64_t *)(void *)((char *)r + f->at);
}

/* Postfix says them in one order: the one behind the last is the likeliest. */
static const struct field *find(struct str name, size_t *near)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		size_t at = (*near + i) % ARRAY_LEN(fields);
		size_t n = strlen(fields[at].name);
		if (n == name.n && memcmp(fields[at].name, name.p, n) == 0) {
			*near = at + 1;
			return &fields[at];
		}
	}
	return NULL;
}

int policy_frame_end(struct str in, size_t *ret_end)
{
	struct str seen = str_sub(in, 0, POLICY_REQUEST_MAX);
	size_t line = 0;
	while (line < seen.n) {
		const char *lf = memchr(seen.p + line, '\n', seen.n - line);
		if (!lf)
			break;
		size_t end = (size_t)(lf - seen.p);
		size_t n = end - line;
		if (n == 0 || (n == 1 && seen.p[line] == '\r')) {
			*ret_end = end + 1;
			return 1;
		}
		line = end + 1;
	}
	return seen.n == POLICY_REQUEST_MAX ? -FAIL_TOOBIG : 0;
}

static bool has_nul(struct str s)
{
	return s.n && memchr(s.p, '\0', s.n) != NULL;
}

static void take(struct policy_request *r, struct str name, struct str value, size_t *near)
{
	if (str_eq(name, STR("protocol_state"))) {
		r->state = policy_state_of(value);
	} else if (str_eq(name, STR("smtputf8"))) {
		r->smtputf8 = str_eqi(value, STR("yes"));
	} else {
		const struct field *f = find(name, near);
		if (!f)
			return;
		if (!f->number)
			*text_at(r, f) = value;
		else if (!num_parse_u64(value, number_at(r, f)))
			*number_at(r, f) = 0;
	}
}

int policy_request_parse(struct str block, struct policy_request *ret)
{
	struct policy_request r = {.state = POLICY_STATE_OTHER};
	struct str rest = block, line, name, kind = STR_NULL;
	size_t near = 0;
	unsigned lines = 0;
	if (has_nul(block))
		return -FAIL_SYNTAX;
	while (str_cut(&rest, '\n', &line)) {
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (!line.n)
			break;
		if (++lines > POLICY_ATTRIBUTES_MAX)
			return -FAIL_LIMIT;
		size_t eq = str_find(line, 0, '=');
		if (eq == line.n || eq == 0)
			return -FAIL_SYNTAX;
		name = str_sub(line, 0, eq);
		if (str_eq(name, STR("request")))
			kind = str_skip(line, eq + 1);
		else
			take(&r, name, str_skip(line, eq + 1), &near);
	}
	if (!kind.p)
		return -FAIL_SYNTAX;
	if (!str_eq(kind, STR("smtpd_access_policy")))
		return -FAIL_UNSUPPORTED;
	*ret = r;
	return 0;
}

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

static void put(struct buf *out, const char *name, struct str value)
{
	size_t n = 0;
	while (n < value.n && !is_control(value.p[n]))
		n++;
	(void)buf_add_c(out, name);
	(void)buf_addc(out, '=');
	(void)buf_add(out, str_sub(value, 0, n));
	(void)buf_addc(out, '\n');
}

void policy_request_write(const struct policy_request *r, struct buf *out)
{
	struct policy_request copy = *r;
	put(out, "request", STR("smtpd_access_policy"));
	put(out, "protocol_state",
	    r->state == POLICY_STATE_OTHER ? STR("") : str_c(policy_state_name(r->state)));
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		char digits[24];
		AUTO(buf) struct buf b = BUF_INIT(sizeof digits);
		if (!fields[i].number) {
			put(out, fields[i].name, *text_at(&copy, &fields[i]));
			continue;
		}
		(void)buf_add_u64(&b, *number_at(&copy, &fields[i]));
		put(out, fields[i].name, buf_str(&b));
	}
	if (r->smtputf8)
		put(out, "smtputf8", STR("yes"));
	(void)buf_addc(out, '\n');
}

void policy_answer_write(struct buf *out, struct str action)
{
	struct str cut = str_sub(action.n ? action : STR("DUNNO"), 0, POLICY_ACTION_MAX);
	(void)buf_add_c(out, "action=");
	char *room = buf_room(out, cut.n + 2);
	if (!room)
		return;
	for (size_t i = 0; i < cut.n; i++)
		room[i] = cut.p[i];
	for (size_t i = 0; i < cut.n; i++)
		if (is_control(room[i]))
			room[i] = ' ';
	room[cut.n] = room[cut.n + 1] = '\n';
	buf_added(out, cut.n + 2);
}
