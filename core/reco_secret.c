/*
 * reco_secret.c - the secret file: the key that customer ids are hashed with
 * and the keys that tokens are signed with.
 *
 * Read once by whoever owns a configuration and kept for its life. The keys
 * themselves are wiped as soon as their states are prepared; the states are
 * as secret as the keys and wiped with the secret.
 */

#include "reco_buf.h"
#include "reco_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_MIN     16              /* bytes; 32 to 128 digits */
#define KEY_MAX     SHA256_CBLOCK
#define FILE_MAX    65536

typedef struct {
    const char     *name;
    size_t          line;
    reco_error_t   *err;
} where_t;

static reco_status_t secret_read_fd(int fd, const char *path,
    reco_secret_t **secret, reco_error_t *err);
static reco_status_t secret_line(reco_secret_t *s, reco_str_t line,
    bool *has_hash, const where_t *where);
static reco_status_t sign_line(reco_secret_t *s, reco_str_t kid,
    reco_str_t hex, const where_t *where);
static reco_status_t key_prepare(reco_hmac_t *h, reco_str_t hex,
    const where_t *where);
static char to_lower(char c);
static bool is_blank(char c);
static reco_str_t next_word(reco_str_t *line);

void
reco_hmac(const reco_hmac_t *key, const void *text, size_t len,
    uint8_t mac[RECO_MAC_BYTES])
{
    SHA256_CTX  c;

    c = key->inner;
    SHA256_Update(&c, text, len);
    SHA256_Final(mac, &c);

    c = key->outer;
    SHA256_Update(&c, mac, RECO_MAC_BYTES);
    SHA256_Final(mac, &c);
}

int
reco_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}

reco_status_t
reco_secret_parse(reco_str_t text, const char *name, reco_secret_t **secret,
    reco_error_t *err)
{
    bool            has_hash;
    char           *end;
    where_t         where = { name, 0, err };
    reco_str_t      line, rest;
    reco_secret_t  *s;
    reco_status_t   rc;

    *secret = NULL;

    s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return reco_error_set(err, RECO_NO_MEMORY, "", "out of memory");
    }

    has_hash = false;
    rest = text;

    while (rest.len > 0) {
        end = memchr(rest.data, '\n', rest.len);

        line.data = rest.data;
        line.len = end != NULL ? (size_t) (end - rest.data) : rest.len;
        rest.data += line.len + (end != NULL);
        rest.len -= line.len + (end != NULL);
        where.line++;

        rc = secret_line(s, line, &has_hash, &where);
        if (rc != RECO_OK) {
            goto failed;
        }
    }

    if (!has_hash || s->nsign == 0) {
        rc = reco_error_set(err, RECO_INVALID, "", "%s: no \"%s\" line",
                            name, has_hash ? "sign" : "hash");
        goto failed;
    }

    *secret = s;

    return RECO_OK;

failed:

    reco_secret_free(s);

    return rc;
}

static reco_status_t
secret_line(reco_secret_t *s, reco_str_t line, bool *has_hash,
    const where_t *where)
{
    /* begins with a control character, which no customer id has */
    static const char  probe[] = "\001reco customer key";

    uint8_t        mac[RECO_MAC_BYTES];
    reco_str_t     word, kid, hex;
    reco_status_t  rc;

    word = next_word(&line);

    if (word.len == 0 || word.data[0] == '#') {
        return RECO_OK;
    }

    if (reco_str_equal(word, RECO_STR("sign"))) {
        kid = next_word(&line);
        hex = next_word(&line);
        rc = sign_line(s, kid, hex, where);

    } else if (reco_str_equal(word, RECO_STR("hash"))) {
        if (*has_hash) {
            return reco_error_set(where->err, RECO_INVALID, "",
                                  "%s:%zu: a second \"hash\" line",
                                  where->name, where->line);
        }

        hex = next_word(&line);
        rc = key_prepare(&s->hash, hex, where);

        if (rc == RECO_OK) {
            *has_hash = true;
            reco_hmac(&s->hash, probe, sizeof(probe) - 1, mac);
            reco_hex_write(s->fingerprint, mac, 4);
        }

    } else {
        return reco_error_set(where->err, RECO_INVALID, "",
                              "%s:%zu: a line begins with \"hash\" or "
                              "\"sign\"", where->name, where->line);
    }

    if (rc == RECO_OK && next_word(&line).len > 0) {
        return reco_error_set(where->err, RECO_INVALID, "",
                              "%s:%zu: too many words", where->name,
                              where->line);
    }

    return rc;
}

static reco_status_t
sign_line(reco_secret_t *s, reco_str_t kid, reco_str_t hex,
    const where_t *where)
{
    char              c;
    reco_status_t     rc;
    reco_sign_key_t  *key;

    for (size_t i = 0; i < kid.len && i <= RECO_KID_MAX; i++) {
        c = kid.data[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
              || (c >= '0' && c <= '9')))
        {
            kid.len = 0;
        }
    }

    if (kid.len == 0 || kid.len > RECO_KID_MAX) {
        return reco_error_set(where->err, RECO_INVALID, "",
                              "%s:%zu: a key's name is 1 to 8 letters and "
                              "digits", where->name, where->line);
    }

    for (uint32_t i = 0; i < s->nsign; i++) {
        if (s->sign[i].kid_len == kid.len
            && memcmp(s->sign[i].kid, kid.data, kid.len) == 0)
        {
            return reco_error_set(where->err, RECO_INVALID, "",
                                  "%s:%zu: key \"%.*s\" is there twice",
                                  where->name, where->line, (int) kid.len,
                                  kid.data);
        }
    }

    if (s->nsign == RECO_SIGN_KEYS) {
        return reco_error_set(where->err, RECO_LIMIT, "",
                              "%s:%zu: more than %d sign keys", where->name,
                              where->line, RECO_SIGN_KEYS);
    }

    key = &s->sign[s->nsign];

    rc = key_prepare(&key->hmac, hex, where);
    if (rc == RECO_OK) {
        memcpy(key->kid, kid.data, kid.len);
        key->kid_len = kid.len;
        s->nsign++;
    }

    return rc;
}

/* Never says what stands there: it is a secret. */
static reco_status_t
key_prepare(reco_hmac_t *h, reco_str_t hex, const where_t *where)
{
    int      high, low;
    bool     ok;
    uint8_t  inner[SHA256_CBLOCK], outer[SHA256_CBLOCK], byte;

    ok = hex.len >= 2 * KEY_MIN && hex.len <= 2 * KEY_MAX
         && hex.len % 2 == 0;

    memset(inner, 0x36, sizeof(inner));
    memset(outer, 0x5c, sizeof(outer));

    for (size_t i = 0; ok && i < hex.len / 2; i++) {
        high = reco_hex_digit(to_lower(hex.data[2 * i]));
        low = reco_hex_digit(to_lower(hex.data[2 * i + 1]));
        ok = high >= 0 && low >= 0;

        byte = (uint8_t) ((unsigned) high << 4 | (unsigned) low);
        inner[i] ^= byte;
        outer[i] ^= byte;
    }

    if (ok) {
        SHA256_Init(&h->inner);
        SHA256_Update(&h->inner, inner, sizeof(inner));
        SHA256_Init(&h->outer);
        SHA256_Update(&h->outer, outer, sizeof(outer));
    }

    OPENSSL_cleanse(inner, sizeof(inner));
    OPENSSL_cleanse(outer, sizeof(outer));

    if (!ok) {
        return reco_error_set(where->err, RECO_INVALID, "",
                              "%s:%zu: a key is 32 to 128 hexadecimal "
                              "digits, an even number", where->name,
                              where->line);
    }

    return RECO_OK;
}

static char
to_lower(char c)
{
    return (c >= 'A' && c <= 'Z') ? c + ('a' - 'A') : c;
}

/* A carriage return before the line's end is a blank. */
static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static reco_str_t
next_word(reco_str_t *line)
{
    size_t      start, end;
    reco_str_t  word;

    start = 0;
    while (start < line->len && is_blank(line->data[start])) {
        start++;
    }

    end = start;
    while (end < line->len && !is_blank(line->data[end])) {
        end++;
    }

    word = (reco_str_t) { line->data + start, end - start };
    *line = (reco_str_t) { line->data + end, line->len - end };

    return word;
}

reco_status_t
reco_secret_read(const char *path, reco_secret_t **secret, reco_error_t *err)
{
    int            fd;
    reco_status_t  rc;

    *secret = NULL;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1) {
        return reco_error_set(err, errno == ENOENT ? RECO_NOT_FOUND : RECO_IO,
                              "", "cannot open '%s': %s", path,
                              strerror(errno));
    }

    rc = secret_read_fd(fd, path, secret, err);

    close(fd);

    return rc;
}

static reco_status_t
secret_read_fd(int fd, const char *path, reco_secret_t **secret,
    reco_error_t *err)
{
    char          *text;
    size_t         len;
    ssize_t        n;
    struct stat    st;
    reco_status_t  rc;

    if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
        return reco_error_set(err, RECO_INVALID, "",
                              "'%s' is not a regular file", path);
    }

    text = malloc(FILE_MAX);
    if (text == NULL) {
        return reco_error_set(err, RECO_NO_MEMORY, "", "out of memory");
    }

    len = 0;

    do {
        n = read(fd, text + len, FILE_MAX - len);
        len += n > 0 ? (size_t) n : 0;
    } while ((n > 0 && len < FILE_MAX) || (n == -1 && errno == EINTR));

    if (n == -1) {
        rc = reco_error_set(err, RECO_IO, "", "cannot read '%s': %s", path,
                            strerror(errno));
    } else if (len == FILE_MAX) {
        rc = reco_error_set(err, RECO_LIMIT, "", "'%s' is too long", path);
    } else {
        rc = reco_secret_parse((reco_str_t) { text, len }, path, secret,
                               err);
    }

    if (*secret != NULL) {
        (*secret)->exposed = (st.st_mode & S_IRWXO) != 0;
    }

    OPENSSL_cleanse(text, FILE_MAX);
    free(text);

    return rc;
}

void
reco_secret_free(reco_secret_t *secret)
{
    if (secret != NULL) {
        OPENSSL_cleanse(secret, sizeof(*secret));
        free(secret);
    }
}

bool
reco_secret_is_exposed(const reco_secret_t *secret)
{
    return secret->exposed;
}

const char *
reco_secret_fingerprint(const reco_secret_t *secret)
{
    return secret != NULL ? secret->fingerprint : "";
}

reco_str_t
reco_customer_key(const reco_secret_t *secret, reco_str_t id, char out[32])
{
    uint8_t  mac[RECO_MAC_BYTES];

    /* nobody stays nobody: a hash would make all of them one customer */
    if (secret == NULL || id.len == 0) {
        return id;
    }

    reco_hmac(&secret->hash, id.data, id.len, mac);
    reco_hex_write(out, mac, 16);

    return (reco_str_t) { out, 32 };
}
