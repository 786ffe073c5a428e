/*
 * Does one act a known number of times, for the tests of the built-in probes, under a name and in a cgroup of its own.
 *
 *   acts [--comm NAME] [--cgroup DIR] ACT N [ARGUMENT …]
 *     faults N          writes to N fresh pages, then runs no further
 *     forks N STATUS    makes N child processes that exit with STATUS, one after the other; STATUS -S: killed by signal S
 *     threads N         makes N threads that end at once
 *     replaces 1        a second thread execs /bin/true, in place of the first
 *     udp N PORT        sends N datagrams to 127.0.0.1:PORT from one socket
 *     connects N PORT   connects to 127.0.0.1:PORT and closes, N times; a refusal is as good
 *     pings N PORT      connects once; N times sends 100 bytes, reads them back, and asks for the round trip time
 *     crowds N PORT     listens on 127.0.0.1:PORT with room for one, connects N times, takes none, and waits for 1.3 s:
 *                       the tries of those for whom there is no room are repeated after 1 s
 *     sends N PORT      connects once, sends N bytes in pieces of up to 1,000, and reads N bytes back
 *     reads N FILE      reads N blocks of 4,096 bytes from the file's beginning, past the page cache
 *     cached N FILE     the same through the page cache, without reading ahead
 *     touches N         writes to N MiB of fresh memory, a page at a time
 *
 * Prints "ready", waits for a line, acts, prints {"tids":[pid],"calls":N,"ns":[time]}, waits for a line. ns of pings:
 * the kernel's round trip times after each (TCP_INFO).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what)
{
	fprintf(stderr, "acts: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long long now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static char *fresh(size_t bytes)
{
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		fail("mmap");
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	return memory;
}

static void write_pages(char *memory, long pages)
{
	for (long i = 0; i < pages; i++)
		((volatile char *)memory)[i * 4096] = 1;
}

static void forks(long n, int status)
{
	for (long i = 0; i < n; i++) {
		const pid_t child = fork();
		if (child < 0)
			fail("fork");
		if (child == 0) {
			if (status < 0)
				kill(getpid(), -status);
			_exit(status);
		}
		if (waitpid(child, NULL, 0) != child)
			fail("waitpid");
	}
}

static void *nothing(void *argument)
{
	return argument;
}

static void threads(long n)
{
	for (long i = 0; i < n; i++) {
		pthread_t id;
		if (pthread_create(&id, NULL, nothing, NULL) || pthread_join(id, NULL))
			fail("pthread");
	}
}

static void *become_true(void *argument)
{
	execl("/bin/true", "true", NULL);
	fail("exec");
	return argument;
}

static void replaces(void)
{
	pthread_t id;
	if (pthread_create(&id, NULL, become_true, NULL))
		fail("pthread");
	for (;;)
		pause();
}

static int dial(int type, int port, int must)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	const int fd = socket(AF_INET, type, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || (connect(fd, (struct sockaddr *)&to, sizeof(to)) && must))
		fail("connect");
	return fd;
}

static void udp(long n, int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (long i = 0; i < n; i++)
		if (sendto(fd, "muster", 6, 0, (struct sockaddr *)&to, sizeof(to)) != 6)
			fail("sendto");
	close(fd);
}

static void sends(long n, int port)
{
	char piece[1000] = { 0 };
	const int fd = dial(SOCK_STREAM, port, 1);

	for (long left = n; left > 0;) {
		const ssize_t sent = send(fd, piece, left < 1000 ? left : 1000, 0);
		if (sent <= 0)
			fail("send");
		left -= sent;
	}
	for (long left = n; left > 0;) {
		const ssize_t got = recv(fd, piece, left < 1000 ? left : 1000, 0);
		if (got <= 0)
			fail("recv");
		left -= got;
	}
	close(fd);
}

static long long trips[1024];

static void pings(long n, int port)
{
	char piece[100] = { 0 };
	const int fd = dial(SOCK_STREAM, port, 1);

	for (long i = 0; i < n && i < 1024; i++) {
		struct tcp_info info;
		socklen_t size = sizeof(info);
		if (send(fd, piece, sizeof(piece), 0) != sizeof(piece) ||
		    recv(fd, piece, sizeof(piece), MSG_WAITALL) != sizeof(piece))
			fail("ping");
		if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size))
			fail("TCP_INFO");
		trips[i] = info.tcpi_rtt * 1000LL;
	}
	close(fd);
}

static void crowds(long n, int port)
{
	const struct timespec wait = { 1, 300000000 };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	const int server = socket(AF_INET, SOCK_STREAM, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(server, (struct sockaddr *)&at, sizeof(at)) || listen(server, 0))
		fail("listen");
	for (long i = 0; i < n; i++)
		dial(SOCK_STREAM | SOCK_NONBLOCK, port, 0);
	nanosleep(&wait, NULL);
}

static void reads(long n, const char *file, int flags)
{
	const int fd = open(file, O_RDONLY | flags);
	void *block;

	if (fd < 0 || posix_memalign(&block, 4096, 4096))
		fail(file);
	if (!(flags & O_DIRECT))
		posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (long i = 0; i < n; i++)
		if (pread(fd, block, 4096, i * 4096) != 4096)
			fail("pread");
	close(fd);
}

static void join_cgroup(const char *cgroup)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	FILE *procs = fopen(path, "w");
	if (!procs || fprintf(procs, "0\n") < 0 || fclose(procs))
		fail(path);
}

int main(int argc, char **argv)
{
	char line[64];
	int i = 1;

	for (; i + 1 < argc && !strncmp(argv[i], "--", 2); i += 2) {
		if (!strcmp(argv[i], "--comm"))
			prctl(PR_SET_NAME, argv[i + 1]);
		else if (!strcmp(argv[i], "--cgroup"))
			join_cgroup(argv[i + 1]);
		else
			exit(2);
	}
	if (argc - i < 2)
		exit(2);
	const char *act = argv[i];
	const long n = atol(argv[i + 1]);
	const char *argument = argc - i > 2 ? argv[i + 2] : "0";
	const int number = atoi(argument);
	char *pages = !strcmp(act, "faults") ? fresh(n * 4096) : !strcmp(act, "touches") ? fresh(n << 20) : NULL;

	puts("ready");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 0;
	const long long begin = now_ns();
	if (!strcmp(act, "faults"))
		write_pages(pages, n);
	else if (!strcmp(act, "touches"))
		write_pages(pages, n * 256);
	else if (!strcmp(act, "forks"))
		forks(n, number);
	else if (!strcmp(act, "threads"))
		threads(n);
	else if (!strcmp(act, "udp"))
		udp(n, number);
	else if (!strcmp(act, "connects"))
		for (long c = 0; c < n; c++)
			close(dial(SOCK_STREAM, number, 0));
	else if (!strcmp(act, "replaces"))
		replaces();
	else if (!strcmp(act, "pings"))
		pings(n, number);
	else if (!strcmp(act, "crowds"))
		crowds(n, number);
	else if (!strcmp(act, "sends"))
		sends(n, number);
	else if (!strcmp(act, "reads"))
		reads(n, argument, O_DIRECT);
	else if (!strcmp(act, "cached"))
		reads(n, argument, 0);
	else
		return 2;
	printf("{\"tids\":[%d],\"calls\":%ld,\"ns\":[%lld", getpid(), n, trips[0] ? trips[0] : now_ns() - begin);
	for (long trip = 1; trip < n && trip < 1024 && trips[trip]; trip++)
		printf(",%lld", trips[trip]);
	printf("]}\n");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 0;
	return 0;
}
