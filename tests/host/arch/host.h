#pragma once
/*
 * The host as a machine: portable mm/ on a Linux process. What tests call.
 *
 * Two ways to have several CPUs:
 *   in turn	one thread; host_run_on(cpu) makes it that CPU. IPIs to the others are handled, in their name, while the
 *		sender waits. A run is a function of its seed.
 *   at once	host_threads() starts a thread for each CPU. A thread handles its IPIs whenever its interrupts are on:
 *		in cpu_relax(), on enabling interrupts, between two user accesses.
 *
 * User memory is reached through host_access() alone: software TLB, then a walk, then handle_mm_fault(), like a
 * processor. What the MMU model reports (and aborts on):
 *   - an access through a translation whose frame has been freed, or freed and allocated again
 *   - a frame that is allocated while a CPU that has the address space loaded still holds a translation to it
 *   - a walk through a cached table pointer after that table was freed
 *   - an entry that changes from one frame to another without having been invalid (if break-before-make is on)
 *   - a plain store over an entry that the hardware may change at the same time
 *   - a fault that never ends
 */
#include "kernel/cpu.h"
#include "kernel/task.h"
#include "lib/random.h"
#include "lib/types.h"
#include "mm/mm.h"

#include <asm/pte.h>

struct host_config {
	struct host_mmu mmu;
	unsigned cpus;
	unsigned nodes;		/* 1 or 2: each with half of RAM; CPUs in turn */
	bool zeroed;		/* fresh memory counts as known zero */
	u64 ram;		/* bytes */
	u64 seed;
};

/** Build the machine and boot memory management. Once per process. */
void host_boot(const struct host_config *config);

/** This thread is CPU `cpu` from now on (CPUs in turn). */
void host_run_on(unsigned cpu);
/** Run fn on all CPUs at once; CPU 0 is the caller. Returns when all have. */
void host_threads(void (*fn)(unsigned cpu));
/** CPUs in turn: when a CPU first comes by this pause point (kernel/race.h), fn runs, as whichever CPUs it likes. */
void host_race_hook(const char *point, void (*fn)(void));
/** Let other threads run. No interrupt is taken. */
void host_yield(void);
/** Take pending interrupts if they are on. */
void host_poll(void);
/** Between two operations: nothing of the kernel is under way on this CPU. RCU callbacks run here. */
void host_quiescent(void);

/** A task of this machine, with this address space (NULL: a kernel thread). */
struct task *host_task(struct mm *mm);
void host_task_free(struct task *t);
/** The CPU switches to that task (which runs nowhere else), address space included. */
void host_switch(struct task *next);

/** The idle task that runs on this CPU gives back the address space that it borrows. */
void host_unlazy(void);

/**
 * Load or store the u64 at va as the current task. 0, or what handle_mm_fault() said: -EFAULT, -EACCES, -EIO, -ENOMEM.
 * The MMU's caches decide before the page tables do.
 */
int host_access(uintptr_t va, bool write, u64 *value);

/** Alone on the machine: give back everything that is only cached (magazines, per-CPU pages, roots, RCU callbacks). */
void host_drain(void);

/** printf and abort, with the command that replays the run. */
void host_fail(const char *fmt, ...) __printf(1, 2) __noreturn;
void host_set_replay(const char *fmt, ...) __printf(1, 2);

/* Between the files of the port. */
/* kernel_stubs.c: a file of that size, readable and writable; one reference */
struct file *host_file(u64 pages);
void host_file_truncate(struct file *f, u64 pages);
u64 host_files(void);				/* open files */
/* work_stubs.c */
bool host_run_work(void);			/* one, if there is any; false: there was none */
void host_fire_timers(void);
void host_initcalls(void);
/** Set a knob to a number or the index of a choice. Returns the choice's name. */
const char *host_set_knob(const char *name, unsigned value);
void host_cpus_init(unsigned n);
bool host_attached(unsigned cpu);		/* has it a thread of its own? */
void host_mmu_init(unsigned n, u64 seed);
void host_frames_allocated(u64 pfn, u64 n);	/* by the linker's wrappers of the allocator */
