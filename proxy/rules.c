/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c - the allow and deny lists, by PCRE2. */
#include "proxy/rules.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/dl.h"
#include "base/mem.h"

/* Values of <pcre2.h>, part of the library's ABI; the header is not needed to build. */
enum {
    PCRE2_CASELESS_ = 0x00000008,
    PCRE2_DOLLAR_ENDONLY_ = 0x00000010,
    PCRE2_NEVER_UCP_ = 0x00000800,
    PCRE2_NEVER_UTF_ = 0x00001000,
    PCRE2_NEVER_BACKSLASH_C_ = 0x00100000,
    PCRE2_NO_JIT_ = 0x00002000,
    PCRE2_JIT_COMPLETE_ = 1,
    PCRE2_INFO_JITSIZE_ = 10,
    PCRE2_INFO_SIZE_ = 22,
    PCRE2_ERROR_NOMATCH_ = -1,
    PCRE2_ERROR_JIT_STACKLIMIT_ = -46,
};

static struct {
    void *(*compile)(const uint8_t *pattern, size_t n, uint32_t options, int *error, size_t *offset,
                     void *context);
    void (*code_free)(void *code);
    int (*jit_compile)(void *code, uint32_t options);
    int (*pattern_info)(const void *code, uint32_t what, void *where);
    int (*match)(const void *code, const uint8_t *subject, size_t n, size_t start, uint32_t options,
                 void *match_data, void *context);
    void *(*match_data_create)(uint32_t pairs, void *general_context);
    void (*match_data_free)(void *match_data);
    void *(*match_context_create)(void *general_context);
    void (*match_context_free)(void *context);
    int (*set_match_limit)(void *context, uint32_t limit);
    int (*set_depth_limit)(void *context, uint32_t limit);
    int (*set_heap_limit)(void *context, uint32_t kib);
    int (*get_error_message)(int error, uint8_t *text, size_t cap);
} lib;
static isol8_error load_error;
static int load_status;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static void load(void)
{
    static const struct dl_symbol symbols[] = {
        { "pcre2_compile_8", &lib.compile },
        { "pcre2_code_free_8", &lib.code_free },
        { "pcre2_jit_compile_8", &lib.jit_compile },
        { "pcre2_pattern_info_8", &lib.pattern_info },
        { "pcre2_match_8", &lib.match },
        { "pcre2_match_data_create_8", &lib.match_data_create },
        { "pcre2_match_data_free_8", &lib.match_data_free },
        { "pcre2_match_context_create_8", &lib.match_context_create },
        { "pcre2_match_context_free_8", &lib.match_context_free },
        { "pcre2_set_match_limit_8", &lib.set_match_limit },
        { "pcre2_set_depth_limit_8", &lib.set_depth_limit },
        { "pcre2_set_heap_limit_8", &lib.set_heap_limit },
        { "pcre2_get_error_message_8", &lib.get_error_message },
        { NULL, NULL },
    };

    load_status = dl_load("libpcre2-8.so.0", symbols, &load_error);
}

struct rule {
    char *pattern; /* owned */
    void *code;    /* owned */
};

struct rule_list {
    struct rule *rules; /* owned */
    size_t n;
};

struct proxy_rules {
    struct rule_list allow;
    struct rule_list deny;
    struct rule_list bound; /* none: no bound; else one must match, too */
    void *context;          /* limits of a match; owned, only read once made */
    size_t code_bytes;      /* of all patterns */
};

static bool is_ascii(const char *s)
{
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s > 0x7f)
            return false;
    }
    return true;
}

static size_t code_size(const void *code)
{
    size_t size = 0, jit = 0;

    (void)lib.pattern_info(code, PCRE2_INFO_SIZE_, &size);
    (void)lib.pattern_info(code, PCRE2_INFO_JITSIZE_, &jit);
    return size + jit;
}

static int compile_rule(struct proxy_rules *r, struct rule *rule, const char *pattern,
                        isol8_error *err)
{
    const uint32_t options = PCRE2_CASELESS_ | PCRE2_DOLLAR_ENDONLY_ | PCRE2_NEVER_UCP_ |
                             PCRE2_NEVER_UTF_ | PCRE2_NEVER_BACKSLASH_C_;
    size_t n = strlen(pattern), offset = 0;
    int error = 0;

    if (n > PROXY_PATTERN_MAX)
        return err_set(err, ISOL8_E_LIMIT, "longer than %d bytes", PROXY_PATTERN_MAX);
    if (!is_ascii(pattern))
        return err_set(err, ISOL8_E_INVAL, "'%.80s' can match no name: write names as xn--...",
                       pattern);
    rule->pattern = mem_strdup(pattern);
    if (rule->pattern == NULL)
        return err_nomem(err);
    rule->code = lib.compile((const uint8_t *)pattern, n, options, &error, &offset, NULL);
    if (rule->code == NULL) {
        uint8_t text[128] = "";
        (void)lib.get_error_message(error, text, sizeof(text));
        return err_set(err, ISOL8_E_INVAL, "'%.80s' at offset %zu: %s", pattern, offset,
                       (const char *)text);
    }
    /* Where memory may not be made executable the interpreter matches, within the same limits. */
    (void)lib.jit_compile(rule->code, PCRE2_JIT_COMPLETE_);
    r->code_bytes += code_size(rule->code);
    if (r->code_bytes > PROXY_RULES_CODE_MAX)
        return err_set(err, ISOL8_E_LIMIT, "the patterns need more than %d MiB of memory",
                       PROXY_RULES_CODE_MAX >> 20);
    return 0;
}

static int compile_list(struct proxy_rules *r, struct rule_list *list, const char *name,
                        const char *const *patterns, size_t n, isol8_error *err)
{
    if (n > PROXY_RULES_MAX)
        return err_set(err, ISOL8_E_LIMIT, "%s: more than %d patterns", name, PROXY_RULES_MAX);
    if (n == 0)
        return 0;
    list->rules = calloc(n, sizeof(*list->rules));
    if (list->rules == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        list->n = i + 1;
        int status = compile_rule(r, &list->rules[i], patterns[i], err);
        if (status < 0)
            return err_wrap(err, status, "%s[%zu]", name, i);
    }
    return 0;
}

static int make_context(struct proxy_rules *r, isol8_error *err)
{
    (void)pthread_once(&load_once, load);
    if (load_status < 0)
        return err_set(err, load_status, "%s", load_error.msg);
    r->context = lib.match_context_create(NULL);
    if (r->context == NULL)
        return err_nomem(err);
    (void)lib.set_match_limit(r->context, PROXY_MATCH_STEPS);
    (void)lib.set_depth_limit(r->context, PROXY_MATCH_STEPS);
    (void)lib.set_heap_limit(r->context, PROXY_MATCH_HEAP_KIB);
    return 0;
}

int proxy_rules_new(struct proxy_rules **out, const char *allow_name, const char *const *allow,
                    size_t n_allow, const char *deny_name, const char *const *deny, size_t n_deny,
                    isol8_error *err)
{
    auto_proxy_rules struct proxy_rules *r = calloc(1, sizeof(*r));
    int status;

    if (r == NULL)
        return err_nomem(err);
    if (n_allow + n_deny > 0) {
        status = make_context(r, err);
        if (status < 0)
            return status;
    }

    status = compile_list(r, &r->allow, allow_name, allow, n_allow, err);
    if (status < 0)
        return status;

    status = compile_list(r, &r->deny, deny_name, deny, n_deny, err);
    if (status < 0)
        return status;

    *out = take_ptr(&r);
    return 0;
}

int proxy_rules_bound(struct proxy_rules *r, const char *name, const char *const *patterns,
                      size_t n, isol8_error *err)
{
    int status = n > 0 && r->context == NULL ? make_context(r, err) : 0;

    return status < 0 ? status : compile_list(r, &r->bound, name, patterns, n, err);
}

static void free_list(struct rule_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->rules[i].pattern);
        if (list->rules[i].code != NULL)
            lib.code_free(list->rules[i].code);
    }
    free(list->rules);
}

void proxy_rules_free(struct proxy_rules *r)
{
    if (r == NULL)
        return;
    free_list(&r->allow);
    free_list(&r->deny);
    free_list(&r->bound);
    if (r->context != NULL)
        lib.match_context_free(r->context);
    free(r);
}

/* One decision at work. */
struct search {
    const struct proxy_rules *rules;
    const uint8_t *host;
    size_t n;
    void *match_data;
    uint64_t start_ns, start_cpu_ns;
};

enum found { FOUND_NONE, FOUND_MATCH, FOUND_STEPS, FOUND_TIME };

static uint64_t cpu_now_ns(void)
{
    struct timespec t = { 0 };

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The thread's own time counts, so that a busy machine blocks nobody; asking for it takes a system
 * call, asking for the other clock does not. */
static bool is_late(const struct search *s)
{
    const uint64_t budget_ns = PROXY_MATCH_CPU_MS * (uint64_t)1000000;

    return clock_now_ns() - s->start_ns > budget_ns && cpu_now_ns() - s->start_cpu_ns > budget_ns;
}

static enum found match_rule(const struct search *s, const struct rule *rule)
{
    int r = lib.match(rule->code, s->host, s->n, 0, 0, s->match_data, s->rules->context);

    /* JIT code has 32 KiB of stack; the interpreter takes memory up to its own limit. */
    if (r == PCRE2_ERROR_JIT_STACKLIMIT_)
        r = lib.match(rule->code, s->host, s->n, 0, PCRE2_NO_JIT_, s->match_data,
                      s->rules->context);
    if (r >= 0)
        return FOUND_MATCH;
    if (r != PCRE2_ERROR_NOMATCH_)
        return FOUND_STEPS;
    return is_late(s) ? FOUND_TIME : FOUND_NONE;
}

/* The first rule of the list that matches or hits a limit. */
static enum found search_list(const struct search *s, const struct rule_list *list,
                              const char **rule)
{
    for (size_t i = 0; i < list->n; i++) {
        enum found f = match_rule(s, &list->rules[i]);
        if (f != FOUND_NONE) {
            *rule = list->rules[i].pattern;
            return f;
        }
    }
    return FOUND_NONE;
}

static struct proxy_decision over_limit(enum found f, const char *rule)
{
    return (struct proxy_decision){
        .outcome = ISOL8_PROXY_RULE_LIMIT,
        .rule = rule,
        .reason = f == FOUND_STEPS ? "rule hit its step limit" : "rules hit their time limit",
    };
}

static struct proxy_decision decide(const struct search *s)
{
    const char *rule = NULL;
    enum found f = search_list(s, &s->rules->deny, &rule);

    if (f == FOUND_MATCH)
        return (struct proxy_decision){ false, ISOL8_PROXY_DENIED, rule, "denied by rule" };
    if (f != FOUND_NONE)
        return over_limit(f, rule);
    if (s->rules->bound.n > 0) {
        f = search_list(s, &s->rules->bound, &rule);
        if (f == FOUND_NONE)
            return (struct proxy_decision){ .outcome = ISOL8_PROXY_NOT_ALLOWED,
                                            .reason = "outside the operator's allow list" };
        if (f != FOUND_MATCH)
            return over_limit(f, rule);
        rule = NULL;
    }
    if (s->rules->allow.n == 0)
        return (struct proxy_decision){ .is_allowed = true, .reason = "no allow list" };
    f = search_list(s, &s->rules->allow, &rule);
    if (f == FOUND_MATCH)
        return (struct proxy_decision){ true, ISOL8_PROXY_ALLOWED, rule, "allowed by rule" };
    if (f != FOUND_NONE)
        return over_limit(f, rule);
    return (struct proxy_decision){ .outcome = ISOL8_PROXY_NOT_ALLOWED,
                                    .reason = "not on the allow list" };
}

struct proxy_decision proxy_rules_match(const struct proxy_rules *r, const char *host)
{
    struct search s = { .rules = r, .host = (const uint8_t *)host, .n = strlen(host) };

    if (r->context == NULL) /* no pattern at all */
        return (struct proxy_decision){ .is_allowed = true, .reason = "no allow list" };
    s.match_data = lib.match_data_create(1, NULL);
    if (s.match_data == NULL)
        return (struct proxy_decision){ .outcome = ISOL8_PROXY_RULE_LIMIT,
                                        .reason = "out of memory" };
    s.start_ns = clock_now_ns();
    s.start_cpu_ns = cpu_now_ns();
    struct proxy_decision d = decide(&s);
    lib.match_data_free(s.match_data);
    return d;
}
