#pragma once
/*
 * Functions that run once at boot, in a kernel thread, all CPUs up, in link order within a level. A negative result is
 * reported.
 */
#define INITCALL(level, fn) \
	static int (*const __initcall_##fn)(void) __attribute__((used, section("initcalls_" #level))) = fn

/* early: core services that others' initcalls need; fs: filesystems; dev: drivers; late: the rest */
#define early_initcall(fn)	INITCALL(1, fn)
#define fs_initcall(fn)		INITCALL(2, fn)
#define dev_initcall(fn)	INITCALL(3, fn)
#define late_initcall(fn)	INITCALL(4, fn)
