/*
 * reco_geo.h - the country of an address, from a MaxMind DB.
 *
 * Reads country.iso_code (GeoIP2/GeoLite2) or a flat country_code, whichever
 * the database has. The lookup reads mapped memory and allocates nothing.
 */

#ifndef RECO_GEO_H
#define RECO_GEO_H

#include "reco_base.h"

#include <sys/socket.h>

typedef struct reco_geo_s  reco_geo_t;

reco_status_t reco_geo_open(const char *path, reco_geo_t **geo,
    reco_error_t *err);
void reco_geo_close(reco_geo_t *geo);

/* Two letters pointing into the map, valid while the database is open; empty
 * when the address is not in it (private, IPv6 in an IPv4 tree, a damaged
 * record). IPv4-mapped IPv6 addresses are looked up as IPv4. */
reco_str_t reco_geo_country(const reco_geo_t *geo, const struct sockaddr *sa);

#endif /* RECO_GEO_H */
