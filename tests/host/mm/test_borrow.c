/*
 * A CPU borrows an address space and goes on to another one; the last user, on another CPU, sees that it has, and
 * frees. Between the two there is nothing else that would order their accesses: so ThreadSanitizer sees whether the
 * look at active_mm (kernel/lazy_tlb.c) does. The host's MMU reads the old root until it has loaded the next one.
 */
#include "kernel/cpu.h"
#include "mm/mm.h"
#include "tests/host/mm/test.h"

#define ROUNDS 200u

static struct {
	struct mm *mm;		/* atomic. that dies in this round */
	u32 round;		/* atomic. CPU 1: mm is there */
	u32 borrowed;		/* atomic. CPU 0: the round in which it is borrowed */
} stage;

static struct task *stays;	/* whose address space CPU 0 goes on to */

/* Not cpu_relax(), which takes a lock. */
static void wait_until(const u32 *word, u32 value)
{
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value) {
		host_yield();
		host_poll();
	}
}

static void borrows(void)
{
	struct task *t[2] = { NULL, NULL };

	for (u32 round = 1; round <= ROUNDS; round++) {
		struct task **mine = &t[round & 1];

		wait_until(&stage.round, round);
		if (*mine)
			host_task_free(*mine);
		*mine = host_task(__atomic_load_n(&stage.mm, __ATOMIC_RELAXED));
		host_switch(*mine);
		exit_mm();
		__atomic_store_n(&stage.borrowed, round, __ATOMIC_RELEASE);
		host_switch(stays);
	}
	wait_until(&stage.round, ROUNDS + 1);
	exit_mm();
	host_switch(this_cpu()->idle);
	host_unlazy();
	host_task_free(t[0]);
	host_task_free(t[1]);
}

static void drops_last(void)
{
	for (u32 round = 1; round <= ROUNDS; round++) {
		struct mm *mm = mm_create();

		CHECK(mm, "no memory");
		mmget(mm);
		__atomic_store_n(&stage.mm, mm, __ATOMIC_RELAXED);
		__atomic_store_n(&stage.round, round, __ATOMIC_RELEASE);
		wait_until(&stage.borrowed, round);
		while (__atomic_load_n(&cpus[0]->active_mm, __ATOMIC_RELAXED) == mm)
			host_yield();
		mmput(mm);
	}
	__atomic_store_n(&stage.round, ROUNDS + 1, __ATOMIC_RELEASE);
}

static void cpu_main(unsigned cpu)
{
	if (cpu == 0)
		borrows();
	else if (cpu == 1)
		drops_last();
}

/*
 * The policies that look at active_mm. They would ask every CPU in the end, which orders everything. With address-space
 * ids the bit in the mask stays: that a bit was clear is ordered by a fence, which GCC's ThreadSanitizer does not know.
 */
void test_borrow(struct run *r)
{
	struct mm *mm = mm_create();

	CHECK(mm, "no memory");
	host_mmu.asid = true;
	stays = host_task(mm);
	host_set_knob("vm.lazy_tlb_check", 0);
	host_set_knob("vm.lazy_tlb", rnd(r, 2) ? 3 : 5);	/* filtered, quiesce */
	host_threads(cpu_main);
	host_run_on(0);
	host_task_free(stays);
}
