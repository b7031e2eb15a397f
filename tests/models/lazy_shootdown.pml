/*
 * vm.lazy_tlb=shootdown and filtered: no reference while a CPU borrows; the last drop asks the CPUs of the mask.
 * Two tasks share the mm, two CPUs run them.
 *
 * Here it does not matter that a task uses its mm until it has left its CPU (ON_CPU_EARLY: it leaves before): the mask
 * is true whoever borrows. The premise is needed so that the last drop sees the mask and active_mm as they are:
 * weak_publish.cpp.
 *
 *	EARLY_PUBLISH	active_mm is published before the other root is loaded
 *	EARLY_CLEAR	the bit is cleared before the other root is loaded
 *	NO_IPI		the last drop frees without asking
 *
 * run: holds POLICY=SHOOTDOWN
 * run: holds POLICY=SHOOTDOWN ASID=1
 * run: holds POLICY=FILTERED
 * run: holds POLICY=FILTERED ASID=1
 * run: fails POLICY=FILTERED EARLY_PUBLISH -> freed_while_loaded or used_after_free
 * run: fails POLICY=SHOOTDOWN EARLY_CLEAR -> freed_while_loaded
 * run: fails POLICY=FILTERED EARLY_CLEAR -> freed_while_loaded
 * run: fails POLICY=SHOOTDOWN NO_IPI -> freed_while_loaded
 * run: fails POLICY=FILTERED NO_IPI -> freed_while_loaded
 * run: holds POLICY=FILTERED ON_CPU_EARLY
 */
#define CPUS 2
#define MMS 1
#define TASKS 2
#define MM_OF_TASK(t) 1
#include "lazy_tlb.h"
