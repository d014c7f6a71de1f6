/*
 * fuzz_snapshot.c - what our own code reads of a snapshot that may be damaged:
 * records, rows, actions, items, lists, history, the manifest and LMDB's
 * header. What is refused is refused without a byte read outside; what is
 * accepted packs to the bytes it was read from. LMDB's own pages are not for
 * it: a checksum keeps damaged ones away.
 */

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz_util.h"
#include "reco_lmdb.h"
#include "reco_record.h"
#include "reco_snapshot.h"

#define FIELDS   40
#define ACTIONS  100

static void
try_record(reco_str_t text)
{
    bool              sound;
    size_t            len;
    uint8_t           packed[RECO_RECORD_MAX];
    uint32_t          i, n;
    reco_str_t        names[FIELDS];
    reco_error_t      err;
    reco_value_t      values[FIELDS];
    reco_customer_t   c;

    c = (reco_customer_t) { (const uint8_t *) text.data, text.len };

    for (i = n = 0; i < FIELDS; i++) {
        names[i] = RECO_STR("field");
        values[i] = reco_customer_field(&c, (int) i);
        n += values[i].kind != RECO_VALUE_MISSING;
        FUZZ_ASSERT(values[i].kind != RECO_VALUE_NUMBER
                    || isfinite(values[i].number));
        FUZZ_ASSERT(values[i].kind != RECO_VALUE_WORD
                    || reco_id_is_valid(values[i].word));
    }

    FUZZ_ASSERT(reco_customer_field(&c, -1).kind == RECO_VALUE_MISSING);
    sound = reco_record_is_sound(c.data, c.len, FIELDS);

    if (reco_record_pack(values, names, FIELDS, packed, &len, &err)
        == RECO_OK)
    {
        FUZZ_ASSERT(reco_record_is_sound(packed, len, FIELDS));
        if (sound) {
            FUZZ_ASSERT(len == c.len && memcmp(packed, c.data, len) == 0);
        }
    } else {
        FUZZ_ASSERT(!sound);
    }
}

static void
try_row(reco_str_t text)
{
    bool                 known = true;
    size_t               len;
    uint32_t             i;
    uint8_t             *packed;
    reco_row_t           row;
    reco_str_t           key;
    static reco_entry_t  entries[ACTIONS];

    if (!reco_row_unpack((const uint8_t *) text.data, text.len, ACTIONS, &key,
                         &row))
    {
        return;
    }

    FUZZ_ASSERT(row.n <= ACTIONS);

    for (i = 0; i < row.n; i++) {
        entries[i] = reco_row_entry(&row, i);
        FUZZ_ASSERT(entries[i].action < ACTIONS);
        FUZZ_ASSERT(isfinite(entries[i].value));
        FUZZ_ASSERT(isnan(entries[i].confidence)
                    || (entries[i].confidence >= 0
                        && entries[i].confidence <= 1));
        known = known && !isnan(entries[i].confidence);
    }

    len = RECO_ROW_HEAD + key.len + row.n * RECO_ROW_ENTRY;
    FUZZ_ASSERT(len == text.len);
    packed = (uint8_t *) fuzz_alloc(len);
    reco_row_pack(key, row.visits, entries, row.n, packed);
    FUZZ_ASSERT(!known || memcmp(packed, text.data, len) == 0);
    free(packed);
}

static void
try_action(reco_str_t text)
{
    size_t          len;
    uint8_t         packed[RECO_ACTION_MAX];
    reco_action_t   a;

    if (!reco_action_unpack((const uint8_t *) text.data, text.len, &a)) {
        return;
    }

    FUZZ_ASSERT(reco_id_is_valid(a.id));
    len = reco_action_pack(&a, packed);
    FUZZ_ASSERT(len == text.len);

    if (!isnan(a.price)) {
        FUZZ_ASSERT(memcmp(packed, text.data, len) == 0);
    }
}

static void
try_item(reco_str_t text)
{
    size_t        len;
    uint8_t       packed[RECO_ITEM_MAX];
    reco_item_t   item;

    if (!reco_item_unpack((const uint8_t *) text.data, text.len, &item)) {
        return;
    }

    FUZZ_ASSERT(reco_id_is_valid(item.id));
    len = reco_item_pack(&item, packed);
    FUZZ_ASSERT(len == text.len);

    if (!isnan(item.price)) {
        FUZZ_ASSERT(memcmp(packed, text.data, len) == 0);
    }
}

static void
try_list(reco_str_t text)
{
    uint8_t             packed[RECO_MAX_LIST * RECO_LIST_ENTRY];
    uint32_t            i;
    reco_list_t         list;
    reco_list_entry_t   entries[RECO_MAX_LIST];

    if (!reco_list_unpack((const uint8_t *) text.data, text.len, &list)) {
        return;
    }

    FUZZ_ASSERT(list.n > 0 && list.n <= RECO_MAX_LIST);

    for (i = 0; i < list.n; i++) {
        entries[i] = reco_list_entry(&list, i);
    }

    reco_list_pack(entries, list.n, packed);
    FUZZ_ASSERT(memcmp(packed, text.data, text.len) == 0);

    if (reco_list_fault(&list, 1000) == NULL) {
        for (i = 0; i < list.n; i++) {
            FUZZ_ASSERT(entries[i].item < 1000);
            FUZZ_ASSERT(isfinite(entries[i].score) && entries[i].score >= 0);
            FUZZ_ASSERT(i == 0 || entries[i].score <= entries[i - 1].score);
        }
    }
}

static void
try_list_key(reco_str_t text)
{
    uint8_t      back[RECO_LIST_KEY_MAX];
    reco_str_t   name, key;

    if (reco_list_key_split(text, &name, &key)) {
        FUZZ_ASSERT(reco_list_key(name, key, back) == text.len);
        FUZZ_ASSERT(memcmp(back, text.data, text.len) == 0);
    }
}

static void
try_history(reco_str_t text)
{
    size_t           len;
    uint8_t          packed[RECO_HISTORY_MAX];
    reco_history_t   h;

    if (!reco_history_unpack((const uint8_t *) text.data, text.len, &h)) {
        return;
    }

    FUZZ_ASSERT(h.nitems <= RECO_MAX_SLATE);
    len = reco_history_pack(&h, packed, sizeof(packed));
    FUZZ_ASSERT(len == text.len);

    if (!isnan(h.value)) {
        FUZZ_ASSERT(memcmp(packed, text.data, len) == 0);
    }
}

static void
try_manifest(reco_str_t text)
{
    reco_error_t      err;
    reco_status_t     rc;
    reco_manifest_t   m;

    rc = reco_manifest_parse(text, &m, &err);

    if (rc != RECO_OK) {
        fuzz_check_error(&err, rc, text.len);
        return;
    }

    /* a name in the same folder, whatever was written there */
    FUZZ_ASSERT(memchr(m.file, '\0', sizeof(m.file)) != NULL);
    FUZZ_ASSERT(m.file[0] != '\0' && strchr(m.file, '/') == NULL);
    FUZZ_ASSERT(strcmp(m.file, ".") != 0 && strcmp(m.file, "..") != 0);
    FUZZ_ASSERT(memchr(m.model, '\0', sizeof(m.model)) != NULL);
    FUZZ_ASSERT(memchr(m.version, '\0', sizeof(m.version)) != NULL);
}

/* The header's check promises that a file is as long as it says. */
static void
try_header(reco_str_t text)
{
    int             fd;
    uint64_t        size;
    reco_error_t    err;
    reco_status_t   rc;

    fd = memfd_create("snapshot", MFD_CLOEXEC);
    FUZZ_ASSERT(fd != -1);
    FUZZ_ASSERT(write(fd, text.data, text.len) == (ssize_t) text.len);

    rc = reco_lmdb_header_check(fd, &size, &err);

    if (rc != RECO_OK) {
        fuzz_check_error(&err, rc, text.len);
    } else {
        FUZZ_ASSERT(size == text.len);
    }

    (void) close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reco_str_t  text;

    if (size == 0) {
        return 0;
    }

    text = fuzz_copy(data + 1, size - 1);

    switch (data[0]) {
    case 'c':
        try_record(text);
        break;
    case 'r':
        try_row(text);
        break;
    case 'a':
        try_action(text);
        break;
    case 'i':
        try_item(text);
        break;
    case 'l':
        try_list(text);
        break;
    case 'k':
        try_list_key(text);
        break;
    case 'y':
        try_history(text);
        break;
    case 'm':
        try_manifest(text);
        break;
    case 'h':
        try_header(text);
        break;
    default:
        break;
    }

    fuzz_free(text);

    return 0;
}
