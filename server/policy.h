/* SPDX-License-Identifier: Apache-2.0 */
/**
 * policy.h - the operator's settings: what an execution gets, and what a request may ask for
 *
 * The configuration's defaults are the base of every request. Above them "server.max" is the
 * ceiling; where it is not set there is a built-in one. What the operator's own defaults say is
 * always allowed, even above the ceiling.
 */
#ifndef SERVER_POLICY_H
#define SERVER_POLICY_H

#include "config/apply.h"
#include "server/fault.h"

struct srv_policy {
    isol8_options base; /* borrows from the configuration and from below */
    isol8_audit_options audit;
    struct conf_remote remote;
    struct conf_list allow, deny; /* the operator's lists: bind every request */
    struct conf_list images;
    bool has_images; /* only those in the list may be named */
    bool allow_writable, allow_persist;
    int max_network; /* rank: none, filtered, host */
    uint64_t max_memory;
    double max_cpu;
    int64_t max_pids, max_timeout_ms;
    uint64_t max_output, max_sandbox, max_tmp; /* 0 means no ceiling, in all of them */
};

/** @conf is borrowed as long as the policy lives. */
int srv_policy_init(struct srv_policy *p, const struct conf *conf, isol8_error *err);
void srv_policy_done(struct srv_policy *p);

/* Each checks a value of a request and puts it into @o. Return: 0, or -1 with the fault. */
int srv_policy_network(const struct srv_policy *p, isol8_options *o, const char *mode,
                       struct srv_fault *f);
int srv_policy_memory(const struct srv_policy *p, isol8_options *o, const char *size,
                      struct srv_fault *f);
int srv_policy_cpu(const struct srv_policy *p, isol8_options *o, double cores, struct srv_fault *f);
int srv_policy_pids(const struct srv_policy *p, isol8_options *o, double n, struct srv_fault *f);
int srv_policy_output(const struct srv_policy *p, isol8_options *o, double n, struct srv_fault *f);
int srv_policy_sandbox(const struct srv_policy *p, isol8_options *o, const char *size,
                       struct srv_fault *f);
int srv_policy_tmp(const struct srv_policy *p, isol8_options *o, const char *size,
                   struct srv_fault *f);
int srv_policy_image(const struct srv_policy *p, isol8_options *o, const char *image,
                     struct srv_fault *f);
int srv_policy_rootfs(const struct srv_policy *p, isol8_options *o, bool is_readonly,
                      struct srv_fault *f);
int srv_policy_persist(const struct srv_policy *p, isol8_options *o, bool persist,
                       struct srv_fault *f);
int srv_policy_seccomp(const struct srv_policy *p, isol8_options *o, const char *word,
                       const char *profile, struct srv_fault *f);
/** @field: the timeout may be an option or a request's field. */
int srv_policy_timeout(const struct srv_policy *p, const char *field, double ms, int64_t *out,
                       struct srv_fault *f);

#endif
