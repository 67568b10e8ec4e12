/* SPDX-License-Identifier: Apache-2.0 */
/**
 * guest.c - the program that integration tests run in a sandbox
 *
 * Static and small, so that it runs in any root. It comes in as a file, and files are not
 * executable: --cmd 'cp guest g && chmod +x g && ./g SUBCOMMAND ...'. Results go to stdout, one
 * "name: outcome" a line; outcomes are OK or the name of an errno.
 */
#include "tests/support/guest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void guest_report(const char *name, int failed)
{
    int e = errno;

    printf("%s: %s\n", name, failed < 0 ? strerrorname_np(e) : "OK");
    fflush(stdout);
}

long guest_number(int argc, char **argv, int i, long fallback)
{
    char *end;

    if (i >= argc)
        return fallback;
    long n = strtol(argv[i], &end, 0);
    if (*argv[i] == '\0' || *end != '\0') {
        fprintf(stderr, "guest: '%s' is no number\n", argv[i]);
        exit(2);
    }
    return n;
}

void guest_wait_for_eof(void)
{
    char c;

    while (read(0, &c, 1) > 0)
        ;
}

static void sleep_ms(long ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
}

static int cmd_exit(int argc, char **argv)
{
    return (int)guest_number(argc, argv, 1, 0);
}

static int cmd_kill_self(int argc, char **argv)
{
    (void)kill(getpid(), (int)guest_number(argc, argv, 1, SIGKILL));
    return 0;
}

static int cmd_echo(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        printf("%s%s", i > 1 ? " " : "", argv[i]);
    printf("\n");
    return 0;
}

static int cmd_cat(int argc, char **argv)
{
    char chunk[65536];
    ssize_t n;

    (void)argc, (void)argv;
    while ((n = read(0, chunk, sizeof(chunk))) > 0) {
        for (ssize_t done = 0, w; done < n; done += w) {
            w = write(1, chunk + done, (size_t)(n - done));
            if (w < 0)
                return 1;
        }
    }
    return 0;
}

static int cmd_env(int argc, char **argv)
{
    const char *value = argc > 1 ? getenv(argv[1]) : NULL;

    printf("%s\n", value == NULL ? "(unset)" : value);
    return 0;
}

/* Identity and rights, from the kernel's own words. */
static int cmd_status(int argc, char **argv)
{
    static const char *const wanted[] = { "Uid:",     "Gid:",    "Groups:", "NoNewPrivs:",
                                          "Seccomp:", "CapInh:", "CapPrm:", "CapEff:",
                                          "CapBnd:",  "CapAmb:" };
    char line[512];
    FILE *f = fopen("/proc/self/status", "re");

    (void)argc, (void)argv;
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
            if (strncmp(line, wanted[i], strlen(wanted[i])) == 0)
                fputs(line, stdout);
        }
    }
    return f == NULL;
}

static int cmd_fds(int argc, char **argv)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *e;

    (void)argc, (void)argv;
    while (dir != NULL && (e = readdir(dir)) != NULL) {
        if (e->d_name[0] != '.' && (int)strtol(e->d_name, NULL, 10) != dirfd(dir))
            printf("%s\n", e->d_name);
    }
    return dir == NULL;
}

static int cmd_alloc(int argc, char **argv)
{
    size_t n = (size_t)guest_number(argc, argv, 1, 64) << 20;
    char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        guest_report("alloc", -1);
        return 1;
    }
    for (size_t i = 0; i < n; i += 4096)
        p[i] = 1;
    guest_report("alloc", 0);
    return 0;
}

static int cmd_fork(int argc, char **argv)
{
    long wanted = guest_number(argc, argv, 1, 1), made = 0;
    int e = 0;

    for (; made < wanted; made++) {
        pid_t pid = fork();
        if (pid == 0) {
            (void)pause();
            _exit(0);
        }
        if (pid < 0) {
            e = errno;
            break;
        }
    }
    printf("made: %ld\n", made);
    errno = e;
    guest_report("fork", e == 0 ? 0 : -1);
    (void)signal(SIGTERM, SIG_IGN);
    (void)kill(0, SIGTERM);
    return e == 0 ? 0 : 1;
}

static int cmd_forkbomb(int argc, char **argv)
{
    (void)argc, (void)argv;
    if (geteuid() == 0) {
        fprintf(stderr, "guest: forkbomb is for sandboxes and refuses to run as root\n");
        return 2;
    }
    for (;;)
        (void)fork();
    return 0;
}

/* A background process that outlives its parent and writes once it is alone. */
static int cmd_orphan(int argc, char **argv)
{
    long ms = guest_number(argc, argv, 1, 60000);

    if (fork() == 0) {
        (void)setsid();
        if (fork() == 0) {
            sleep_ms(ms);
            (void)!write(1, "orphan\n", 7);
        }
        _exit(0);
    }
    (void)wait(NULL);
    return 0;
}

static int cmd_write_bytes(int argc, char **argv)
{
    static char chunk[65536];
    unsigned long left = (unsigned long)guest_number(argc, argv, 1, 1);
    int fd = (int)guest_number(argc, argv, 2, 1);

    memset(chunk, 'x', sizeof(chunk));
    while (left > 0) {
        size_t n = left < sizeof(chunk) ? left : sizeof(chunk);
        ssize_t w = write(fd, chunk, n);
        if (w < 0)
            return 1;
        left -= (unsigned long)w;
    }
    return 0;
}

/* One byte per write, so that a secret arrives in pieces. */
static int cmd_pieces(int argc, char **argv)
{
    for (const char *p = argc > 1 ? argv[1] : ""; *p != '\0'; p++) {
        (void)!write(1, p, 1);
        sleep_ms(1);
    }
    return 0;
}

static int cmd_close_stdout(int argc, char **argv)
{
    (void)close(1);
    (void)close(2);
    sleep_ms(guest_number(argc, argv, 1, 100));
    return (int)guest_number(argc, argv, 2, 0);
}

static int cmd_ignore_term(int argc, char **argv)
{
    (void)argc, (void)argv;
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)!write(1, "ready\n", 6);
    for (;;)
        (void)pause();
    return 0;
}

static int cmd_spin(int argc, char **argv)
{
    volatile unsigned long n = 0;

    (void)argc, (void)argv;
    for (;;)
        n++;
    return 0;
}

static int cmd_sleep(int argc, char **argv)
{
    sleep_ms(guest_number(argc, argv, 1, 1000));
    return 0;
}

/* open PATH [r|w|c]: read, write, create. */
static int cmd_open(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "/";
    char mode = argc > 2 ? argv[2][0] : 'r';
    int fd = open(path, mode == 'r' ? O_RDONLY : mode == 'w' ? O_WRONLY : O_WRONLY | O_CREAT, 0644);

    guest_report(path, fd);
    return fd < 0;
}

/* fill PATH: write until it fails. */
static int cmd_fill(int argc, char **argv)
{
    static char chunk[1 << 20];
    unsigned long long total = 0;
    int fd = open(argc > 1 ? argv[1] : "full", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ssize_t w = fd;

    while (fd >= 0 && (w = write(fd, chunk, sizeof(chunk))) > 0)
        total += (unsigned long long)w;
    int e = errno;
    printf("bytes: %llu\n", total);
    errno = e;
    guest_report("fill", (int)(w < 0 ? -1 : 0));
    return 1;
}

static const struct guest_command commands[] = {
    { "exit", "CODE", cmd_exit },
    { "kill-self", "SIGNAL", cmd_kill_self },
    { "echo", "TEXT...", cmd_echo },
    { "cat", "", cmd_cat },
    { "env", "NAME", cmd_env },
    { "status", "", cmd_status },
    { "fds", "", cmd_fds },
    { "alloc", "MIB", cmd_alloc },
    { "fork", "N", cmd_fork },
    { "forkbomb", "", cmd_forkbomb },
    { "orphan", "MS", cmd_orphan },
    { "write-bytes", "N [FD]", cmd_write_bytes },
    { "pieces", "TEXT", cmd_pieces },
    { "close-stdout", "MS CODE", cmd_close_stdout },
    { "ignore-term", "", cmd_ignore_term },
    { "spin", "", cmd_spin },
    { "sleep", "MS", cmd_sleep },
    { "open", "PATH [r|w|c]", cmd_open },
    { "fill", "PATH", cmd_fill },
    { NULL, NULL, NULL },
};

static void run_if_named(const struct guest_command *list, int argc, char **argv)
{
    for (; list->name != NULL; list++) {
        if (strcmp(list->name, argv[1]) == 0) {
            int code = list->fn(argc - 1, argv + 1);
            (void)fflush(stdout);
            _exit(code);
        }
    }
}

static void print_usage(const struct guest_command *list)
{
    for (; list->name != NULL; list++)
        fprintf(stderr, "  guest %s %s\n", list->name, list->usage);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        run_if_named(commands, argc, argv);
        run_if_named(guest_attacks, argc, argv);
        run_if_named(guest_network, argc, argv);
    }
    print_usage(commands);
    print_usage(guest_attacks);
    print_usage(guest_network);
    return 2;
}
