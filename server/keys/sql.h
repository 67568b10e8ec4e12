/* SPDX-License-Identifier: Apache-2.0 */
/**
 * sql.h - the statements, in the spelling of each database
 *
 * A driver defines SQL_P(n), its n-th parameter, SQL_CUT(column), which gives at most SQL_TEXT_MAX
 * characters of it, and the words SQL_HASH, SQL_PREFIX, SQL_TENANT, SQL_CREATED, SQL_EXPIRES,
 * SQL_USED, SQL_YES and SQL_NO, then uses SQL_STATEMENTS in the initialiser of its table; CREATE is
 * its own. Values are parameters, always. Texts are cut by the database, so that a row written by
 * somebody else cannot take all memory; what is longer than a tenant may be is then still seen to
 * be.
 */
#ifndef SERVER_KEYS_SQL_H
#define SERVER_KEYS_SQL_H

#define SQL_TEXT_MAX 512
#define SQL_LIST_MAX 10001

#define SQL_STR_(x) #x
#define SQL_STR(x) SQL_STR_(x)

#define SQL_NAMES SQL_CUT("id") ", " SQL_CUT("name") ", " SQL_CUT(SQL_PREFIX)
#define SQL_TIMES SQL_CUT(SQL_CREATED) ", " SQL_CUT(SQL_EXPIRES) ", " SQL_CUT(SQL_USED)
#define SQL_FROM ", revoked FROM api_keys "
#define SQL_SELECT "SELECT " SQL_NAMES ", " SQL_CUT(SQL_TENANT) ", " SQL_TIMES SQL_FROM
#define SQL_NEWEST " ORDER BY " SQL_CREATED " DESC LIMIT " SQL_STR(SQL_LIST_MAX)

#define SQL_INTO "(id, name, " SQL_HASH ", " SQL_PREFIX ", " SQL_TENANT
#define SQL_INTO_TIMES ", " SQL_CREATED ", " SQL_EXPIRES ", revoked) VALUES ("
#define SQL_VALUES SQL_P(1) ", " SQL_P(2) ", " SQL_P(3) ", " SQL_P(4) ", " SQL_P(5)
#define SQL_INSERT                                                                                 \
    "INSERT INTO api_keys " SQL_INTO SQL_INTO_TIMES SQL_VALUES                                     \
    ", " SQL_P(6) ", " SQL_P(7) ", " SQL_NO ")"

#define SQL_STATEMENTS                                                                             \
    [KEYS_PROBE] = SQL_SELECT "WHERE 1 = 0 AND " SQL_HASH " = ''", [KEYS_INSERT] = SQL_INSERT,     \
    [KEYS_FIND] = "SELECT " SQL_CUT("id") ", " SQL_CUT(SQL_TENANT) ", " SQL_CUT(SQL_EXPIRES)       \
        SQL_FROM "WHERE " SQL_HASH " = " SQL_P(1),                                                 \
    [KEYS_USED] = "UPDATE api_keys SET " SQL_USED " = " SQL_P(1) " WHERE " SQL_HASH                \
                                                                 " = " SQL_P(2),                   \
    [KEYS_LIST] = SQL_SELECT SQL_NEWEST,                                                           \
    [KEYS_LIST_OF] = SQL_SELECT "WHERE " SQL_TENANT " = " SQL_P(1) SQL_NEWEST,                     \
    [KEYS_REVOKE] = "UPDATE api_keys SET revoked = " SQL_YES " WHERE id = " SQL_P(1),              \
    [KEYS_PURGE] = "DELETE FROM api_keys WHERE revoked = " SQL_YES " OR " SQL_EXPIRES              \
                   " < " SQL_P(1)

#endif
