# SPDX-License-Identifier: Apache-2.0
# Writes the first 16 hex digits of FILE's SHA-256 as the C string NAME into OUT.
file(SHA256 ${FILE} digest)
string(SUBSTRING ${digest} 0 16 digest)
file(CONFIGURE OUTPUT ${OUT} CONTENT "/* Generated. */\n#define ${NAME} \"${digest}\"\n" @ONLY)
