#pragma once
/*
 * What the parts of the cost plugin share: QEMU's plugin interface (version 1, as far as it is used, because Debian
 * packages no header for it), a vCPU's counters, and the lockstep.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MAX_VCPUS  256
#define MAX_PHASES 8
#define MAX_SCOPES 8	/* with those below SCOPE_FIRST */
#define MAX_PROBES 8
#define MAX_PLACES 4096
#define MAX_RANGES 64
#define MAX_DEPTH  16

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;

enum { NO_REGISTERS = 0, MEM_WRITES = 2 };

struct qemu_info {
	const char *target_name;
	struct {
		int min, cur;
	} version;
	bool system_emulation;
	struct {
		int smp_vcpus, max_vcpus;
	} system;
};

typedef void (*vcpu_cb)(plugin_id id, unsigned int vcpu);
typedef void (*exec_cb)(unsigned int vcpu, void *arg);
typedef void (*mem_cb)(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *arg);

void qemu_plugin_register_vcpu_init_cb(plugin_id id, vcpu_cb cb);
void qemu_plugin_register_vcpu_idle_cb(plugin_id id, vcpu_cb cb);
void qemu_plugin_register_vcpu_resume_cb(plugin_id id, vcpu_cb cb);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*cb)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, exec_cb cb, int flags, void *arg);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, mem_cb cb, int flags, int rw, void *arg);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*cb)(plugin_id id, void *arg), void *arg);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t vaddr);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *hwaddr);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *hwaddr);
bool qemu_plugin_mem_is_store(uint32_t info);

enum { SCOPE_NONE, SCOPE_TICK, SCOPE_IPI, SCOPE_FIRST };

enum column {
	BUSY,		/* instructions, those of waiting and idle loops apart */
	ATOMICS,
	SHARED,		/* atomics on a line that another vCPU wrote, or used atomically, last */
	FENCES,		/* full ones */
	TRANSFERS,	/* writes to a line that another vCPU wrote last */
	NR_COLUMNS,
};

/* What is summed, all since the start; a phase is the difference of two copies. */
struct counts {
	uint64_t in[MAX_SCOPES][NR_COLUMNS];	/* by the innermost function of interest */
	uint64_t spin, idle;			/* instructions of waiting loops; of the idle loop */
	uint64_t probe[MAX_PROBES];		/* times that places were passed */
};

/* Only touched by its vCPU's thread, except as said. */
struct vcpu {
	struct counts n;	/* others read it when a phase begins or ends */
	uint64_t ticks;		/* instructions executed, those of the tick apart */
	uint64_t yielded;	/* ticks when it last could have made way for another task */
	uint64_t longest;	/* ticks between two such places, at most, since the phase that longest_in says */
	uint64_t longest_in;	/* number of that phase */
	uint64_t stop;		/* lockstep: ticks at which to look; others set it to 0 (atomic) */
	uint64_t epoch, window; /* lockstep: where it was last; lockstep's lock */
	bool runs;		/* not idle; lockstep's lock */
	bool atomic_pending;	/* an atomic began, its store has not been seen */
	uint32_t since_relax;	/* busy instructions since the last waiting hint */
	uint64_t call_ret;	/* return address of the last call of a function of interest */
	uint64_t wakes_seen;	/* lockstep: wake-ups so far when it began to send an interrupt */
	unsigned scope, depth;
	struct {
		uint64_t ret;
		unsigned scope; /* of the caller */
	} stack[MAX_DEPTH];
} __attribute__((aligned(128)));

extern struct vcpu vcpus[MAX_VCPUS];
extern unsigned nr_vcpus;	/* grows while they are made */

/* ---- settings.c: what the file of settings says; fixed once it is read ---- */

enum action { PHASE_TO, SCOPE_RETURN, PHASE_FROM, SCOPE_ENTRY, PROBE, IPI_TAKEN, YIELD };

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

struct settings {
	FILE *out;
	struct place place[MAX_PLACES]; /* sorted: by is_mark, pc, action */
	struct range range[MAX_RANGES];
	unsigned nr_places, nr_ranges, nr_phases, nr_scopes, nr_probes;
	char phase_name[MAX_PHASES][32], scope_name[MAX_SCOPES][32], probe_name[MAX_PROBES][32];
};

extern struct settings set;

/** False after a message. */
bool read_settings(const char *path);
/** The first of the sorted places that is not before this one; nr_places if there is none. */
unsigned first_place(bool is_mark, uint64_t pc);

/* ---- lockstep.c ---- */

extern uint64_t lockstep_quantum;	/* instructions a window; 0: no lockstep. Fixed at the start */

void lockstep_begin(struct vcpu *v);
void lockstep_end(void);
/** Its vCPU's thread: v->ticks has reached v->stop. */
void lockstep_check(struct vcpu *v);
/** The time in instructions since lockstep_begin, as this vCPU sees it. */
uint64_t lockstep_now(const struct vcpu *v);
void lockstep_idle(struct vcpu *v);
void lockstep_resume(struct vcpu *v);
void lockstep_ipi_begin(struct vcpu *v);
void lockstep_ipi_sent(struct vcpu *v);
void lockstep_ipi_taken(struct vcpu *v);

struct lockstep_stats {
	uint64_t slips, late, windows;
};
struct lockstep_stats lockstep_stats(void);
