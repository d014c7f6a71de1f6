/*
 * Countries of addresses, in MaxMind's test databases (the values are what
 * mmdblookup prints) and in a small one written here after the MaxMind DB
 * specification 2.0. Hostile databases must be refused or give no country.
 */

#include <arpa/inet.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "reco_geo.h"

#define MARKER  "\xab\xcd\xefMaxMind.com"

/* One node: 0.0.0.0/1 has the record, 128.0.0.0/1 has none. */
static const char  tree[] =
    "\0\0\x11" "\0\0\x01" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
static const char  metadata[] =
    MARKER
    "\xe9"
    "\x5b" "binary_format_major_version" "\xa1\x02"
    "\x5b" "binary_format_minor_version" "\xa0"
    "\x4b" "build_epoch" "\x01\x02\x01"
    "\x4d" "database_type" "\x44" "Flat"
    "\x4b" "description" "\xe0"
    "\x4a" "ip_version" "\xa1\x04"
    "\x49" "languages" "\x00\x04"
    "\x4a" "node_count" "\xc1\x01"
    "\x4b" "record_size" "\xa1\x18";

static const char *
data_folder(void)
{
    static char  path[1024];
    const char  *data = getenv("RECO_DATA");
    struct stat  st;

    snprintf(path, sizeof(path), "%s/maxmind",
             data != NULL ? data : "../shared/data");

    if (stat(path, &st) == -1) {
        /* not by skip(): cmocka 1.1.5 prints "not ok # SKIP", which is a
         * failure to prove */
        print_message("# skipped: no test databases at %s; set RECO_DATA\n",
                      path);
        return NULL;
    }

    return path;
}

static void
address(const char *text, struct sockaddr_storage *ss)
{
    struct sockaddr_in   *v4 = (struct sockaddr_in *) ss;
    struct sockaddr_in6  *v6 = (struct sockaddr_in6 *) ss;

    memset(ss, 0, sizeof(*ss));

    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
        v6->sin6_family = AF_INET6;
    }
}

static void
assert_country(const reco_geo_t *geo, const char *text, const char *country)
{
    reco_str_t               found;
    struct sockaddr_storage  ss;

    address(text, &ss);
    found = reco_geo_country(geo, (struct sockaddr *) &ss);

    if (found.len != strlen(country)
        || memcmp(found.data, country, found.len) != 0)
    {
        fail_msg("%s: \"%.*s\" instead of \"%s\"", text, (int) found.len,
                 found.data, country);
    }
}

/* NULL where there are no test databases: the test is over then. */
static reco_geo_t *
open_test_data(const char *name)
{
    char          path[2048];
    reco_geo_t   *geo;
    const char   *data = data_folder();
    reco_error_t  err;

    if (data == NULL) {
        return NULL;
    }

    snprintf(path, sizeof(path), "%s/test-data/%s", data, name);

    if (reco_geo_open(path, &geo, &err) != RECO_OK) {
        fail_msg("%s", err.message);
    }

    return geo;
}

static void
test_country_database(void **state)
{
    reco_geo_t          *geo = open_test_data("GeoIP2-Country-Test.mmdb");
    struct sockaddr_un   local = { .sun_family = AF_UNIX };

    (void) state;

    if (geo == NULL) {
        return;
    }

    assert_country(geo, "2.125.160.216", "GB");
    assert_country(geo, "89.160.20.112", "SE");
    assert_country(geo, "50.114.0.1", "US");
    assert_country(geo, "202.196.224.1", "PH");
    assert_country(geo, "67.43.156.1", "BT");
    assert_country(geo, "175.16.199.1", "CN");
    assert_country(geo, "2001:218::1", "JP");
    assert_country(geo, "::ffff:89.160.20.112", "SE");
    assert_country(geo, "127.0.0.1", "");
    assert_country(geo, "10.0.0.1", "");
    assert_country(geo, "8.8.8.8", "");
    assert_country(geo, "::1", "");

    assert_int_equal(reco_geo_country(geo, (struct sockaddr *) &local).len,
                     0);

    reco_geo_close(geo);
}

static void
test_city_database(void **state)
{
    reco_geo_t  *geo = open_test_data("GeoIP2-City-Test.mmdb");

    (void) state;

    if (geo == NULL) {
        return;
    }

    assert_country(geo, "81.2.69.160", "GB");
    assert_country(geo, "89.160.20.112", "SE");

    reco_geo_close(geo);
}

/* A database without countries, and a tree that has no IPv4 part. */
static void
test_other_databases(void **state)
{
    reco_geo_t  *geo = open_test_data("GeoLite2-ASN-Test.mmdb");

    (void) state;

    if (geo == NULL) {
        return;
    }

    assert_country(geo, "1.128.0.1", "");
    reco_geo_close(geo);

    geo = open_test_data("MaxMind-DB-no-ipv4-search-tree.mmdb");
    assert_country(geo, "1.1.1.1", "");
    reco_geo_close(geo);
}

/* Writes the small database with this data section to 'path'. */
static void
write_database(const char *path, const char *data, size_t len)
{
    FILE  *f = fopen(path, "w");

    assert_non_null(f);
    fwrite(tree, 1, sizeof(tree) - 1, f);
    fwrite(data, 1, len, f);
    fwrite(metadata, 1, sizeof(metadata) - 1, f);
    assert_int_equal(fclose(f), 0);
}

static void
assert_flat(const char *data, size_t len, const char *country)
{
    char          path[] = "/tmp/reco-geo-t.XXXXXX";
    reco_geo_t   *geo;
    reco_error_t  err;

    close(mkstemp(path));
    write_database(path, data, len);

    if (reco_geo_open(path, &geo, &err) != RECO_OK) {
        fail_msg("%s", err.message);
    }

    assert_country(geo, "1.2.3.4", country);
    assert_country(geo, "200.2.3.4", "");
    /* the tree is IPv4, so only the explicit conversion finds this one */
    assert_country(geo, "::ffff:1.2.3.4", country);
    assert_country(geo, "2001:218::1", "");

    reco_geo_close(geo);
    unlink(path);
}

#define FLAT(data, country)  assert_flat(data, sizeof(data) - 1, country)

static void
test_flat_schema(void **state)
{
    (void) state;

    FLAT("\xe1\x4c" "country_code\x42" "DE", "DE");
    /* both: the nested one counts */
    FLAT("\xe2\x4c" "country_code\x42" "DE"
         "\x47" "country\xe1\x48" "iso_code\x42" "FR", "FR");
    FLAT("\xe1\x4c" "country_code\x43" "DEU", "");
    FLAT("\xe1\x4c" "country_code\x41" "D", "");
    FLAT("\xe1\x4c" "country_code\x40", "");
    FLAT("\xe1\x4c" "country_code\x42" "de", "");
    FLAT("\xe1\x4c" "country_code\x42" "D1", "");
    FLAT("\xe1\x4c" "country_code\xa2\x01\x02", "");
    FLAT("\xe1\x47" "country\x42" "DE", "");
    FLAT("\x42" "DE", "");
    /* a string that runs out of the data section */
    FLAT("\xe1\x4c" "country_code\x5f\xff\xff\xff", "");
    /* a pointer out of it */
    FLAT("\xe1\x4c" "country_code\x38\xff\xff\xff\xff", "");
}

static void
look_around(const reco_geo_t *geo)
{
    reco_str_t               found;
    struct sockaddr_storage  ss;
    char                     text[64];

    for (int i = 0; i < 256; i++) {
        snprintf(text, sizeof(text), "%d.%d.%d.1", i, i * 7 % 256, i % 3);
        address(text, &ss);
        found = reco_geo_country(geo, (struct sockaddr *) &ss);
        assert_true(found.len == 0 || found.len == 2);

        snprintf(text, sizeof(text), "%x:%x::%x", i * 257, i * 31, i);
        address(text, &ss);
        found = reco_geo_country(geo, (struct sockaddr *) &ss);
        assert_true(found.len == 0 || found.len == 2);
    }

    address("::", &ss);
    (void) reco_geo_country(geo, (struct sockaddr *) &ss);
    address("255.255.255.255", &ss);
    (void) reco_geo_country(geo, (struct sockaddr *) &ss);
}

/* Opens every database below a folder; returns how many there are. */
static int
try_folder(const char *folder, int *opened)
{
    DIR            *dir = opendir(folder);
    int             n = 0;
    char            path[2048];
    reco_geo_t     *geo;
    reco_error_t    err;
    struct dirent  *e;

    assert_non_null(dir);

    while ((e = readdir(dir)) != NULL) {
        if (strstr(e->d_name, ".mmdb") == NULL) {
            continue;
        }

        n++;
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);

        if (reco_geo_open(path, &geo, &err) == RECO_OK) {
            (*opened)++;
            look_around(geo);
            reco_geo_close(geo);
        } else {
            assert_null(geo);
            assert_non_null(strstr(err.message, path));
        }
    }

    closedir(dir);

    return n;
}

static void
test_hostile_databases(void **state)
{
    int          n = 0, opened = 0;
    char         path[2048];
    const char  *data = data_folder();

    (void) state;

    if (data == NULL) {
        return;
    }

    snprintf(path, sizeof(path), "%s/bad-data/libmaxminddb", data);
    n += try_folder(path, &opened);
    snprintf(path, sizeof(path), "%s/bad-data/maxminddb-golang", data);
    n += try_folder(path, &opened);
    snprintf(path, sizeof(path), "%s/bad-data/maxminddb-python", data);
    n += try_folder(path, &opened);

    assert_int_equal(n, 21);
    assert_true(opened < n);

    opened = 0;
    snprintf(path, sizeof(path), "%s/test-data", data);
    assert_int_equal(try_folder(path, &opened), 40);
    assert_true(opened >= 38);
}

/* The small database with every bit turned, and cut off everywhere: an address
 * has two capital letters or nothing. */
static void
test_damaged(void **state)
{
    char          path[] = "/tmp/reco-geo-t.XXXXXX", bytes[1024];
    FILE         *f;
    size_t        n, len, i;
    reco_geo_t   *geo;
    reco_error_t  err;

    (void) state;

    close(mkstemp(path));
    write_database(path, "\xe1\x4c" "country_code\x42" "DE", 17);
    f = fopen(path, "r");
    assert_non_null(f);
    len = fread(bytes, 1, sizeof(bytes), f);
    assert_in_range(len, 200, sizeof(bytes) - 1);
    fclose(f);

    for (i = 0; i < 8 * len + len; i++) {
        n = i < 8 * len ? len : i - 8 * len;
        bytes[i / 8 % len] ^= (char) (i < 8 * len ? 1 << i % 8 : 0);
        f = fopen(path, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(bytes, 1, n, f), n);
        assert_int_equal(fclose(f), 0);
        bytes[i / 8 % len] ^= (char) (i < 8 * len ? 1 << i % 8 : 0);

        if (reco_geo_open(path, &geo, &err) == RECO_OK) {
            assert_int_equal(n, len);
            look_around(geo);
            reco_geo_close(geo);
        }
    }

    unlink(path);
}

static void
test_refused(void **state)
{
    char          path[] = "/tmp/reco-geo-t.XXXXXX";
    reco_geo_t   *geo = NULL;
    reco_error_t  err;

    (void) state;

    close(mkstemp(path));
    assert_int_not_equal(reco_geo_open(path, &geo, &err), RECO_OK);
    assert_null(geo);

    unlink(path);
    assert_int_equal(reco_geo_open(path, &geo, &err), RECO_NOT_FOUND);
    assert_non_null(strstr(err.message, "No such file"));

    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(reco_geo_open(path, &geo, &err), RECO_INVALID);
    unlink(path);

    assert_int_equal(reco_geo_open("/tmp", &geo, &err), RECO_INVALID);
    assert_int_equal(reco_geo_open("Makefile", &geo, &err), RECO_CORRUPT);

    reco_geo_close(NULL);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_country_database),
        cmocka_unit_test(test_city_database),
        cmocka_unit_test(test_other_databases),
        cmocka_unit_test(test_flat_schema),
        cmocka_unit_test(test_hostile_databases),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests_name("geo", tests, NULL, NULL);
}
