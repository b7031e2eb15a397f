/*
 * The line discipline: from characters received to characters read, with editing and echo. All under tty->lock.
 */
#include "kernel/dev/tty.h"
#include "kernel/printk.h"
#include "kernel/signal.h"
#include "lib/ctype.h"
#include "lib/string.h"

static inline bool lflag(const struct tty *tty, u32 flag)
{
	return tty->termios.lflag & flag;
}

/* Is c the control character `which`? A zero entry switches it off. */
static inline bool is_cc(const struct tty *tty, char c, unsigned which)
{
	return tty->termios.cc[which] && (u8)c == tty->termios.cc[which];
}

static inline char *slot(struct tty *tty, u32 pos)
{
	return &tty->buf[pos % TTY_BUF];
}

static inline bool is_control(char c)
{
	return ((u8)c < ' ' && c != '\t') || c == 0x7f;
}

/* ---- echo ---- */

static void echo(struct tty *tty, char c)
{
	char text[2] = { '^', (char)(c ^ 0x40) };

	if (!lflag(tty, ECHO) && !(c == '\n' && lflag(tty, ECHONL) && lflag(tty, ICANON)))
		return;
	if (is_control(c) && c != '\n' && lflag(tty, ECHOCTL))
		console_write(text, 2);
	else
		console_write(&c, 1);
}

/* Take the last character of the line being edited off the screen and out of the buffer. */
static void erase_one(struct tty *tty)
{
	bool utf8 = tty->termios.iflag & IUTF8;
	char c;

	do {
		tty->head--;
		__clear_bit(tty->head % TTY_BUF, tty->ends);
		c = *slot(tty, tty->head);
	} while (utf8 && ((u8)c & 0xc0) == 0x80 && tty->head != tty->canon);
	if (!lflag(tty, ECHO))
		return;
	if (!lflag(tty, ECHOE))
		echo(tty, (char)tty->termios.cc[VERASE]);
	else if (is_control(c) && lflag(tty, ECHOCTL))
		console_write("\b \b\b \b", 6);
	else
		console_write("\b \b", 3);
}

static void erase_word(struct tty *tty)
{
	while (tty->head != tty->canon && !isalnum(*slot(tty, tty->head - 1)))
		erase_one(tty);
	while (tty->head != tty->canon && isalnum(*slot(tty, tty->head - 1)))
		erase_one(tty);
}

static void erase_line(struct tty *tty)
{
	if (!lflag(tty, ECHOKE) || !lflag(tty, ECHOE)) {
		tty->head = tty->canon;
		echo(tty, (char)tty->termios.cc[VKILL]);
		if (lflag(tty, ECHOK))
			console_write("\n", 1);
		return;
	}
	while (tty->head != tty->canon)
		erase_one(tty);
}

/* ---- receiving ---- */

/* Append; when full, the newest character is lost, but a line can always be ended. */
static bool append(struct tty *tty, char c, bool end_of_file)
{
	bool ends_line = end_of_file || c == '\n';

	if (tty->head - tty->tail >= TTY_BUF - !ends_line)
		return false;
	*slot(tty, tty->head) = c;
	if (end_of_file)
		__set_bit(tty->head % TTY_BUF, tty->ends);
	else
		__clear_bit(tty->head % TTY_BUF, tty->ends);
	tty->head++;
	return true;
}

static void end_line(struct tty *tty)
{
	tty->canon = tty->head;
	wake_up_all(&tty->read_wait);
}

static int signal_char(struct tty *tty, char c)
{
	int sig = is_cc(tty, c, VINTR) ? SIGINT : is_cc(tty, c, VQUIT) ? SIGQUIT : is_cc(tty, c, VSUSP) ? SIGTSTP : 0;

	if (!sig)
		return 0;
	if (!lflag(tty, NOFLSH))
		ldisc_flush(tty);
	echo(tty, c);
	return sig;
}

/* One character of a line. True: it was an editing character. */
static bool edit(struct tty *tty, char c)
{
	if (is_cc(tty, c, VERASE) || (c == '\b' && tty->termios.cc[VERASE] == 0x7f)) {
		if (tty->head != tty->canon)
			erase_one(tty);
		return true;
	}
	if (is_cc(tty, c, VKILL)) {
		erase_line(tty);
		return true;
	}
	if (lflag(tty, IEXTEN) && is_cc(tty, c, VWERASE)) {
		erase_word(tty);
		return true;
	}
	if (lflag(tty, IEXTEN) && is_cc(tty, c, VLNEXT)) {
		tty->literal = true;
		return true;
	}
	if (lflag(tty, IEXTEN) && is_cc(tty, c, VREPRINT)) {
		echo(tty, c);
		console_write("\n", 1);
		for (u32 i = tty->canon; i != tty->head; i++)
			echo(tty, *slot(tty, i));
		return true;
	}
	if (is_cc(tty, c, VEOF)) {
		if (append(tty, '\0', true))
			end_line(tty);
		return true;
	}
	return false;
}

int ldisc_receive(struct tty *tty, char c)
{
	u32 iflag = tty->termios.iflag;
	bool literal = tty->literal;

	tty->literal = false;
	if (iflag & ISTRIP)
		c &= 0x7f;
	if (!literal) {
		int sig;

		if (c == '\r' && iflag & IGNCR)
			return 0;
		if (c == '\r' && iflag & ICRNL)
			c = '\n';
		else if (c == '\n' && iflag & INLCR)
			c = '\r';
		sig = lflag(tty, ISIG) ? signal_char(tty, c) : 0;
		if (sig)
			return sig;
		if (lflag(tty, ICANON) && edit(tty, c))
			return 0;
	}
	if (!append(tty, c, false)) {
		console_write("\a", 1);
		return 0;
	}
	echo(tty, c);
	if (!lflag(tty, ICANON))
		wake_up_all(&tty->read_wait);
	else if (!literal && (c == '\n' || is_cc(tty, c, VEOL) || (lflag(tty, IEXTEN) && is_cc(tty, c, VEOL2))))
		end_line(tty);
	return 0;
}

/* ---- reading ---- */

size_t ldisc_readable(const struct tty *tty)
{
	return (lflag(tty, ICANON) ? READ_ONCE(tty->canon) : READ_ONCE(tty->head)) - READ_ONCE(tty->tail);
}

size_t ldisc_take(struct tty *tty, char *dst, size_t n, bool *end)
{
	bool canonical = lflag(tty, ICANON);
	size_t avail = ldisc_readable(tty), done = 0;

	*end = false;
	while (avail && !*end) {
		char c = *slot(tty, tty->tail);
		bool end_of_file = canonical && test_bit(tty->tail % TTY_BUF, tty->ends);

		if (!end_of_file && done == n)
			break;
		tty->tail++;
		avail--;
		if (!end_of_file)
			dst[done++] = c;
		*end = end_of_file || (canonical && (c == '\n' || is_cc(tty, c, VEOL) || is_cc(tty, c, VEOL2)));
	}
	if ((s32)(tty->canon - tty->tail) < 0)
		tty->canon = tty->tail;
	return done;
}

void ldisc_flush(struct tty *tty)
{
	tty->head = tty->canon = tty->tail = 0;
	bitmap_zero(tty->ends, TTY_BUF);
}

void ldisc_set_termios(struct tty *tty, const struct termios_k *t)
{
	bool was_canonical = lflag(tty, ICANON);

	tty->termios = *t;
	/* What was typed before is readable at once in the new mode; an unfinished line becomes one. */
	if (was_canonical != lflag(tty, ICANON)) {
		tty->canon = tty->head;
		wake_up_all(&tty->read_wait);
	}
}
