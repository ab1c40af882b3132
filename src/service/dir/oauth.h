/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oauth.h - access tokens of one issuer: OAUTHBEARER (RFC 7628) and XOAUTH2.    [service/dir only]
 *
 * A token is a JWT (RFC 7519, RFC 9068) signed by a key of the issuer's set, a file that is read
 * again when it has changed. Checked, in this order: form and algorithm (RFC 8725), signature,
 * iss, aud, exp, nbf, iat, scope, the account's name. Thread-safe.
 */
#ifndef BARID_SERVICE_DIR_OAUTH_H
#define BARID_SERVICE_DIR_OAUTH_H

#include "auth_int.h"

struct oauth;
struct jwks;

struct oauth *oauth_new(const struct dir_oauth *c, struct fs *fs); /* NULL without an issuer */
void oauth_free(struct oauth *o);				   /* NULL is fine */

/*
 * The name that a token proves, into the arena. False: g has the reason. `now_s` is the wall
 * clock. -FAIL_*: the keys cannot be read.
 */
MUST_CHECK int oauth_check(struct oauth *o, struct str token, int64_t now_s, struct arena *a,
			   struct str *ret_name, struct dir_grant *g, struct fail *why);

/* One login by a message of `mechanism`; as dir_auth. *ret_error: for the client, when refused. */
MUST_CHECK int oauth_login(struct dir *d, const struct dir_sasl *s, struct str message,
			   struct arena *a, struct dir_grant *g, struct str *ret_error,
			   struct fail *why);

#endif
