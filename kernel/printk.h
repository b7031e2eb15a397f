#pragma once
/*
 * Kernel messages: to the console, and to a ring that /dev/kmsg and syslog(2) read. Any context. panic() stops every
 * CPU.
 */
#include "lib/printf.h"
#include "lib/types.h"

/** One message; a missing newline is added. `quiet` on the command line keeps pr_info off the console. */
void printk(char level, const char *fmt, ...) __printf(2, 3);
#define pr_info(...)	printk('6', __VA_ARGS__)
#define pr_warn(...)	printk('4', __VA_ARGS__)
#define pr_err(...)	printk('3', __VA_ARGS__)

/** Raw text to the console, one writer at a time. */
void console_write(const char *s, size_t n);
/** The ring's last n bytes; returns bytes copied. */
size_t printk_read(char *buf, size_t n);
size_t printk_size(void);

void panic(const char *fmt, ...) __printf(1, 2) __noreturn;
struct task;
struct trapframe;
void panic_trap(const struct trapframe *tf, const char *fmt, ...) __printf(2, 3) __noreturn;
void dump_stack(void);
void dump_task_stack(struct task *t);
extern bool panicking;
/** Name of the function at pc ("name+0x12/0x80"), into buf. */
int symbolize(char *buf, size_t n, uintptr_t pc);

#define BUG_ON(cond)                                                                                                   \
	do {                                                                                                           \
		if (unlikely(cond))                                                                                    \
			panic("%s:%d: %s: broken invariant: %s", __FILE__, __LINE__, __func__, #cond);                 \
	} while (0)
/** Broken invariant, values named by the caller. Checked in every build. */
#define ASSERT(cond, fmt, ...)                                                                                         \
	do {                                                                                                           \
		if (unlikely(!(cond)))                                                                                 \
			panic("%s:%d: !(%s): " fmt, __FILE__, __LINE__, #cond, ##__VA_ARGS__);                         \
	} while (0)
/** Costly or hot-path checks: debug builds only. */
#ifdef CONFIG_DEBUG
#define DEBUG_ASSERT(cond, fmt, ...) ASSERT(cond, fmt, ##__VA_ARGS__)
#else
#define DEBUG_ASSERT(cond, fmt, ...) ((void)sizeof(cond))
#endif
