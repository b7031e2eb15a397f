/*
 * vm.free_async=batch (mm/gather.c, mm/gather_async.c): unhook, flush, hand the chain to a worker, unhook on, join,
 * and the gather, which is on the gatherer's stack, is gone. Two chains of a page each go to two workers, the last
 * page is freed by the gatherer. A CPU uses what its TLB holds meanwhile.
 *
 * The completion is what kernel/wait.c has: complete() counts and wakes with its lock held, the waiter looks with it
 * held.
 *
 *	HAND_OVER_FIRST		the chain goes to the worker before the flush
 *	FREE_FIRST		what is freed inline is freed before the flush
 *	NO_JOIN			gather_end does not wait
 *	JOIN_ONE		it waits once, not once for each worker
 *	TOUCH_AFTER_COMPLETE	the worker adds its time after complete()
 *	LOCKLESS_JOIN		the waiter looks at `done` without the lock
 *
 * run: holds
 * run: fails HAND_OVER_FIRST -> stale_use
 * run: fails FREE_FIRST -> stale_use
 * run: fails NO_JOIN -> gather_gone
 * run: fails JOIN_ONE -> gather_gone
 * run: fails TOUCH_AFTER_COMPLETE -> gather_gone
 * run: fails LOCKLESS_JOIN -> gather_gone
 */
#define PAGES 3			/* page p is mapped by entry p */
#define WORKS 2

bool mapped[PAGES], tlb[PAGES], page_freed[PAGES];
bool queued[WORKS];
bool flush_asked;

/* struct mmu_gather */
bool alive = 1;
byte nr_works;
byte worker_ns;			/* atomic64_t */
byte nr_done;			/* struct completion */
bool lock, asleep;

bool stale_use, gather_gone;

inline touch_gather()
{
	gather_gone = !alive;
	assert(!gather_gone)
}

/* A CPU with a thread of the process: walks, uses, answers the flush. */
proctype user()
{
end:	do
	:: atomic { mapped[0] -> tlb[0] = 1 }
	:: atomic { mapped[1] -> tlb[1] = 1 }
	:: atomic { mapped[2] -> tlb[2] = 1 }
	:: atomic {
			(tlb[0] && page_freed[0]) || (tlb[1] && page_freed[1]) || (tlb[2] && page_freed[2]) ->
			stale_use = 1;
			assert(!stale_use)
		}
	:: flush_asked ->
		atomic { tlb[0] = 0; tlb[1] = 0; tlb[2] = 0; flush_asked = 0 }
	od
}

inline take_lock()
{
	atomic { touch_gather(); !lock -> lock = 1 }
}

inline drop_lock()
{
	atomic { touch_gather(); lock = 0 }
}

/* free_chain_work(): page w is its chain. */
proctype worker(byte w)
{
	queued[w];
	page_freed[w] = 1;				/* gather_free_chain */
#ifndef TOUCH_AFTER_COMPLETE
	atomic { touch_gather(); worker_ns++ }
#endif
	take_lock();					/* complete() */
	atomic { touch_gather(); nr_done++ }
	atomic { touch_gather(); asleep = 0 }		/* wake_up_task() */
	drop_lock();
#ifdef TOUCH_AFTER_COMPLETE
	atomic { touch_gather(); worker_ns++ }
#endif
}

inline flush()
{
	flush_asked = 1;
	!flush_asked
}

/* wait_for_completion() */
inline wait_for_completion()
{
#ifdef LOCKLESS_JOIN
	atomic { nr_done > 0 -> nr_done-- }
#else
	do
	:: take_lock();
		if
		:: nr_done > 0 -> nr_done--; drop_lock(); break
		:: else -> asleep = 1; drop_lock(); !asleep
		fi
	od
#endif
}

proctype gatherer()
{
	byte w;

	do
	:: w < WORKS ->
		mapped[w] = 0;				/* zap_range: unhooked, gathered */
#ifdef HAND_OVER_FIRST
		queued[w] = 1;
#endif
		flush();				/* gather_flush: tlb_flush, */
#ifndef HAND_OVER_FIRST
		queued[w] = 1;				/* gather_hand_off */
#endif
		nr_works++;
		w++
	:: else -> break
	od;
	mapped[w] = 0;
#ifdef FREE_FIRST
	page_freed[w] = 1;
#endif
	flush();					/* gather_end */
	page_freed[w] = 1;
#ifdef JOIN_ONE
	nr_works = 1;
#endif
#ifndef NO_JOIN
	do
	:: nr_works -> wait_for_completion(); nr_works--
	:: else -> break
	od;
#endif
	alive = 0					/* the stack is used for something else */
}

init
{
	atomic {
		mapped[0] = 1;
		mapped[1] = 1;
		mapped[2] = 1;
		run user();
		run worker(0);
		run worker(1);
		run gatherer()
	}
}
