/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sts.h - MTA-STS: a domain's policy about TLS to its mail hosts (RFC 8461).       [codec, pure]
 *
 * A TXT record below _mta-sts says which version of the policy counts; the policy is a file that is
 * fetched by HTTPS. Names are compared as A-labels, without regard to case.
 */
#ifndef BARID_CODEC_STS_STS_H
#define BARID_CODEC_STS_STS_H

#include "base/str.h"
#include <stdint.h>

#define STS_ID_MAX     33 /* with the NUL */
#define STS_POLICY_MAX KIB(64)
#define STS_MX_MAX     100
#define STS_AGE_MAX    31557600u /* seconds: about a year (3.2) */

/*
 * Is this text a record of MTA-STS (3.1)? Then its id is copied. A record that claims to be one and
 * is malformed is none.
 */
bool sts_record_parse(struct str text, char ret_id[STS_ID_MAX]);

enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE };
struct sts_policy {
	enum sts_mode mode;
	uint32_t max_age;	   /* seconds */
	struct str mx[STS_MX_MAX]; /* patterns; borrowed from the text */
	size_t n;
};
/* Read a policy (3.2). False: it is none, or lacks what it must have. */
bool sts_policy_parse(struct str text, struct sts_policy *ret);
/* Does a mail host belong to the policy (4.1)? "*." stands for one label. */
bool sts_policy_has(const struct sts_policy *p, struct str host);
const char *sts_mode_name(enum sts_mode m);

#endif
