/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that wait for another message to the same place. The last used is the first to be
 * used again, so that those that are too many grow old.
 */
#include "roles/relay/relay.h"
#include "runtime/tls/tls.h"
#include "sys/clock.h"
#include <poll.h>

#define RESTED_NS (2 * SEC_NS) /* longer than this: show it no message before it has answered */

static void unlink_idle(struct link *l)
{
	list_remove(&l->idle);
	relay.idle_n--;
}

static bool is_over(const struct link *l, const struct conf *conf)
{
	int64_t now = clock_mono().v;
	return now - l->used.v > (int64_t)conf->relay_idle_ms * MS_NS ||
	       now - l->born.v > (int64_t)conf->relay_connection_age_ms * MS_NS;
}

/* Has the server said something, or gone? What TLS says among itself (tickets) is nothing. */
static bool is_stirring(const struct link *l)
{
	struct pollfd p = {.fd = l->fd, .events = POLLIN};
	char byte;
	size_t n;
	if (l->tls)
		return tls_stream_read(l->tls, &byte, 1, &n, NULL) != TLS_WANT_IN;
	return poll(&p, 1, 0) != 0;
}

static bool takes_logins(const struct link *l)
{
	/* In the clear, where TLS failed, it does not say whether it does. */
	return l->user[0] || (l->client.offers & SMTP_OFFERS_AUTH) ||
	       (!l->tls && (l->client.offers & SMTP_OFFERS_STARTTLS));
}

static bool fits(const struct link *l, const char *key, const char *user, bool *ret_wants)
{
	if (strcmp(l->key, key) != 0)
		return false;
	if (!takes_logins(l))
		return true;
	*ret_wants = true;
	return user && strcmp(l->user, user) == 0;
}

struct link *idle_take(const char *key, const char *user, const struct conf *conf, bool *ret_wants)
{
	*ret_wants = false;
	struct link *found = NULL;
	do {
		found = NULL;
		pthread_mutex_lock(&relay.lock);
		LIST_EACH (&relay.idle, it) {
			struct link *l = CONTAINER_OF(it, struct link, idle);
			if (!found && fits(l, key, user, ret_wants)) {
				unlink_idle(l);
				found = l;
			}
		}
		pthread_mutex_unlock(&relay.lock);
		if (found && (is_stirring(found) || is_over(found, conf))) {
			link_close(found);
			continue;
		}
		if (found)
			found->client.rested = clock_mono().v - found->used.v > RESTED_NS;
		return found;
	} while (true);
}

void idle_put(struct link *l, const struct conf *conf)
{
	l->used = clock_mono();
	if (!smtp_client_is_quiet(&l->client) || atomic_load(&relay.stopping) ||
	    conf->relay_idle_ms == 0 || is_over(l, conf)) {
		link_close(l);
		return;
	}
	buf_clear(&l->client.out);
	pthread_mutex_lock(&relay.lock);
	struct link *oldest = NULL;
	if (relay.idle_n >= MAX(conf->relay_connections / 2, UINT64_C(1))) {
		oldest = CONTAINER_OF(relay.idle.prev, struct link, idle);
		unlink_idle(oldest);
	}
	list_prepend(&relay.idle, &l->idle);
	relay.idle_n++;
	pthread_mutex_unlock(&relay.lock);
	link_close(oldest);
}

/* One whose time is over (all: any), unlinked; NULL: there is none. */
static struct link *next_over(const struct conf *conf, bool all)
{
	struct link *found = NULL;
	pthread_mutex_lock(&relay.lock);
	if (!list_empty(&relay.idle)) {
		struct link *oldest = CONTAINER_OF(relay.idle.prev, struct link, idle);
		if (all || is_over(oldest, conf)) {
			unlink_idle(oldest);
			found = oldest;
		}
	}
	pthread_mutex_unlock(&relay.lock);
	return found;
}

void idle_sweep(const struct conf *conf)
{
	for (struct link *l; (l = next_over(conf, false));)
		link_close(l);
}

void idle_clear(void)
{
	for (struct link *l; (l = next_over(NULL, true));)
		link_close(l);
}
