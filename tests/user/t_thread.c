/*
 * t_thread: POSIX threads as glibc builds them. Creation, joining, locks, thread-local storage, signals. How
 * threads end is in t_threadend.
 */
/* ktap: smp */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>

#include "tests/user/ktap.h"
#include "tests/user/threads.h"

#define THREADS 8

static void *identity(void *arg)
{
	return arg;
}

static void create_join(void)
{
	int n = ktap_scale(200);

	for (long i = 1; i <= n; i++)
		REQUIRE(join(start(identity, (void *)i)) == (void *)i);
}

static void *leave_by_exit(void *arg)
{
	pthread_exit(arg);
}

static void thread_exit_value(void)
{
	CHECK(join(start(leave_by_exit, (void *)77)) == (void *)77);
}

static pthread_barrier_t barrier;
static pid_t tids[64];

static void *at_barrier(void *arg)
{
	tids[(long)arg] = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return arg;
}

static void many_alive(void)
{
	enum { N = 64 };
	pthread_t t[N];

	pthread_barrier_init(&barrier, NULL, N + 1);
	for (long i = 0; i < N; i++)
		t[i] = start(at_barrier, (void *)i);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < N; i++) {
		CHECK(tids[i] > 0 && tids[i] != getpid());
		CHECK_EQ(syscall(SYS_tgkill, getpid(), tids[i], 0), 0);
		for (int k = 0; k < i; k++)
			CHECK(tids[i] != tids[k]);
	}
	pthread_barrier_wait(&barrier);
	for (long i = 0; i < N; i++)
		CHECK(join(t[i]) == (void *)i);
}

static volatile int detached_done;

static void *detached(void *arg)
{
	__atomic_fetch_add(&detached_done, 1, __ATOMIC_SEQ_CST);
	return arg;
}

static void detach(void)
{
	for (int i = 0; i < 50; i++)
		CHECK_EQ(pthread_detach(start(detached, NULL)), 0);
	CHECK(eventually(detached_done == 50));
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter, loops;

static void *count_up(void *arg)
{
	for (long i = 0; i < loops; i++) {
		pthread_mutex_lock(&mutex);
		counter = counter + 1;
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}

static void mutex_excludes(void)
{
	pthread_t t[THREADS];

	loops = ktap_scale(2000);
	for (int i = 0; i < THREADS; i++)
		t[i] = start(count_up, NULL);
	for (int i = 0; i < THREADS; i++)
		join(t[i]);
	CHECK_EQ(counter, THREADS * loops);
	CHECK_EQ(pthread_mutex_trylock(&mutex), 0);
	CHECK_EQ(pthread_mutex_trylock(&mutex), EBUSY);
	pthread_mutex_unlock(&mutex);
}

/* Held over a sleep, so that the others really wait in the kernel. */
static void *count_slowly(void *arg)
{
	for (int i = 0; i < 5; i++) {
		pthread_mutex_lock(&mutex);
		long seen = counter;

		msleep(1);
		counter = seen + 1;
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}

static void mutex_sleeps(void)
{
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		t[i] = start(count_slowly, NULL);
	for (int i = 0; i < THREADS; i++)
		join(t[i]);
	CHECK_EQ(counter, THREADS * 5);
}

static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;
static int queue[4];
static int queued;
static long consumed;

static void *produce(void *arg)
{
	for (int i = 1; i <= loops; i++) {
		pthread_mutex_lock(&mutex);
		while (queued == 4)
			pthread_cond_wait(&not_full, &mutex);
		queue[queued++] = i;
		pthread_cond_signal(&not_empty);
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}

static void *consume(void *arg)
{
	for (int i = 1; i <= loops; i++) {
		pthread_mutex_lock(&mutex);
		while (queued == 0)
			pthread_cond_wait(&not_empty, &mutex);
		consumed += queue[--queued];
		pthread_cond_signal(&not_full);
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}

static void conditions(void)
{
	pthread_t t[6];

	loops = ktap_scale(500);
	for (int i = 0; i < 6; i++)
		t[i] = start(i % 2 ? produce : consume, NULL);
	for (int i = 0; i < 6; i++)
		join(t[i]);
	CHECK_EQ(queued, 0);
	CHECK_EQ(consumed, 3 * loops * (loops + 1) / 2);
}

static volatile bool go;
static volatile int at_condition;	/* who has seen it counted, with the mutex free, waits there */

static void *wait_for_go(void *arg)
{
	pthread_mutex_lock(&mutex);
	at_condition++;
	while (!go)
		pthread_cond_wait(&not_empty, &mutex);
	counter++;
	pthread_mutex_unlock(&mutex);
	return arg;
}

static void broadcast(void)
{
	pthread_t t[16];

	for (int i = 0; i < 16; i++)
		t[i] = start(wait_for_go, NULL);
	CHECK(eventually(at_condition == 16));
	pthread_mutex_lock(&mutex);
	go = true;
	pthread_cond_broadcast(&not_empty);
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < 16; i++)
		join(t[i]);
	CHECK_EQ(counter, 16);
}

static void timeouts(void)
{
	struct timespec ts;
	uint64_t begin = now_ns();
	sem_t sem;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 20000000;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	pthread_mutex_lock(&mutex);
	CHECK_EQ(pthread_cond_timedwait(&not_empty, &mutex, &ts), ETIMEDOUT);
	CHECK_EQ(pthread_mutex_timedlock(&mutex, &ts), ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
	CHECK(now_ns() - begin >= 19000000u);
	CHECK_EQ(sem_init(&sem, 0, 1), 0);
	CHECK_EQ(sem_wait(&sem), 0);
	CHECK_ERR(sem_timedwait(&sem, &ts), ETIMEDOUT);
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static long left_half, right_half;

static void *read_or_write(void *arg)
{
	for (int i = 0; i < loops; i++) {
		if ((i + (long)arg) % 8 == 0) {
			pthread_rwlock_wrlock(&rwlock);
			left_half++;
			right_half++;
			pthread_rwlock_unlock(&rwlock);
		} else {
			pthread_rwlock_rdlock(&rwlock);
			bool torn = left_half != right_half;

			pthread_rwlock_unlock(&rwlock);
			if (torn)
				return (void *)1;
		}
	}
	return NULL;
}

static void rwlocks(void)
{
	pthread_t t[THREADS];

	loops = ktap_scale(1000);
	for (long i = 0; i < THREADS; i++)
		t[i] = start(read_or_write, (void *)i);
	for (int i = 0; i < THREADS; i++)
		CHECK(join(t[i]) == NULL);
}

static __thread long local = 11;
static __thread char zeroed[5000];
static pthread_key_t key;
static int destroyed;

static void destroy(void *value)
{
	(void)value;
	__atomic_fetch_add(&destroyed, 1, __ATOMIC_SEQ_CST);
}

static void *use_locals(void *arg)
{
	bool good = local == 11 && zeroed[4999] == 0;

	local = (long)arg;
	zeroed[4999] = 1;
	pthread_setspecific(key, arg);
	for (int i = 0; i < 100; i++) {
		sched_yield();
		good &= local == (long)arg && pthread_getspecific(key) == arg;
	}
	return (void *)(long)!good;
}

static void thread_local_storage(void)
{
	pthread_t t[THREADS];

	CHECK_EQ(pthread_key_create(&key, destroy), 0);
	for (long i = 0; i < THREADS; i++)
		t[i] = start(use_locals, (void *)(i + 1));
	for (int i = 0; i < THREADS; i++)
		CHECK(join(t[i]) == NULL);
	CHECK_EQ(local, 11);
	CHECK_EQ(destroyed, THREADS);
}

/* Floating-point state belongs to the thread. */
static void *float_loop(void *arg)
{
	double x = (double)(long)arg, sum = 0;

	for (int i = 1; i < 3000; i++) {
		sum += x / i;
		if (i % 100 == 0)
			sched_yield();
	}
	for (int i = 1; i < 3000; i++)
		sum -= x / i;
	return (void *)(long)(sum > 1e-6 || sum < -1e-6);
}

static void float_state(void)
{
	pthread_t t[THREADS];

	for (long i = 0; i < THREADS; i++)
		t[i] = start(float_loop, (void *)(i + 1));
	for (int i = 0; i < THREADS; i++)
		CHECK(join(t[i]) == NULL);
}

static void *churn(void *arg)
{
	uint64_t seed = (uint64_t)(long)arg + 99;
	unsigned char *p[16] = { NULL };
	size_t size[16] = { 0 };

	for (int i = 0; i < loops; i++) {
		size_t k = random_next(&seed) % 16;

		for (size_t n = 0; p[k] && n < size[k]; n += 512)
			if (p[k][n] != (unsigned char)(k + (size_t)arg))
				return (void *)1;
		free(p[k]);
		size[k] = random_next(&seed) % 200000 + 1;
		p[k] = malloc(size[k]);
		if (!p[k])
			return (void *)2;
		memset(p[k], (int)(k + (size_t)arg), size[k]);
	}
	for (int k = 0; k < 16; k++)
		free(p[k]);
	return NULL;
}

static void malloc_in_threads(void)
{
	pthread_t t[THREADS];

	loops = ktap_scale(200);
	for (long i = 0; i < THREADS; i++)
		t[i] = start(churn, (void *)i);
	for (int i = 0; i < THREADS; i++)
		CHECK(join(t[i]) == NULL);
}

static void *fork_in_thread(void *arg)
{
	for (int i = 0; i < 10; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(syscall(SYS_gettid) == getpid() ? 12 : 1);
		if (!CHECK_EXIT(pid, 12))
			return (void *)1;
	}
	return arg;
}

static void fork_from_threads(void)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		t[i] = start(fork_in_thread, NULL);
	for (int i = 0; i < 4; i++)
		CHECK(join(t[i]) == NULL);
}

static volatile pid_t handled_in;

static void note_thread(int sig)
{
	(void)sig;
	handled_in = (pid_t)syscall(SYS_gettid);
}

static volatile pid_t waiting_tid;
static volatile bool released;

static void *wait_released(void *arg)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	waiting_tid = (pid_t)syscall(SYS_gettid);
	while (!released)
		msleep(1);
	return arg;
}

static void signals_to_threads(void)
{
	pthread_t t;
	sigset_t set;

	signal(SIGUSR1, note_thread);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	t = start(wait_released, NULL);
	while (!waiting_tid)
		msleep(1);
	CHECK_EQ(pthread_kill(t, SIGUSR1), 0);
	CHECK(eventually(handled_in));
	CHECK_EQ(handled_in, waiting_tid);
	/* To the process: this thread blocks it, so the other takes it. */
	handled_in = 0;
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK(eventually(handled_in));
	CHECK_EQ(handled_in, waiting_tid);
	released = true;
	join(t);
	/* Now nobody takes it until it is unblocked here. */
	handled_in = 0;
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(handled_in, 0);
	CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
	CHECK_EQ(handled_in, getpid());
}

static void *lock_and_die(void *arg)
{
	pthread_mutex_lock(arg);
	return NULL;
}

static void robust_mutex(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t *m = shared_memory(sizeof(*m));
	pid_t pid;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST))
		SKIP("no robust mutexes");
	if (pthread_mutex_init(m, &attr) == ENOTSUP)
		SKIP("no robust mutexes");
	join(start(lock_and_die, m));
	CHECK_EQ(pthread_mutex_lock(m), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_consistent(m), 0);
	CHECK_EQ(pthread_mutex_unlock(m), 0);
	pid = must_fork();
	if (pid == 0) {
		pthread_mutex_lock(m);
		raise(SIGKILL);
	}
	CHECK_KILLED(pid, SIGKILL);
	CHECK_EQ(pthread_mutex_lock(m), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_consistent(m), 0);
	CHECK_EQ(pthread_mutex_unlock(m), 0);
}

static void mutex_between_processes(void)
{
	struct {
		pthread_mutex_t m;
		long n;
	} *s = shared_memory(4096);
	pthread_mutexattr_t attr;
	int n = ktap_scale(500);
	pid_t pid[4];

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	CHECK_EQ(pthread_mutex_init(&s->m, &attr), 0);
	for (int c = 0; c < 4; c++) {
		pid[c] = must_fork();
		if (pid[c] == 0) {
			for (int i = 0; i < n; i++) {
				pthread_mutex_lock(&s->m);
				s->n = s->n + 1;
				pthread_mutex_unlock(&s->m);
			}
			_exit(0);
		}
	}
	for (int c = 0; c < 4; c++)
		CHECK_EXIT(pid[c], 0);
	CHECK_EQ(s->n, 4L * n);
}

static const struct ktap_case cases[] = {
	CASE(create_join),
	CASE(thread_exit_value),
	CASE(many_alive),
	CASE(detach),
	CASE(mutex_excludes),
	CASE(mutex_sleeps),
	CASE(conditions),
	CASE(broadcast),
	CASE(timeouts),
	CASE(rwlocks),
	CASE(thread_local_storage),
	CASE(float_state),
	CASE(malloc_in_threads),
	CASE(fork_from_threads),
	CASE(signals_to_threads),
	CASE(robust_mutex),
	CASE(mutex_between_processes),
};

KTAP_MAIN(cases)
