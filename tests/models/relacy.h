/*
 * What the Relacy models share: words of the command line that remove something, and main. Relacy runs a test's
 * threads as fibers, lets a load see any store that C++'s rules allow, and reports races on plain variables. Macros of
 * its own replace memory_order_*, assert, new and delete. No #pragma once: each model includes it once.
 *
 * Relacy does not let a load see a store that is not executed yet, and knows no dependencies: what hardware orders by a
 * control dependency has to be said by an acquire here.
 */
#include <cstring>
#include <sstream>

#include <relacy/relacy.hpp>

using rl::mo_acq_rel;
using rl::mo_acquire;
using rl::mo_relaxed;
using rl::mo_release;
using rl::mo_seq_cst;

static int argc_;
static char **argv_;

/* Was this word given? */
static bool removed(const char *word)
{
	for (int i = 1; i < argc_; i++)
		if (!strcmp(argv_[i], word))
			return true;
	return false;
}

/* Every interleaving, and every store that each load may see. */
template <typename test>
static int run()
{
	rl::test_params params;
	std::ostringstream progress;

	params.search_type = rl::sched_full;
	params.iteration_count = 1000000000;
	params.progress_stream = &progress;
	params.output_stream = &std::cout;
	bool good = rl::simulate<test>(params);

	std::cout << "result: ";
	if (good)
		std::cout << params.stop_iteration << " executions\n";
	else
		std::cout << rl::test_result_str(params.test_result) << ", execution " << params.stop_iteration << "\n";
	return good ? 0 : 1;
}
