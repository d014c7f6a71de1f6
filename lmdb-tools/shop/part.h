/*
 * part.h - the parts that customers are divided into, so that what is learned
 * from some is measured on others. The part is a hash of the id: it does not
 * depend on the order, the number or the age of the customers.
 */

#ifndef RECO_PART_H
#define RECO_PART_H

#include "reco_base.h"

typedef enum {
    PART_MARKET,            /* half: the simulated market is estimated here */
    PART_DEVELOPMENT,       /* a quarter: policies are tuned here */
    PART_TEST,              /* a quarter: looked at once */
    PARTS
} part_t;

/* XXH3_64bits("reco part" 0x1f id) % 4: 0 and 1 market, 2 development, 3
 * test. An id of more than RECO_MAX_ID bytes is hashed as its beginning. */
part_t part_of(reco_str_t id);

const char *part_name(part_t part);
/* False where no part has that name. */
bool part_parse(reco_str_t name, part_t *part);

#endif /* RECO_PART_H */
