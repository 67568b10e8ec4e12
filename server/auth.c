/* SPDX-License-Identifier: Apache-2.0 */
/* auth.c - who is calling: the master key, and how often somebody may guess. */
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

/* What is known of an address; made unless @adds is false. The caller holds the mutex. */
static struct auth_tries *find(struct srv_auth *a, const uint8_t address[16], bool adds)
{
    struct auth_tries *oldest = &a->tries[0];

    for (size_t i = 0; i < a->n_tries; i++) {
        if (memcmp(a->tries[i].address, address, 16) == 0)
            return &a->tries[i];
        if (a->tries[i].then_ns < oldest->then_ns)
            oldest = &a->tries[i];
    }
    if (!adds)
        return NULL;
    if (a->n_tries < AUTH_ADDRESSES)
        oldest = &a->tries[a->n_tries++];
    *oldest = (struct auth_tries){ .left = AUTH_TRIES, .then_ns = clock_now_ns() };
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
        uint64_t now = clock_now_ns();
        t->left += (double)(now - t->then_ns) / 1e6 / AUTH_REFILL_MS;
        if (t->left > AUTH_TRIES)
            t->left = AUTH_TRIES;
        t->then_ns = now;
        may = t->left >= 1;
        if (spend && may)
            t->left -= 1;
    }
    (void)pthread_mutex_unlock(&a->mutex);
    return may;
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

static int too_many(struct srv_fault *f)
{
    return srv_fault_set(f, 429, NULL, "Too many failed attempts");
}

int srv_auth_check(struct srv_auth *a, const char *header, const struct sockaddr *peer,
                   struct srv_who *who, struct srv_fault *f)
{
    uint8_t digest[32];
    isol8_error err;

    if (header == NULL || header[0] == '\0')
        return srv_fault_set(f, 401, NULL, "Missing Authorization header");
    if (!a->is_strong && !may_fail(a, peer, false))
        return too_many(f);
    const char *token = token_of(header);
    if (strlen(token) > AUTH_KEY_MAX)
        return srv_fault_set(f, 403, NULL, "Invalid API key");
    if (digest_of(token, strlen(token), digest, &err) < 0)
        return srv_fault_set(f, 500, NULL, "%s", err.msg);
    if (is_same(digest, a->digest)) {
        *who = (struct srv_who){ .is_master = true };
        return 0;
    }
    return may_fail(a, peer, true) ? srv_fault_set(f, 403, NULL, "Invalid API key") : too_many(f);
}
