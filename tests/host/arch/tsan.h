#pragma once
/*
 * Included before everything else in the ThreadSanitizer build. GCC's ThreadSanitizer knows no fences: a fence becomes
 * a read-modify-write of one word that all threads share, and a release decrement, which the last dropper of a
 * reference completes with an acquire fence, becomes an acquire too.
 */
extern unsigned host_fence_word;

#define __atomic_thread_fence(order)	((void)__atomic_fetch_add(&host_fence_word, 0, __ATOMIC_SEQ_CST))
#define __atomic_fetch_sub(p, v, order) \
	__atomic_fetch_sub((p), (v), (order) == __ATOMIC_RELEASE ? __ATOMIC_ACQ_REL : (order))
