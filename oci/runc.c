/* SPDX-License-Identifier: Apache-2.0 */
/* runc.c - driving runc, or whatever has its command line. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "oci/runtime.h"

enum { MESSAGES_MAX = 8192 };

/* The runtime needs to find helpers and nothing else; no variable of the user reaches it. */
static const char *const runtime_env[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    NULL,
};

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

/* runc prints either plain text or logrus fields: time="..." level=error msg="...". */
static const char *find_message(char *text)
{
    char *last = text;
    char *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
        last = line;
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
