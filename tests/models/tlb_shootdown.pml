/*
 * Who is told to flush (mm/context.c load_mm, mm/tlb.c flush): the CPUs in mm->cpumask. A CPU sets its bit, full
 * fence, loads the root; the flusher changes entries, full fence, reads the mask. If it does not see the bit, the
 * CPU's walks see the new entries.
 *
 * Two CPUs load the mm and leave it, walk and use translations at any time; a third one replaces its page twice.
 * Stores of the bit and of the entry wait in store buffers until a fence, or for as long as they like.
 *
 *	ASID=1		leaving keeps translations, and the bit, until a flush of everything finds the mm unloaded
 *	NO_BIT_FENCE	no fence between the bit and the root
 *	NO_ENTRY_FENCE	no fence between the entries and the mask
 *	EARLY_CLEAR	the bit is cleared before the other root is loaded
 *	NO_WAIT		the flusher does not wait until the CPUs have flushed
 *	CLEAR_LOADED	flush_ipi clears the bit though the mm is loaded
 *
 * run: holds
 * run: holds ASID=1
 * run: fails NO_BIT_FENCE -> stale_use
 * run: fails NO_BIT_FENCE ASID=1 -> stale_use
 * run: fails NO_ENTRY_FENCE -> stale_use
 * run: fails NO_ENTRY_FENCE ASID=1 -> stale_use
 * run: fails EARLY_CLEAR -> stale_use
 * run: fails NO_WAIT -> stale_use
 * run: fails CLEAR_LOADED ASID=1 -> stale_use
 */
#ifndef ASID
#define ASID 0
#endif
#define CPUS 2
#define PAGES 2

byte entry = 1;			/* the page that it names; 0: none */
bool entry_waits;		/* the store of 0 is in the flusher's buffer */
bool mask[CPUS];		/* mm->cpumask */
bool bit_waits[CPUS];		/* the store of the bit is in the CPU's buffer */
bool root[CPUS];		/* the mm is loaded */
bool active_mm[CPUS];		/* the CPU says so */
byte tlb[CPUS];			/* the page that a translation leads to; 0: none */
bool ipi[CPUS], whole;
bool page_freed[PAGES + 2];
bool stale_use;

inline drain_bit(c)
{
	atomic {
		if
		:: bit_waits[c] -> mask[c] = 1; bit_waits[c] = 0
		:: else
		fi
	}
}

inline drain_entry()
{
	atomic {
		if
		:: entry_waits -> entry = 0; entry_waits = 0
		:: else
		fi
	}
}

/* A CPU; interrupts are on at the head of its loop only. */
proctype cpu(byte c)
{
end:	do
	:: !active_mm[c] ->				/* load_mm(mm) */
		if
		:: !mask[c] && !bit_waits[c] -> bit_waits[c] = 1
		:: else
		fi;
#ifndef NO_BIT_FENCE
		drain_bit(c);				/* smp_mb() */
#endif
		root[c] = 1;				/* arch_mm_switch */
		active_mm[c] = 1
	:: active_mm[c] ->				/* load_mm(other) */
#ifdef EARLY_CLEAR
		atomic { bit_waits[c] = 0; mask[c] = 0 }
#endif
		atomic {
			root[c] = 0;
			if
			:: !ASID -> tlb[c] = 0
			:: else
			fi
		}
#ifndef EARLY_CLEAR
		if
		:: !ASID -> atomic { bit_waits[c] = 0; mask[c] = 0 }
		:: else
		fi;
#endif
		active_mm[c] = 0
	:: ipi[c] ->					/* flush_ipi() */
		tlb[c] = 0;
		if
#ifdef CLEAR_LOADED
		:: ASID && whole -> mask[c] = 0
#else
		:: ASID && whole && !active_mm[c] -> mask[c] = 0
#endif
		:: !(ASID && whole && !active_mm[c])
		fi;
		ipi[c] = 0
	od
}

/* The CPU's MMU: walks and uses what is loaded, whatever the CPU does. */
proctype mmu(byte c)
{
end:	do
	:: atomic { root[c] && tlb[c] == 0 && entry -> tlb[c] = entry }
	:: atomic { root[c] && tlb[c] && page_freed[tlb[c]] -> stale_use = 1; assert(!stale_use) }
	od
}

proctype buffers()
{
end:	do
	:: bit_waits[0] -> drain_bit(0)
	:: bit_waits[1] -> drain_bit(1)
	:: entry_waits -> drain_entry()
	od
}

proctype flusher()
{
	byte page, i;
	bool others[CPUS];

	page = 1;
	do
	:: page <= PAGES ->
		entry_waits = 1;			/* the entry is unhooked */
#ifndef NO_ENTRY_FENCE
		drain_entry();				/* smp_mb() in flush() */
#endif
		atomic { others[0] = mask[0]; others[1] = mask[1] }
		if
		:: whole = 0
		:: whole = 1
		fi;
		atomic { ipi[0] = others[0]; ipi[1] = others[1]; others[0] = 0; others[1] = 0 }
#ifndef NO_WAIT
		!ipi[0];
		!ipi[1];
#endif
		page_freed[page] = 1;			/* and used for something else */
		page++;
		drain_entry();
		if
		:: page <= PAGES -> entry = page	/* a fault enters another page */
		:: else
		fi
	:: else -> break
	od
}

init
{
	atomic {
		run cpu(0);
		run cpu(1);
		run mmu(0);
		run mmu(1);
		run buffers();
		run flusher()
	}
}
