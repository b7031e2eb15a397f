/*
 * vm.lazy_tlb=quiesce: dead mms wait in a list; the reaper interrupts the CPUs that have not gone on, once for all of
 * them. Two mms with a task each, so that a batch may have two, and a CPU leaves one while the other is put on the
 * list. Nothing else runs (NO_OTHER), so that who borrows at the end has to be asked.
 *
 *	BATCH_WITHOUT_ASKING	the batch is freed without asking its holders
 *	EARLY_PUBLISH		active_mm is published before the other root is loaded
 *	NO_IPI			the last drop takes it that there are no holders
 *
 * run: holds
 * run: fails BATCH_WITHOUT_ASKING -> freed_while_loaded or used_after_free
 * run: fails EARLY_PUBLISH -> freed_while_loaded or used_after_free
 * run: fails NO_IPI -> freed_while_loaded
 */
#define POLICY QUIESCE
#define CPUS 2
#define MMS 2
#define NO_OTHER
#define TASKS 2
#define MM_OF_TASK(t) (1 + (t))
#include "lazy_tlb.h"
