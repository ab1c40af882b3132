/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses, networks and log values from outside: what parses is written and parsed again as the
 * same; quoting never exceeds its room.
 */
#include "base/check.h"
#include "sys/log.h"
#include "sys/sock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = {(const char *)data, size};
	struct netaddr a, again;
	struct netcidr net;
	char text[NETADDR_TEXT_MAX], line[96];
	if (netaddr_parse(s, &a)) {
		CHECK(netaddr_parse(netaddr_text(&a, true, text), &again));
		CHECK(memcmp(&a, &again, sizeof a) == 0);
	}
	if (netcidr_parse(s, &net))
		CHECK(netcidr_has(&net, &net.addr));
	size_t room = size > 0 ? 8 + data[0] % 80u : 8;
	CHECK(log_quote(s, line, room) <= room);
	return 0;
}
