/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exchange:  client-first -> server-first -> client-final -> server-final.
 * Between the two steps only what the messages said is kept; keys and rules are read again.
 */
#include "scram.h"

#include "app_password.h"
#include "base/check.h"
#include "base/encode.h"
#include "codec/sasl/scram.h"
#include "dir_key.h"
#include "saslprep.h"
#include "scram_int.h"
#include "sys/clock.h"
#include "sys/rand.h"

#define NONCE_LEN 18 /* bytes; 24 in base64 */
#define TEXTS_MAX KIB(16)
#define AUTH_MAX  (3 * SCRAM_MESSAGE_MAX + 16)

struct scram {
	struct dir_place place;
	enum digest digest;
	bool plus;
	struct str user; /* an address in lower case, or what was given */
	struct str gs2;
	struct str bare;
	struct str binding;
	struct str server_first;
	struct str nonce;
	uint32_t iterations; /* as told */
	struct str salt;
	struct arena arena; /* all the texts */
};

void scram_free(struct scram *s)
{
	if (!s)
		return;
	arena_clear(&s->arena);
	free(s);
}

static int refused(struct dir_grant *g, const char *reason)
{
	login_reason(g, reason, "");
	return -FAIL_AUTH;
}

/* Does what the client says of channel binding fit to what it chose (RFC 5802 section 6)? */
static int check_binding(const struct scram *s, const struct scram_client_first *f,
			 struct dir_grant *g)
{
	if (s->plus != (f->binding == SCRAM_BINDING_PRESENT))
		return refused(g, "channel binding does not fit the mechanism");
	if (s->plus && !str_eq(f->binding_name, STR("tls-exporter")))
		return refused(g, "unknown kind of channel binding");
	/* It was offered, so somebody in between has removed it from the list. */
	if (f->binding == SCRAM_BINDING_MISSED && s->binding.n > 0)
		return refused(g, "channel binding was hidden from the client");
	return 0;
}

/* The login name, prepared; an address in lower case where it is one. */
static int take_user(struct scram *s, const struct scram_client_first *f, struct dir_grant *g)
{
	AUTO(buf) struct buf name = BUF_INIT(SCRAM_MESSAGE_MAX);
	AUTO(buf) struct buf prepared = BUF_INIT(SCRAM_MESSAGE_MAX * 4);
	struct addr x = {0};

	if (scram_name_decode(f->user, &name) < 0)
		return refused(g, "malformed user name");
	(void)snprintf(g->username, sizeof g->username, "%.*s", STR_ARG(buf_str(&name)));
	if (saslprep(buf_str(&name), false, &prepared) < 0)
		return refused(g, "user name cannot be prepared");
	if (f->authzid.n > 0 && !str_eq(f->authzid, f->user))
		return refused(g, "acting for others is not offered with this mechanism");
	s->user = addr_parse(buf_str(&prepared), 0, &s->arena, &x, NULL) == 0
			  ? x.full
			  : arena_str(&s->arena, buf_str(&prepared));
	return s->user.p ? 0 : -FAIL_LIMIT;
}

/* Salt and iterations to tell: the account's, or some that look like it. */
static int choose_salt(struct dir *d, struct scram *s, struct fail *why)
{
	AUTO(arena) struct arena scratch = ARENA_INIT(KIB(32));
	struct login_row row = {0};
	struct scram_keys k = {0};
	uint8_t fake[DIR_KEY_LEN];
	int r = login_load(d, &s->place, s->user, &scratch, &row, why);

	dir_key_derive(&d->key, scram_name(s->digest), s->user, fake);
	if (r == 1) {
		DIR_LOCKED(d);
		r = scram_load(d, row.account.id, s->digest, row.stored, &k, why);
	}
	if (r < 0)
		return r;
	s->iterations = k.n ? k.iterations : d->c.scram_iterations;
	s->salt = k.n ? arena_str(&s->arena, str_make((const char *)k.salt, k.salt_n))
		      : arena_str(&s->arena, str_make((const char *)fake, SCRAM_SALT_LEN));
	explicit_bzero(&k, sizeof k);
	return s->salt.p ? 0 : fail_set(why, FAIL_LIMIT, NULL, "arena full at SCRAM");
}

static int write_first(struct scram *s, const struct scram_client_first *f, struct buf *challenge)
{
	AUTO(buf) struct buf nonce = BUF_INIT(SCRAM_NONCE_MAX + 64);
	unsigned char ours[NONCE_LEN];

	rand_bytes(ours, sizeof ours);
	(void)buf_add(&nonce, f->nonce);
	(void)base64_encode(&nonce, str_make((const char *)ours, sizeof ours));
	s->nonce = arena_str(&s->arena, buf_str(&nonce));
	s->gs2 = arena_str(&s->arena, f->gs2);
	s->bare = arena_str(&s->arena, f->bare);
	if (scram_server_first_write(challenge, s->nonce, s->salt, s->iterations) < 0)
		return -FAIL_LIMIT;
	s->server_first = arena_str(&s->arena, buf_str(challenge));
	return s->nonce.p && s->gs2.p && s->bare.p && s->server_first.p ? 0 : -FAIL_LIMIT;
}

static struct scram *scram_new(const struct dir_sasl *m)
{
	struct scram *s = xcalloc(1, sizeof *s);

	s->arena = ARENA_INIT(TEXTS_MAX);
	s->place = m->place;
	s->place.peer = arena_str(&s->arena, m->place.peer);
	s->binding = arena_str(&s->arena, m->binding);
	s->plus = str_endsi(m->mechanism, STR("-PLUS"));
	s->digest = str_startsi(m->mechanism, STR("SCRAM-SHA-1")) ? DIGEST_SHA1 : DIGEST_SHA256;
	return s;
}

int scram_begin(struct dir *d, const struct dir_sasl *m, struct str message, struct scram **ret,
		struct buf *challenge, struct dir_grant *g, struct fail *why)
{
	struct scram_client_first f;
	struct scram *s = scram_new(m);
	int r = 0;

	if (scram_client_first_parse(message, &f) < 0)
		r = refused(g, "malformed first message");
	else if (s->plus && s->binding.n == 0)
		r = refused(g, "the connection has no channel binding");
	if (r == 0)
		r = check_binding(s, &f, g);
	if (r == 0)
		r = take_user(s, &f, g);
	if (r == 0)
		r = choose_salt(d, s, why);
	if (r == 0)
		r = write_first(s, &f, challenge);
	if (r < 0) {
		scram_free(s);
		return r == -FAIL_LIMIT ? fail_set(why, FAIL_LIMIT, NULL, "SCRAM texts") : r;
	}
	*ret = s;
	return 0;
}

/* ---- the second message ---- */

/* Is `proof` of this key over the messages? Always the same work. */
static bool proves(enum digest d, const struct scram_key *k, struct str auth, struct str proof)
{
	uint8_t client[DIGEST_LEN_MAX];
	uint8_t got[DIGEST_LEN_MAX];
	size_t n = digest_len(d);

	if (proof.n != n ||
	    digest_hmac(d, str_make((const char *)k->stored, n), auth, client, NULL) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		client[i] ^= (uint8_t)proof.p[i];
	int r = digest_two(d, str_make((const char *)client, n), STR_NULL, got, NULL);
	explicit_bzero(client, sizeof client);
	return r == 0 &&
	       bytes_equal(str_make((const char *)got, n), str_make((const char *)k->stored, n));
}

/* What the second message claims. */
struct claim {
	struct buf auth;  /* AuthMessage */
	struct buf proof; /* ClientProof */
};

static const struct scram_key *find_key(const struct scram *s, const struct scram_keys *k,
					const struct claim *c)
{
	struct str auth = buf_str(&c->auth);
	struct str proof = buf_str(&c->proof);
	static const struct scram_key
		nobody; /* no proof fits: it would be of a hash that is zero */
	const struct scram_key *found = NULL;

	if (k->n == 0)
		(void)proves(s->digest, &nobody, auth, proof);
	for (size_t i = 0; i < k->n; i++)
		if (proves(s->digest, &k->key[i], auth, proof))
			found = &k->key[i];
	return found;
}

/* The texts of the second message belong to the first; AuthMessage and proof out. */
static int check_final(const struct scram *s, struct str message, struct claim *c,
		       struct dir_grant *g)
{
	struct scram_client_final f;

	if (scram_client_final_parse(message, &f) < 0 || base64_decode(&c->proof, f.proof) < 0)
		return refused(g, "malformed final message");
	if (!str_eq(f.nonce, s->nonce))
		return refused(g, "nonce was changed");
	if (!scram_binding_is(f.binding, s->gs2, s->plus ? s->binding : STR("")))
		return refused(g, "channel binding does not match");
	(void)buf_addf(&c->auth, "%.*s,", STR_ARG(s->bare));
	(void)buf_addf(&c->auth, "%.*s,", STR_ARG(s->server_first));
	(void)buf_add(&c->auth, f.without_proof);
	return c->auth.failed ? -FAIL_LIMIT : 0;
}

static bool still_told(const struct scram *s, const struct scram_keys *k)
{
	return k->iterations == s->iterations &&
	       str_eq(str_make((const char *)k->salt, k->salt_n), s->salt);
}

static int sign(const struct scram *s, const struct scram_key *key, struct str auth,
		struct buf *challenge, struct fail *why)
{
	uint8_t signature[DIGEST_LEN_MAX];
	size_t n = digest_len(s->digest);
	int r = digest_hmac(s->digest, str_make((const char *)key->server, n), auth, signature,
			    why);

	return r < 0 ? r
		     : scram_server_final_write(challenge, str_make((const char *)signature, n));
}

/* The rules of the password that was proved. */
static bool may_use(struct dir *d, const struct scram *s, uint64_t credential,
		    const struct login_row *row, struct dir_grant *g)
{
	struct fail why = FAIL_INIT;

	g->credential = credential;
	if (credential == 0)
		return login_own_password(&s->place, row, g);
	int r = app_password_rules(d, credential, &s->place, g, &why);
	if (r < 0)
		login_reason(g, "app password cannot be looked at: ", why.detail);
	return r == 1;
}

static int judge(struct dir *d, struct scram *s, const struct claim *c, struct arena *a,
		 struct buf *challenge, struct dir_grant *g, struct fail *why)
{
	AUTO(arena) struct arena scratch = ARENA_INIT(KIB(32));
	struct login_row row = {0};
	struct scram_keys k = {0};
	int known = login_load(d, &s->place, s->user, &scratch, &row, why);
	int r = known;

	if (known == 1) {
		DIR_LOCKED(d);
		r = scram_load(d, row.account.id, s->digest, row.stored, &k, why);
	}
	if (r < 0)
		return r;
	if (!still_told(s, &k))
		k.n = 0;
	const struct scram_key *key = find_key(s, &k, c);
	if (!key)
		login_reason(g,
			     known == 0 ? "no such user"
			     : k.n == 0 ? "account has no current SCRAM keys"
					: "wrong password",
			     "");
	else if (may_use(d, s, key->credential, &row, g) && login_rules(&s->place, &row, g)) {
		login_proved(g, key->credential ? DIR_PROOF_APP : DIR_PROOF_PASSWORD, row.stored);
		r = sign(s, key, buf_str(&c->auth), challenge, why);
		if (r == 0)
			r = login_granted(&row, a, g, why);
	}
	explicit_bzero(&k, sizeof k);
	return MIN(r, 0);
}

int scram_end(struct dir *d, struct scram *s, struct str message, struct arena *a,
	      struct buf *challenge, struct dir_grant *g, struct fail *why)
{
	struct claim c = {BUF_INIT(AUTH_MAX), BUF_INIT(DIGEST_LEN_MAX * 4)};
	struct mono_ns start = clock_mono();

	(void)snprintf(g->username, sizeof g->username, "%.*s", STR_ARG(s->user));
	int r = check_final(s, message, &c, g);
	if (r == 0)
		r = judge(d, s, &c, a, challenge, g, why);
	buf_clear(&c.auth);
	buf_clear(&c.proof);
	if (r < 0 && r != -FAIL_AUTH)
		return r == -FAIL_LIMIT ? fail_set(why, FAIL_LIMIT, NULL, "SCRAM texts") : r;
	login_end(d, &s->place, s->user, start, g);
	return 0;
}
