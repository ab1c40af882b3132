/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/managesieve/managesieve_capability.h"
#include "codec/managesieve/managesieve_write.h"
#include <stdio.h>

int managesieve_capability_write(struct buf *out, const struct managesieve_capability *c)
{
	char redirects[24];
	(void)snprintf(redirects, sizeof redirects, "%llu", (unsigned long long)c->redirects);
	managesieve_write_capability(out, "IMPLEMENTATION", STR("barid"));
	struct str mechanisms = str_trim(c->mechanisms);
	managesieve_write_capability(out, "SASL", mechanisms.n ? mechanisms : STR(""));
	managesieve_write_capability(out, "SIEVE", c->sieve);
	managesieve_write_capability(out, "NOTIFY", STR("mailto"));
	managesieve_write_capability(out, "MAXREDIRECTS", str_c(redirects));
	if (c->starttls)
		managesieve_write_capability(out, "STARTTLS", STR_NULL);
	if (c->language.n)
		managesieve_write_capability(out, "LANGUAGE", c->language);
	if (c->owner.p)
		managesieve_write_capability(out, "OWNER", c->owner);
	if (c->unauthenticate)
		managesieve_write_capability(out, "UNAUTHENTICATE", STR_NULL);
	return managesieve_write_capability(out, "VERSION", STR("1.0"));
}
