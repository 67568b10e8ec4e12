/* SPDX-License-Identifier: Apache-2.0 */
/* runc.c - driving runc, or whatever has its command line. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "oci/runtime.h"

enum { MESSAGES_MAX = 16384 };

/* The runtime needs to find helpers and nothing else; no variable of the user reaches it. */
static const char *const runtime_env[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    NULL,
};

#define CACHE_NAME "runtime-checked"

/* Find the program as execvpe() does. Return: 0 with its status, or -1. */
static int find_program(const char *program, char *path, size_t cap, struct stat *st)
{
    const char *list = getenv("PATH");

    if (strchr(program, '/') != NULL) {
        (void)snprintf(path, cap, "%s", program);
        return stat(path, st);
    }
    if (list == NULL)
        list = "/bin:/usr/bin";
    while (*list != '\0') {
        size_t n = strcspn(list, ":");
        int len = snprintf(path, cap, "%.*s/%s", (int)n, list, program);
        if (n > 0 && (size_t)len < cap && access(path, X_OK) == 0 && stat(path, st) == 0 &&
            S_ISREG(st->st_mode))
            return 0;
        list += n;
        if (*list == ':')
            list++;
    }
    return -1;
}

struct version {
    bool is_runc;
    unsigned major, minor;
    char line[64];
};

static void take_version(const char *line, void *user)
{
    struct version *v = user;

    if (v->line[0] != '\0')
        return;
    (void)snprintf(v->line, sizeof(v->line), "%s", line);
    v->is_runc = sscanf(line, "runc version %u.%u", &v->major, &v->minor) == 2;
}

static int ask_version(const struct oci_runtime *rt, isol8_error *err)
{
    const char *argv[] = { rt->program, "--version", NULL };
    struct proc_args args = PROC_ARGS_INIT;
    struct version v = { 0 };

    args.file = rt->program;
    args.argv = argv;
    int code = proc_run(&args, take_version, &v, NULL, -1, err);
    if (code < 0)
        return code;
    if (code != 0)
        return err_set(err, ISOL8_E_RUNTIME, "'%s --version' ended with exit code %d", rt->program,
                       code);
    if (v.is_runc && v.major == 1 && v.minor < 1)
        return err_set(err, ISOL8_E_RUNTIME,
                       "'%s' is too old: at least runc 1.1.0 is needed (see 'isol8 doctor')",
                       v.line);
    return 0;
}

int oci_runtime_check(const struct oci_runtime *rt, int cache_dir, isol8_error *err)
{
    auto_buf struct buf known = BUF_INIT(0);
    char path[256], key[512];
    struct stat st;

    if (find_program(rt->program, path, sizeof(path), &st) < 0)
        return err_set(err, ISOL8_E_RUNTIME,
                       "the OCI runtime '%s' was not found: install it (apt-get install runc), or "
                       "name another by 'runtime' in the configuration",
                       rt->program);
    int n = snprintf(key, sizeof(key), "%s %llu %llu %lld.%09ld %lld\n", path,
                     (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
                     (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long long)st.st_size);
    if (path_read(cache_dir, CACHE_NAME, sizeof(key), &known, NULL) == 0 &&
        strcmp(buf_text(&known), key) == 0)
        return 0;
    int r = ask_version(rt, err);
    if (r == 0) /* a note that cannot be written costs time, no more */
        (void)path_replace(cache_dir, CACHE_NAME, key, (size_t)n, 0600, false, NULL);
    return r;
}

int oci_runtime_run(const struct oci_runtime *rt, const struct oci_runtime_start *a, int *pidfd,
                    isol8_error *err)
{
    const char *argv[] = { rt->program, "--root",   rt->root,      "run", "--preserve-fds",
                           "1",         "--bundle", a->bundle_dir, a->id, NULL };
    int pass[] = { a->init_socket, a->keep_fd };
    struct proc_args args = PROC_ARGS_INIT;

    args.file = rt->program;
    args.argv = argv;
    args.envp = runtime_env;
    args.stdio[1] = a->messages_fd;
    args.stdio[2] = a->messages_fd;
    args.pass_fds = pass;
    args.n_pass = a->keep_fd >= 0 ? 2 : 1;
    args.cwd = "/";
    args.new_session = true;
    args.new_mount_ns = true;
    args.prepare = a->prepare;
    args.user = a->user;
    return proc_spawn(&args, pidfd, NULL, err);
}

/* Nobody would be left to wait for the process, or to hand signals on. */
static int end_with_parent(void *user, const char **what)
{
    (void)user;
    *what = "follow its parent";
    return prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 ? -errno : 0;
}

int oci_runtime_exec(const struct oci_runtime *rt, const struct oci_runtime_exec *a, int *pidfd,
                     isol8_error *err)
{
    enum { WORDS_MAX = 24 };
    const char *argv[WORDS_MAX] = { rt->program,       "--root", rt->root,         "--log",
                                    "/proc/self/fd/5", "exec",   "--user",         a->user,
                                    "--cwd",           "/",      "--preserve-fds", "2" };
    const int pass[] = { a->pass_fds[0], a->pass_fds[1], a->messages_fd };
    struct proc_args args = PROC_ARGS_INIT;
    size_t n = 12;

    if (a->terminal)
        argv[n++] = "--tty";
    argv[n++] = a->id;
    for (size_t i = 0; a->argv[i] != NULL && n + 1 < WORDS_MAX; i++)
        argv[n++] = a->argv[i];

    args.file = rt->program;
    args.argv = argv;
    args.envp = runtime_env;
    memcpy(args.stdio, a->stdio, sizeof(args.stdio));
    args.pass_fds = pass;
    args.n_pass = 3;
    args.cwd = "/";
    args.prepare = end_with_parent;
    return proc_spawn(&args, pidfd, NULL, err);
}

int oci_runtime_delete(const struct oci_runtime *rt, const char *id, isol8_error *err)
{
    const char *argv[] = { rt->program, "--root", rt->root, "delete", "--force", id, NULL };
    auto_buf struct buf tail = BUF_INIT(512);
    struct proc_args args = PROC_ARGS_INIT;
    char state[512];

    (void)snprintf(state, sizeof(state), "%s/%s", rt->root, id);
    if (access(state, F_OK) < 0)
        return 0;
    args.file = rt->program;
    args.argv = argv;
    args.envp = runtime_env;
    args.cwd = "/";
    int code = proc_run(&args, NULL, NULL, &tail, -1, err);
    if (code < 0)
        return code;
    if (code != 0 && access(state, F_OK) == 0)
        return err_set(err, ISOL8_E_RUNTIME, "%s could not delete '%.12s': %s", rt->program, id,
                       buf_text(&tail));
    return 0;
}

int oci_runtime_forget(const struct oci_runtime *rt, const char *id, isol8_error *err)
{
    auto_close int root = open(rt->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (root < 0)
        return errno == ENOENT ? 0 : err_sys(err, errno, "cannot open '%s'", rt->root);
    return path_remove_tree(root, id, err);
}

/* When Go itself gives up, for want of threads or memory, the reason comes first, and then what
 * every thread was doing. */
static bool is_crash(const char *line)
{
    static const char *const beginnings[] = { "runtime: ", "runtime/cgo: ", "fatal error: ",
                                              "panic: " };

    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++) {
        if (strncmp(line, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    }
    return false;
}

/* runc prints either plain text or logrus fields: time="..." level=error msg="...". */
static const char *find_message(char *text)
{
    char *last = text;
    char *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        if (is_crash(line))
            return line;
        last = line;
    }
    char *msg = strstr(last, " msg=\"");
    if (msg == NULL)
        return last;
    msg += strlen(" msg=\"");
    size_t n = strlen(msg);
    if (n > 0 && msg[n - 1] == '"')
        msg[n - 1] = '\0';
    return msg;
}

void oci_runtime_message(int messages_fd, char *out, size_t cap)
{
    char text[MESSAGES_MAX + 1];
    struct stat st;
    off_t start = 0;

    out[0] = '\0';
    if (fstat(messages_fd, &st) == 0 && st.st_size > MESSAGES_MAX)
        start = st.st_size - MESSAGES_MAX;
    ssize_t n = pread(messages_fd, text, MESSAGES_MAX, start);
    if (n <= 0)
        return;
    text[n] = '\0';
    (void)snprintf(out, cap, "%s", find_message(text));
}
