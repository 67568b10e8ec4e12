/* SPDX-License-Identifier: Apache-2.0 */
/**
 * kept.c - what is in the state root, and programs in sandboxes that were kept
 *
 * Theory of operation. A kept sandbox has a runtime process, which holds its record's lock, and an
 * init that no longer has an engine. "runc exec" joins it: the runtime makes a process in its
 * namespaces and cgroups, under its seccomp profile, as the sandbox's user, and copies between our
 * descriptors and pipes of its own. The process starts as isol8's init, which confines itself like
 * every program of a sandbox and becomes the program (init/trampoline.h). What to run travels in a
 * memory file. The sandbox's secrets are not known any more, and not given.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "executor/environ.h"
#include "executor/init/proto.h"
#include "executor/init/trampoline.h"
#include "executor/reap.h"
#include "executor/record.h"
#include "executor/request.h"

enum {
    ID_DIGITS_MIN = 4,      /* of a beginning that stands for an id */
    MESSAGE_TEXT_MAX = 400, /* of the runtime */
};

/* ---- Which sandboxes there are --------------------------------------------------------------- */

struct listing {
    struct isol8_host *host;
    int (*each)(const isol8_owned *item, void *user);
    void *user;
};

static int list_one(const char *id, void *user)
{
    struct listing *l = user;
    isol8_owned item;

    exec_record_describe(l->host, id, &item);
    return l->each(&item, l->user);
}

int isol8_sandbox_list(isol8_host *h, int (*each)(const isol8_owned *item, void *user), void *user,
                       isol8_error *err)
{
    struct listing l = { .host = h, .each = each, .user = user };

    return exec_reap_list(h, list_one, &l, err);
}

struct search {
    const char *beginning;
    size_t n_found;
    char id[HOST_ID_SIZE];
};

static int match_one(const char *id, void *user)
{
    struct search *s = user;

    if (strncmp(id, s->beginning, strlen(s->beginning)) != 0)
        return 0;
    s->n_found++;
    (void)snprintf(s->id, sizeof(s->id), "%s", id);
    return 0;
}

static int find_sandbox(struct isol8_host *h, const char *beginning, char id[HOST_ID_SIZE],
                        isol8_error *err)
{
    struct search s = { .beginning = beginning };
    size_t n = beginning == NULL ? 0 : strlen(beginning);

    if (n < ID_DIGITS_MIN || n >= HOST_ID_SIZE || strspn(beginning, "0123456789abcdef") != n)
        return err_set(err, ISOL8_E_INVAL,
                       "'%.80s' is no sandbox id: at least its first %d hex digits are needed",
                       beginning == NULL ? "" : beginning, ID_DIGITS_MIN);
    int r = exec_reap_list(h, match_one, &s, err);
    if (r < 0)
        return r;
    if (s.n_found == 0)
        return err_set(err, ISOL8_E_INVAL, "there is no sandbox '%s' (see 'isol8 ps')", beginning);
    if (s.n_found > 1)
        return err_set(err, ISOL8_E_INVAL, "%zu sandboxes have ids that begin with '%s'", s.n_found,
                       beginning);
    memcpy(id, s.id, HOST_ID_SIZE);
    return 0;
}

/* ---- What to run ----------------------------------------------------------------------------- */

void isol8_exec_options_init(isol8_exec_options *o)
{
    *o = (isol8_exec_options){ .size = sizeof(*o), .stdio = { 0, 1, 2 } };
}

static int check_words(const isol8_exec_options *o, isol8_error *err)
{
    size_t n = 0;

    if (o->argv == NULL || o->argv[0] == NULL || o->argv[0][0] == '\0')
        return err_set(err, ISOL8_E_INVAL, "argv: a program to run is needed");
    for (; o->argv[n] != NULL; n++) {
        if (strlen(o->argv[n]) > ENGINE_WORD_MAX)
            return err_set(err, ISOL8_E_LIMIT, "argv: argument %zu is longer than %d bytes", n,
                           ENGINE_WORD_MAX);
    }
    for (size_t i = 0; i < o->n_env; i++) {
        const isol8_pair *p = &o->env[i];
        if (p->key == NULL || p->key[0] == '\0' || strchr(p->key, '=') != NULL || p->value == NULL)
            return err_set(err, ISOL8_E_INVAL, "env: name %zu is empty or holds '='", i);
        if (strlen(p->key) + strlen(p->value) + 1 > ENGINE_WORD_MAX)
            return err_set(err, ISOL8_E_LIMIT, "env: '%.80s' is longer than %d bytes", p->key,
                           ENGINE_WORD_MAX);
    }
    if (n + o->n_env > TRAMPOLINE_WORDS_MAX / 2)
        return err_set(err, ISOL8_E_LIMIT, "argv and env: more than %d words",
                       TRAMPOLINE_WORDS_MAX / 2);
    if (o->terminal && isatty(o->stdio[0]) != 1)
        return err_set(err, ISOL8_E_INVAL, "terminal: standard input is not a terminal");
    return 0;
}

/* The variables of a program in that image; of one that is gone, isol8's own at least. */
static int add_environ(struct isol8_host *h, const char *image_name, const isol8_exec_options *o,
                       struct buf *strings, uint32_t *count, isol8_error *err)
{
    struct exec_environ *env = NULL;
    struct oci_image image = { 0 };

    if (strcmp(image_name, "host") != 0 && oci_store_get(h->store, image_name, &image, NULL) < 0)
        image = (struct oci_image){ 0 };
    int r = exec_environ_new(&env, NULL, &image, NULL, 0, o->n_env + 1, err);
    if (r == 0) {
        if (o->terminal)
            exec_environ_set(env, "TERM", "xterm");
        for (size_t i = 0; i < o->n_env; i++)
            exec_environ_set(env, o->env[i].key, o->env[i].value);
        exec_environ_write(env, strings, count);
    }
    exec_environ_free(env);
    oci_image_done(&image);
    return r;
}

/* The job as a memory file. Return: its fd or a negative status. */
static int make_job(struct isol8_host *h, const struct exec_record *rec, const char *cwd,
                    const isol8_exec_options *o, isol8_error *err)
{
    auto_buf struct buf job = BUF_INIT(sizeof(struct trampoline_job) + TRAMPOLINE_STRINGS_MAX);
    struct trampoline_job head = { .flags = (rec->is_strict ? TRAMPOLINE_STRICT : 0u) |
                                            (o->terminal ? TRAMPOLINE_TERMINAL : 0u) };

    (void)buf_add(&job, &head, sizeof(head));
    exec_add_word(&job, cwd, NULL);
    for (size_t i = 0; o->argv[i] != NULL; i++)
        exec_add_word(&job, o->argv[i], &head.argc);
    int r = add_environ(h, rec->image, o, &job, &head.envc, err);
    if (r < 0)
        return r;
    if (job.no_memory)
        return err_nomem(err);
    if (job.failed)
        return err_set(err, ISOL8_E_LIMIT, "command and environment are larger than %d bytes",
                       TRAMPOLINE_STRINGS_MAX);
    head.strings_size = (uint32_t)(job.len - sizeof(head));
    memcpy(job.data, &head, sizeof(head));
    int fd = fd_memfd("isol8-exec", job.data, job.len);
    return fd < 0 ? err_sys(err, -fd, "cannot create a memory file") : fd;
}

/* ---- Running it ------------------------------------------------------------------------------ */

static int failed(const struct trampoline_report *t, const char *cwd, isol8_error *err)
{
    if (t->stage == INIT_STAGE_CWD)
        return err_set(err, ISOL8_E_INVAL, "Working directory does not exist in the sandbox: %s",
                       cwd);
    return err_sys(err, t->errnum, "the program could not be started in the sandbox (step %u)",
                   t->stage);
}

static int runtime_failed(const struct isol8_host *h, int messages, const char *id,
                          isol8_error *err)
{
    char text[MESSAGE_TEXT_MAX];

    oci_runtime_message(messages, text, sizeof(text));
    return err_set(err, ISOL8_E_RUNTIME, "%s could not enter the sandbox '%.12s': %s",
                   h->runtime.program, id, text[0] != '\0' ? text : "it gave no reason");
}

static int run_job(struct isol8_host *h, const char *id, int job, const char *cwd,
                   const isol8_exec_options *o, int *exit_code, isol8_error *err)
{
    static const char *const argv[] = { OCI_INIT_PATH, TRAMPOLINE_WORD, NULL };
    struct trampoline_report report;
    auto_close int pidfd = -1;
    char user[24];
    int ends[2];

    auto_close int messages = fd_memfd("isol8-runtime-messages", "", 0);
    if (messages < 0)
        return err_sys(err, -messages, "cannot create a memory file");
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, errno, "cannot create a pipe");
    auto_close int from = ends[0];
    (void)snprintf(user, sizeof(user), "%u:%u", OCI_SANDBOX_UID, OCI_SANDBOX_GID);
    struct oci_runtime_exec x = { .id = id,
                                  .user = user,
                                  .argv = argv,
                                  .stdio = { o->stdio[0], o->stdio[1], o->stdio[2] },
                                  .pass_fds = { job, ends[1] },
                                  .messages_fd = messages,
                                  .terminal = o->terminal };
    int r = oci_runtime_exec(&h->runtime, &x, &pidfd, err);
    (void)fd_close(ends[1]);
    if (r < 0)
        return r;
    int code = proc_wait(pidfd, err);
    if (code < 0)
        return code;
    /* Whoever has a copy of the other end has ended, too: the runtime, or it was not started. */
    (void)fd_set_nonblock(from, true);
    ssize_t n = read(from, &report, sizeof(report));
    if (n != (ssize_t)sizeof(report))
        return runtime_failed(h, messages, id, err);
    if (report.errnum != 0)
        return failed(&report, cwd, err);
    *exit_code = code;
    return 0;
}

int isol8_exec(isol8_host *h, const isol8_exec_options *o, int *exit_code, isol8_error *err)
{
    auto_free char *cwd = NULL;
    char id[HOST_ID_SIZE];
    struct exec_record rec;

    if (o->size != sizeof(*o))
        return err_set(err, ISOL8_E_INVAL, "exec options were not initialised");
    int r = check_words(o, err);
    if (r == 0)
        r = exec_workdir(o->workdir, &cwd, err);
    if (r == 0)
        r = find_sandbox(h, o->id, id, err);
    if (r == 0)
        r = exec_record_read(h, id, &rec, err);
    if (r < 0)
        return r;
    if (!rec.is_kept)
        return err_set(err, ISOL8_E_STATE,
                       "sandbox '%.12s' is not a kept one: it belongs to process %d and ends with "
                       "its execution",
                       id, rec.pid);
    auto_close int job = make_job(h, &rec, cwd, o, err);
    if (job < 0)
        return job;
    return run_job(h, id, job, cwd, o, exit_code, err);
}
