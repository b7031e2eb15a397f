/*
 * The contract, part 7: user memory, as the port's access functions see it: faults are recovered from, and what they
 * say was not copied is exact. Trap frames as values.
 */
#include <arch/cpu.h>
#include <arch/timer.h>
#include <arch/tlb.h>
#include <arch/trap.h>

#include "kernel/cpu.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "kernel/uaccess.h"
#include "lib/string.h"
#include "mm/mman.h"
#include "mm/slab.h"
#include "mm/vma.h"
#include "tests/kernel/space.h"

#define RW (PROT_READ | PROT_WRITE)
#define EDGE 160	/* bytes on each side of an edge that tests look at */

/* One page that can be used, then one that can not: returns the address between. */
static uintptr_t make_edge(unsigned prot_after)
{
	uintptr_t va = kt_map(2, RW);

	if (!va)
		return 0;
	if (prot_after == ~0u)
		KT_EQ(kt_unmap(va + PAGE_SIZE, 1), 0);
	else
		KT_EQ(do_mprotect(va + PAGE_SIZE, PAGE_SIZE, prot_after), 0);
	return va + PAGE_SIZE;
}

static u8 pattern(size_t i)
{
	return (u8)(i * 7 + 3);
}

static const size_t beyond[] = { 0, 1, 2, 7, 8, 9, 63, 64, 65, 130 };

/*
 * From a source that ends at the edge, at every alignment of both sides: the bytes before it arrive, the rest is
 * counted.
 */
KTEST_MM(arch_trap, copy_from_user_is_exact)
{
	uintptr_t edge = make_edge(~0u);
	static u8 src[EDGE], dst[3 * EDGE];

	KT_ASSERT(edge);
	for (size_t i = 0; i < EDGE; i++)
		src[i] = pattern(i);
	KT_EQ(arch_copy_to_user((void *)(edge - EDGE), src, EDGE), 0);
	for (size_t before = 0; before <= EDGE; before += before < 20 ? 1 : 5) {
		for (size_t k = 0; k < ARRAY_SIZE(beyond) * 8; k++) {
			size_t n = before + beyond[k / 8], shift = k % 8, left;

			memset(dst, 0xee, sizeof(dst));
			left = arch_copy_from_user(dst + shift, (void *)(edge - before), n);
			if (left != beyond[k / 8] || memcmp(dst + shift, src + EDGE - before, before) ||
			    memchr_inv(dst + shift + before, 0xee, EDGE) || memchr_inv(dst, 0xee, shift)) {
				kt_fail(__FILE__, __LINE__, "%zu bytes, %zu before the edge, to offset %zu: %zu left",
					n, before, shift, left);
				return;
			}
		}
	}
}

KTEST_MM(arch_trap, copy_to_user_is_exact)
{
	const unsigned after[] = { ~0u, PROT_READ, PROT_NONE };
	static u8 src[3 * EDGE], seen[EDGE];

	for (size_t i = 0; i < sizeof(src); i++)
		src[i] = pattern(i);
	for (unsigned a = 0; a < ARRAY_SIZE(after); a++) {
		uintptr_t edge = make_edge(after[a]);

		KT_ASSERT(edge);
		for (size_t before = 0; before <= EDGE; before += before < 18 ? 1 : 13) {
			for (size_t k = 0; k < ARRAY_SIZE(beyond) * 8; k++) {
				size_t n = before + beyond[k / 8], shift = k % 8, left;

				KT_EQ(arch_clear_user((void *)(edge - EDGE), EDGE), 0);
				left = arch_copy_to_user((void *)(edge - before), src + shift, n);
				KT_EQ(arch_copy_from_user(seen, (void *)(edge - EDGE), EDGE), 0);
				if (left != beyond[k / 8] || memcmp(seen + EDGE - before, src + shift, before) ||
				    memchr_inv(seen, 0, EDGE - before)) {
					kt_fail(__FILE__, __LINE__,
						"%zu bytes, %zu before the edge, from offset %zu: %zu left", n, before,
						shift, left);
					return;
				}
			}
		}
	}
}

KTEST_MM(arch_trap, clear_user_is_exact)
{
	uintptr_t edge = make_edge(~0u);
	static u8 ones[EDGE], seen[EDGE];

	KT_ASSERT(edge);
	memset(ones, 0xff, sizeof(ones));
	for (size_t before = 0; before < EDGE; before += before < 20 ? 1 : 7) {
		for (size_t k = 0; k < ARRAY_SIZE(beyond); k++) {
			size_t left;

			KT_EQ(arch_copy_to_user((void *)(edge - EDGE), ones, EDGE), 0);
			left = arch_clear_user((void *)(edge - before), before + beyond[k]);
			KT_EQ(arch_copy_from_user(seen, (void *)(edge - EDGE), EDGE), 0);
			if (left != beyond[k] || memchr_inv(seen, 0xff, EDGE - before) ||
			    memchr_inv(seen + EDGE - before, 0, before)) {
				kt_fail(__FILE__, __LINE__, "%zu bytes before the edge, %zu behind: %zu left", before,
					beyond[k], left);
				return;
			}
		}
	}
	/* A part that ends inside the page leaves what follows alone. */
	for (size_t n = 0; n < 70; n++) {
		KT_EQ(arch_copy_to_user((void *)(edge - EDGE), ones, EDGE), 0);
		KT_EQ(arch_clear_user((void *)(edge - EDGE + 3), n), 0);
		KT_EQ(arch_copy_from_user(seen, (void *)(edge - EDGE), EDGE), 0);
		KT_EXPECT(!memchr_inv(seen + 3, 0, n) && !memchr_inv(seen + 3 + n, 0xff, EDGE - 3 - n) &&
			  seen[0] == 0xff);
	}
}

/* Long copies over pages that are not there yet are faulted in on the way. */
KTEST_MM(arch_trap, copies_fault_pages_in)
{
	const size_t n = 64 * PAGE_SIZE;
	uintptr_t va = kt_map(65, RW);
	u8 *buf = kmalloc(n, GFP_KERNEL), *back = kmalloc(n, GFP_KERNEL);

	KT_EXPECT(va && buf && back);
	if (va && buf && back) {
		for (size_t i = 0; i < n; i++)
			buf[i] = pattern(i);
		KT_EQ(arch_copy_to_user((void *)(va + 13), buf, n), 0);
		KT_EQ(arch_copy_from_user(back, (void *)(va + 13), n), 0);
		KT_EXPECT(!memcmp(buf, back, n));
		KT_EQ(arch_clear_user((void *)(va + 13), n), 0);
		KT_EQ(arch_copy_from_user(back, (void *)(va + 13), n), 0);
		KT_EXPECT(!memchr_inv(back, 0, n));
	}
	kfree(buf);
	kfree(back);
}

KTEST_MM(arch_trap, no_faults_where_they_are_disabled)
{
	uintptr_t va = kt_map(1, RW);
	u8 buf[64];
	u64 v;

	KT_ASSERT(va);
	pagefault_disable();
	KT_EQ(arch_copy_from_user(buf, (void *)va, sizeof(buf)), sizeof(buf));
	KT_EQ(arch_copy_to_user((void *)va, buf, sizeof(buf)), sizeof(buf));
	KT_EXPECT(!kt_get(va, &v));
	pagefault_disable();
	pagefault_enable();
	KT_EXPECT(!kt_put(va, 1));
	KT_EXPECT(pte_none(kt_pte(va)));
	pagefault_enable();
	KT_EXPECT(kt_put(va, 1));
	pagefault_disable();
	KT_EQ(kt_peek(va), 1);
	pagefault_enable();
}

KTEST_MM(arch_trap, strncpy)
{
	uintptr_t edge = make_edge(~0u);
	char buf[64];

	KT_ASSERT(edge);
	KT_EQ(arch_copy_to_user((void *)(edge - 6), "hello", 6), 0);
	KT_EQ(arch_strncpy_from_user(buf, (char *)(edge - 6), sizeof(buf)), 5);
	KT_EXPECT(!strcmp(buf, "hello"));
	KT_EQ(arch_strncpy_from_user(buf, (char *)(edge - 1), sizeof(buf)), 0);
	KT_EXPECT(!buf[0]);
	memset(buf, 'x', sizeof(buf));
	KT_EQ(arch_strncpy_from_user(buf, (char *)(edge - 6), 3), 3);
	KT_EXPECT(!memcmp(buf, "helx", 4));
	KT_EQ(arch_strncpy_from_user(buf, (char *)(edge - 6), 0), 0);
	KT_EQ(arch_strncpy_from_user(buf, (char *)(edge - 6), 6), 5);
	KT_EQ(arch_strncpy_from_user(buf, (char *)(edge - 6), 5), 5);
	/* No NUL before the edge. */
	KT_EQ(arch_copy_to_user((void *)(edge - 6), "hello!", 6), 0);
	KT_EQ(arch_strncpy_from_user(buf, (char *)(edge - 6), sizeof(buf)), -EFAULT);
	KT_EQ(arch_strncpy_from_user(buf, (char *)(edge - 6), 6), 6);
	KT_EQ(arch_strncpy_from_user(buf, (char *)edge, 1), -EFAULT);
	/* The checked form. */
	KT_EQ(strncpy_from_user(buf, (char *)(edge - 6), 6), -ENAMETOOLONG);
	KT_EQ(strncpy_from_user(buf, (char *)(edge - 6), 7), -EFAULT);
	KT_EQ(strncpy_from_user(buf, (char *)USER_TOP, 4), -EFAULT);
	KT_EQ(strncpy_from_user(buf, (char *)(USER_TOP - 4), 40), -EFAULT);
	KT_EQ(strncpy_from_user(buf, (char *)-1ul, 4), -EFAULT);
	KT_EQ(strncpy_from_user(buf, (char *)buf, 4), -EFAULT);
}

KTEST_MM(arch_trap, kernel_addresses_are_refused)
{
	u64 secret = 1, v = 0;

	KT_EQ(copy_from_user(&v, &secret, sizeof(v)), -EFAULT);
	KT_EQ(copy_to_user(&secret, &v, sizeof(v)), -EFAULT);
	KT_EQ(clear_user(&secret, sizeof(v)), -EFAULT);
	KT_EQ(copy_from_user(&v, (void *)USER_TOP, 1), -EFAULT);
	KT_EQ(copy_from_user(&v, (void *)(USER_TOP - 4), 8), -EFAULT);
	KT_EQ(copy_from_user(&v, (void *)-8ul, 8), -EFAULT);
	KT_EQ(copy_from_user(&v, (void *)8ul, -8ul), -EFAULT);
	KT_EQ(copy_from_user_partial(&v, (void *)USER_TOP, 8), 0);
	KT_EXPECT(access_ok((void *)0, 0) && access_ok((void *)(USER_TOP - 8), 8) &&
		  !access_ok((void *)(USER_TOP - 8), 9));
	KT_EQ(secret, 1);
}

KTEST_MM(arch_trap, words)
{
	uintptr_t edge = make_edge(PROT_READ), va = edge - 64;
	u32 v32;
	u64 v64;

	KT_ASSERT(edge);
	KT_EQ(arch_put_user64((u64 *)va, 0x1122334455667788ull), 0);
	KT_EQ(arch_get_user64(&v64, (u64 *)va), 0);
	KT_EXPECT(v64 == 0x1122334455667788ull);
	KT_EQ(arch_put_user32((u32 *)va, 0xdeadbeef), 0);
	KT_EQ(arch_get_user32(&v32, (u32 *)va), 0);
	KT_EXPECT(v32 == 0xdeadbeef);
	KT_EQ(arch_get_user32(&v32, (u32 *)(va + 8)), 0);
	KT_EQ(v32, 0);
	KT_EQ(arch_put_user32((u32 *)edge, 1), -EFAULT);
	KT_EQ(arch_put_user64((u64 *)edge, 1), -EFAULT);
	KT_EQ(arch_get_user64(&v64, (u64 *)edge), 0);
	KT_EQ(kt_unmap(edge, 1), 0);
	KT_EQ(arch_get_user32(&v32, (u32 *)edge), -EFAULT);
	KT_EQ(arch_get_user64(&v64, (u64 *)edge), -EFAULT);
}

KTEST_MM(arch_trap, cmpxchg_says_what_was_there)
{
	const u32 values[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff };
	uintptr_t edge = make_edge(PROT_READ);
	u32 *p = (u32 *)(edge - 8), seen;

	KT_ASSERT(edge);
	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		KT_EQ(arch_put_user32(p, values[i]), 0);
		seen = 7;
		KT_EQ(arch_cmpxchg_user32(p, values[i] + 1, 5, &seen), 0);
		KT_EQ(seen, values[i]);
		KT_EQ(arch_get_user32(&seen, p), 0);
		KT_EQ(seen, values[i]);
		KT_EQ(arch_cmpxchg_user32(p, values[i], ~values[i], &seen), 0);
		KT_EQ(seen, values[i]);
		KT_EQ(arch_get_user32(&seen, p), 0);
		KT_EQ(seen, ~values[i]);
	}
	KT_EQ(arch_cmpxchg_user32((u32 *)edge, 0, 1, &seen), -EFAULT);
	KT_EQ(kt_unmap(edge, 1), 0);
	KT_EQ(arch_cmpxchg_user32((u32 *)edge, 0, 1, &seen), -EFAULT);
}

static void count_up(void *arg, unsigned nr)
{
	u32 *p = arg, v, seen;

	for (int i = 0; i < 2000; i++) {
		if (arch_get_user32(&v, p))
			return;
		while (!arch_cmpxchg_user32(p, v, v + 1, &seen) && seen != v)
			v = seen;
	}
}

KTEST_MM(arch_trap, cmpxchg_is_atomic)
{
	uintptr_t va = kt_map(1, RW);
	struct kt_crowd crowd;
	unsigned n = min(nr_cpus, 8u);
	u32 v;

	KT_ASSERT(va);
	kt_crowd_start(&crowd, n, count_up, (void *)va);
	kt_crowd_join(&crowd);
	KT_EQ(arch_get_user32(&v, (u32 *)va), 0);
	KT_EQ(v, 2000 * n);
}

/*
 * An emulator may keep what it looked up while user memory was open, so each look begins without a translation. (On
 * ports where the guard is a key, QEMU does.)
 */
static u64 look(uintptr_t va)
{
	unsigned long flags = irq_save();
	u64 v;

	tlb_local_page(current->mm, va);
	v = kt_plain_read(va);
	irq_restore(flags);
	return v;
}

/* SMAP, SUM, PAN, AMR: a plain access of the kernel to user memory faults. */
KTEST_MM(arch_trap, plain_access_to_user_memory_faults)
{
	uintptr_t va = kt_map(1, RW), other = kt_map_at(0x10000000, 1, RW) > 0 ? 0x10000000 : 0;
	static u64 kernel = 5;

	if (!arch_user_guard()) {
		kt_skip("this CPU does not guard user memory against the kernel");
		return;
	}
	KT_ASSERT(va && other && kt_put(va, 7));
	KT_EQ(kt_plain_read((uintptr_t)&kernel), 5);
	KT_EXPECT(look(va) == KT_NOTHING);
	/* Neither does a user access, good or bad, leave the door open. */
	KT_EQ(kt_peek(va), 7);
	KT_EXPECT(look(va) == KT_NOTHING);
	KT_EXPECT(!kt_put(8, 1));
	KT_EXPECT(look(va) == KT_NOTHING);
	KT_EQ(arch_clear_user((void *)va, 8), 0);
	KT_EXPECT(look(va) == KT_NOTHING);
	/* What the user has no right to, the kernel may read: other tests rely on it. */
	kt_make_plain(other);
	KT_EXPECT(kt_put(other, 9));
	KT_EQ(kt_plain_read(other), 9);
}

struct intruder {
	struct timer timer;
	uintptr_t va;
	u64 seen;
	u32 came;
};

static void intrude(struct timer *t)
{
	struct intruder *in = container_of(t, struct intruder, timer);

	in->seen = look(in->va);
	WRITE_ONCE(in->came, 1);
}

/* An interrupt that comes in the midst of a user access finds the door closed. */
KTEST_MM(arch_trap, interrupts_close_user_memory)
{
	struct intruder in = { .va = kt_map(1, RW) };
	static u8 buf[PAGE_SIZE];

	if (!arch_user_guard()) {
		kt_skip("this CPU does not guard user memory against the kernel");
		return;
	}
	KT_ASSERT(in.va);
	for (int i = 0; i < 20; i++) {
		in.came = 0;
		timer_init(&in.timer, intrude);
		timer_start(&in.timer, clock_ns() + 100 * NSEC_PER_USEC);
		while (!READ_ONCE(in.came))
			KT_EQ(arch_copy_from_user(buf, (void *)in.va, sizeof(buf)), 0);
		timer_cancel_sync(&in.timer);
		KT_EXPECT(in.seen == KT_NOTHING);
	}
}

KTEST(arch_trap, frame_accessors)
{
	static struct trapframe tf;
	const long returns[] = { 0, 1, -1, -EFAULT, -4095, 0x7fffffffffffffffl };

	memset(&tf, 0, sizeof(tf));
	arch_start_user(&tf, 0x10000, 0x20000);
	KT_EXPECT(tf_user(&tf));
	KT_EQ(tf_pc(&tf), 0x10000);
	KT_EQ(tf_sp(&tf), 0x20000);
	tf_set_pc(&tf, 0x12340);
	tf_set_sp(&tf, 0x56780);
	KT_EQ(tf_pc(&tf), 0x12340);
	KT_EQ(tf_sp(&tf), 0x56780);
	for (unsigned i = 0; i < ARRAY_SIZE(returns); i++) {
		tf_set_return(&tf, returns[i]);
		KT_EQ(tf_return(&tf), returns[i]);
	}
	KT_EXPECT(arch_user_pc_ok(0x10000) && arch_user_pc_ok(USER_TOP - PAGE_SIZE));
	KT_EXPECT((uintptr_t)task_trapframe(current) > (uintptr_t)current->kstack);
	KT_EXPECT((uintptr_t)(task_trapframe(current) + 1) <= (uintptr_t)current->kstack + KSTACK_SIZE);
}
