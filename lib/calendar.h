#pragma once
/*
 * The Gregorian calendar.
 */
#include "lib/types.h"

/** Days from 1970-01-01 to a day since then (month and day from 1). */
static inline u64 calendar_days(u32 year, u32 month, u32 day)
{
	/* Years begin in March, so that the odd day is a year's last: a month then begins 30.6 days after another. */
	u32 y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;

	return 365ull * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}
