/* Prints how many thousand times a second this machine's time stamp counter ticks; 0 where it has none. */
#include <stdio.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

int main(void)
{
	const double begin = seconds();
	const unsigned long long first = __rdtsc();
	double now;

	do
		now = seconds();
	while (now - begin < 0.05);
	printf("%.0f\n", (__rdtsc() - first) / (now - begin) / 1000);
	return 0;
}
#else
int main(void)
{
	puts("0");
	return 0;
}
#endif
