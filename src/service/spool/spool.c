/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing.
 */
#include "spool.h"

#include "spool_int.h"
#include <stdarg.h>

enum { CLERK = 1, PORTER = 2, COMMITTER = 4 };

struct spool_config spool_config_default(void)
{
	return (struct spool_config){
		.hostname = "localhost",
		.inline_max = 60 * 1024,
		.group_max = 256,
		.settle_ms = 20,
		.wal_max = MIB(16),
		.retry_first_s = 300,
		.retry_max_s = 4000,
		.lifetime_s = 5 * 86400,
		.delay_warning_s = 4 * 3600,
		.crash_max = 3,
		.dsn_return_max = KIB(48),
		.lanes = 1,
		.bounce_lifetime_s = 5 * 86400,
		.hop_first = 5,
		.hop_max = 20,
		.hop_rcpts = 50,
		.window = 100000,
		.lane_window = 5000,
	};
}

void spool_alert(struct spool *sp, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!sp->c.alert)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	sp->c.alert(sp->c.ctx, text);
}

const char *spool_state_name(enum spool_state s)
{
	static const char *const names[SPOOL_STATES] = {"queued", "deferred", "held", "routing"};

	return (unsigned)s < SPOOL_STATES ? names[s] : "?";
}

const uint8_t *spool_epoch(const struct spool *sp)
{
	return sp->epoch;
}

static void jobs_init(struct jobs *j)
{
	(void)pthread_mutex_init(&j->lock, NULL);
	(void)pthread_cond_init(&j->work, NULL);
	(void)pthread_cond_init(&j->carry, NULL);
	(void)pthread_cond_init(&j->tick, NULL);
	(void)pthread_cond_init(&j->quiet, NULL);
	list_init(&j->to_carry);
	list_init(&j->to_write);
	list_init(&j->results);
	list_init(&j->later);
}

static void jobs_clear(struct jobs *j)
{
	struct list *n;

	while ((n = list_pop(&j->results)) || (n = list_pop(&j->later)))
		result_free(CONTAINER_OF(n, struct result, link));
	vec_clear(&j->dropped);
	(void)pthread_mutex_destroy(&j->lock);
	(void)pthread_cond_destroy(&j->work);
	(void)pthread_cond_destroy(&j->carry);
	(void)pthread_cond_destroy(&j->tick);
	(void)pthread_cond_destroy(&j->quiet);
}

static int open_database(struct spool *sp, struct fail *why)
{
	char path[BODY_PATH_MAX];
	struct db_options o = {
		.path = path,
		.fs = sp->fs,
		.create = true,
		.exclusive = true,
		.cache_kib = 2048,
		.checkpoints_by_owner = true,
	};

	(void)snprintf(path, sizeof path, "%s/spool.db", sp->folder);
	int r = db_open(&o, &sp->db, why);
	return r < 0 ? r : rows_schema(sp->db, sp->epoch, why);
}

static int start_thread(struct spool *sp, pthread_t *t, void *(*run)(void *), unsigned bit,
			struct fail *why)
{
	int error = pthread_create(t, NULL, run, sp);

	if (error)
		return fail_set(why, FAIL_LIMIT, NULL, "starting a thread: error %d", error);
	sp->threads |= bit;
	return 0;
}

static int start(struct spool *sp, struct fail *why)
{
	int r = start_thread(sp, &sp->committer, committer_main, COMMITTER, why);

	if (r == 0)
		r = start_thread(sp, &sp->porter, porter_main, PORTER, why);
	if (r == 0 && sp->c.manual)
		r = body_sweep(sp, why);
	if (r == 0 && !sp->c.manual)
		r = start_thread(sp, &sp->clerk, clerk_main, CLERK, why);
	return r;
}

int spool_open(const struct spool_config *c, struct spool **ret, struct fail *why)
{
	struct spool *sp = xcalloc(1, sizeof *sp);

	sp->c = *c;
	sp->c.lanes = MAX(c->lanes, 1u);
	sp->c.group_max = MAX(c->group_max, 1u);
	sp->folder = xstrdup(c->folder);
	sp->blob_folder = xstrdup(c->blob_folder);
	sp->hostname = xstrdup(c->hostname ? c->hostname : "localhost");
	sp->postmaster_domain = xstrdup(c->postmaster_domain ? c->postmaster_domain : sp->hostname);
	sp->double_bounce_to = xstrdup(c->double_bounce_to ? c->double_bounce_to : "");
	sp->fs = c->fs ? c->fs : fs_real();
	turn_init(&sp->turn);
	(void)pthread_mutex_init(&sp->bodies.lock, NULL);
	schedule_init(sp);
	jobs_init(&sp->jobs);
	int r = open_database(sp, why);
	if (r == 0)
		r = window_open(sp, why);
	if (r == 0)
		r = start(sp, why);
	if (r < 0) {
		spool_close(sp);
		return fail_wrap(why, r, "spool %s", c->folder);
	}
	schedule_announce(sp);
	*ret = sp;
	return 0;
}

void spool_configure(struct spool *sp, const struct spool_times *times, const char *hostname)
{
	SPOOL_DB(sp);
	sp->c.retry_first_s = times->retry_first_s;
	sp->c.retry_max_s = times->retry_max_s;
	sp->c.lifetime_s = times->lifetime_s;
	sp->c.bounce_lifetime_s = times->bounce_lifetime_s;
	sp->c.delay_warning_s = times->delay_warning_s;
	sp->c.hop_max = MAX(times->hop_max, 1u);
	free(sp->double_bounce_to);
	sp->double_bounce_to = xstrdup(times->double_bounce_to ? times->double_bounce_to : "");
	sp->c.language = times->language;
	free(sp->hostname);
	free(sp->postmaster_domain);
	sp->hostname = xstrdup(hostname);
	sp->postmaster_domain =
		xstrdup(times->postmaster_domain ? times->postmaster_domain : hostname);
}

static void stop_thread(struct spool *sp, pthread_t t, unsigned bit, bool *flag,
			pthread_cond_t *wakes)
{
	if (!(sp->threads & bit))
		return;
	(void)pthread_mutex_lock(&sp->jobs.lock);
	*flag = true;
	(void)pthread_cond_broadcast(wakes);
	(void)pthread_mutex_unlock(&sp->jobs.lock);
	(void)pthread_join(t, NULL);
}

/* In the order in which they give each other work. */
static void stop(struct spool *sp)
{
	struct jobs *j = &sp->jobs;

	stop_thread(sp, sp->clerk, CLERK, &j->stop_clerk, &j->tick);
	stop_thread(sp, sp->porter, PORTER, &j->stop_porter, &j->carry);
	stop_thread(sp, sp->committer, COMMITTER, &j->stop, &j->work);
}

void spool_close(struct spool *sp)
{
	if (!sp)
		return;
	stop(sp);
	db_close(sp->db);
	bodies_clear(sp);
	schedule_clear(sp);
	jobs_clear(&sp->jobs);
	(void)pthread_mutex_destroy(&sp->bodies.lock);
	turn_clear(&sp->turn);
	free(sp->folder);
	free(sp->blob_folder);
	free(sp->hostname);
	free(sp->postmaster_domain);
	free(sp->double_bounce_to);
	free(sp);
}
