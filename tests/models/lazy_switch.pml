/*
 * vm.lazy_tlb is written while CPUs borrow: the new policy is in force beside the old one, every CPU passes an
 * interrupt and leaves what it borrowed under the old one, the old one ends. Pairs of policies; two tasks, two CPUs.
 *
 *	NARROW_EARLY	the old one ends before the CPUs have passed
 *	POLICY_FIRST	CPUs may borrow by the new one before it is in force
 *	LOOK		with interrupts off the debug check looks at each active_mm: a CPU that has cleared its bit,
 *			and not published yet, gives a false alarm. LOOK_AT_BIT=1: an alarm needs the CPU's bit too
 *
 * run: holds POLICY=HAZARD NEW_POLICY=FILTERED
 * run: holds POLICY=SHOOTDOWN NEW_POLICY=HAZARD
 * run: holds POLICY=FILTERED NEW_POLICY=REFCOUNT
 * run: holds POLICY=REFCOUNT NEW_POLICY=QUIESCE
 * run: holds POLICY=QUIESCE NEW_POLICY=NONE
 * run: holds POLICY=QUIESCE NEW_POLICY=HAZARD ASID=1
 * run: fails POLICY=HAZARD NEW_POLICY=FILTERED NARROW_EARLY -> slot_names_freed
 * run: fails POLICY=SHOOTDOWN NEW_POLICY=HAZARD NARROW_EARLY -> freed_while_loaded or used_after_free
 * run: fails POLICY=QUIESCE NEW_POLICY=NONE NARROW_EARLY -> freed_while_loaded or used_after_free
 * run: holds POLICY=SHOOTDOWN NEW_POLICY=HAZARD LOOK LOOK_AT_BIT=1
 * run: fails POLICY=SHOOTDOWN NEW_POLICY=HAZARD LOOK -> false_alarm
 * run: fails POLICY=REFCOUNT NEW_POLICY=FILTERED POLICY_FIRST -> freed_while_loaded
 * run: fails POLICY=NONE NEW_POLICY=HAZARD POLICY_FIRST -> freed_while_loaded
 */
#define CPUS 2
#define MMS 1
#define TASKS 2
#define MM_OF_TASK(t) 1
#include "lazy_tlb.h"
