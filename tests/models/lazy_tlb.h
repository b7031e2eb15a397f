/*
 * kernel/lazy_tlb.c, and what of mm/context.c, mm/mm.c, mm/tlb.c, kernel/sched.c and kernel/ipi.c it rests on, in
 * Promela. Included by the lazy_*.pml files, which say which policy, how many CPUs, and what is removed. No #pragma
 * once: spin reads it once.
 *
 * What there is: address spaces 1..MMS that will die, each with its tasks; B, which lives; init_mm. CPUs run tasks, go
 * idle (borrow), run another task, let tasks end. A task that has left a CPU may run on any other.
 *
 * CPU c is two processes: cpu(c), and irq(c), which takes calls whenever cpu(c) has interrupts on, between any two of
 * its steps. Each step is one access to what others see. Memory is sequentially consistent but where a model says
 * otherwise: weak orders are the business of the Relacy models.
 *
 * What must hold, whatever the order of steps:
 *	freed_while_loaded	no CPU has the root loaded of an mm that is freed (check_nobody)
 *	slot_names_freed	no slot names one
 *	used_after_free		nobody touches struct mm after that: its mask, users, count
 *	freed_with_users	a CPU that is told to leave has no task that uses the mm
 *	false_alarm		the debug look at the other CPUs finds nothing (only with LOOK)
 *	leaked			when all tasks have ended and all CPUs have gone on, all mms are freed; nobody hangs
 */
#define INIT_MM	0			/* as a task's mm: none */
#define B	(MMS + 1)
#define mortal(mm) ((mm) != INIT_MM && (mm) != B)

#define NONE	  0
#define REFCOUNT  1
#define SHOOTDOWN 2
#define FILTERED  3
#define HAZARD	  4
#define QUIESCE	  5
#define BIT_OF(policy)	(1 << (policy))
#define UNCOUNTED	(BIT_OF(SHOOTDOWN) | BIT_OF(FILTERED) | BIT_OF(QUIESCE))
#define OWED	16

#ifndef ASID
#define ASID 0				/* ARCH_HAS_ASID */
#endif
#ifdef NEW_POLICY
#define KNOB
#else
#define NEW_POLICY POLICY
#endif
#if POLICY == QUIESCE || NEW_POLICY == QUIESCE
#define REAPER
#endif

#ifndef LOOK_AT_BIT
#define LOOK_AT_BIT 0
#endif

#define IDLE	0			/* what runs: a kernel thread, a task of B, or task x - TASK */
#define OTHER	1
#define TASK	2
#define mm_of(x) ((x) == IDLE -> INIT_MM : ((x) == OTHER -> B : MM_OF_TASK((x) - TASK)))

byte root[CPUS];			/* what the MMU has: arch_mm_switch */
byte active_mm[CPUS];			/* cpu->active_mm */
byte cur[CPUS];				/* current */
byte by[CPUS];				/* lazy_cpu.policy */
byte slot[CPUS];			/* lazy_cpu.slot */
bool irq_off[CPUS], in_irq[CPUS];

byte mask[MMS + 2];			/* mm->cpumask */
byte users[MMS + 2], count[MMS + 2];
bool freed[MMS + 2];
bool on_cpu[TASKS], ended[TASKS];
byte nr_ended;
byte dead_list;				/* a bit for each mm; its lock is held for single steps only */
byte policy = POLICY, in_force = BIT_OF(POLICY);
bool knob_done = (NEW_POLICY == POLICY);

/* kernel/ipi.c: one slot for each sender */
#define UNLAZY		1
#define LEAVE_DYING	2
#define UNLAZY_DEAD	3
#define LEAVE_OLD	4
byte pending[3], fn[3], arg[3];
#define called(c) ((pending[0] | pending[1] | pending[2]) & (1 << (c)))

bool freed_while_loaded, slot_names_freed, used_after_free, freed_with_users, leaked, false_alarm;

#define LOCALS byte prev, was, drop, kinds, holders, i, seen; bool owed

#ifdef BORROW
byte buffer[CPUS];		/* a slot's store that others do not see yet */

inline drain(x)
{
	atomic {
		if
		:: buffer[x] -> slot[x] = buffer[x]; buffer[x] = 0
		:: else
		fi
	}
}
#else
#define drain(x) skip
#endif

inline touch(mm)
{
	used_after_free = used_after_free | freed[mm];
	assert(!used_after_free)
}

/* mm/context.c load_mm(). Interrupts off. */
inline load_mm(next)
{
	prev = active_mm[c];
	if
	:: mortal(next) -> atomic { touch(next); mask[next] = mask[next] | (1 << c) }
	:: else
	fi;
#ifdef EARLY_PUBLISH
	active_mm[c] = next;
#endif
#ifdef EARLY_CLEAR
	if
	:: mortal(prev) -> atomic { touch(prev); mask[prev] = mask[prev] & ~(1 << c) }
	:: else
	fi;
#endif
	root[c] = next;				/* arch_mm_switch */
#ifndef EARLY_CLEAR
	if
	:: mortal(prev) ->
		if
		:: atomic { ASID && users[prev] != 0 -> touch(prev) }
		:: atomic { !ASID || users[prev] == 0 -> touch(prev) };
			atomic { touch(prev); mask[prev] = mask[prev] & ~(1 << c) }
		fi
	:: else
	fi;
#endif
	active_mm[c] = next			/* smp_store_release: the last that we do with prev */
}

/* A task with an mm gives way to one without, or ends. */
inline lazy_tlb_enter()
{
	if
	:: active_mm[c] == INIT_MM -> by[c] = NONE
	:: else ->
		by[c] = policy;			/* smp_load_acquire */
		if
		:: by[c] == NONE -> load_mm(INIT_MM)
		:: by[c] == REFCOUNT -> atomic { prev = active_mm[c]; touch(prev); count[prev]++ }
		:: by[c] == HAZARD -> slot[c] = active_mm[c]
		:: else
		fi
	fi
}

/* Sets drop: the mm that is owed an mmdrop(), or none. */
inline lazy_tlb_leave(mm)
{
	was = by[c];
	by[c] = NONE;
	drop = INIT_MM;
	if
	:: was == REFCOUNT -> drop = mm
	:: was == HAZARD ->
#ifdef PLAIN_LEAVE
		seen = slot[c];
		slot[c] = 0;
#else
		atomic { drain(c); seen = slot[c]; slot[c] = 0 }	/* exchange */
#endif
		if
		:: seen & OWED -> drop = mm
		:: else
		fi
	:: else
	fi
}

/* The interrupts are off, or this is one. */
inline lazy_tlb_unlazy()
{
	if
	:: mm_of(cur[c]) != INIT_MM || active_mm[c] == INIT_MM
	:: else ->
		load_mm(INIT_MM);
		lazy_tlb_leave(prev);
		mmdrop(drop)
	fi
}

inline mm_free(mm)
{
	atomic {
		touch(mm);
		i = 0;
		do
		:: i < CPUS ->
			freed_while_loaded = freed_while_loaded | (root[i] == mm);
#ifndef BORROW					/* there a slot may name what is gone, until RECHECK finds that out */
			slot_names_freed = slot_names_freed | ((slot[i] & ~OWED) == mm);
#endif
			i++
		:: else -> break
		od;
		assert(!freed_while_loaded);
		assert(!slot_names_freed);
		freed[mm] = 1;
		i = 0
	}
}

/* Sets owed: does any CPU owe a drop of mm? */
inline owe(mm)
{
	atomic { touch(mm); count[mm] = 1; i = 0 }		/* ours, while we look */
	do
	:: i < CPUS && slot[i] == mm ->
#ifndef LATE_REFERENCE
		atomic { touch(mm); count[mm]++ }		/* mmgrab */
#endif
		if						/* compare and exchange */
		:: atomic { slot[i] == mm -> slot[i] = mm | OWED }
#ifdef LATE_REFERENCE
			atomic { touch(mm); count[mm]++ }
#endif
		:: atomic { slot[i] != mm ->			/* it left meanwhile */
#ifndef LATE_REFERENCE
			touch(mm); count[mm]--
#endif
			}
		fi;
		i++
	:: i < CPUS && slot[i] != mm -> i++
	:: i == CPUS -> i = 0; break
	od;
	atomic { touch(mm); count[mm]--; owed = (count[mm] != 0) }
}

/* Sets holders: CPUs in the mask whose published active_mm is mm. */
inline find_holders(mm)
{
	atomic { touch(mm); holders = mask[mm]; i = 0 }		/* cpumask_copy: a word */
	do
	:: i < CPUS ->
		atomic {
			if
			:: (holders & (1 << i)) && active_mm[i] != mm -> holders = holders & ~(1 << i)
			:: else
			fi;
			i++
		}
	:: else -> i = 0; break
	od
}

/* call_on_cpus(), interrupts on; then what this CPU has to do, then wait_slot(). */
inline send(targets, what, mm)
{
	atomic { fn[c] = what; arg[c] = mm; pending[c] = targets & ~(1 << c) }
}
#define wait_slot() pending[c] == 0

/*
 * mmdrop(), and lazy_tlb_release() up to where holders are known. Sets owed: not the last, or CPUs owe drops.
 * mm may be none.
 */
inline release_begin(mm)
{
	owed = 1;
	if
	:: mm == INIT_MM
	:: mm != INIT_MM -> atomic { touch(mm); count[mm]--; owed = (count[mm] != 0) }
	fi;
	if
	:: owed
	:: else ->
		kinds = in_force;				/* smp_load_acquire */
		if
		:: kinds & BIT_OF(HAZARD) -> owe(mm)
		:: else
		fi;
		if
		:: owed || !(kinds & UNCOUNTED)
		:: !owed && (kinds & (BIT_OF(FILTERED) | BIT_OF(QUIESCE))) -> find_holders(mm)
		:: !owed && (kinds & UNCOUNTED) == BIT_OF(SHOOTDOWN) -> atomic { touch(mm); holders = mask[mm] }
		fi;
#ifdef NO_IPI
		holders = 0
#endif
	fi
}

inline release_end(mm)
{
	if
	:: owed
	:: !owed && holders -> atomic { dead_list = dead_list | (1 << mm) }	/* defer() */
	:: !owed && !holders -> mm_free(mm)
	fi;
	atomic { kinds = 0; holders = 0; owed = 0 }
}

/* check_nobody() where it can only look. */
inline look(mm)
{
#ifdef LOOK
	if
	:: owed || holders
	:: else ->
		i = 0;
		do
		:: i < CPUS ->
			atomic {
				false_alarm = (active_mm[i] == mm && (!LOOK_AT_BIT || (mask[mm] & (1 << i))));
				assert(!false_alarm);
				i++
			}
		:: else -> i = 0; break
		od
	fi
#else
	skip
#endif
}

/* With interrupts off, where nobody can be waited for. */
inline mmdrop(mm)
{
	release_begin(mm);
	look(mm);
	release_end(mm)
}

/* With interrupts on. */
inline mmdrop_wait(mm)
{
	release_begin(mm);
	if
	:: holders & (1 << c) ->				/* leave_here() */
		irq_off[c] = 1;
		if
		:: active_mm[c] == mm ->			/* unlazy_ipi() */
			atomic { freed_with_users = (mm_of(cur[c]) != INIT_MM); assert(!freed_with_users) }
			load_mm(INIT_MM);
			lazy_tlb_leave(mm);
			assert(drop == INIT_MM)
		:: else
		fi;
		irq_off[c] = 0;
		holders = holders & ~(1 << c)
	:: else
	fi;
	if
	:: holders && !(kinds & BIT_OF(QUIESCE)) -> send(holders, UNLAZY, mm); wait_slot(); holders = 0
	:: else
	fi;
	release_end(mm)
}

/* kernel/ipi.c run_senders(), and the functions that are called. */
proctype irq(byte c)
{
	byte s;
	LOCALS;

end:	do
	:: atomic {
			!irq_off[c] && called(c) ->
			in_irq[c] = 1;
			if
			:: pending[0] & (1 << c) -> s = 0
			:: pending[1] & (1 << c) -> s = 1
			:: pending[2] & (1 << c) -> s = 2
			fi
		}
		if
		:: fn[s] == UNLAZY && active_mm[c] == arg[s] ->
			atomic { freed_with_users = (mm_of(cur[c]) != INIT_MM); assert(!freed_with_users) }
			lazy_tlb_unlazy()
		:: fn[s] == LEAVE_DYING && active_mm[c] == arg[s] -> lazy_tlb_unlazy()
		:: fn[s] == UNLAZY_DEAD && mortal(active_mm[c]) && users[active_mm[c]] == 0 -> lazy_tlb_unlazy()
		:: fn[s] == LEAVE_OLD -> lazy_tlb_unlazy()
		:: else
		fi;
		atomic {
			pending[s] = pending[s] & ~(1 << c);
			in_irq[c] = 0;
			s = 0; prev = 0; was = 0; drop = 0; seen = 0
		}
	od
}

/* __schedule(), switch_mm(), finish_switch(). x runs next; its on_cpu is set. */
inline switch_to(x)
{
	irq_off[c] = 1;
	me = cur[c];
#ifdef ON_CPU_EARLY
	if
	:: me >= TASK -> on_cpu[me - TASK] = 0
	:: else
	fi;
#endif
	drop = INIT_MM;
	if
	:: mm_of(x) == INIT_MM ->
		if
		:: mm_of(me) != INIT_MM -> lazy_tlb_enter()
		:: else
		fi
	:: else ->
		old = active_mm[c];
		new = mm_of(x);
		if
		:: new != old -> load_mm(new)
		:: else
		fi;
		if
		:: mm_of(me) == INIT_MM -> lazy_tlb_leave(old)
		:: else
		fi
	fi;
	cur[c] = x;				/* arch_switch */
#ifndef ON_CPU_EARLY
	if
	:: me >= TASK -> on_cpu[me - TASK] = 0	/* smp_store_release */
	:: else
	fi;
#endif
	mmdrop(drop);			/* switch_mm_finish */
	atomic { irq_off[c] = 0; me = 0; old = 0; new = 0; drop = 0; prev = 0; was = 0; seen = 0 }
}

/* mm/tlb.c flush_tlb_dying(): with broadcasts nobody is told to leave. */
inline flush_tlb_dying(mm)
{
	find_holders(mm);
	if
	:: true -> holders = 0			/* broadcast */
	:: holders & ~(1 << c) -> send(holders, LEAVE_DYING, mm); wait_slot()
	:: (holders & ~(1 << c)) == 0
	fi;
	holders = 0
}

/* exit_mm() and mmput(); then the task is one without an mm. */
inline task_exit()
{
	irq_off[c] = 1;
	me = cur[c];
	old = mm_of(me);
	lazy_tlb_enter();
	atomic { cur[c] = IDLE; ended[me - TASK] = 1 }	/* t->mm = NULL */
	irq_off[c] = 0;
	atomic { touch(old); users[old]--; owed = (users[old] != 0) }
	if
	:: owed
	:: else ->
		flush_tlb_dying(old);
		mmdrop_wait(old)
	fi;
	atomic { nr_ended++; me = 0; old = 0; drop = 0; prev = 0; was = 0; seen = 0; owed = 0 }
}

/* The worker of policy quiesce. */
inline reap()
{
	atomic { list = dead_list; dead_list = 0; left = 0 }
	me = 1;
	do
	:: me <= MMS && (list & (1 << me)) -> find_holders(me); atomic { left = left | holders; me++ }
	:: me <= MMS && !(list & (1 << me)) -> me++
	:: me > MMS -> break
	od;
#ifdef BATCH_WITHOUT_ASKING
	left = 0;
#endif
	send(left, UNLAZY_DEAD, 0);
	if
	:: left & (1 << c) ->
		irq_off[c] = 1;
		if
		:: mortal(active_mm[c]) && users[active_mm[c]] == 0 -> lazy_tlb_unlazy()
		:: else
		fi;
		irq_off[c] = 0
	:: else
	fi;
	wait_slot();
	me = 1;
	do
	:: me <= MMS && (list & (1 << me)) -> mm_free(me); me++
	:: me <= MMS && !(list & (1 << me)) -> me++
	:: me > MMS -> break
	od;
	atomic { me = 0; list = 0; left = 0; holders = 0; drop = 0; prev = 0; was = 0; seen = 0 }
}

/* policy_changed() */
inline policy_changed()
{
#ifdef POLICY_FIRST
	policy = NEW_POLICY;
	in_force = in_force | BIT_OF(NEW_POLICY);
#else
	in_force = in_force | BIT_OF(NEW_POLICY);
	policy = NEW_POLICY;
#endif
#ifdef NARROW_EARLY
	in_force = BIT_OF(NEW_POLICY);
#endif
	left = (1 << CPUS) - 1;
	send(left, LEAVE_OLD, 0);
	irq_off[c] = 1;
	lazy_tlb_unlazy();
	irq_off[c] = 0;
	wait_slot();
#ifndef NARROW_EARLY
	in_force = BIT_OF(NEW_POLICY);
#endif
	reap();					/* by its worker, some time later */
	knob_done = 1
}

#ifdef BORROW
/* An idle CPU borrows from a task that it does not run. */
inline borrow()
{
	irq_off[c] = 1;
	old = (ended[0] -> INIT_MM : MM_OF_TASK(0));	/* t->mm, which exit_mm() clears */
	if
	:: old == INIT_MM
	:: else ->
		atomic { by[c] = HAZARD; buffer[c] = old }
#ifdef FENCE
		drain(c);
#endif
#ifdef RECHECK
		seen = (ended[0] -> INIT_MM : MM_OF_TASK(0));
#else
		seen = old;
#endif
		if
		:: seen == old -> load_mm(old)
		:: else ->
			lazy_tlb_leave(old);
			mmdrop(drop)
		fi
	fi;
	atomic { irq_off[c] = 0; old = 0; seen = 0; was = 0; drop = 0; prev = 0 }
}
#endif

#define busy(c) (nr_ended < TASKS || mortal(root[c]) || dead_list || !knob_done)

proctype cpu(byte c) provided (!in_irq[c])
{
	byte t, me, old, new, list, left;
	LOCALS;

end:	do
	:: atomic { cur[c] != IDLE && busy(c) -> skip } switch_to(IDLE)
#ifndef NO_OTHER
	:: atomic { cur[c] != OTHER && busy(c) -> skip } switch_to(OTHER)
#endif
	:: cur[c] < TASK && busy(c) ->
		if
		:: atomic { !on_cpu[0] && !ended[0] -> t = 0; on_cpu[0] = 1 }
#if TASKS > 1
		:: atomic { !on_cpu[1] && !ended[1] -> t = 1; on_cpu[1] = 1 }
#endif
		:: else -> goto end
		fi;
		t = t + TASK;
		switch_to(t);
		t = 0
	:: cur[c] >= TASK -> task_exit()
#ifdef REAPER
	:: cur[c] == IDLE && dead_list -> reap()
#endif
#ifdef KNOB
	:: c == 0 && cur[c] == IDLE && !knob_done -> policy_changed()
#endif
#ifdef BORROW
	:: cur[c] == IDLE && active_mm[c] == INIT_MM && nr_ended < TASKS -> borrow()
#endif
	od
}

#ifdef BORROW
proctype buffers()
{
end:	do
	:: buffer[0] -> drain(0)
	:: buffer[1] -> drain(1)
	od
}
#endif

init
{
	byte i;

	atomic {
		i = 0;
		do
		:: i < TASKS -> users[MM_OF_TASK(i)]++; count[MM_OF_TASK(i)] = 1; i++
		:: else -> break
		od;
		users[B] = 1;
		count[B] = 1;
		i = 0;
		do
		:: i < CPUS -> run cpu(i); run irq(i); i++
		:: else -> break
		od;
#ifdef BORROW
		run buffers()
#endif
		i = 1
	}
	timeout;
	do
	:: i <= MMS -> atomic { leaked = !freed[i]; assert(!leaked); i++ }
	:: else -> break
	od
}
