#pragma once
/*
 * The console terminal: one, shared by /dev/console and /dev/tty.
 *
 * Locks:  t tty->lock (RANK_TTY)   r tty->raw_lock (RANK_IRQ_DEV, interrupts off)   p proc_lock and t to write, either
 * to read
 */
#include <arch/uapi.h>

#include "kernel/mutex.h"
#include "kernel/spinlock.h"
#include "kernel/wait.h"
#include "kernel/workqueue.h"
#include "lib/bitmap.h"
#include "lib/types.h"

struct tty;

struct winsize_k {
	u16 row, col, xpixel, ypixel;
};

#define TTY_RAW		256u	/* received, not yet looked at */
#define TTY_BUF		4096u	/* for readers */

struct tty {
	struct mutex lock;
	struct termios_k termios;	/* t */
	struct winsize_k winsize;	/* t */
	int session, pgrp;		/* p. 0: nobody's controlling terminal; pgrp is the foreground group */

	/* Positions only grow. [tail, canon) can be read in canonical mode, [canon, head) is the line being edited. */
	char buf[TTY_BUF];		/* t */
	DECLARE_BITMAP(ends, TTY_BUF);	/* t. here stands an end-of-file character: ends a line, is not read */
	u32 head, canon, tail;		/* t; read without by poll after joining read_wait */
	bool literal;			/* t. the next character has no meaning */
	struct wait_queue read_wait;

	spinlock_t raw_lock;
	char raw[TTY_RAW];		/* r */
	u32 raw_head, raw_tail;		/* r */
	struct work input_work;		/* takes characters from raw to buf: signals need task context */
};

extern struct tty console_tty;

/** The port's interrupt handler: characters are waiting. Interrupt context. */
void tty_input_ready(void);

/* tty_ldisc.c, tty->lock held */
/**
 * A character was received: edit, echo. The signal that the foreground group must get, or 0; the caller sends it after
 * unlocking.
 */
int ldisc_receive(struct tty *tty, char c);
/** Take up to n readable characters; in canonical mode not beyond the end of a line. *end: a line ended. */
size_t ldisc_take(struct tty *tty, char *dst, size_t n, bool *end);
/** How many could be taken now (FIONREAD). */
size_t ldisc_readable(const struct tty *tty);
/** Forget what was typed and not read. */
void ldisc_flush(struct tty *tty);
void ldisc_set_termios(struct tty *tty, const struct termios_k *t);

/* tty_job.c */
/** A background process may not do this: 0: it may; -ERESTARTSYS: its group was sent sig; -EIO. No lock held. */
int tty_check_background(struct tty *tty, int sig);
long tty_job_ioctl(struct tty *tty, unsigned cmd, unsigned long arg);	/* -ENOIOCTL: not one of these */
#define ENOIOCTL 515
