/*
 * The kernel's account of its own time. A reading counts up to its own middle, so two readings and what lies between
 * them cost what is between, and one reading.
 */
#include "user/common/account.h"

#include <stddef.h>

#include "user/common/proc.h"

#define ACCOUNT "/proc/exeunt/account"
#define PROBES 8

/* Which of the two figures the kernel offers. */
static enum { NONE, INSTRUCTIONS, NS } kind;
static const char *const keys[] = { "", "kernel_instructions", "kernel_ns" };
static const char *const units[] = { "-", "instructions", "ns" };
static double reading_cost;

static bool read_key(int k, uint64_t *value)
{
	char text[512];

	return proc_read(ACCOUNT, text, sizeof(text)) >= 0 && proc_value(text, keys[k], value);
}

uint64_t account_read(void)
{
	uint64_t value = 0;

	if (kind != NONE)
		read_key(kind, &value);
	return value;
}

void account_probe(void)
{
	uint64_t value, start;

	if (read_key(INSTRUCTIONS, &value))
		kind = INSTRUCTIONS;
	else if (read_key(NS, &value))
		kind = NS;
	else
		return;
	start = account_read();
	for (int i = 1; i < PROBES; i++)
		account_read();
	reading_cost = (double)(account_read() - start) / PROBES;
}

bool account_known(void)
{
	return kind != NONE;
}

const char *account_unit(void)
{
	return units[kind];
}

double account_since(uint64_t then)
{
	double spent = (double)(account_read() - then) - reading_cost;

	return spent > 0 ? spent : 0;
}
