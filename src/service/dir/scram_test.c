/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sasl/sasl.h"
#include "service/dir/dir_test.h"
#include "service/dir/saslprep.h"
#include "service/dir/scram.h"
#include "service/dir/scram_testing.h"

/* RFC 5802 section 5 and RFC 7677 section 3: the keys that the published exchanges imply. */
static void published_vectors(void **state)
{
	static const struct {
		enum digest digest;
		const char *salt, *auth, *proof, *signature;
	} v[] = {
		{DIGEST_SHA1, "QSXCR+Q6sek8bf92",
		 "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
		 "s=QSXCR+Q6sek8bf92,i=4096,c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
		 "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ="},
		{DIGEST_SHA256, "W22ZaJ0SNY7soEsUEjb6gQ==",
		 "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$"
		 "k0,"
		 "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,"
		 "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
		 "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		 "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		struct scram_key k;
		uint8_t sig[DIGEST_LEN_MAX], hash[DIGEST_LEN_MAX];
		size_t n = digest_len(v[i].digest);
		AUTO(buf)
		struct buf salt = BUF_INIT(100), proof = BUF_INIT(100), want = BUF_INIT(100);
		assert_int_equal(base64_decode(&salt, str_c(v[i].salt)), 0);
		assert_int_equal(base64_decode(&proof, str_c(v[i].proof)), 0);
		assert_int_equal(
			scram_make(v[i].digest, STR("pencil"), buf_str(&salt), 4096, &k, NULL), 0);
		/* ClientKey = proof XOR HMAC(StoredKey, AuthMessage); its hash is StoredKey. */
		assert_int_equal(digest_hmac(v[i].digest, str_of_bytes(k.stored, n),
					     str_c(v[i].auth), sig, NULL),
				 0);
		for (size_t b = 0; b < n; b++)
			sig[b] ^= (uint8_t)proof.p[b];
		assert_int_equal(
			digest_two(v[i].digest, str_of_bytes(sig, n), STR_NULL, hash, NULL), 0);
		assert_memory_equal(hash, k.stored, n);
		assert_int_equal(digest_hmac(v[i].digest, str_of_bytes(k.server, n),
					     str_c(v[i].auth), sig, NULL),
				 0);
		(void)base64_encode(&want, str_of_bytes(sig, n));
		assert_str(buf_str(&want), v[i].signature);
	}
}

static void texts_are_prepared(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
	} v[] = {
		/* RFC 4013 section 3 */
		{"I\xc2\xadX", "IX"},
		{"user", "user"},
		{"USER", "USER"},
		{"\xc2\xaa", "a"},
		{"\xe2\x85\xa8", "IX"},
		{"\x07", NULL},
		{"\xd8\xa7\x31", NULL},
		{"\xc2\xa0x", " x"},
		{"", NULL},
		{"\xff", NULL},
		{"\xc2\xad", NULL},
		{"p\xc3\xa4ss", "p\xc3\xa4ss"},
		{"pa\xcc\x88ss", "p\xc3\xa4ss"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		AUTO(buf) struct buf b = BUF_INIT(100);
		int r = saslprep(str_c(v[i].text), true, &b);
		if (v[i].want)
			assert_str(buf_str(&b), v[i].want);
		else
			assert_int_equal(r, -FAIL_SYNTAX);
	}
	/* U+0221 came after Unicode 3.2: not in what is stored, but in what is asked. */
	AUTO(buf) struct buf b = BUF_INIT(100);
	assert_int_equal(saslprep(STR("\xc8\xa1"), true, &b), -FAIL_SYNTAX);
	assert_int_equal(saslprep(STR("\xc8\xa1"), false, &b), 0);
}

/* ---- exchanges ---- */

#define CB STR("0123456789abcdef0123456789abcdef")

static struct dir_step begin(struct home *h, const char *mechanism, struct str binding,
			     struct str message)
{
	struct dir_sasl s = {7, {DIR_IMAP, DIR_TLS, STR("192.0.2.1")}, str_c(mechanism), binding};
	struct dir_step step = {0};
	assert_ok(dir_sasl_begin(h->d, &s, message, &h->a, &step, &h->why), &h->why);
	return step;
}

static struct dir_step next(struct home *h, struct str message)
{
	struct dir_step step = {0};
	struct dir_sasl s = {.session = 7, .place.service = DIR_IMAP};
	assert_ok(dir_sasl_next(h->d, &s, message, &h->a, &step, &h->why), &h->why);
	return step;
}

static struct dir_grant plain(struct home *h, const char *user, const char *password)
{
	struct dir_login l = {{DIR_IMAP, DIR_TLS, STR("192.0.2.1")}, str_c(user), str_c(password)};
	struct dir_grant g;
	assert_ok(dir_auth(h->d, &l, &h->a, &g, &h->why), &h->why);
	return g;
}

static struct scram_client client(const char *user, const char *password)
{
	return (struct scram_client){.digest = DIGEST_SHA256,
				     .user = user,
				     .password = password,
				     .gs2 = "n,,",
				     .nonce = "rOprNGfwEbeRWgbNEkqO"};
}

static struct dir_step run(struct home *h, struct scram_client *c, const char *mechanism,
			   struct str channel)
{
	struct dir_step s = begin(h, mechanism, channel, scram_client_first(c));
	if (!s.more)
		return s;
	s = next(h, scram_client_final(c, s.challenge));
	assert_false(s.more);
	if (s.grant.granted)
		assert_str(s.challenge, c->server_final);
	else
		assert_int_equal(s.challenge.n, 0);
	return s;
}

static bool scram(struct home *h, const char *user, const char *password)
{
	struct scram_client c = client(user, password);
	return run(h, &c, "SCRAM-SHA-256", STR("")).grant.granted;
}

static void setup(struct home *h)
{
	home_init(h);
	dir_close(h->d);
	h->c.scram = DIR_SCRAM_ON;
	h->c.scram_iterations = 4096;
	h->c.slow_first_ms = 0;
	home_open(h);
	ORDER(h, "domain add d.test");
	ORDER(h, "user add a@d.test --password good");
	ORDER(h, "user add b@d.test --password other");
}

static void password_is_proved(void **state)
{
	struct home h;
	(void)state;
	setup(&h);
	struct scram_client c = client("A@D.test", "good");
	struct dir_step s = run(&h, &c, "scram-sha-256", STR(""));
	assert_true(s.grant.granted);
	assert_str(s.grant.address, "a@d.test");
	assert_string_equal(s.grant.mechanism, "scram-sha-256");
	assert_false(scram(&h, "a@d.test", "bad"));
	assert_false(scram(&h, "a@d.test", "other"));
	assert_false(scram(&h, "nobody@d.test", "good"));
	assert_false(scram(&h, "a", "good"));
	/* Rules count as with a password. */
	ORDER(&h, "user set a@d.test --imap off");
	assert_false(scram(&h, "a@d.test", "good"));
	ORDER(&h, "user set a@d.test --imap on --active off");
	assert_false(scram(&h, "a@d.test", "good"));
	home_free(&h);
}

static void channel_binding_must_match(void **state)
{
	static const struct {
		const char *mechanism, *gs2;
		bool channel, data, granted;
	} v[] = {
		{"SCRAM-SHA-256-PLUS", "p=tls-exporter,,", true, true, true},
		{"SCRAM-SHA-256-PLUS", "p=tls-exporter,,", true, false, false},
		{"SCRAM-SHA-256-PLUS", "p=tls-unique,,", true, true, false},
		{"SCRAM-SHA-256-PLUS", "n,,", true, false, false},
		{"SCRAM-SHA-256-PLUS", "p=tls-exporter,,", false, true, false},
		{"SCRAM-SHA-256-PLUS", "p=tls-exporter,,", false, false, false},
		{"SCRAM-SHA-256", "p=tls-exporter,,", true, true, false},
		{"SCRAM-SHA-256", "n,,", true, false, true},
		{"SCRAM-SHA-256", "n,,", true, true, false},
		/* y: the client was told of no -PLUS. It was told here. */
		{"SCRAM-SHA-256", "y,,", true, false, false},
		{"SCRAM-SHA-256", "y,,", false, false, true},
		{"SCRAM-SHA-256", "n,a=a@d.test,", true, false, true},
		{"SCRAM-SHA-256", "n,a=b@d.test,", true, false, false},
	};
	struct home h;
	(void)state;
	setup(&h);
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		struct scram_client c = client("a@d.test", "good");
		c.gs2 = v[i].gs2;
		c.binding = v[i].data ? CB : STR("");
		struct dir_step s = run(&h, &c, v[i].mechanism, v[i].channel ? CB : STR(""));
		if (s.grant.granted != v[i].granted)
			fail_msg("case %zu: %s", i, s.grant.reason);
	}
	struct scram_client c = client("a@d.test", "good");
	c.final_nonce = "rOprNGfwEbeRWgbNEkqOxxxxxxxxxxxxxxxx";
	assert_false(run(&h, &c, "SCRAM-SHA-256", STR("")).grant.granted);
	home_free(&h);
}

static void unknown_names_look_alike(void **state)
{
	struct home h;
	struct str salt[3];
	(void)state;
	setup(&h);
	static const char *const who[] = {"n,,n=nobody@d.test,r=x", "n,,n=nobody@d.test,r=x",
					  "n,,n=nemo@d.test,r=x"};
	for (size_t i = 0; i < 3; i++) {
		struct dir_step s = begin(&h, "SCRAM-SHA-256", STR(""), str_c(who[i]));
		assert_true(s.more);
		size_t at = str_find_str(s.challenge, 0, STR(",s="));
		salt[i] = str_skip(s.challenge, at + 3);
		assert_true(str_ends(salt[i], STR("==,i=4096")));
		struct dir_step known =
			begin(&h, "SCRAM-SHA-256", STR(""), STR("n,,n=a@d.test,r=x"));
		assert_int_equal(known.challenge.n, s.challenge.n);
	}
	assert_true(str_eq(salt[0], salt[1]));
	assert_false(str_eq(salt[0], salt[2]));
	/* Also after a restart: the key is on disk. */
	dir_close(h.d);
	home_open(&h);
	struct dir_step s = begin(&h, "SCRAM-SHA-256", STR(""), str_c(who[0]));
	assert_true(str_ends(s.challenge, salt[0]));
	home_free(&h);
}

static void keys_are_learned_and_go_stale(void **state)
{
	struct home h;
	(void)state;
	setup(&h);
	/* Another program sets a password: the keys are void, and PLAIN makes new ones. */
	edit(&h, "UPDATE mailbox SET password = '{PLAIN}new' WHERE username = 'a@d.test'");
	assert_false(scram(&h, "a@d.test", "good"));
	assert_false(scram(&h, "a@d.test", "new"));
	assert_true(plain(&h, "a@d.test", "new").granted);
	assert_true(scram(&h, "a@d.test", "new"));
	ORDER(&h, "user passwd a@d.test newer");
	assert_false(scram(&h, "a@d.test", "new"));
	assert_true(scram(&h, "a@d.test", "newer"));
	/* More iterations: old keys go on, and are made anew when the password comes. */
	dir_close(h.d);
	h.c.scram_iterations = 5000;
	home_open(&h);
	assert_true(scram(&h, "a@d.test", "newer"));
	assert_str(look(&h, "SELECT max(iterations) FROM barid_scram"), "4096");
	assert_true(plain(&h, "a@d.test", "newer").granted);
	assert_str(look(&h, "SELECT max(iterations) FROM barid_scram"), "5000");
	assert_true(scram(&h, "a@d.test", "newer"));
	/* Not over a line that anybody reads. */
	edit(&h, "DELETE FROM barid_scram");
	ORDER(&h, "user del a@d.test");
	assert_str(look(&h, "SELECT count(*) FROM barid_scram"), "0");
	home_free(&h);
}

static void columns_with_keys_need_none(void **state)
{
	struct home h;
	(void)state;
	setup(&h);
	edit(&h, "UPDATE mailbox SET password = '{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,"
		 "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
		 "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=' WHERE username = 'a@d.test'");
	assert_true(scram(&h, "a@d.test", "pencil"));
	assert_false(scram(&h, "a@d.test", "good"));
	assert_true(plain(&h, "a@d.test", "pencil").granted);
	assert_str(look(&h, "SELECT count(*) FROM barid_scram s JOIN barid_account b ON"
			    " b.id = s.account AND b.username = 'a@d.test'"
			    " WHERE iterations <> 4096"),
		   "0");
	home_free(&h);
}

static unsigned offer(struct home *h)
{
	unsigned bits = 0;
	assert_ok(dir_offer(h->d, &bits, &h->why), &h->why);
	return bits;
}

static void offered_when_everybody_can(void **state)
{
	struct home h;
	(void)state;
	setup(&h);
	assert_int_equal(offer(&h), SASL_OFFER_SCRAM_256);
	dir_close(h.d);
	h.c.scram = DIR_SCRAM_AUTO;
	h.c.scram_sha1 = true;
	home_open(&h);
	assert_int_equal(offer(&h), SASL_OFFER_SCRAM_256);
	edit(&h, "UPDATE mailbox SET password = '{PLAIN}new' WHERE username = 'a@d.test'");
	assert_int_equal(offer(&h), 0);
	assert_false(scram(&h, "b@d.test", "other")); /* not offered */
	edit(&h, "UPDATE mailbox SET active = 0 WHERE username = 'a@d.test'");
	assert_int_equal(offer(&h), SASL_OFFER_SCRAM_256);
	edit(&h, "UPDATE mailbox SET active = 1 WHERE username = 'a@d.test'");
	assert_true(plain(&h, "a@d.test", "new").granted);
	assert_int_equal(offer(&h), SASL_OFFER_SCRAM_256);
	ORDER(&h, "user passwd b@d.test x");
	assert_int_equal(offer(&h), SASL_OFFER_SCRAM_256 | SASL_OFFER_SCRAM_1);
	struct scram_client c = client("a@d.test", "new");
	c.digest = DIGEST_SHA1;
	assert_true(run(&h, &c, "SCRAM-SHA-1", STR("")).grant.granted);
	edit(&h, "DELETE FROM mailbox");
	assert_int_equal(offer(&h), 0);
	home_free(&h);
}

static void exchanges_are_bounded(void **state)
{
	struct home h;
	struct dir_step step;
	(void)state;
	setup(&h);
	dir_close(h.d);
	h.c.exchanges_max = 2;
	home_open(&h);
	for (uint64_t i = 1; i < 4; i++) {
		struct dir_sasl s = {
			i, {DIR_IMAP, DIR_TLS, STR("::1")}, STR("SCRAM-SHA-256"), STR("")};
		assert_ok(dir_sasl_begin(h.d, &s, STR("n,,n=a@d.test,r=x"), &h.a, &step, &h.why),
			  &h.why);
	}
	struct dir_sasl x = {.session = 1, .place.service = DIR_IMAP};
	assert_int_equal(dir_sasl_next(h.d, &x, STR(""), &h.a, &step, &h.why), -FAIL_TEMP);
	x.session = 2;
	assert_ok(dir_sasl_next(h.d, &x, STR("nonsense"), &h.a, &step, &h.why), &h.why);
	assert_false(step.grant.granted);
	assert_int_equal(dir_sasl_next(h.d, &x, STR(""), &h.a, &step, &h.why), -FAIL_TEMP);
	clock_bend_us(61 * SEC_US);
	x.session = 3;
	assert_int_equal(dir_sasl_next(h.d, &x, STR(""), &h.a, &step, &h.why), -FAIL_TEMP);
	home_free(&h);
}

/* An edge that is not honest: what IMAP allows is no login to send. */
static void a_service_stays_through_an_exchange(void **state)
{
	struct home h;
	struct dir_step step;
	(void)state;
	setup(&h);
	for (int honest = 1; honest >= 0; honest--) {
		struct scram_client c = client("a@d.test", "good");
		step = begin(&h, "SCRAM-SHA-256", STR(""), scram_client_first(&c));
		assert_true(step.more);
		struct dir_sasl s = {.session = 7, .place.service = honest ? DIR_IMAP : DIR_SMTP};
		struct str final = scram_client_final(&c, step.challenge);
		int r = dir_sasl_next(h.d, &s, final, &h.a, &step, &h.why);
		assert_int_equal(r, honest ? 0 : -FAIL_PEER);
		assert_int_equal(step.grant.granted, honest);
		if (!honest) { /* and it is over */
			s.place.service = DIR_IMAP;
			assert_int_equal(dir_sasl_next(h.d, &s, final, &h.a, &step, &h.why),
					 -FAIL_TEMP);
		}
	}
	home_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors),
		cmocka_unit_test(texts_are_prepared),
		cmocka_unit_test(password_is_proved),
		cmocka_unit_test(channel_binding_must_match),
		cmocka_unit_test(unknown_names_look_alike),
		cmocka_unit_test(keys_are_learned_and_go_stale),
		cmocka_unit_test(columns_with_keys_need_none),
		cmocka_unit_test(offered_when_everybody_can),
		cmocka_unit_test(exchanges_are_bounded),
		cmocka_unit_test(a_service_stays_through_an_exchange),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
