/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/master/handoff.h"
#include "base/num.h"
#include <stdio.h>
#include <string.h>

#define MAGIC	    "barid-handoff 1\n"
#define LISTED_MAX  1000u
#define NO_FD	    UINT32_MAX
#define RECORD_SIZE 6 /* of tag and length */

/* Never give a number a second meaning: the other side may be any build. */
enum tag {
	TAG_BUILD = 1,
	TAG_VERSION,
	TAG_SCHEMA,
	TAG_ABOUT,
	TAG_CONF,
	TAG_CONF_PATH,
	TAG_LIBEXEC,
	TAG_REVISION,
	TAG_GENERATION,
	TAG_SINCE,
	TAG_STARTED,
	TAG_BENT,
	TAG_SEAL_KEY,
	TAG_BLOB_GID,
	TAG_FDS,
	TAG_SAY_READY,
	TAG_LISTENER,
	TAG_IDENTITY,
	TAG_CHILD,
	TAG_TICKETS
};

/* --- writing
 * --------------------------------------------------------------------------------------- */

static void put(struct buf *out, enum tag tag, struct str bytes)
{
	(void)buf_put_u16(out, (uint16_t)tag);
	(void)buf_put_u32(out, (uint32_t)bytes.n);
	(void)buf_add(out, bytes);
}

static void put_number(struct buf *out, enum tag tag, uint64_t v)
{
	AUTO(buf) struct buf b = BUF_INIT(16);
	(void)buf_put_u64(&b, v);
	put(out, tag, buf_str(&b));
}

static void put_text(struct buf *b, struct str s)
{
	(void)buf_put_u32(b, (uint32_t)s.n);
	(void)buf_add(b, s);
}

static void put_fd(struct buf *b, int fd)
{
	(void)buf_put_u32(b, fd < 0 ? NO_FD : (uint32_t)fd);
}

static void put_child(struct buf *out, const struct handoff_child *c)
{
	AUTO(buf) struct buf b = BUF_INIT(KIB(4));
	put_text(&b, str_c(c->role));
	(void)buf_put_u32(&b, c->index);
	(void)buf_put_u32(&b, c->pid);
	put_fd(&b, c->control);
	(void)buf_put_u32(&b, c->numbers.unacked);
	(void)buf_put_u32(&b, c->numbers.to_credit);
	(void)buf_put_u32(&b, c->numbers.next_request);
	(void)buf_put_u32(&b, c->generation);
	(void)buf_put_u32(&b, c->restarts);
	(void)buf_put_u8(&b, c->draining);
	(void)buf_put_u8(&b, c->has_log_level);
	(void)buf_put_u8(&b, c->log_level);
	put_text(&b, str_c(c->build));
	put_text(&b, str_c(c->version));
	put_text(&b, str_c(c->sandbox));
	put(out, TAG_CHILD, buf_str(&b));
}

static void put_lists(struct buf *out, const struct handoff *h)
{
	for (size_t i = 0; i < h->listeners.n; i++) {
		AUTO(buf) struct buf b = BUF_INIT(KIB(1));
		put_text(&b, str_c(h->listeners.p[i].service));
		put_text(&b, str_c(h->listeners.p[i].address));
		put_fd(&b, h->listeners.p[i].fd);
		put(out, TAG_LISTENER, buf_str(&b));
	}
	for (size_t i = 0; i < h->identities.n; i++) {
		const struct msg_identity *id = &h->identities.p[i];
		(void)buf_put_u16(out, TAG_IDENTITY); /* no copy of the key on the way */
		(void)buf_put_u32(out, (uint32_t)(id->chain.n + id->key.n + 8));
		put_text(out, id->chain);
		put_text(out, id->key);
	}
	for (size_t i = 0; i < h->children.n; i++)
		put_child(out, &h->children.p[i]);
}

void handoff_write(const struct handoff *h, struct buf *out)
{
	AUTO(buf) struct buf fds = BUF_INIT(64);
	put_fd(&fds, h->state_fd);
	put_fd(&fds, h->lock_fd);
	put_fd(&fds, h->admin_fd);
	(void)buf_add(out, STR(MAGIC));
	put(out, TAG_BUILD, h->build);
	put(out, TAG_VERSION, h->version);
	put(out, TAG_SCHEMA, h->schema);
	put(out, TAG_ABOUT, h->about);
	put(out, TAG_CONF, h->conf);
	put(out, TAG_CONF_PATH, h->conf_path);
	put(out, TAG_LIBEXEC, h->libexec);
	put_number(out, TAG_REVISION, h->revision);
	put_number(out, TAG_GENERATION, h->generation);
	put_number(out, TAG_SINCE, (uint64_t)h->since_us);
	put_number(out, TAG_STARTED, (uint64_t)h->started_us);
	put_number(out, TAG_BENT, (uint64_t)h->bent_us);
	put_number(out, TAG_BLOB_GID, h->blob_gid);
	put_number(out, TAG_SAY_READY, h->say_ready);
	put(out, TAG_SEAL_KEY, (struct str){(const char *)h->seal_key, sizeof h->seal_key});
	put(out, TAG_TICKETS, h->tickets);
	put(out, TAG_FDS, buf_str(&fds));
	put_lists(out, h);
}

/* --- reading
 * --------------------------------------------------------------------------------------- */

static int get_fd(struct cursor *c)
{
	uint32_t fd = cursor_u32(c);
	return fd == NO_FD || fd > INT32_MAX ? -1 : (int)fd;
}

static struct str get_text(struct cursor *c)
{
	uint32_t n = cursor_u32(c);
	return cursor_bytes(c, n);
}

static void get_name(struct cursor *c, char *into, size_t size)
{
	struct str s = get_text(c);
	if (s.n >= size)
		c->bad = true;
	else
		(void)snprintf(into, size, "%.*s", STR_ARG(s));
}

static void get_child(struct cursor *c, struct handoff *h)
{
	struct handoff_child one = {0};
	get_name(c, one.role, sizeof one.role);
	one.index = cursor_u32(c);
	one.pid = cursor_u32(c);
	one.control = get_fd(c);
	one.numbers.unacked = cursor_u32(c);
	one.numbers.to_credit = cursor_u32(c);
	one.numbers.next_request = cursor_u32(c);
	one.generation = cursor_u32(c);
	one.restarts = cursor_u32(c);
	one.draining = cursor_u8(c) != 0;
	one.has_log_level = cursor_u8(c) != 0;
	one.log_level = cursor_u8(c);
	get_name(c, one.build, sizeof one.build);
	get_name(c, one.version, sizeof one.version);
	get_name(c, one.sandbox, sizeof one.sandbox);
	if (!c->bad && h->children.n < LISTED_MAX)
		*vec_push(&h->children) = one;
}

static void get_listener(struct cursor *c, struct handoff *h)
{
	struct handoff_listener one = {0};
	get_name(c, one.service, sizeof one.service);
	get_name(c, one.address, sizeof one.address);
	one.fd = get_fd(c);
	if (!c->bad && h->listeners.n < LISTED_MAX)
		*vec_push(&h->listeners) = one;
}

static void get_identity(struct cursor *c, struct handoff *h)
{
	struct msg_identity one = {.chain = get_text(c)};
	one.key = get_text(c);
	if (!c->bad && h->identities.n < LISTED_MAX)
		*vec_push(&h->identities) = one;
}

static void get_key(struct cursor *c, struct handoff *h)
{
	struct str key = cursor_bytes(c, sizeof h->seal_key);
	if (!c->bad)
		memcpy(h->seal_key, key.p, sizeof h->seal_key);
}

static void get_fds(struct cursor *c, struct handoff *h)
{
	h->state_fd = get_fd(c);
	h->lock_fd = get_fd(c);
	h->admin_fd = get_fd(c);
}

static struct str *text_of(struct handoff *h, unsigned tag)
{
	struct str *const texts[] = {
		[TAG_BUILD] = &h->build,     [TAG_VERSION] = &h->version,
		[TAG_SCHEMA] = &h->schema,   [TAG_ABOUT] = &h->about,
		[TAG_CONF] = &h->conf,	     [TAG_CONF_PATH] = &h->conf_path,
		[TAG_LIBEXEC] = &h->libexec, [TAG_TICKETS] = &h->tickets,
	};
	return tag < ARRAY_LEN(texts) ? texts[tag] : NULL;
}

static void get_number(struct cursor *c, struct handoff *h, unsigned tag)
{
	uint64_t v = cursor_u64(c);
	if (tag == TAG_REVISION)
		h->revision = v;
	else if (tag == TAG_GENERATION)
		h->generation = v;
	else if (tag == TAG_SINCE)
		h->since_us = (int64_t)v;
	else if (tag == TAG_STARTED)
		h->started_us = (int64_t)v;
	else if (tag == TAG_BENT)
		h->bent_us = (int64_t)v;
	else if (tag == TAG_BLOB_GID)
		h->blob_gid = (uint32_t)v;
	else if (tag == TAG_SAY_READY)
		h->say_ready = v != 0;
}

/* False: the record is damaged. */
static bool get_record(struct handoff *h, unsigned tag, struct str bytes)
{
	struct cursor c = cursor_of(bytes);
	struct str *text = text_of(h, tag);
	if (text)
		*text = bytes;
	else if (tag == TAG_SEAL_KEY)
		get_key(&c, h);
	else if (tag == TAG_FDS)
		get_fds(&c, h);
	else if (tag == TAG_LISTENER)
		get_listener(&c, h);
	else if (tag == TAG_IDENTITY)
		get_identity(&c, h);
	else if (tag == TAG_CHILD)
		get_child(&c, h);
	else if (tag >= TAG_REVISION && tag <= TAG_SAY_READY)
		get_number(&c, h, tag);
	return !c.bad;
}

int handoff_read(struct str bytes, struct handoff *ret, struct fail *why)
{
	AUTO(handoff) struct handoff h = HANDOFF_INIT;
	if (!str_starts(bytes, STR(MAGIC)))
		return fail_set(why, FAIL_UNSUPPORTED, NULL,
				"the running server hands its state over in a form that this "
				"build does not know");
	struct cursor c = cursor_of(str_skip(bytes, sizeof MAGIC - 1));
	while (cursor_left(&c) >= RECORD_SIZE) {
		unsigned tag = cursor_u16(&c);
		struct str record = cursor_bytes(&c, cursor_u32(&c));
		if (c.bad || !get_record(&h, tag, record))
			return fail_set(why, FAIL_UNSUPPORTED, NULL,
					"the state that the running server hands over is damaged");
	}
	if (cursor_left(&c) || !h.conf.n || h.state_fd < 0)
		return fail_set(why, FAIL_UNSUPPORTED, NULL,
				"the state that the running server hands over is not complete");
	*ret = h;
	h = HANDOFF_INIT;
	return 0;
}

void handoff_clear(struct handoff *h)
{
	vec_clear(&h->listeners);
	vec_clear(&h->identities);
	vec_clear(&h->children);
	explicit_bzero(h->seal_key, sizeof h->seal_key);
}
