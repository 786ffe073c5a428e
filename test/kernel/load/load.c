/*
 * Generates exactly known numbers of events for the kernel tests and benchmarks. Every thread has the given name and
 * makes `calls` system calls per round between a common start and its end; what else the process does happens
 * in the main thread, under the name "load", or before the start.
 *
 *   --threads T     threads (1)
 *   --calls N       calls per thread and round (1)
 *   --rounds R      rounds, timed one by one (1)
 *   --comm NAME     name of the threads (load-thread)
 *   --call KIND     getppid (default) | yield | nap (1 ms) | spin (100 us) | number | compat (getppid, 32-bit)
 *   --keys K        number: call numbers FIRST … FIRST+K-1 in rotation, none of which exists (1)
 *   --first NR      number: the first of them (1000)
 *   --names K       before each call take the next of K names NAME-0 … (one prctl more per call)
 *   --pin CPU       pin the threads: all to CPU, or with --spread the i-th to (CPU + i) mod online CPUs
 *   --spread
 *   --cgroup DIR    join this cgroup first
 *   --gate          print "ready" once all threads wait, then read a line; when done, print the result and read again
 *
 * Prints one line: {"tids":[…],"calls":total,"ns":[shortest thread's time by round]}
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum kind { GETPPID, YIELD, NAP, SPIN, NUMBER, COMPAT };

static long threads = 1, calls = 1, rounds = 1, keys = 1, first = 1000, names, pin = -1;
static int spread, gate;
static enum kind kind = GETPPID;
static const char *comm = "load-thread", *cgroup;
static pthread_barrier_t start;
static atomic_long arrived;
static long *tids;
static long long (*spent)[1024];

static void fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long long now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t); /* vDSO: no system call */
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void rename_to(long i)
{
	char name[32];
	snprintf(name, sizeof(name), "%s-%ld", comm, i);
	prctl(PR_SET_NAME, name);
}

static void work(void)
{
	long number = first;
	const struct timespec nap = { 0, 1000000 };

	for (long i = 0; i < calls; i++) {
		if (names)
			rename_to(i % names);
		switch (kind) {
		case GETPPID:
			syscall(SYS_getppid);
			break;
		case YIELD:
			sched_yield();
			break;
		case NAP:
			nanosleep(&nap, NULL);
			break;
		case SPIN:
			for (const long long end = now_ns() + 100000; now_ns() < end;)
				;
			break;
		case NUMBER:
			syscall(number);
			if (++number == first + keys)
				number = first;
			break;
		case COMPAT:
#ifdef __x86_64__
		{
			long result = 64; /* getppid's number on i386 */
			__asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
		}
#endif
			break;
		}
	}
}

static void *thread(void *argument)
{
	const long self = (long)argument;

	tids[self] = syscall(SYS_gettid);
	prctl(PR_SET_NAME, comm);
	if (pin >= 0) {
		cpu_set_t set;
		CPU_ZERO(&set);
		CPU_SET((pin + (spread ? self : 0)) % sysconf(_SC_NPROCESSORS_ONLN), &set);
		if (sched_setaffinity(0, sizeof(set), &set))
			fail("sched_setaffinity");
	}
	arrived++;
	pthread_barrier_wait(&start);
	/* Threads that share work start it within a few instructions of each other. */
	if (spread) {
		static atomic_long awake;
		awake++;
		while (awake < threads)
			;
	}
	for (long r = 0; r < rounds; r++) {
		const long long begin = now_ns();
		work();
		spent[self][r] = now_ns() - begin;
	}
	arrived--;
	pthread_barrier_wait(&start);
	return NULL;
}

/* Waits for the other side's go, if there is one to wait for. */
static void wait_for_line(void)
{
	char line[64];
	if (gate && !fgets(line, sizeof(line), stdin))
		exit(0);
}

static void wait_until_arrived(long n)
{
	const struct timespec while_waiting = { 0, 2000000 };
	while (arrived != n)
		nanosleep(&while_waiting, NULL);
	/* The last to arrive is still on its way into the barrier's futex. */
	for (int i = 0; i < 10; i++)
		nanosleep(&while_waiting, NULL);
}

static void join_cgroup(void)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	FILE *procs = fopen(path, "w");
	if (!procs || fprintf(procs, "0\n") < 0 || fclose(procs))
		fail(path);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "threads", 1, 0, 't' }, { "calls", 1, 0, 'n' }, { "rounds", 1, 0, 'r' }, { "comm", 1, 0, 'c' },
		{ "call", 1, 0, 'C' },	  { "keys", 1, 0, 'k' },  { "first", 1, 0, 'f' },  { "names", 1, 0, 'N' },
		{ "pin", 1, 0, 'p' },	  { "spread", 0, 0, 's' }, { "cgroup", 1, 0, 'g' }, { "gate", 0, 0, 'G' }, { 0 },
	};
	static const char *const kinds[] = { "getppid", "yield", "nap", "spin", "number", "compat" };

	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (o) {
		case 't': threads = atol(optarg); break;
		case 'n': calls = atol(optarg); break;
		case 'r': rounds = atol(optarg); break;
		case 'c': comm = optarg; break;
		case 'C':
			for (kind = GETPPID; kind <= COMPAT && strcmp(kinds[kind], optarg); kind++)
				;
			break;
		case 'k': keys = atol(optarg); break;
		case 'f': first = atol(optarg); break;
		case 'N': names = atol(optarg); break;
		case 'p': pin = atol(optarg); break;
		case 's': spread = 1; break;
		case 'g': cgroup = optarg; break;
		case 'G': gate = 1; break;
		default: exit(2);
		}
	}
	if (kind > COMPAT || threads < 1 || rounds < 1 || rounds > 1024 || keys < 1 || (spread && pin < 0)) {
		fprintf(stderr, "load: bad usage; see the head of load.c\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	if (cgroup)
		join_cgroup();
	tids = calloc(threads, sizeof(*tids));
	spent = calloc(threads, sizeof(*spent));
	if (!tids || !spent)
		fail("calloc");
	pthread_barrier_init(&start, NULL, threads + 1);
	for (long i = 0; i < threads; i++) {
		pthread_t id;
		if (pthread_create(&id, NULL, thread, (void *)i))
			fail("pthread_create");
	}
	wait_until_arrived(threads);
	if (gate) {
		puts("ready");
		fflush(stdout);
	}
	wait_for_line();
	pthread_barrier_wait(&start);
	wait_until_arrived(0);
	printf("{\"tids\":[");
	for (long i = 0; i < threads; i++)
		printf("%s%ld", i ? "," : "", tids[i]);
	printf("],\"calls\":%ld,\"ns\":[", threads * calls * rounds);
	for (long r = 0; r < rounds; r++) {
		long long shortest = spent[0][r];
		for (long i = 1; i < threads; i++)
			if (spent[i][r] < shortest)
				shortest = spent[i][r];
		printf("%s%lld", r ? "," : "", shortest);
	}
	printf("]}\n");
	fflush(stdout);
	wait_for_line();
	return 0;
}
