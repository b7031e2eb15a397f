#pragma once
/* The host port has no kernel stacks of its own: a task is a thread, or a row in a test's table. */
struct arch_thread {
	int unused;
};

#define KSTACK_SIZE	16384
