#pragma once
/*
 * The order in which locks may be taken: while a lock is held, only locks of a higher rank may be acquired on the same
 * CPU (spinlocks) or by the same task (sleeping locks). Debug builds check it at every acquisition. mm/LOCKING.md
 * explains the order. Two locks of one rank may nest only through the _nested calls.
 */
enum lock_rank {
	RANK_NONE = 0,		/* not checked: only for the locks of the checker's own reports */
	/* sleeping locks */
	RANK_EXEC = 10,
	RANK_FS_RENAME,
	RANK_FILE_POS,
	RANK_FILE_TEXT,		/* the text of an open procfs file */
	RANK_INODE,
	RANK_PIPE,
	RANK_TTY,
	RANK_MMAP,		/* mm->mmap_lock */
	RANK_KERNEL_MUTEX,	/* leaf mutexes of subsystems */
	/* spinlocks taken by tasks only, interrupts on */
	RANK_PROC = 30,		/* process tree */
	RANK_SIGHAND,
	RANK_FILES,
	RANK_DCACHE,
	RANK_FUTEX,
	RANK_RMAP,
	RANK_MAPPING,
	RANK_PT_UPPER,		/* mm->page_table_lock: tables above level 0 */
	RANK_PTL,		/* lock of one level-0 table */
	RANK_SPIN_LEAF,
	/* spinlocks that interrupts take too: always with interrupts off */
	RANK_IRQ_DEV = 60,
	RANK_WORKQUEUE,
	RANK_TIMER_USER,
	RANK_WAIT,		/* wait queues */
	RANK_TASK_PI,		/* task->wake_lock */
	RANK_RQ,		/* run queues */
	RANK_TIMER,		/* timer base */
	RANK_RCU,
	RANK_SLAB,
	RANK_KSTACK,
	RANK_ZONE,		/* page allocator */
	RANK_IPI,
	RANK_CONSOLE,
	RANK_MAX,
};
