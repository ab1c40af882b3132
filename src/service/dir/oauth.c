/* SPDX-License-Identifier: Apache-2.0 */
#include "oauth.h"

#include "base/check.h"
#include "codec/sasl/oauthbearer.h"
#include "codec/sasl/scram.h"
#include "jsondoc.h"
#include "jwks.h"
#include "sys/clock.h"
#include "sys/fs.h"

struct oauth {
	struct dir_oauth c;
	struct fs *fs;
	pthread_mutex_t lock; /* guards what follows */
	struct jwks *keys;
	struct fs_stat seen; /* of the file they came from */
};

struct oauth *oauth_new(const struct dir_oauth *c, struct fs *fs)
{
	if (!c->issuer || !c->issuer[0] || !c->audience || !c->audience[0])
		return NULL;
	struct oauth *o = xcalloc(1, sizeof *o);
	o->c = *c;
	o->fs = fs;
	(void)pthread_mutex_init(&o->lock, NULL);
	return o;
}

void oauth_free(struct oauth *o)
{
	if (!o)
		return;
	jwks_free(o->keys);
	(void)pthread_mutex_destroy(&o->lock);
	free(o);
}

/* ---- keys ---- */

static int read_keys(struct oauth *o, struct jwks **ret, struct fail *why)
{
	AUTO(fs_file) struct fs_file *f = NULL;
	AUTO(buf) struct buf text = BUF_INIT(JSONDOC_MAX + 2);
	size_t n = 0;
	int r = fs_open(o->fs, o->c.keys, FS_READ, 0, &f, why);

	if (r < 0)
		return r;
	char *room = buf_room(&text, JSONDOC_MAX + 1);
	CHECK(room);
	r = fs_pread(f, room, JSONDOC_MAX + 1, 0, &n, why);
	if (r < 0)
		return r;
	buf_added(&text, n);
	return fail_wrap(why, jwks_read(buf_str(&text), ret, why), "%s", o->c.keys);
}

/* With the lock held: the file of now, if it can be read; else what was read before. */
static int refresh(struct oauth *o, struct fail *why)
{
	struct fs_stat now = {0};
	struct jwks *fresh = NULL;
	int r = fs_stat(o->fs, o->c.keys, &now, why);

	if (r == 0 && o->keys && now.inode == o->seen.inode && now.size == o->seen.size &&
	    now.changed.v == o->seen.changed.v)
		return 0;
	if (r == 0)
		r = read_keys(o, &fresh, why);
	if (r < 0)
		return o->keys ? 0 : r;
	jwks_free(o->keys);
	o->keys = fresh;
	o->seen = now;
	return 0;
}

/* ---- the token ---- */

static bool no(struct dir_grant *g, const char *reason)
{
	login_reason(g, "token: ", reason);
	return false;
}

static bool header_fits(struct str text, struct str *ret_alg, struct str *ret_kid, struct arena *a,
			struct dir_grant *g)
{
	AUTO(jsondoc) struct jsondoc *j = NULL;
	struct str alg = STR_NULL;
	struct str kid = STR("");
	struct str typ = STR("JWT");

	if (jsondoc_read(text, &j) < 0 || !jsondoc_text(j, "alg", &alg))
		return no(g, "malformed header");
	if (!str_eq(alg, STR("RS256")) && !str_eq(alg, STR("ES256")) && !str_eq(alg, STR("EdDSA")))
		return no(g, "algorithm is not RS256, ES256 or EdDSA");
	if (jsondoc_has(j, "crit"))
		return no(g, "unknown critical header");
	(void)jsondoc_text(j, "typ", &typ);
	if (str_startsi(typ, STR("application/")))
		typ = str_skip(typ, 12);
	if (!str_eqi(typ, STR("JWT")) && !str_eqi(typ, STR("at+jwt")))
		return no(g, "not an access token");
	if (jsondoc_has(j, "kid") && !jsondoc_text(j, "kid", &kid))
		return no(g, "malformed header");
	*ret_alg = arena_str(a, alg);
	*ret_kid = arena_str(a, kid);
	return ret_alg->p || no(g, "header is too long");
}

static bool times_fit(const struct oauth *o, const struct jsondoc *j, int64_t now,
		      struct dir_grant *g)
{
	int64_t leeway = (int64_t)o->c.leeway_s;
	int64_t t = 0;

	if (!jsondoc_number(j, "exp", &t))
		return no(g, "has no end (exp)");
	if (now - leeway >= t)
		return no(g, "has expired");
	if (jsondoc_has(j, "nbf") && (!jsondoc_number(j, "nbf", &t) || t > now + leeway))
		return no(g, "is not valid yet (nbf)");
	if (jsondoc_has(j, "iat") && (!jsondoc_number(j, "iat", &t) || t > now + leeway))
		return no(g, "is of the future (iat)");
	return true;
}

static bool scope_fits(const struct oauth *o, const struct jsondoc *j)
{
	struct str want = str_c(o->c.scope ? o->c.scope : "");
	struct str rest = STR_NULL;
	struct str word;

	if (want.n == 0 || jsondoc_names(j, "scope", want) || jsondoc_names(j, "scp", want))
		return true;
	if (!jsondoc_text(j, "scope", &rest) && !jsondoc_text(j, "scp", &rest))
		return false;
	while (str_cut(&rest, ' ', &word))
		if (str_eq(word, want))
			return true;
	return false;
}

static bool claims_fit(const struct oauth *o, struct str text, int64_t now, struct arena *a,
		       struct str *ret_name, struct dir_grant *g)
{
	AUTO(jsondoc) struct jsondoc *j = NULL;
	struct str issuer = STR_NULL;
	struct str name = STR_NULL;

	if (jsondoc_read(text, &j) < 0)
		return no(g, "malformed claims");
	if (!jsondoc_text(j, "iss", &issuer) || !str_eq(issuer, str_c(o->c.issuer)))
		return no(g, "of another issuer (iss)");
	if (!jsondoc_names(j, "aud", str_c(o->c.audience)))
		return no(g, "for another audience (aud)");
	if (!times_fit(o, j, now, g))
		return false;
	if (!scope_fits(o, j))
		return no(g, "lacks the scope");
	if (!jsondoc_text(j, o->c.username, &name) || name.n == 0)
		return no(g, "names no account");
	/* What a user has typed in at the issuer is nobody's address yet (OpenID Connect Core 5.1).
	 */
	if (strcmp(o->c.username, "email") == 0 && jsondoc_denies(j, "email_verified"))
		return no(g, "address is not verified (email_verified)");
	*ret_name = arena_str(a, name);
	return ret_name->p || no(g, "name is too long");
}

int oauth_check(struct oauth *o, struct str token, int64_t now_s, struct arena *a,
		struct str *ret_name, struct dir_grant *g, struct fail *why)
{
	AUTO(buf) struct buf header = BUF_INIT(JWT_PART_MAX);
	AUTO(buf) struct buf claims = BUF_INIT(JWT_PART_MAX);
	AUTO(buf) struct buf signature = BUF_INIT(KIB(2));
	struct str alg = STR_NULL;
	struct str kid = STR_NULL;
	struct jwt_parts p;

	if (jwt_split(token, &p) < 0 || base64url_decode(&header, p.header) < 0 ||
	    base64url_decode(&claims, p.claims) < 0 ||
	    base64url_decode(&signature, p.signature) < 0)
		return no(g, "malformed");
	if (!header_fits(buf_str(&header), &alg, &kid, a, g))
		return 0;
	(void)pthread_mutex_lock(&o->lock);
	int r = refresh(o, why);
	bool good = r == 0 && jwks_verify(o->keys, alg, kid, p.signed_text, buf_str(&signature));
	(void)pthread_mutex_unlock(&o->lock);
	if (r < 0)
		return r;
	if (!good)
		return no(g, "no key of the issuer signed it");
	return claims_fit(o, buf_str(&claims), now_s, a, ret_name, g);
}

/* ---- the login ---- */

/* Who the message says, and who the token says, must be one. */
static bool same_name(struct str said, struct str name, bool escaped)
{
	AUTO(buf) struct buf plain = BUF_INIT(KIB(1));

	if (said.n == 0)
		return true;
	if (escaped && scram_name_decode(said, &plain) < 0)
		return false;
	return str_eqi(escaped ? buf_str(&plain) : said, name);
}

static int decide(struct dir *d, const struct dir_sasl *s, const struct oauth_message *m,
		  struct arena *a, struct dir_grant *g, struct fail *why)
{
	AUTO(arena) struct arena scratch = ARENA_INIT(KIB(64));
	bool bearer = str_eqi(s->mechanism, STR("OAUTHBEARER"));
	struct login_row row = {0};
	struct addr x = {0};
	struct str name = STR_NULL;
	int r = oauth_check(d->oauth, m->token, clock_wall().v / SEC_US, &scratch, &name, g, why);

	if (r <= 0)
		return r;
	(void)snprintf(g->username, sizeof g->username, "%.*s", STR_ARG(name));
	if (!same_name(m->user, name, bearer)) {
		login_reason(g, "token is of another user than the message names", "");
		return 0;
	}
	r = addr_parse(name, 0, &scratch, &x, NULL) == 0
		    ? login_load(d, &s->place, x.full, &scratch, &row, why)
		    : 0;
	if (r == 0)
		login_reason(g, "no such user", "");
	if (r <= 0 || !login_rules(&s->place, &row, g))
		return MIN(r, 0);
	g->proof = DIR_PROOF_TOKEN;
	return login_granted(&row, a, g, why);
}

/* RFC 7628 section 3.2.2; of XOAUTH2: what its clients expect. */
static struct str error_text(const struct dir *d, const struct dir_sasl *s, struct arena *a)
{
	const char *scope = d->c.oauth.scope && d->c.oauth.scope[0] ? d->c.oauth.scope : "mail";
	bool bearer = str_eqi(s->mechanism, STR("OAUTHBEARER"));

	return arena_printf(a,
			    bearer ? "{\"status\":\"invalid_token\",\"scope\":\"%s\"}"
				   : "{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"%s\"}",
			    scope);
}

int oauth_login(struct dir *d, const struct dir_sasl *s, struct str message, struct arena *a,
		struct dir_grant *g, struct str *ret_error, struct fail *why)
{
	struct mono_ns start = clock_mono();
	struct oauth_message m = {0};
	bool bearer = str_eqi(s->mechanism, STR("OAUTHBEARER"));
	int r = bearer ? oauthbearer_parse(message, &m) : xoauth2_parse(message, &m);

	(void)snprintf(g->username, sizeof g->username, "%.*s", STR_ARG(m.user));
	if (r < 0) {
		login_reason(g, "malformed message", "");
	} else if (s->place.channel != DIR_TLS) {
		login_reason(g, "tokens are taken with TLS only", "");
	} else {
		r = decide(d, s, &m, a, g, why);
		if (r < 0)
			return r;
	}
	login_end(d, &s->place, str_c(g->username), start, g);
	*ret_error = g->granted ? STR("") : error_text(d, s, a);
	return g->granted || ret_error->p ? 0 : fail_set(why, FAIL_LIMIT, NULL, "arena full");
}
