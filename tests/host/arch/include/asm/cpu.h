#pragma once
/*
 * The host port's CPUs: threads of a Linux process, or (deterministic tests) one thread that is each CPU in turn. An
 * interrupt is a pending bit that its CPU looks at whenever it could be interrupted: on enabling interrupts and in
 * cpu_relax().
 */
#include <string.h>

#include "lib/types.h"

struct cpu;
struct task;

struct arch_cpu {
	bool irqs_off;		/* own thread */
	bool in_poll;		/* own thread */
	u32 ipi_pending;	/* atomic */
	u64 quiescent;		/* atomic. how often this CPU was between two operations */
	unsigned rcu_depth;	/* own thread */
};

struct cpu *this_cpu(void);
struct task *arch_current(void);
void arch_set_current(struct task *t);

unsigned long irq_save(void);
void irq_restore(unsigned long flags);
void irq_enable(void);
void irq_disable(void);
bool irqs_off(void);

void cpu_relax(void);

static inline void cpu_yield(void)
{
	cpu_relax();
}
void cpu_idle(void);
void cpu_halt(void) __noreturn;

/*
 * ThreadSanitizer does not know fences: there, a full fence is a read-modify-write of one word that all threads share.
 */
#ifdef __SANITIZE_THREAD__
extern u32 host_fence_word;
#define smp_mb()	((void)__atomic_fetch_add(&host_fence_word, 0, __ATOMIC_SEQ_CST))
#define smp_rmb()	smp_mb()
#define smp_wmb()	smp_mb()
#else
#define smp_mb()	__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb()	__atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb()	__atomic_thread_fence(__ATOMIC_RELEASE)
#endif
#define mb()		smp_mb()

static inline void clear_page(void *p)
{
	memset(p, 0, 4096);
}

static inline void copy_page(void *dst, const void *src)
{
	memcpy(dst, src, 4096);
}

static inline void icache_sync(void *kva, size_t len)
{
}

u64 cpu_counter(void);
