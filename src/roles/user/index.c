/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of the texts of messages: it is begun with the store, and what it tells is logged here.
 */
#include "roles/user/index.h"
#include "roles/user/user.h"
#include "sys/counter.h"
#include "sys/log.h"

COUNTER(indexed, "search.indexed", "messages that the search index took in");
COUNTER(index_cpu, "search.index-cpu-us", "processor time of the search index, in microseconds");
COUNTER(index_lag, "search.index-missing", "messages that are not in the search index yet, about");
COUNTER(index_paused, "search.index-paused", "1 when the search index cannot be written");
COUNTER(index_damaged, "search.index-damaged",
	"parts of the search index that were damaged or missing, and are made again");
COUNTER(questions, "search.questions", "texts that the search index was asked for");
COUNTER(asked, "search.asked", "messages that the search index was asked about, for each text");
COUNTER(excluded, "search.excluded", "of these, messages that the text is certainly not in");

static const struct {
	const char *event;
	enum log_level level;
} events[] = {
	[SEARCH_DAMAGED] = {"search.damaged", LOG_WARN},
	[SEARCH_PAUSED] = {"search.paused", LOG_WARN},
	[SEARCH_RESUMED] = {"search.resumed", LOG_INFO},
	[SEARCH_POISON] = {"search.poison", LOG_ERROR},
};

static void tell(void *arg, enum search_event what, uint64_t partition, const struct fail *why)
{
	struct fail none = FAIL_INIT;
	(void)arg;
	log_event(events[what].level, events[what].event, log_u64("partition", partition),
		  log_fail(why ? why : &none));
}

static unsigned cpu_of(const struct conf *c)
{
	return strcmp(c->search_index, "on") == 0 ? (unsigned)c->search_index_cpu : 0;
}

struct search *index_new(const struct role *role)
{
	const struct search_options o = {.root = "store/search",
					 .shard = role->index,
					 .shards = (unsigned)role->conf->user_workers,
					 .cpu_percent = cpu_of(role->conf),
					 .delay_ns = INDEX_DELAY_NS,
					 .tell = tell};
	return search_new(&o);
}

void index_configure(const struct conf *c)
{
	search_set_cpu(user.search, cpu_of(c));
}

void index_tool(struct tool *t, struct ipc_packet *p)
{
	struct msg_search_index m;
	struct search_status s = {0};
	struct fail why = FAIL_INIT;
	uint64_t partition = 0;
	(void)t;
	int r = msg_search_index_read(p, &m);
	if (r == 0)
		partition =
			store_place((struct account_id){m.account}, store_partitions(user.store));
	if (r == 0 && m.rebuild)
		r = search_rebuild(user.search, partition, &why);
	if (r == 0)
		r = search_get_status(user.search, partition, &s, &why);
	if (r < 0) {
		(void)ipc_reply_fail(p, &why);
		return;
	}
	struct msg_search_index_reply reply = {.partition = partition,
					       .on = s.on,
					       .paused = s.paused,
					       .last = s.last,
					       .missing = s.missing,
					       .files = s.files,
					       .bytes = s.bytes};
	(void)ipc_reply(p, IPC_SEARCH_INDEX_REPLY, &reply);
}

void index_show(void)
{
	struct search_stats s;
	search_get_stats(user.search, &s);
	counter_set(&indexed, s.indexed);
	counter_set(&index_cpu, s.cpu_us);
	counter_set(&index_lag, s.missing);
	counter_set(&index_paused, s.paused);
	counter_set(&index_damaged, s.damaged);
	counter_set(&questions, s.questions);
	counter_set(&asked, s.asked);
	counter_set(&excluded, s.excluded);
}
