/* SPDX-License-Identifier: Apache-2.0 */
/* test_gate.c - first come, first served; a queue with an end; leaving it. */
#include "server/gate.h"
#include "tests/support/test.h"

#include <poll.h>

static bool is_readable(const struct srv_ticket *t)
{
    struct pollfd p = { .fd = t->fd, .events = POLLIN };

    return poll(&p, 1, 0) == 1;
}

static void test_order(void **state)
{
    struct srv_ticket t[5];
    struct srv_gate g;
    unsigned taken, queued;

    (void)state;
    srv_gate_init(&g, 1, 3);
    for (int i = 0; i < 4; i++)
        assert_int_equal(srv_gate_enter(&g, &t[i]), 0);
    assert_int_equal(srv_gate_enter(&g, &t[4]), ISOL8_E_BUSY);
    srv_gate_leave(&g, &t[4]); /* harmless */
    assert_true(srv_gate_has_place(&g, &t[0]));
    assert_false(is_readable(&t[1]));
    srv_gate_leave(&g, &t[2]); /* out of the middle of the queue */
    srv_gate_leave(&g, &t[0]);
    assert_true(is_readable(&t[1]));
    assert_true(srv_gate_has_place(&g, &t[1]));
    assert_false(is_readable(&t[3]));
    srv_gate_counts(&g, &taken, &queued);
    assert_int_equal(taken, 1);
    assert_int_equal(queued, 1);
    srv_gate_leave(&g, &t[1]);
    assert_true(srv_gate_has_place(&g, &t[3]));
    srv_gate_leave(&g, &t[3]);
    srv_gate_counts(&g, &taken, &queued);
    assert_int_equal(taken + queued, 0);
    srv_gate_done(&g);
}

static void test_leaving_at_the_end(void **state)
{
    struct srv_ticket a, b, c;
    struct srv_gate g;

    (void)state;
    srv_gate_init(&g, 1, 2);
    assert_int_equal(srv_gate_enter(&g, &a), 0);
    assert_int_equal(srv_gate_enter(&g, &b), 0);
    srv_gate_leave(&g, &b);
    assert_int_equal(srv_gate_enter(&g, &c), 0);
    srv_gate_leave(&g, &a);
    assert_true(srv_gate_has_place(&g, &c));
    srv_gate_leave(&g, &c);
    srv_gate_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_leaving_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
