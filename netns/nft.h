/* SPDX-License-Identifier: Apache-2.0 */
/* nft.h - load an nftables ruleset into the calling thread's network namespace. */
#ifndef NETNS_NFT_H
#define NETNS_NFT_H

#include "base/err.h"

/** All of @ruleset (nft(8) syntax) or nothing. libnftables is loaded on first use. */
int nft_load(const char *ruleset, isol8_error *err);

#endif
