/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rows that are kept by second: of a counter's row the first value is the sum, as everywhere; the ten behind it are what
 * of it fell into each second of a window of ten, in turn. So one read per interval, of up to eight seconds, yields as
 * many points of time. They are cumulative like all else: second 3 of this window adds to second 3 of the one before,
 * and whoever reads dates what a second rose by. In user space: services/shared/contract/seconds.ts.
 */
#ifndef MUSTER_SECOND_H
#define MUSTER_SECOND_H

#define MUSTER_SECONDS 10
#define MUSTER_BY_SECOND (1 + MUSTER_SECONDS)

/* Control word: Unix time minus CLOCK_BOOTTIME, ns; set when the probe is loaded, and again by the agent after a clock was set. */
#define MUSTER_CLOCK 31

static __always_inline __u64 muster_second(void)
{
	const __u64 now = bpf_ktime_get_boot_ns() + *(volatile __u64 *)&muster_control.word[MUSTER_CLOCK];
	__u64 second = now / 1000000000 % MUSTER_SECONDS;

	/* The verifier does not follow a division: it is told the bound in a comparison, which the compiler would remove. */
	asm volatile("" : "+r"(second));
	return second < MUSTER_SECONDS ? second : 0;
}

/* Adds n, and sum where there is a second value, to a row's values. */
static __always_inline void muster_raise_row(__u64 *value, const int values, __u64 n, __u64 sum, const int flags)
{
	muster_raise(&value[0], n, flags);
	if (values == 2)
		muster_raise(&value[1], sum, flags);
	if (values == MUSTER_BY_SECOND)
		muster_raise(&value[1 + muster_second()], n, flags);
}

/* A table of counters, as MUSTER_COUNTER, whose rows are kept by second. Counted with muster_add. */
#define MUSTER_COUNTER_BY_SECOND(name, key_type, rows, unit, help, ...)                                              \
	MUSTER_TABLE(name, key_type, MUSTER_BY_SECOND, rows, MUSTER_SECOND(0, ##__VA_ARGS__, 0),                     \
		     "muster:counter:" unit ":" help)

#endif
