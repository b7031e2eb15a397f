/*
 * Random numbers: ChaCha20 (Bernstein, RFC 8439) with fast key erasure: each request makes a stream whose first 32
 * bytes replace the key, so that what was handed out can not be computed afterwards. The key starts from the clocks and
 * the counter; every request stirs the counter in again. There is no other source of entropy here, so on a machine that
 * repeats exactly (icount) so do the numbers.
 *
 * Lock: random_lock (RANK_IRQ_DEV, interrupts off) for the key; streams are made outside it.
 */
#include <arch/boot.h>

#include "kernel/fs/device.h"
#include "kernel/fs/file.h"
#include "kernel/random.h"
#include "kernel/spinlock.h"
#include "kernel/syscall.h"
#include "kernel/timer.h"
#include "kernel/uaccess.h"
#include "lib/string.h"

#define BLOCK	64u
#define CHUNK	256u

struct chacha {
	u32 state[16];		/* constants, key, counter, nonce */
	u8 block[BLOCK];
	unsigned used;		/* bytes of block */
};

static spinlock_t random_lock = SPINLOCK_INIT(RANK_IRQ_DEV);
static u32 random_key[8];
static u64 requests;

static inline u32 rotate(u32 x, unsigned n)
{
	return x << n | x >> (32 - n);
}

static inline void quarter(u32 *a, u32 *b, u32 *c, u32 *d)
{
	*a += *b;
	*d = rotate(*d ^ *a, 16);
	*c += *d;
	*b = rotate(*b ^ *c, 12);
	*a += *b;
	*d = rotate(*d ^ *a, 8);
	*c += *d;
	*b = rotate(*b ^ *c, 7);
}

static void chacha_block(struct chacha *s)
{
	u32 x[16];

	memcpy(x, s->state, sizeof(x));
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 4; i++)
			quarter(&x[i], &x[4 + i], &x[8 + i], &x[12 + i]);
		for (int i = 0; i < 4; i++)
			quarter(&x[i], &x[4 + (i + 1) % 4], &x[8 + (i + 2) % 4], &x[12 + (i + 3) % 4]);
	}
	for (int i = 0; i < 16; i++) {
		x[i] += s->state[i];
		for (int b = 0; b < 4; b++)
			s->block[4 * i + b] = (u8)(x[i] >> (8 * b));
	}
	s->state[12]++;
	s->used = 0;
}

/* A stream of its own for one request; the key has moved on. */
static void stream_begin(struct chacha *s)
{
	static const u32 constants[4] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };
	unsigned long flags = spin_lock_irqsave(&random_lock);
	u64 stir[2] = { cpu_counter(), clock_ns() };

	if (!requests) {
		u64 wall = wall_clock_ns();

		random_key[0] = (u32)wall;
		random_key[1] = (u32)(wall >> 32);
		random_key[2] = (u32)(uintptr_t)boot_info.initrd_size;
		random_key[3] = (u32)boot_info.nr_cpus;
	}
	requests++;
	memcpy(s->state, constants, sizeof(constants));
	memcpy(&s->state[4], random_key, sizeof(random_key));
	s->state[12] = 0;
	s->state[13] = (u32)requests;
	s->state[14] = (u32)(stir[0] ^ stir[1] << 7);
	s->state[15] = (u32)(stir[0] >> 32 ^ stir[1] >> 25);
	chacha_block(s);
	memcpy(random_key, s->block, sizeof(random_key));
	spin_unlock_irqrestore(&random_lock, flags);
	s->used = sizeof(random_key);
}

static void stream_read(struct chacha *s, u8 *dst, size_t n)
{
	while (n) {
		size_t k;

		if (s->used == BLOCK)
			chacha_block(s);
		k = min(n, (size_t)(BLOCK - s->used));
		memcpy(dst, s->block + s->used, k);
		s->used += (unsigned)k;
		dst += k;
		n -= k;
	}
}

void get_random_bytes(void *buf, size_t n)
{
	struct chacha s;

	stream_begin(&s);
	stream_read(&s, buf, n);
}

static long random_read(struct file *f, struct uio *u, u64 *pos)
{
	u8 chunk[CHUNK];
	struct chacha s;
	long done = 0;

	stream_begin(&s);
	while (u->left) {
		size_t want = min(u->left, (size_t)CHUNK), n;

		stream_read(&s, chunk, want);
		n = uio_put(u, chunk, want);
		done += (long)n;
		if (n < want)
			return done ? done : -EFAULT;
		cond_resched();
	}
	return done;
}

/* What is written is stirred in. */
static long random_write(struct file *f, struct uio *u, u64 *pos)
{
	u32 chunk[8];
	long done = 0;

	while (u->left) {
		size_t want = min(u->left, sizeof(chunk)), n;
		unsigned long flags;

		memset(chunk, 0, sizeof(chunk));
		n = uio_get(u, chunk, want);
		flags = spin_lock_irqsave(&random_lock);
		for (unsigned i = 0; i < 8; i++)
			random_key[i] ^= chunk[i];
		spin_unlock_irqrestore(&random_lock, flags);
		done += (long)n;
		if (n < want)
			return done ? done : -EFAULT;
	}
	return done;
}

const struct file_ops random_ops = { .read = random_read, .write = random_write };

SYSCALL3(getrandom, void __user *, buf, size_t, n, unsigned, flags)
{
	struct uio u;
	u64 pos = 0;

	if (flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	if (!access_ok(buf, n))
		return -EFAULT;
	uio_user(&u, buf, min(n, (size_t)INT_MAX));
	return n ? random_read(NULL, &u, &pos) : 0;
}
