/*
 * vm.lazy_tlb=hazard: a slot says what its CPU borrows; the last drop turns it into "mm, owed" and takes a reference
 * for that CPU, which drops it when it leaves: that is a second last drop.
 *
 * Premise: a CPU begins to borrow only from a task that uses the mm until it has left the CPU. So the slot is seen by
 * the last drop without a fence or a look back. BORROW takes the premise away: an idle CPU may take the mm of a task
 * that runs elsewhere, its slot's store may wait in a store buffer. Then it needs what hazard pointers always need,
 * FENCE and RECHECK.
 *
 *	ON_CPU_EARLY	the premise, differently: the task leaves its CPU before that borrows
 *	LATE_REFERENCE	the reference is taken after the compare-and-exchange
 *	PLAIN_LEAVE	leaving is a load and a store, not an exchange
 *
 * run: holds
 * run: holds ASID=1
 * run: fails ON_CPU_EARLY -> used_after_free
 * run: fails LATE_REFERENCE -> used_after_free
 * run: fails PLAIN_LEAVE -> leaked
 * run: holds BORROW FENCE RECHECK
 * run: fails BORROW -> used_after_free
 * run: fails BORROW RECHECK -> used_after_free
 * run: fails BORROW FENCE -> used_after_free
 */
#define POLICY HAZARD
#define CPUS 2
#define MMS 1
#define TASKS 2
#define MM_OF_TASK(t) 1
#include "lazy_tlb.h"
