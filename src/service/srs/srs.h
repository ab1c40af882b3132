/* SPDX-License-Identifier: Apache-2.0 */
/*
 * srs.h - which senders are rewritten, to what, and back.                        [service]
 *
 * The rules around codec/srs/srs_addr.h: senders of our own domains and of those that are excluded
 * stay as they are, and so do those that cannot be written so. A struct srs is immutable; whoever
 * has one may use it on any thread. It is made again when a setting or a secret changes.
 *
 * secrets.c keeps the secrets: a file of lines, mode 0600, the first one signs. It is that of
 * postsrsd; empty lines and those that begin with '#' are nothing.
 */
#ifndef BARID_SERVICE_SRS_SRS_H
#define BARID_SERVICE_SRS_SRS_H

#include "base/fail.h"
#include "codec/srs/srs_addr.h"

struct fs;

/* Of the configuration; texts are copied. */
struct srs_settings {
	struct str domain;  /* of rewritten senders; its mail comes to us */
	struct str exclude; /* domains, separated by commas or blanks, each with its subdomains */
	unsigned hash_len;
	unsigned age_max; /* days */
	char separator;
};

struct conf;
struct srs_settings srs_settings_of(const struct conf *c);

struct srs;
/* `secrets`: the text of the file. -FAIL_SYNTAX: no secret in it, or a domain
 * that means nothing to other servers. */
MUST_CHECK int srs_make(const struct srs_settings *c, struct str secrets, struct srs **ret,
			struct fail *why);
void srs_free(struct srs *s); /* NULL is fine */
DEFINE_AUTO_PTR(srs, struct srs, srs_free);
struct str srs_domain(const struct srs *s);

/* Is a domain (normalised) one of ours? 1, 0, or negative: not known now. */
struct srs_ours {
	int (*ask)(void *ctx, struct str domain, struct fail *why);
	void *ctx;
};

/*
 * The sender that a message to another server gets. 1 with *ret: another one; 0: it stays, and
 * *ret_reason says why, a text for logs and answers. Negative: not known now.
 */
MUST_CHECK int srs_rewrite(const struct srs *s, const struct smtp_addr *sender,
			   const struct srs_ours *ours, uint32_t day, struct smtp_addr *ret,
			   const char **ret_reason);

/*
 * Whom an address stands for. 1 with *ret; 0: it is none of this scheme at our domain; negative: it
 * is, and leads nowhere: -FAIL_SYNTAX, -FAIL_PERM, -FAIL_DEADLINE as srs_reverse. *ret_reason says
 * why.
 */
MUST_CHECK int srs_restore(const struct srs *s, const struct smtp_addr *recipient, uint32_t day,
			   struct smtp_addr *ret, const char **ret_reason);

/* Days since 1970, UTC. */
uint32_t srs_today(void);

/* ---- the secrets ---- */

#define SRS_SECRETS_BYTES KIB(16)
/* Read the file; without one, make it with one secret. `why` tells of a file that others may read.
 */
MUST_CHECK int srs_secrets_read(struct fs *fs, const char *path, struct buf *ret, struct fail *why);
/*
 * Put a secret (empty: a new random one) in front of the others, of which `keep` stay. The whole
 * file is replaced, or nothing happens. -FAIL_SYNTAX: the secret is no line.
 */
MUST_CHECK int srs_secrets_add(struct fs *fs, const char *path, struct str secret, size_t keep,
			       struct fail *why);
/* How many there are in the text of a file. */
size_t srs_secrets_count(struct str text);

#endif
