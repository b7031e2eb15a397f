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
 *	out=FILE			where results go, one JSON object for each time a phase ended
 *	lockstep=N			the quantum; QEMU must run with thread=multi
 *	line=64|128			bytes of a line
 *	phase=NAME:FROM:TO		lists of addresses, or m0..m7: markers
 *	scope=NAME:ENTRIES:RETURNS	what is done inside of functions is told apart too: where they begin, and where calls
 *					of them return to. Functions must not sleep
 *	tick=ENTRIES:RETURNS		the same for the timer interrupt, which takes no time and is left out of the sums: it
 *					comes by the host's clock
 *	ipi=ENTRIES:RETURNS taken=PCS	functions that send an interrupt to another vCPU; where one is taken
 *	spin=FROM-TO idle=FROM-TO	functions that wait; the idle loop
 *	probe=NAME:PCS			how often a place is passed
 *
 * A vCPU's counters are only touched by its own thread, and only grow. Who opens or ends a phase copies those of all; so
 * the figures of other vCPUs are exact to the few instructions that they execute meanwhile. In a waiting loop that has a
 * hint (pause, yield) the instructions between two hints count as waiting if they are fewer than LOOP_LENGTH.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cost.h"
#include "decode.h"
#include "lines.h"

#define EXPORT	    __attribute__((visibility("default")))
#define LOOP_LENGTH 64

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv);

/* phase_lock */
static struct phase {
	bool open;
	uint64_t nr, begun;	/* times ended; lockstep's time */
	unsigned overlaps;	/* begun again while it was open */
	struct counts at_begin[MAX_VCPUS];
} phases[MAX_PHASES];

struct vcpu vcpus[MAX_VCPUS];
unsigned nr_vcpus;

static int guest;
static unsigned nr_open;
static pthread_mutex_t phase_lock = PTHREAD_MUTEX_INITIALIZER;

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
	v->depth = depth - 1;
	v->scope = v->stack[v->depth].scope;
	if (left == SCOPE_IPI)
		lockstep_ipi_sent(v);
}

static void pass_probe(unsigned int vcpu, void *which)
{
	vcpus[vcpu].n.probe[(uintptr_t)which]++;
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
	if (p->open) {
		p->overlaps++;
	} else {
		if (!nr_open++)
			lockstep_begin(&vcpus[vcpu]);
		p->open = true;
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
		fprintf(out, "%s\"%s\": %" PRIu64, c ? ", " : "", names[c], n[c]);
}

/* What the timer interrupt costs is only told in its scope. */
static void print_vcpu(unsigned i, const struct counts *then)
{
	struct counts now = vcpus[i].n;
	uint64_t sum[NR_COLUMNS] = { 0 };

	for (unsigned s = 0; s < nr_scopes; s++) {
		for (int c = 0; c < NR_COLUMNS; c++) {
			now.in[s][c] -= then->in[s][c];
			sum[c] += s == SCOPE_TICK ? 0 : now.in[s][c];
		}
	}
	fprintf(out, "{\"cpu\": %u, ", i);
	print_columns(sum);
	fprintf(out, ", \"spin\": %" PRIu64 ", \"idle\": %" PRIu64 ", \"scopes\": {", now.spin - then->spin,
		now.idle - then->idle);
	for (unsigned s = SCOPE_TICK; s < nr_scopes; s++) {
		fprintf(out, "%s\"%s\": {", s > SCOPE_TICK ? ", " : "", scope_names[s]);
		print_columns(now.in[s]);
		fputc('}', out);
	}
	fputs("}, \"probes\": {", out);
	for (unsigned p = 0; p < nr_probes; p++)
		fprintf(out, "%s\"%s\": %" PRIu64, p ? ", " : "", probe_names[p], now.probe[p] - then->probe[p]);
	fputs("}}", out);
}

static void print_phase(const struct phase *p, uint64_t path)
{
	struct lockstep_stats s = lockstep_stats();

	fprintf(out, "{\"phase\": \"%s\", \"nr\": %" PRIu64 ", \"overlaps\": %u, \"path\": ", p->name, p->nr, p->overlaps);
	if (lockstep_quantum)
		fprintf(out, "%" PRIu64 ", \"windows\": %" PRIu64 ", \"slips\": %" PRIu64 ", \"late\": %" PRIu64, path,
			s.windows, s.slips, s.late);
	else
		fputs("null", out);
	fputs(", \"cpus\": [", out);
	for (unsigned i = 0; i < nr_vcpus; i++) {
		if (i)
			fputs(", ", out);
		print_vcpu(i, &p->at_begin[i]);
	}
	fputs("]}\n", out);
	fflush(out);
}

static void end_phase(unsigned int vcpu, void *which)
{
	struct phase *p = &phases[(uintptr_t)which];

	pthread_mutex_lock(&phase_lock);
	if (p->open) {
		print_phase(p, lockstep_now(&vcpus[vcpu]) - p->begun);
		p->open = false;
		p->nr++;
		if (!--nr_open)
			lockstep_end();
	}
	pthread_mutex_unlock(&phase_lock);
}

/* ---- translation ---- */

/* By address, and at one address in the order of enum action. */
static int compare_places(const void *a, const void *b)
{
	const struct place *p = a, *q = b;

	if (p->is_mark != q->is_mark)
		return p->is_mark ? 1 : -1;
	if (p->pc != q->pc)
		return p->pc < q->pc ? -1 : 1;
	return (int)p->action - (int)q->action;
}

static void attach_place(struct qemu_plugin_insn *insn, const struct place *p)
{
	static const exec_cb callbacks[] = {
		[PHASE_TO] = end_phase,	   [SCOPE_RETURN] = leave_scope, [PHASE_FROM] = begin_phase,
		[SCOPE_ENTRY] = enter_scope, [PROBE] = pass_probe,	 [IPI_TAKEN] = take_ipi,
	};
	void *arg = (void *)(uintptr_t)(p->action == SCOPE_RETURN ? p->pc : p->which);

	qemu_plugin_register_vcpu_insn_exec_cb(insn, callbacks[p->action], NO_REGISTERS, arg);
}

/* The first of the sorted places that is not before this one. */
static unsigned first_place(bool is_mark, uint64_t pc)
{
	unsigned low = 0, high = nr_places;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (compare_places(&places[middle], &(struct place){ .pc = pc, .is_mark = is_mark }) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void attach_places(struct qemu_plugin_insn *insn, bool is_mark, uint64_t pc)
{
	for (unsigned i = first_place(is_mark, pc); i < nr_places && places[i].pc == pc && places[i].is_mark == is_mark; i++)
		attach_place(insn, &places[i]);
}

static bool is_return(uint64_t pc)
{
	for (unsigned i = first_place(false, pc); i < nr_places && places[i].pc == pc && !places[i].is_mark; i++)
		if (places[i].action == SCOPE_RETURN)
			return true;
	return false;
}

static void translate_insn(struct qemu_plugin_insn *insn)
{
	uint64_t pc = qemu_plugin_insn_vaddr(insn), end = pc + qemu_plugin_insn_size(insn);
	const uint8_t *bytes = qemu_plugin_insn_data(insn);
	unsigned kind = decode(guest, bytes, qemu_plugin_insn_size(insn));
	int mark = decode_mark(guest, bytes, qemu_plugin_insn_size(insn));
	exec_cb count = kind & INSN_RELAX ? count_relax : count_busy;

	if (mark >= 0)
		attach_places(insn, true, (unsigned)mark);
	attach_places(insn, false, pc);
	if (is_return(end))
		qemu_plugin_register_vcpu_insn_exec_cb(insn, will_call, NO_REGISTERS, (void *)(uintptr_t)end);
	if (kind & INSN_FENCE)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, count_fence, NO_REGISTERS, NULL);
	if (kind & INSN_ATOMIC)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, begin_atomic, NO_REGISTERS, NULL);
	for (unsigned i = 0; i < nr_ranges; i++)
		if (pc >= ranges[i].from && pc < ranges[i].to)
			count = ranges[i].idle ? count_idle : count_spin;
	qemu_plugin_register_vcpu_insn_exec_cb(insn, count, NO_REGISTERS, NULL);
	qemu_plugin_register_vcpu_mem_cb(insn, kind & INSN_ATOMIC ? atomic_store : store, NO_REGISTERS, MEM_WRITES, NULL);
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

static void finished(plugin_id id, void *arg)
{
	if (out != stderr)
		fclose(out);
}

int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv);

enum action { PHASE_TO, SCOPE_RETURN, PHASE_FROM, SCOPE_ENTRY, PROBE, IPI_TAKEN };

struct place {
	uint64_t pc;
	bool is_mark; /* pc is a marker's number */
	enum action action;
	unsigned which;
};

struct range {
	uint64_t from, to;
	bool idle;
};

/* phase_lock */
static struct phase {
	bool open;
	uint64_t nr, begun;	/* times ended; lockstep's time */
	unsigned overlaps;	/* begun again while it was open */
	struct counts at_begin[MAX_VCPUS];
} phases[MAX_PHASES];

struct vcpu vcpus[MAX_VCPUS];
unsigned nr_vcpus;

static int guest;
static struct place places[MAX_PLACES];
static unsigned nr_places;
static struct range ranges[MAX_RANGES];
static unsigned nr_ranges;
static struct phase phases[MAX_PHASES];
static unsigned nr_phases, nr_open;
static char scope_names[MAX_SCOPES][32] = { "", "tick", "ipi" };
static unsigned nr_scopes = SCOPE_FIRST;
static char probe_names[MAX_PROBES][32];
static unsigned nr_probes;
static pthread_mutex_t phase_lock = PTHREAD_MUTEX_INITIALIZER;

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
	v->depth = depth - 1;
	v->scope = v->stack[v->depth].scope;
	if (left == SCOPE_IPI)
		lockstep_ipi_sent(v);
}

static void pass_probe(unsigned int vcpu, void *which)
{
	vcpus[vcpu].n.probe[(uintptr_t)which]++;
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
	if (p->open) {
		p->overlaps++;
	} else {
		if (!nr_open++)
			lockstep_begin(&vcpus[vcpu]);
		p->open = true;
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
		fprintf(out, "%s\"%s\": %" PRIu64, c ? ", " : "", names[c], n[c]);
}

/* What the timer interrupt costs is only told in its scope. */
static void print_vcpu(unsigned i, const struct counts *then)
{
	struct counts now = vcpus[i].n;
	uint64_t sum[NR_COLUMNS] = { 0 };

	for (unsigned s = 0; s < nr_scopes; s++) {
		for (int c = 0; c < NR_COLUMNS; c++) {
			now.in[s][c] -= then->in[s][c];
			sum[c] += s == SCOPE_TICK ? 0 : now.in[s][c];
		}
	}
	fprintf(out, "{\"cpu\": %u, ", i);
	print_columns(sum);
	fprintf(out, ", \"spin\": %" PRIu64 ", \"idle\": %" PRIu64 ", \"scopes\": {", now.spin - then->spin,
		now.idle - then->idle);
	for (unsigned s = SCOPE_TICK; s < nr_scopes; s++) {
		fprintf(out, "%s\"%s\": {", s > SCOPE_TICK ? ", " : "", scope_names[s]);
		print_columns(now.in[s]);
		fputc('}', out);
	}
	fputs("}, \"probes\": {", out);
	for (unsigned p = 0; p < nr_probes; p++)
		fprintf(out, "%s\"%s\": %" PRIu64, p ? ", " : "", probe_names[p], now.probe[p] - then->probe[p]);
	fputs("}}", out);
}

static void print_phase(const struct phase *p, uint64_t path)
{
	struct lockstep_stats s = lockstep_stats();

	fprintf(out, "{\"phase\": \"%s\", \"nr\": %" PRIu64 ", \"overlaps\": %u, \"path\": ", p->name, p->nr, p->overlaps);
	if (lockstep_quantum)
		fprintf(out, "%" PRIu64 ", \"windows\": %" PRIu64 ", \"slips\": %" PRIu64 ", \"late\": %" PRIu64, path,
			s.windows, s.slips, s.late);
	else
		fputs("null", out);
	fputs(", \"cpus\": [", out);
	for (unsigned i = 0; i < nr_vcpus; i++) {
		if (i)
			fputs(", ", out);
		print_vcpu(i, &p->at_begin[i]);
	}
	fputs("]}\n", out);
	fflush(out);
}

static void end_phase(unsigned int vcpu, void *which)
{
	struct phase *p = &phases[(uintptr_t)which];

	pthread_mutex_lock(&phase_lock);
	if (p->open) {
		print_phase(p, lockstep_now(&vcpus[vcpu]) - p->begun);
		p->open = false;
		p->nr++;
		if (!--nr_open)
			lockstep_end();
	}
	pthread_mutex_unlock(&phase_lock);
}

/* ---- translation ---- */

/* By address, and at one address in the order of enum action. */
static int compare_places(const void *a, const void *b)
{
	const struct place *p = a, *q = b;

	if (p->is_mark != q->is_mark)
		return p->is_mark ? 1 : -1;
	if (p->pc != q->pc)
		return p->pc < q->pc ? -1 : 1;
	return (int)p->action - (int)q->action;
}

static void attach_place(struct qemu_plugin_insn *insn, const struct place *p)
{
	static const exec_cb callbacks[] = {
		[PHASE_TO] = end_phase,	   [SCOPE_RETURN] = leave_scope, [PHASE_FROM] = begin_phase,
		[SCOPE_ENTRY] = enter_scope, [PROBE] = pass_probe,	 [IPI_TAKEN] = take_ipi,
	};
	void *arg = (void *)(uintptr_t)(p->action == SCOPE_RETURN ? p->pc : p->which);

	qemu_plugin_register_vcpu_insn_exec_cb(insn, callbacks[p->action], NO_REGISTERS, arg);
}

/* The first of the sorted places that is not before this one. */
static unsigned first_place(bool is_mark, uint64_t pc)
{
	unsigned low = 0, high = nr_places;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (compare_places(&places[middle], &(struct place){ .pc = pc, .is_mark = is_mark }) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void attach_places(struct qemu_plugin_insn *insn, bool is_mark, uint64_t pc)
{
	for (unsigned i = first_place(is_mark, pc); i < nr_places && places[i].pc == pc && places[i].is_mark == is_mark; i++)
		attach_place(insn, &places[i]);
}

static bool is_return(uint64_t pc)
{
	for (unsigned i = first_place(false, pc); i < nr_places && places[i].pc == pc && !places[i].is_mark; i++)
		if (places[i].action == SCOPE_RETURN)
			return true;
	return false;
}

static void translate_insn(struct qemu_plugin_insn *insn)
{
	uint64_t pc = qemu_plugin_insn_vaddr(insn), end = pc + qemu_plugin_insn_size(insn);
	const uint8_t *bytes = qemu_plugin_insn_data(insn);
	unsigned kind = decode(guest, bytes, qemu_plugin_insn_size(insn));
	int mark = decode_mark(guest, bytes, qemu_plugin_insn_size(insn));
	exec_cb count = kind & INSN_RELAX ? count_relax : count_busy;

	if (mark >= 0)
		attach_places(insn, true, (unsigned)mark);
	attach_places(insn, false, pc);
	if (is_return(end))
		qemu_plugin_register_vcpu_insn_exec_cb(insn, will_call, NO_REGISTERS, (void *)(uintptr_t)end);
	if (kind & INSN_FENCE)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, count_fence, NO_REGISTERS, NULL);
	if (kind & INSN_ATOMIC)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, begin_atomic, NO_REGISTERS, NULL);
	for (unsigned i = 0; i < nr_ranges; i++)
		if (pc >= ranges[i].from && pc < ranges[i].to)
			count = ranges[i].idle ? count_idle : count_spin;
	qemu_plugin_register_vcpu_insn_exec_cb(insn, count, NO_REGISTERS, NULL);
	qemu_plugin_register_vcpu_mem_cb(insn, kind & INSN_ATOMIC ? atomic_store : store, NO_REGISTERS, MEM_WRITES, NULL);
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

static void finished(plugin_id id, void *arg)
{
	if (out != stderr)
		fclose(out);
}

/* ---- settings ---- */

/* A list of addresses: A+B, m1. False: malformed, or there are too many. */
static bool add_places(const char *list, enum action action, unsigned which)
{
	while (*list) {
		struct place p = { .action = action, .which = which };
		char *end;

		p.is_mark = *list == 'm';
		p.pc = strtoull(list + p.is_mark, &end, 16);
		if (end == list + p.is_mark || (*end && *end != '+') || nr_places == MAX_PLACES)
			return false;
		places[nr_places++] = p;
		list = *end ? end + 1 : end;
	}
	return true;
}

static bool add_ranges(const char *list, bool idle)
{
	while (*list) {
		struct range r = { .idle = idle };
		int used = 0;

		if (sscanf(list, "%" SCNx64 "-%" SCNx64 "%n", &r.from, &r.to, &used) != 2 || nr_ranges == MAX_RANGES ||
		    (list[used] && list[used] != '+'))
			return false;
		ranges[nr_ranges++] = r;
		list += used + (list[used] == '+');
	}
	return true;
}

/* ENTRIES:RETURNS */
static bool add_scope(char *value, unsigned scope)
{
	char *returns = strchr(value, ':');

	if (!returns)
		return false;
	*returns++ = 0;
	return add_places(value, SCOPE_ENTRY, scope) && add_places(returns, SCOPE_RETURN, scope);
}

/* The name in front of the first colon; the rest of the value, or NULL. */
static char *take_name(char *value, char name[32])
{
	char *rest = strchr(value, ':');

	if (!rest || rest == value || rest - value > 31)
		return NULL;
	*rest++ = 0;
	strcpy(name, value);
	return rest;
}

static bool add_phase(char *value)
{
	char *from, *to;

	if (nr_phases == MAX_PHASES || !(from = take_name(value, phases[nr_phases].name)) || !(to = strchr(from, ':')))
		return false;
	*to++ = 0;
	if (!add_places(from, PHASE_FROM, nr_phases) || !add_places(to, PHASE_TO, nr_phases))
		return false;
	nr_phases++;
	return true;
}

static bool set(const char *key, char *value)
{
	char *rest;

	if (strcmp(key, "out") == 0)
		return (out = fopen(value, "w")) != NULL;
	if (strcmp(key, "lockstep") == 0)
		return (lockstep_quantum = strtoull(value, NULL, 0)) > 0;
	if (strcmp(key, "line") == 0) {
		line_shift = strcmp(value, "128") == 0 ? 7 : 6;
		return line_shift == 7 || strcmp(value, "64") == 0;
	}
	if (strcmp(key, "phase") == 0)
		return add_phase(value);
	if (strcmp(key, "scope") == 0) {
		if (nr_scopes == MAX_SCOPES || !(rest = take_name(value, scope_names[nr_scopes])))
			return false;
		return add_scope(rest, nr_scopes++);
	}
	if (strcmp(key, "tick") == 0)
		return add_scope(value, SCOPE_TICK);
	if (strcmp(key, "ipi") == 0)
		return add_scope(value, SCOPE_IPI);
	if (strcmp(key, "taken") == 0)
		return add_places(value, IPI_TAKEN, 0);
	if (strcmp(key, "spin") == 0 || strcmp(key, "idle") == 0)
		return add_ranges(value, *key == 'i');
	if (strcmp(key, "probe") == 0) {
		if (nr_probes == MAX_PROBES || !(rest = take_name(value, probe_names[nr_probes])))
			return false;
		return add_places(rest, PROBE, nr_probes++);
	}
	return false;
}

static bool read_settings(const char *path)
{
	static char line[65536];
	FILE *f = fopen(path, "r");
	bool good = f != NULL;

	if (!f)
		perror(path);
	while (good && fgets(line, sizeof(line), f)) {
		char *value = strchr(line, '=');

		line[strcspn(line, "\n")] = 0;
		if (value)
			*value++ = 0;
		good = value && set(line, value);
		if (!good)
			fprintf(stderr, "cost: %s: %s: a setting that is unknown, malformed or one too many\n", path, line);
	}
	if (f)
		fclose(f);
	return good;
}

int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv)
{
	out = stderr;
	guest = decode_guest(info->target_name);
	if (guest < 0 || argc != 1 || strncmp(argv[0], "conf=", 5) != 0) {
		fprintf(stderr, "cost: guests are x86_64, aarch64, riscv64 and ppc64; the argument is conf=FILE\n");
		return -1;
	}
	if (!read_settings(argv[0] + 5))
		return -1;
	qsort(places, nr_places, sizeof(places[0]), compare_places);
	qemu_plugin_register_vcpu_init_cb(id, vcpu_init);
	qemu_plugin_register_vcpu_idle_cb(id, vcpu_idle);
	qemu_plugin_register_vcpu_resume_cb(id, vcpu_resume);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, finished, NULL);
	return 0;
}
