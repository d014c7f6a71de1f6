/*
 * reco_geo.c - the country of an address, read from a MaxMind DB.
 *
 * The database is mapped when it is opened and stays so until it is closed; a
 * new one must take the old one's place by rename, never be written over it.
 * libmaxminddb checks every offset it follows; whatever it refuses is an
 * address without a country.
 */

#include "reco_geo.h"

#include <errno.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct reco_geo_s {
    MMDB_s  mmdb;
};

static MMDB_lookup_result_s lookup(const MMDB_s *mmdb,
    const struct sockaddr *sa, int *status);
static reco_str_t country_code(MMDB_entry_s *entry, const char *const *path);

/* Both schemas in the order they are tried. */
static const char *const  nested[] = { "country", "iso_code", NULL };
static const char *const  flat[] = { "country_code", NULL };

reco_status_t
reco_geo_open(const char *path, reco_geo_t **geo, reco_error_t *err)
{
    int          rc;
    reco_geo_t  *g;
    struct stat  st;

    *geo = NULL;

    /* opening a fifo would wait for its writer */
    if (stat(path, &st) == -1) {
        return reco_error_set(err, errno == ENOENT ? RECO_NOT_FOUND : RECO_IO,
                              "", "cannot open '%s': %s", path,
                              strerror(errno));
    }

    if (!S_ISREG(st.st_mode)) {
        return reco_error_set(err, RECO_INVALID, "",
                              "'%s' is not a regular file", path);
    }

    g = calloc(1, sizeof(*g));
    if (g == NULL) {
        return reco_error_set(err, RECO_NO_MEMORY, "", "out of memory");
    }

    rc = MMDB_open(path, MMDB_MODE_MMAP, &g->mmdb);
    if (rc != MMDB_SUCCESS) {
        free(g);
        return reco_error_set(err,
                              rc == MMDB_OUT_OF_MEMORY_ERROR ? RECO_NO_MEMORY
                              : rc == MMDB_FILE_OPEN_ERROR ? RECO_IO
                              : RECO_CORRUPT,
                              "", "cannot open '%s': %s", path,
                              MMDB_strerror(rc));
    }

    *geo = g;

    return RECO_OK;
}

void
reco_geo_close(reco_geo_t *geo)
{
    if (geo != NULL) {
        MMDB_close(&geo->mmdb);
        free(geo);
    }
}

reco_str_t
reco_geo_country(const reco_geo_t *geo, const struct sockaddr *sa)
{
    int                   status;
    reco_str_t            code;
    MMDB_lookup_result_s  found;

    found = lookup(&geo->mmdb, sa, &status);

    if (status != MMDB_SUCCESS || !found.found_entry) {
        return (reco_str_t) { "", 0 };
    }

    code = country_code(&found.entry, nested);

    return code.len > 0 ? code : country_code(&found.entry, flat);
}

/* The caller's address is copied: it may be of any alignment, and a mapped
 * one is looked up as the IPv4 address it stands for, whether or not the
 * database aliases ::ffff:0:0/96. */
static MMDB_lookup_result_s
lookup(const MMDB_s *mmdb, const struct sockaddr *sa, int *status)
{
    union {
        struct sockaddr      any;
        struct sockaddr_in   v4;
        struct sockaddr_in6  v6;
    } u;
    struct in_addr        mapped;
    MMDB_lookup_result_s  none = { .found_entry = false };

    memset(&u, 0, sizeof(u));

    switch (sa->sa_family) {

    case AF_INET:
        memcpy(&u.v4, sa, sizeof(u.v4));
        break;

    case AF_INET6:
        memcpy(&u.v6, sa, sizeof(u.v6));

        if (IN6_IS_ADDR_V4MAPPED(&u.v6.sin6_addr)) {
            memcpy(&mapped, &u.v6.sin6_addr.s6_addr[12], sizeof(mapped));
            memset(&u, 0, sizeof(u));
            u.v4.sin_family = AF_INET;
            u.v4.sin_addr = mapped;
        }
        break;

    default:
        *status = MMDB_INVALID_LOOKUP_PATH_ERROR;
        return none;
    }

    return MMDB_lookup_sockaddr(mmdb, &u.any, status);
}

/* Empty unless there are two capital letters at 'path'. */
static reco_str_t
country_code(MMDB_entry_s *entry, const char *const *path)
{
    MMDB_entry_data_s  data;

    if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS
        || !data.has_data || data.type != MMDB_DATA_TYPE_UTF8_STRING
        || data.data_size != 2
        || data.utf8_string[0] < 'A' || data.utf8_string[0] > 'Z'
        || data.utf8_string[1] < 'A' || data.utf8_string[1] > 'Z')
    {
        return (reco_str_t) { "", 0 };
    }

    return (reco_str_t) { data.utf8_string, data.data_size };
}
