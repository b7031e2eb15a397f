#pragma once
/*
 * Workqueues: functions that run in kernel threads. A queue is a policy (which pool, how many at once); pools own the
 * workers.
 */
#include "kernel/timer.h"
#include "lib/list.h"
#include "lib/types.h"

struct work;
struct workqueue;
typedef void (*work_fn)(struct work *);

struct work {
	work_fn fn;
	struct list_head link;		/* pool lock */
	struct workqueue *wq;		/* pool lock; of the pending instance */
	struct pool *pool;		/* pool lock */
	u32 pending;			/* atomic. queued and not yet started */
	u32 color;			/* pool lock. flush generation */
};

#define WQ_UNBOUND	0x1u	/* a pool per NUMA node, on that node's CPUs, instead of one per CPU */
#define WQ_HIGHPRI	0x2u	/* nice -20 workers, own pools */
#define WQ_MEM_RECLAIM	0x4u	/* has a rescuer thread: makes progress when no worker can be created */

/** max_active: how many of its items run at once per pool; 0 means 256. NULL if there is no memory. Sleeps. */
struct workqueue *workqueue_create(const char *name, unsigned flags, unsigned max_active);
/** Flushes first. Sleeps. */
void workqueue_destroy(struct workqueue *wq);
void work_init(struct work *w, work_fn fn);
/** False if it was already pending. Any context. */
bool queue_work(struct workqueue *wq, struct work *w);
bool queue_work_on(unsigned cpu, struct workqueue *wq, struct work *w);
/** On a CPU of the node, if it has one and wq is unbound; else as queue_work(). */
bool queue_work_node(int node, struct workqueue *wq, struct work *w);
/** Everything queued on wq before this call has finished when it returns. Sleeps. */
void flush_workqueue(struct workqueue *wq);
/** The last queued instance of w has finished. Sleeps; not from w itself. Returns whether it had to wait. */
bool flush_work(struct work *w);
/** Not pending and not running afterwards. Sleeps. Returns whether it was pending. */
bool cancel_work_sync(struct work *w);
/** Idle workers beyond one per pool end, and their memory is given back (tests, memory shortage). Sleeps. */
void workqueue_trim(void);
/** Workers that were between two items, or making another worker, are not any more. For tests. Sleeps. */
void workqueue_settle(void);
/** For tests: creating workers fails, so only rescuers make progress. */
void workqueue_fail_creation(bool fail);

extern struct workqueue *system_wq, *system_unbound_wq, *system_highpri_wq;
void workqueue_init(void);
