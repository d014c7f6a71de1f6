/*
 * part.c - parts of customers by a hash of their ids; keeps nothing.
 */

#include "part.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define PREFIX  "reco part\x1f"

static const char *const  names[PARTS] = { "market", "development", "test" };

part_t
part_of(reco_str_t id)
{
    char    text[sizeof(PREFIX) - 1 + RECO_MAX_ID];
    size_t  len = id.len < RECO_MAX_ID ? id.len : RECO_MAX_ID;
    static const part_t  parts[] = { PART_MARKET, PART_MARKET,
                                     PART_DEVELOPMENT, PART_TEST };

    memcpy(text, PREFIX, sizeof(PREFIX) - 1);
    if (len) {
        memcpy(text + sizeof(PREFIX) - 1, id.data, len);
    }

    return parts[XXH3_64bits(text, sizeof(PREFIX) - 1 + len) % 4];
}

const char *
part_name(part_t part)
{
    return names[part];
}

bool
part_parse(reco_str_t name, part_t *part)
{
    int  i;

    for (i = 0; i < PARTS; i++) {
        if (name.len == strlen(names[i])
            && memcmp(name.data, names[i], name.len) == 0)
        {
            *part = (part_t) i;
            return true;
        }
    }

    return false;
}
