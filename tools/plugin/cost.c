/*
 * A QEMU plugin: what a piece of the guest's work costs, for each vCPU.
 *
 *	-plugin out/plugin/cost.so,conf=FILE
 *
 * In a phase, from one place of the kernel (or a marker of a program) to another, it counts what every vCPU does:
 * instructions, busy ones apart from those of waiting loops and of the idle loop; atomics, and those on lines that
 * another vCPU used last; full fences; writes to lines that another vCPU wrote last. With lockstep=N it also runs the
 * vCPUs side by side (lockstep.c), and tells how long the phase took, in instructions: the critical path.
 *
 * FILE has a setting on each line (tools/bench_plugin.py writes it); addresses are hexadecimal, lists joined by +:
 *	out=FILE		where results go, one JSON object for each time that a phase ended
 *	lockstep=N		the quantum; QEMU must run with thread=multi
 *	line=64|128		bytes of a line
 *	phase=NAME:FROM:TO	lists of addresses, or m0..m7: markers
 *	scope=NAME:IN:BACK	what is done inside of functions is told apart too: where they begin, and where calls of
 *				them return to. Such functions must not sleep
 *	tick=IN:BACK		the same for the timer interrupt, which takes no time and is left out of the sums: it
 *				comes by the host's clock
 *	ipi=IN:BACK		functions that send an interrupt to another vCPU
 *	taken=PCS		where such an interrupt is taken
 *	yield=PCS		where a task makes way for others if they want it: told is the longest stretch without
 *	spin=FROM-TO		functions that wait
 *	idle=FROM-TO		the idle loop
 *	probe=NAME:PCS		how often a place is passed
 *
 * A phase that is begun by several vCPUs is one, until all of them have ended it.
 *
 * A vCPU's counters are only touched by its own thread, and only grow. Who opens or ends a phase copies those of all:
 * the figures of other vCPUs are exact to the few instructions that they execute meanwhile. In a waiting loop that has
 * a hint (pause, yield), the instructions between two hints count as waiting if they are fewer than LOOP_LENGTH.
 */
#include "cost.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "lines.h"

#define EXPORT	    __attribute__((visibility("default")))
#define LOOP_LENGTH 64

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv);

struct vcpu vcpus[MAX_VCPUS];
unsigned nr_vcpus;

/* phase_lock */
static struct phase {
	unsigned open;		/* times that it was begun and has not ended */
	uint64_t nr, begun;	/* times ended; lockstep's time */
	unsigned overlaps;	/* begun again while it was open */
	struct counts at_begin[MAX_VCPUS];
} phases[MAX_PHASES];
static unsigned nr_open;
static uint64_t nr_begun;	/* phases so far; read by all (atomic) */
static pthread_mutex_t phase_lock = PTHREAD_MUTEX_INITIALIZER;
static int guest;

/* ---- counting ---- */

static inline void step(struct vcpu *v)
{
	if (++v->ticks >= __atomic_load_n(&v->stop, __ATOMIC_RELAXED))
		lockstep_check(v);
}

static void count_busy(unsigned int vcpu, void *arg)
{
	struct vcpu *v = &vcpus[vcpu];

	v->n.in[v->scope][BUSY]++;
	v->since_relax++;
	if (v->scope != SCOPE_TICK)
		step(v);
}

static void count_spin(unsigned int vcpu, void *arg)
{
	vcpus[vcpu].n.spin++;
	step(&vcpus[vcpu]);
}

static void count_idle(unsigned int vcpu, void *arg)
{
	struct vcpu *v = &vcpus[vcpu];

	v->n.idle++;
	v->yielded = v->ticks;
	v->depth = 0;	/* whatever was left by switching tasks */
	v->scope = SCOPE_NONE;
	step(v);
}

static void count_relax(unsigned int vcpu, void *arg)
{
	struct vcpu *v = &vcpus[vcpu];
	uint64_t *busy = &v->n.in[v->scope][BUSY];

	if (v->since_relax < LOOP_LENGTH && *busy >= v->since_relax) {
		*busy -= v->since_relax;
		v->n.spin += v->since_relax;
	}
	v->since_relax = 0;
	count_spin(vcpu, arg);
}

static void count_fence(unsigned int vcpu, void *arg)
{
	struct vcpu *v = &vcpus[vcpu];

	v->n.in[v->scope][FENCES]++;
}

static void begin_atomic(unsigned int vcpu, void *arg)
{
	vcpus[vcpu].atomic_pending = true;
}

static bool was_elsewhere(unsigned int vcpu, uint32_t info, uint64_t vaddr)
{
	struct qemu_plugin_hwaddr *hwaddr = qemu_plugin_get_hwaddr(info, vaddr);

	if (!hwaddr || qemu_plugin_hwaddr_is_io(hwaddr))
		return false;
	return line_write(vcpu, qemu_plugin_hwaddr_phys_addr(hwaddr));
}

/* QEMU 7 calls these for loads too, although only writes are asked for. */
static void store(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *arg)
{
	struct vcpu *v = &vcpus[vcpu];

	if (qemu_plugin_mem_is_store(info) && was_elsewhere(vcpu, info, vaddr))
		v->n.in[v->scope][TRANSFERS]++;
}

/* An atomic counts where it writes: one that a store-conditional gave up early did not happen. */
static void atomic_store(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *arg)
{
	struct vcpu *v = &vcpus[vcpu];
	uint64_t *n = v->n.in[v->scope];
	bool elsewhere;

	if (!qemu_plugin_mem_is_store(info))
		return;
	elsewhere = was_elsewhere(vcpu, info, vaddr);
	n[TRANSFERS] += elsewhere;
	if (v->atomic_pending) {
		v->atomic_pending = false;
		n[ATOMICS]++;
		n[SHARED] += elsewhere;
	}
}

/* ---- functions of interest ---- */

static void will_call(unsigned int vcpu, void *ret)
{
	vcpus[vcpu].call_ret = (uintptr_t)ret;
}

static void enter_scope(unsigned int vcpu, void *which)
{
	struct vcpu *v = &vcpus[vcpu];

	if (v->depth == MAX_DEPTH)
		return;
	v->stack[v->depth].ret = v->call_ret;
	v->stack[v->depth].scope = v->scope;
	v->depth++;
	v->scope = (unsigned)(uintptr_t)which;
	if (v->scope == SCOPE_IPI)
		lockstep_ipi_begin(v);
}

static void leave_scope(unsigned int vcpu, void *ret)
{
	struct vcpu *v = &vcpus[vcpu];
	unsigned depth = v->depth, left = v->scope;

	while (depth && v->stack[depth - 1].ret != (uintptr_t)ret)
		depth--;
	if (!depth)
		return;		/* it came here in another way */
	/* One that jumped to another at its end left the same address twice. */
	while (depth && v->stack[depth - 1].ret == (uintptr_t)ret)
		depth--;
	v->depth = depth;
	v->scope = v->stack[depth].scope;
	if (left == SCOPE_IPI)
		lockstep_ipi_sent(v);
}

static void pass_probe(unsigned int vcpu, void *which)
{
	vcpus[vcpu].n.probe[(uintptr_t)which]++;
}

static void pass_yield(unsigned int vcpu, void *arg)
{
	struct vcpu *v = &vcpus[vcpu];
	uint64_t now = __atomic_load_n(&nr_begun, __ATOMIC_RELAXED);

	/* A stretch that began before the phase is not of it. */
	if (v->longest_in != now) {
		v->longest_in = now;
		v->longest = 0;
	} else if (v->ticks - v->yielded > v->longest) {
		v->longest = v->ticks - v->yielded;
	}
	v->yielded = v->ticks;
}

static void take_ipi(unsigned int vcpu, void *arg)
{
	lockstep_ipi_taken(&vcpus[vcpu]);
}

/* ---- phases ---- */

static void begin_phase(unsigned int vcpu, void *which)
{
	struct phase *p = &phases[(uintptr_t)which];

	pthread_mutex_lock(&phase_lock);
	if (p->open++) {
		p->overlaps++;
	} else {
		if (!nr_open++)
			lockstep_begin(&vcpus[vcpu]);
		__atomic_store_n(&nr_begun, nr_begun + 1, __ATOMIC_RELAXED);
		pass_yield(vcpu, NULL);
		p->overlaps = 0;
		p->begun = lockstep_now(&vcpus[vcpu]);
		for (unsigned i = 0; i < nr_vcpus; i++)
			p->at_begin[i] = vcpus[i].n;
	}
	pthread_mutex_unlock(&phase_lock);
}

static void print_columns(const uint64_t n[NR_COLUMNS])
{
	static const char *const names[NR_COLUMNS] = { "busy", "atomics", "shared", "fences", "transfers" };

	for (int c = 0; c < NR_COLUMNS; c++)
		fprintf(set.out, "%s\"%s\": %" PRIu64, c ? ", " : "", names[c], n[c]);
}

/* Busy instructions can become fewer: those before the phase that turn out to be of a waiting loop. */
static uint64_t difference(uint64_t now, uint64_t then)
{
	return now > then ? now - then : 0;
}

/* What the timer interrupt costs is only told in its scope. */
static void print_vcpu(unsigned i, const struct counts *then)
{
	struct counts now = vcpus[i].n;
	uint64_t sum[NR_COLUMNS] = { 0 };

	for (unsigned s = 0; s < set.nr_scopes; s++) {
		for (int c = 0; c < NR_COLUMNS; c++) {
			now.in[s][c] = difference(now.in[s][c], then->in[s][c]);
			sum[c] += s == SCOPE_TICK ? 0 : now.in[s][c];
		}
	}
	fprintf(set.out, "{\"cpu\": %u, ", i);
	print_columns(sum);
	fprintf(set.out, ", \"longest\": %" PRIu64, vcpus[i].longest_in == nr_begun ? vcpus[i].longest : 0);
	fprintf(set.out, ", \"spin\": %" PRIu64 ", \"idle\": %" PRIu64 ", \"scopes\": {", now.spin - then->spin,
		now.idle - then->idle);
	for (unsigned s = SCOPE_TICK; s < set.nr_scopes; s++) {
		fprintf(set.out, "%s\"%s\": {", s > SCOPE_TICK ? ", " : "", set.scope_name[s]);
		print_columns(now.in[s]);
		fputc('}', set.out);
	}
	fputs("}, \"probes\": {", set.out);
	for (unsigned p = 0; p < set.nr_probes; p++)
		fprintf(set.out, "%s\"%s\": %" PRIu64, p ? ", " : "", set.probe_name[p], now.probe[p] - then->probe[p]);
	fputs("}}", set.out);
}

static void print_phase(unsigned which, uint64_t path)
{
	const struct phase *p = &phases[which];
	struct lockstep_stats s = lockstep_stats();

	fprintf(set.out, "{\"phase\": \"%s\", \"nr\": %" PRIu64 ", \"overlaps\": %u, \"path\": ", set.phase_name[which],
		p->nr, p->overlaps);
	if (lockstep_quantum)
		fprintf(set.out, "%" PRIu64 ", \"windows\": %" PRIu64 ", \"slips\": %" PRIu64 ", \"late\": %" PRIu64,
			path, s.windows, s.slips, s.late);
	else
		fputs("null", set.out);
	fputs(", \"cpus\": [", set.out);
	for (unsigned i = 0; i < nr_vcpus; i++) {
		if (i)
			fputs(", ", set.out);
		print_vcpu(i, &p->at_begin[i]);
	}
	fputs("]}\n", set.out);
	fflush(set.out);
}

static void end_phase(unsigned int vcpu, void *which)
{
	struct phase *p = &phases[(uintptr_t)which];

	pthread_mutex_lock(&phase_lock);
	pass_yield(vcpu, NULL);
	if (p->open && !--p->open) {
		print_phase((unsigned)(uintptr_t)which, lockstep_now(&vcpus[vcpu]) - p->begun);
		p->nr++;
		if (!--nr_open)
			lockstep_end();
	}
	pthread_mutex_unlock(&phase_lock);
}

/* ---- translation ---- */

static void attach_place(struct qemu_plugin_insn *insn, const struct place *p)
{
	static const exec_cb callbacks[] = {
		[PHASE_TO] = end_phase,	     [SCOPE_RETURN] = leave_scope, [PHASE_FROM] = begin_phase,
		[SCOPE_ENTRY] = enter_scope, [PROBE] = pass_probe,	   [IPI_TAKEN] = take_ipi,
		[YIELD] = pass_yield,
	};
	void *arg = (void *)(uintptr_t)(p->action == SCOPE_RETURN ? p->pc : p->which);

	qemu_plugin_register_vcpu_insn_exec_cb(insn, callbacks[p->action], NO_REGISTERS, arg);
}

static void attach_places(struct qemu_plugin_insn *insn, bool is_mark, uint64_t pc)
{
	const struct place *p = &set.place[first_place(is_mark, pc)], *end = &set.place[set.nr_places];

	for (; p < end && p->pc == pc && p->is_mark == is_mark; p++)
		attach_place(insn, p);
}

static bool is_return(uint64_t pc)
{
	const struct place *p = &set.place[first_place(false, pc)], *end = &set.place[set.nr_places];

	for (; p < end && p->pc == pc && !p->is_mark; p++)
		if (p->action == SCOPE_RETURN)
			return true;
	return false;
}

/* Callbacks run in the order in which they are registered: what begins or ends here does so before it is counted. */
static void translate_insn(struct qemu_plugin_insn *insn)
{
	uint64_t pc = qemu_plugin_insn_vaddr(insn), end = pc + qemu_plugin_insn_size(insn);
	const uint8_t *bytes = qemu_plugin_insn_data(insn);
	unsigned kind = decode(guest, bytes, qemu_plugin_insn_size(insn));
	int mark = decode_mark(guest, bytes, qemu_plugin_insn_size(insn));
	exec_cb count = kind & INSN_RELAX ? count_relax : count_busy;
	mem_cb wrote = kind & INSN_ATOMIC ? atomic_store : store;

	attach_places(insn, false, pc);
	if (mark >= 0)
		attach_places(insn, true, (unsigned)mark);
	if (is_return(end))
		qemu_plugin_register_vcpu_insn_exec_cb(insn, will_call, NO_REGISTERS, (void *)(uintptr_t)end);
	if (kind & INSN_FENCE)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, count_fence, NO_REGISTERS, NULL);
	if (kind & INSN_ATOMIC)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, begin_atomic, NO_REGISTERS, NULL);
	for (unsigned i = 0; i < set.nr_ranges; i++)
		if (pc >= set.range[i].from && pc < set.range[i].to)
			count = set.range[i].idle ? count_idle : count_spin;
	qemu_plugin_register_vcpu_insn_exec_cb(insn, count, NO_REGISTERS, NULL);
	qemu_plugin_register_vcpu_mem_cb(insn, wrote, NO_REGISTERS, MEM_WRITES, NULL);
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++)
		translate_insn(qemu_plugin_tb_get_insn(tb, i));
}

/* ---- vCPUs; QEMU's big lock is held ---- */

static void vcpu_init(plugin_id id, unsigned int vcpu)
{
	if (vcpu >= MAX_VCPUS) {
		fprintf(stderr, "cost: more than %d vCPUs\n", MAX_VCPUS);
		exit(1);
	}
	vcpus[vcpu].stop = UINT64_MAX;
	if (vcpu >= nr_vcpus)
		nr_vcpus = vcpu + 1;
	lockstep_resume(&vcpus[vcpu]);
}

static void vcpu_idle(plugin_id id, unsigned int vcpu)
{
	lockstep_idle(&vcpus[vcpu]);
}

static void vcpu_resume(plugin_id id, unsigned int vcpu)
{
	lockstep_resume(&vcpus[vcpu]);
}

int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv)
{
	guest = decode_guest(info->target_name);
	if (guest < 0 || argc != 1 || strncmp(argv[0], "conf=", 5) != 0) {
		fprintf(stderr, "cost: guests are x86_64, aarch64, riscv64 and ppc64; the argument is conf=FILE\n");
		return -1;
	}
	if (!read_settings(argv[0] + 5))
		return -1;
	qemu_plugin_register_vcpu_init_cb(id, vcpu_init);
	qemu_plugin_register_vcpu_idle_cb(id, vcpu_idle);
	qemu_plugin_register_vcpu_resume_cb(id, vcpu_resume);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
