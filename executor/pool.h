/* SPDX-License-Identifier: Apache-2.0 */
/**
 * pool.h - sandboxes prepared ahead, and used ones awaiting their removal
 *
 * One pool per host, shared by all its engines. Prepared sandboxes wait by kind: image, root,
 * sizes of the file systems, network, seccomp. Whatever else a request or an engine says (limits,
 * rules, variables, secrets) is put into effect when a sandbox is taken. A sandbox is taken once
 * and never comes back: it is removed, and another one is made in the background.
 */
#ifndef EXECUTOR_POOL_H
#define EXECUTOR_POOL_H

#include "executor/sandbox.h"

struct exec_pool;
struct pool_kind;

int pool_new(struct exec_pool **out, struct isol8_host *h, isol8_error *err);

/** Remove every sandbox and wait for that; no engine may be left. NULL is fine. */
void pool_drain(struct exec_pool *p);

/** After pool_drain(), when the host's threads have ended. NULL is fine. */
void pool_free(struct exec_pool *p);

/**
 * pool_join() - Tell that sandboxes of a kind will be wanted
 * @args:  What makes the kind; copied, its rules left out
 * @clean: How many are to wait
 *
 * Return: the kind, held until pool_leave(); NULL when memory is out
 */
struct pool_kind *pool_join(struct exec_pool *p, const struct sandbox_args *args, unsigned clean);

/** True when a sandbox made by @args is of this kind. */
bool pool_is_kind(const struct pool_kind *kind, const struct sandbox_args *args);

/** No longer interested. When nobody is, the kind's sandboxes go, at once or when the host's time
 * to linger is over. */
void pool_leave(struct pool_kind *kind);

/** Keep the kind itself from going while a run or a call uses it, beside what joined it. */
void pool_hold(struct pool_kind *kind);
void pool_release(struct pool_kind *kind); /* NULL is fine */

/** Wait for what is on its way out by now: removals, and sandboxes made for nobody. */
void pool_settle(struct exec_pool *p);

/** Make what is missing, without waiting. */
void pool_refill(struct pool_kind *kind);

/** Wait until @kind is full, or cannot be filled (then the reason is logged). */
void pool_wait_full(struct pool_kind *kind);

/* Somebody who waits for a sandbox that is being made. */
struct pool_ticket {
    struct pool_ticket *next;
    int fd;                  /* eventfd of the waiter, written to when the wait is over */
    struct sandbox *sandbox; /* then: NULL when it could not be made */
    bool is_over;
};

enum pool_answer {
    POOL_HAVE, /* a ready sandbox */
    POOL_WAIT, /* one is being made: the ticket is queued, and must stay where it is */
    POOL_MISS, /* make your own */
};

/** Take a sandbox; it is READY and the caller's. */
enum pool_answer pool_acquire(struct pool_kind *kind, struct pool_ticket *ticket,
                              struct sandbox **out);

/** After the ticket's descriptor became readable, or to give up waiting. Return: the sandbox that
 * was made for it, the caller's; or NULL. */
struct sandbox *pool_redeem(struct pool_kind *kind, struct pool_ticket *ticket);

/**
 * pool_retire() - Have a used sandbox removed in the background
 * @pending_max: Removals that may be under way already
 *
 * Return: true with it taken; false when too many are pending: the caller removes it
 */
bool pool_retire(struct exec_pool *p, struct sandbox *sb, unsigned pending_max);

#endif
