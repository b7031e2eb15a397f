/*
 * t_smp: address spaces that change while others use them. What a thread reads or writes must fit what the mapping was
 * at some moment in between; a translation that outlives its mapping shows as an old value or a write that lands.
 */
/* ktap: smp */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>

#include "tests/user/fault.h"
#include "tests/user/ktap.h"
#include "tests/user/threads.h"

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define READERS 3
#define ENOUGH 100	/* turns of the others without which a round has not met them */

static size_t P;	/* page size */
static char *region;
static volatile bool stop;
static volatile uint64_t dead, born;	/* generations that are gone, or begun */
static volatile uint64_t good, faulted;

static char *map_pages(size_t n)
{
	char *p = mmap(NULL, n * P, RW, ANON, -1, 0);

	if (!CHECK(p != MAP_FAILED))
		_exit(1);
	return p;
}

/* Read a word; false if it faulted. */
static bool try_read(const volatile uint64_t *p, uint64_t *value)
{
	if (sigsetjmp(fault_jump, 0)) {
		fault_armed = 0;
		return false;
	}
	fault_armed = 1;
	*value = *p;
	fault_armed = 0;
	return true;
}

static bool try_write(volatile uint64_t *p, uint64_t value)
{
	if (sigsetjmp(fault_jump, 0)) {
		fault_armed = 0;
		return false;
	}
	fault_armed = 1;
	*p = value;
	fault_armed = 0;
	return true;
}

/* Every word is zero or of a generation that was not yet dead when the look began. */
static void *read_generations(void *arg)
{
	uint64_t seed = (uint64_t)(long)arg + 1;

	while (!stop) {
		uint64_t gone = __atomic_load_n(&dead, __ATOMIC_SEQ_CST), value, begun;
		volatile uint64_t *p = (volatile uint64_t *)(region + random_next(&seed) % 16 * P + 64);

		if (!try_read(p, &value)) {
			__atomic_fetch_add(&faulted, 1, __ATOMIC_RELAXED);
			continue;
		}
		__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* the word first */
		begun = __atomic_load_n(&born, __ATOMIC_SEQ_CST);
		if (value && (value <= gone || value > begun)) {
			diag("read generation %llu, %llu is dead, %llu begun", (unsigned long long)value,
			     (unsigned long long)gone, (unsigned long long)begun);
			return (void *)1;
		}
		__atomic_fetch_add(&good, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void with_readers(void (*one)(uint64_t generation), int rounds)
{
	pthread_t t[READERS];

	fault_catch();
	region = map_pages(16);
	for (long i = 0; i < READERS; i++)
		t[i] = start(read_generations, (void *)i);
	for (int i = 1; another(i - 1, rounds) || good < ENOUGH; i++) {
		one((uint64_t)i);
		if (i % 32 == 0)
			sched_yield();
	}
	stop = true;
	for (int i = 0; i < READERS; i++)
		CHECK(join(t[i]) == NULL);
	diag("%llu reads, %llu faults", (unsigned long long)good, (unsigned long long)faulted);
}

static void fill_generation(uint64_t generation)
{
	__atomic_store_n(&born, generation, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (size_t i = 0; i < 16; i++)
		*(volatile uint64_t *)(region + i * P + 64) = generation;
}

static void unmap_and_map(uint64_t generation)
{
	fill_generation(generation);
	CHECK_EQ(munmap(region, 16 * P), 0);
	__atomic_store_n(&dead, generation, __ATOMIC_SEQ_CST);
	if (generation % 8 == 0)
		sched_yield();
	if (!CHECK(mmap(region, 16 * P, RW, ANON | MAP_FIXED, -1, 0) == region))
		_exit(1);
}

static void munmap_and_readers(void)
{
	with_readers(unmap_and_map, 50);
}

static void map_over(uint64_t generation)
{
	fill_generation(generation);
	if (!CHECK(mmap(region, 16 * P, RW, ANON | MAP_FIXED, -1, 0) == region))
		_exit(1);
	__atomic_store_n(&dead, generation, __ATOMIC_SEQ_CST);
}

static void replacement_and_readers(void)
{
	with_readers(map_over, 50);
}

static void discard(uint64_t generation)
{
	fill_generation(generation);
	CHECK_EQ(madvise(region, 16 * P, MADV_DONTNEED), 0);
	__atomic_store_n(&dead, generation, __ATOMIC_SEQ_CST);
}

static void dontneed_and_readers(void)
{
	with_readers(discard, 50);
}

static void move_away(uint64_t generation)
{
	char *p;

	fill_generation(generation);
	p = mremap(region, 16 * P, 16 * P, MREMAP_MAYMOVE | MREMAP_FIXED, region + 64 * P);
	if (!CHECK(p == region + 64 * P))
		_exit(1);
	__atomic_store_n(&dead, generation, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < 16; i++)
		CHECK_EQ(*(uint64_t *)(p + i * P + 64), generation);
	if (!CHECK(mmap(region, 16 * P, RW, ANON | MAP_FIXED, -1, 0) == region))
		_exit(1);
}

static void mremap_and_readers(void)
{
	char *p = map_pages(200);

	munmap(p, 200 * P);
	with_readers(move_away, 30);
}

/* Writers go on; after mprotect() has returned nothing may change any more. */
static void *write_always(void *arg)
{
	uint64_t seed = (uint64_t)(long)arg + 1;

	while (!stop) {
		size_t i = random_next(&seed) % 16;

		if (!try_write((volatile uint64_t *)(region + i * P) + (long)arg, random_next(&seed)))
			__atomic_fetch_add(&faulted, 1, __ATOMIC_RELAXED);
		else
			__atomic_fetch_add(&good, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void mprotect_and_writers(void)
{
	pthread_t t[READERS];

	fault_catch();
	region = map_pages(16);
	for (long i = 0; i < READERS; i++)
		t[i] = start(write_always, (void *)i);
	for (int round = 0; another(round, 50) || good < ENOUGH; round++) {
		uint64_t seen[16][READERS];
		bool same = true;

		CHECK_EQ(mprotect(region, 16 * P, PROT_READ), 0);
		for (int i = 0; i < 16; i++)
			memcpy(seen[i], region + (size_t)i * P, sizeof(seen[i]));
		sched_yield();
		for (int i = 0; i < 16; i++)
			same &= !memcmp(seen[i], region + (size_t)i * P, sizeof(seen[i]));
		if (!CHECK(same))
			break;
		CHECK_EQ(mprotect(region, 16 * P, RW), 0);
		sched_yield();
	}
	stop = true;
	for (int i = 0; i < READERS; i++)
		join(t[i]);
	diag("%llu writes, %llu faults", (unsigned long long)good, (unsigned long long)faulted);
}

/* Fork write-protects under the writers: the child's copy must stand still, and no writer may lose a write. */
static void *count_in_pages(void *arg)
{
	volatile uint64_t *mine = (volatile uint64_t *)region + (long)arg;
	uint64_t n = 0;

	while (!stop) {
		n++;
		for (size_t i = 0; i < 16; i++) {
			volatile uint64_t *p = mine + i * (P / sizeof(*p));

			if (*p != n - 1)
				return (void *)1;
			*p = n;
		}
	}
	return NULL;
}

static void fork_and_writers(void)
{
	pthread_t t[READERS];

	region = map_pages(16);
	for (long i = 0; i < READERS; i++)
		t[i] = start(count_in_pages, (void *)i);
	for (int round = 0; another(round, 25); round++) {
		pid_t pid = must_fork();

		if (pid == 0) {
			static uint64_t copy[16][READERS];

			for (int pass = 0; pass < 3; pass++) {
				for (int i = 0; i < 16; i++) {
					if (pass && memcmp(copy[i], region + (size_t)i * P, sizeof(copy[i])))
						_exit(1);
					memcpy(copy[i], region + (size_t)i * P, sizeof(copy[i]));
				}
				sched_yield();
			}
			_exit(0);
		}
		if (!CHECK_EXIT(pid, 0))
			break;
	}
	stop = true;
	for (int i = 0; i < READERS; i++)
		CHECK(join(t[i]) == NULL);
}

/* Many threads fault in the same fresh pages: each page comes once, with everybody's word. */
static volatile int round_now, arrived;
static int last_round;

static void *fault_together(void *arg)
{
	long me = (long)arg;

	for (int r = 1; r <= last_round; r++) {
		while (round_now < r)
			let_others_run();
		for (size_t i = 0; i < 32; i++)
			((volatile uint64_t *)(region + i * P))[me] = (uint64_t)r;
		__atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void faults_on_one_page(void)
{
	enum { N = 4 };
	pthread_t t[N];
	bool all = true;

	last_round = ktap_scale(20);
	region = map_pages(32);
	for (long i = 0; i < N; i++)
		t[i] = start(fault_together, (void *)i);
	for (int r = 1; r <= last_round; r++) {
		arrived = 0;
		round_now = r;
		while (arrived < N)
			let_others_run();
		for (size_t i = 0; i < 32; i++)
			for (int k = 0; k < N; k++)
				all &= ((uint64_t *)(region + i * P))[k] == (uint64_t)r;
		madvise(region, 32 * P, MADV_DONTNEED);
	}
	CHECK(all);
	for (int i = 0; i < N; i++)
		join(t[i]);
}

/* Threads map, fill, check and unmap areas of their own in one address space. */
static void *map_churn(void *arg)
{
	uint64_t seed = (uint64_t)(long)arg * 77 + 5;

	for (int r = 0; another(r, 30); r++) {
		size_t n = random_next(&seed) % 20 + 1, hole;
		char *p = mmap(NULL, n * P, RW, ANON, -1, 0);

		if (p == MAP_FAILED)
			return (void *)1;
		for (size_t i = 0; i < n; i++) {
			if (p[i * P])
				return (void *)2;
			p[i * P] = (char)((long)arg + (long)i);
		}
		hole = random_next(&seed) % n;
		if (mprotect(p + hole * P, P, PROT_READ))
			return (void *)3;
		for (size_t i = 0; i < n; i++)
			if (p[i * P] != (char)((long)arg + (long)i))
				return (void *)4;
		/* Not all at once at the end: by then the hole may be somebody else's. */
		if (munmap(p + hole * P, P) || (hole && munmap(p, hole * P)) ||
		    (hole + 1 < n && munmap(p + (hole + 1) * P, (n - hole - 1) * P)))
			return (void *)5;
	}
	return NULL;
}

static void mapping_threads(void)
{
	pthread_t t[4];

	for (long i = 0; i < 4; i++)
		t[i] = start(map_churn, (void *)i);
	for (int i = 0; i < 4; i++)
		CHECK(join(t[i]) == NULL);
}

static void *fork_loop(void *arg)
{
	for (int i = 0; another(i, 12); i++) {
		pid_t pid = fork();
		int status;

		if (pid < 0)
			return (void *)1;
		if (pid == 0) {
			((volatile char *)region)[(long)arg] = (char)i;
			_exit(((volatile char *)region)[(long)arg] == (char)i ? 13 : 1);
		}
		status = wait_for(pid);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 13)
			return (void *)2;
		if (((volatile char *)region)[(long)arg])
			return (void *)3;
	}
	return NULL;
}

static void forking_threads(void)
{
	pthread_t t[6];

	region = map_pages(4);
	for (long i = 0; i < 6; i++)
		t[i] = start(fork_loop, (void *)i);
	for (int i = 0; i < 6; i++)
		CHECK(join(t[i]) == NULL);
}

static void fork_storm(void)
{
	pid_t pid[8];

	region = map_pages(4);
	for (int i = 0; i < 8; i++) {
		pid[i] = must_fork();
		if (pid[i] == 0)
			_exit(fork_loop((void *)(long)i) ? 1 : 0);
	}
	for (int i = 0; i < 8; i++)
		CHECK_EXIT(pid[i], 0);
}

/*
 * The process exits while its threads fault, map and unmap. Each keeps some mappings and not ever more of them: whoever
 * is to end it may be held up for long enough that memory would run out.
 */
static void *busy(void *arg)
{
	uint64_t seed = (uint64_t)(long)arg + 3;
	char *kept[64] = { NULL };

	for (;;) {
		size_t k = random_next(&seed) % 64;

		if (kept[k])
			munmap(kept[k], 8 * P);
		kept[k] = mmap(NULL, 8 * P, RW, ANON, -1, 0);
		if (kept[k] == MAP_FAILED)
			kept[k] = NULL;
		for (size_t i = 0; kept[k] && i < 8; i++)
			kept[k][i * P] = 1;
		region[random_next(&seed) % 64 * P] = 1;
	}
	return NULL;
}

static void exit_under_load(void)
{
	for (int r = 0; another(r, 12); r++) {
		pid_t pid = must_fork();

		if (pid == 0) {
			region = map_pages(64);
			for (long i = 0; i < 4; i++)
				start(busy, (void *)i);
			msleep(r % 5);
			_exit(21);
		}
		CHECK_EXIT(pid, 21);
	}
}

static void kill_under_load(void)
{
	for (int r = 0; another(r, 12); r++) {
		pid_t pid = must_fork();

		if (pid == 0) {
			region = map_pages(64);
			for (long i = 0; i < 3; i++)
				start(busy, (void *)i);
			busy((void *)9);
		}
		msleep(r % 6);
		CHECK_EQ(kill(pid, SIGKILL), 0);
		CHECK_KILLED(pid, SIGKILL);
	}
}

/* Processes and threads in one shared mapping: no add is lost, no page comes twice. */
static void *add_everywhere(void *arg)
{
	uint64_t seed = (uint64_t)(long)arg + 11;
	int rounds = ktap_scale(3000);

	for (int i = 0; i < rounds; i++)
		__atomic_fetch_add((uint64_t *)(region + random_next(&seed) % 256 * P), 1, __ATOMIC_RELAXED);
	return NULL;
}

static void shared_memory_adds(void)
{
	uint64_t sum = 0;
	pid_t pid[4];

	region = shared_memory(256 * P);
	for (int i = 0; i < 4; i++) {
		pid[i] = must_fork();
		if (pid[i] == 0) {
			pthread_t t = start(add_everywhere, (void *)(long)(100 + i));

			add_everywhere((void *)(long)i);
			join(t);
			_exit(0);
		}
	}
	for (int i = 0; i < 4; i++)
		CHECK_EXIT(pid[i], 0);
	for (size_t i = 0; i < 256; i++)
		sum += *(uint64_t *)(region + i * P);
	CHECK_EQ(sum, 8 * (uint64_t)ktap_scale(3000));
}

/* The kernel copies into memory that another thread takes away: an error or the data, nothing else. */
static void *take_away(void *arg)
{
	while (!stop) {
		munmap(region, P);
		sched_yield();
		mmap(region, P, RW, ANON | MAP_FIXED, -1, 0);
		sched_yield();
	}
	return arg;
}

static void system_calls_and_munmap(void)
{
	int rounds = ktap_scale(2000), errors = 0, zero = open("/dev/zero", O_RDONLY), fds[2];
	pthread_t t;

	REQUIRE(zero >= 0 && pipe2(fds, O_NONBLOCK) == 0);
	region = map_pages(1);
	t = start(take_away, NULL);
	for (int i = 0; i < rounds || !errors; i++) {
		char c;
		ssize_t n = read(zero, region + 100, 64);

		if (n == -1)
			errors++;
		/* The page may go while the call is in the middle of it: then it did a part. */
		if (!CHECK((n > 0 && n <= 64) || (n == -1 && errno == EFAULT)))
			break;
		n = write(fds[1], region + 5, 1);
		if (!CHECK(n == 1 || (n == -1 && errno == EFAULT)))
			break;
		if (n == 1)
			CHECK(read(fds[0], &c, 1) == 1 && c == 0);
	}
	stop = true;
	join(t);
	diag("%d reads met no memory", errors);
}

static const struct ktap_case cases[] = {
	CASE(munmap_and_readers), CASE(replacement_and_readers), CASE(dontneed_and_readers), CASE(mremap_and_readers),
	CASE(mprotect_and_writers), CASE(fork_and_writers), CASE(faults_on_one_page), CASE(mapping_threads),
	CASE(forking_threads), CASE(fork_storm), CASE(exit_under_load), CASE(kill_under_load), CASE(shared_memory_adds),
	CASE(system_calls_and_munmap),
};

int main(int argc, char **argv)
{
	P = page_bytes();
	return ktap_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
