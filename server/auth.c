/* SPDX-License-Identifier: Apache-2.0 */
/* auth.c - who is calling, by which key, and how often somebody may guess. */
#include "server/auth.h"

#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"

static int digest_of(const char *key, size_t n, uint8_t out[32], isol8_error *err)
{
    auto_hash struct hash *h = NULL;
    uint8_t bytes[HASH_MAX_BYTES];
    size_t size = 0;

    int r = hash_new(&h, HASH_SHA256, err);
    if (r == 0)
        r = hash_update(h, key, n, err);
    if (r == 0)
        r = hash_final(h, bytes, &size, err);
    if (r == 0)
        memcpy(out, bytes, 32);
    return r;
}

int srv_auth_init(struct srv_auth *a, const char *key, isol8_error *err)
{
    *a = (struct srv_auth){ .is_strong = strlen(key) >= AUTH_STRONG_KEY };
    (void)pthread_mutex_init(&a->mutex, NULL);
    if (strlen(key) > AUTH_KEY_MAX)
        return err_set(err, ISOL8_E_LIMIT, "the API key is longer than %d bytes", AUTH_KEY_MAX);
    return digest_of(key, strlen(key), a->digest, err);
}

void srv_auth_done(struct srv_auth *a)
{
    explicit_bzero(a->digest, sizeof(a->digest));
    (void)pthread_mutex_destroy(&a->mutex);
}

/* ---- Failed tries ---------------------------------------------------------------------------- */

/* An IPv4 address in its IPv6 form; of IPv6 the network, which one customer has. */
static void address_of(const struct sockaddr *peer, uint8_t out[16])
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

    memset(out, 0, 16);
    if (peer != NULL && peer->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)peer;
        memcpy(out, mapped, sizeof(mapped));
        memcpy(out + 12, &in->sin_addr, 4);
    } else if (peer != NULL && peer->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)peer;
        bool is_v4 = memcmp(&in6->sin6_addr, mapped, sizeof(mapped)) == 0;
        memcpy(out, &in6->sin6_addr, is_v4 ? 16 : 8);
    }
}

static void refill(struct auth_bucket *b, double per_ms, double max)
{
    uint64_t now = clock_now_ns();

    b->left += (double)(now - b->then_ns) / 1e6 * per_ms;
    if (b->left > max)
        b->left = max;
    b->then_ns = now;
}

/* What is known of an address; made unless @adds is false. The caller holds the mutex. */
static struct auth_tries *find(struct srv_auth *a, const uint8_t address[16], bool adds)
{
    struct auth_tries *oldest = &a->tries[0];

    for (size_t i = 0; i < a->n_tries; i++) {
        if (memcmp(a->tries[i].address, address, 16) == 0)
            return &a->tries[i];
        if (a->tries[i].bucket.then_ns < oldest->bucket.then_ns)
            oldest = &a->tries[i];
    }
    if (!adds)
        return NULL;
    if (a->n_tries < AUTH_ADDRESSES)
        oldest = &a->tries[a->n_tries++];
    *oldest = (struct auth_tries){ .bucket = { AUTH_TRIES, clock_now_ns() } };
    memcpy(oldest->address, address, 16);
    return oldest;
}

/* Tries left, one of which is spent. */
static bool may_fail(struct srv_auth *a, const struct sockaddr *peer, bool spend)
{
    uint8_t address[16];
    bool may = true;

    address_of(peer, address);
    (void)pthread_mutex_lock(&a->mutex);
    struct auth_tries *t = find(a, address, spend);
    if (t != NULL) {
        refill(&t->bucket, 1.0 / AUTH_REFILL_MS, AUTH_TRIES);
        may = t->bucket.left >= 1;
        if (spend && may)
            t->bucket.left -= 1;
    }
    (void)pthread_mutex_unlock(&a->mutex);
    return may;
}

/* What was spent was no failed try. */
static void give_back(struct srv_auth *a, const struct sockaddr *peer)
{
    uint8_t address[16];

    address_of(peer, address);
    (void)pthread_mutex_lock(&a->mutex);
    struct auth_tries *t = find(a, address, false);
    if (t != NULL)
        t->bucket.left += 1; /* at most AUTH_TRIES after the next refill */
    (void)pthread_mutex_unlock(&a->mutex);
}

static bool may_look_up(struct srv_auth *a)
{
    (void)pthread_mutex_lock(&a->mutex);
    refill(&a->doubtful, AUTH_DOUBTFUL_PER_S / 1e3, AUTH_DOUBTFUL_PER_S);
    bool may = a->doubtful.left >= 1;
    if (may)
        a->doubtful.left -= 1;
    (void)pthread_mutex_unlock(&a->mutex);
    return may;
}

/* ---- Keys of the database -------------------------------------------------------------------- */

static enum auth_result check_key(struct srv_auth *a, const uint8_t digest[32],
                                  const struct sockaddr *peer, struct srv_who *who)
{
    struct keys_found found;
    enum cache_look look = srv_keys_recall(a->keys, digest, &found);
    bool has_try = look == CACHE_NEVER && may_fail(a, peer, true);

    if (look == CACHE_NEVER && !has_try && !may_look_up(a))
        return AUTH_LIMITED;
    int r = look == CACHE_FRESH ? 1 : srv_keys_look_up(a->keys, digest, &found);
    if (r != 0 && has_try)
        give_back(a, peer);
    if (r < 0)
        return AUTH_UNAVAILABLE;
    if (r == 0) /* a key that was valid until now has not taken a try yet */
        return has_try || (look == CACHE_STALE && may_fail(a, peer, true)) ? AUTH_REJECTED
                                                                           : AUTH_LIMITED;
    *who = (struct srv_who){ .is_master = false };
    memcpy(who->tenant, found.tenant, sizeof(who->tenant));
    return AUTH_KEY;
}

/* ---- The header ------------------------------------------------------------------------------ */

static bool is_same(const uint8_t a[32], const uint8_t b[32])
{
    volatile uint8_t difference = 0;

    for (size_t i = 0; i < 32; i++)
        difference = (uint8_t)(difference | (a[i] ^ b[i]));
    return difference == 0;
}

/* Behind "Bearer" and white space, in any case; a bare token is accepted as well. */
static const char *token_of(const char *header)
{
    static const char word[] = "bearer";
    size_t n = sizeof(word) - 1;

    if (strncasecmp(header, word, n) != 0 || (header[n] != ' ' && header[n] != '\t'))
        return header;
    return header + n + strspn(header + n, " \t");
}

int srv_auth_unreachable(struct srv_fault *f)
{
    return srv_fault_set(f, 503, NULL, "The key database cannot be reached");
}

static enum auth_result judge(struct srv_auth *a, const char *token, const uint8_t digest[32],
                              const struct sockaddr *peer, struct srv_who *who)
{
    bool is_key = a->keys != NULL && srv_keys_has_form(token);
    bool may_be_master = a->is_strong || may_fail(a, peer, false);

    if (may_be_master && is_same(digest, a->digest)) {
        *who = (struct srv_who){ .is_master = true };
        return AUTH_MASTER;
    }
    if (is_key)
        return check_key(a, digest, peer, who);
    return may_be_master && may_fail(a, peer, true) ? AUTH_REJECTED : AUTH_LIMITED;
}

static int answer(struct srv_auth *a, enum auth_result result, struct srv_fault *f)
{
    atomic_fetch_add(&a->counts[result], 1);
    switch (result) {
    case AUTH_REJECTED:
        return srv_fault_set(f, 403, NULL, "Invalid API key");
    case AUTH_LIMITED:
        return srv_fault_set(f, 429, NULL, "Too many failed attempts");
    case AUTH_UNAVAILABLE:
        return srv_auth_unreachable(f);
    case AUTH_MASTER:
    case AUTH_KEY:
    case AUTH_RESULTS:
        break;
    }
    return 0;
}

int srv_auth_check(struct srv_auth *a, const char *header, const struct sockaddr *peer,
                   struct srv_who *who, struct srv_fault *f)
{
    uint8_t digest[32];
    isol8_error err;

    if (header == NULL || header[0] == '\0') {
        (void)answer(a, AUTH_REJECTED, f);
        return srv_fault_set(f, 401, NULL, "Missing Authorization header");
    }
    const char *token = token_of(header);
    if (strlen(token) > AUTH_KEY_MAX)
        return answer(a, AUTH_REJECTED, f);
    if (digest_of(token, strlen(token), digest, &err) < 0)
        return srv_fault_set(f, 500, NULL, "%s", err.msg);
    return answer(a, judge(a, token, digest, peer, who), f);
}
