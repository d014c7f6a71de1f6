/*
 * reco_features.c - from what a request, a customer's record, the geo
 * database and the clock say to the features that a model knows. Keeps
 * nothing; words stay where they were.
 */

#include "reco_buf.h"
#include "reco_decide.h"
#include "reco_json.h"
#include "reco_json_private.h"
#include "reco_spec.h"

#include <math.h>
#include <string.h>

#define MS_PER_HOUR  ((uint64_t) 3600 * 1000)
#define MS_PER_DAY   (24 * MS_PER_HOUR)

/* Beyond this a double is no longer one whole number. */
#define MAX_WHOLE    9007199254740992.0

/* Bytes of a client's word that a message repeats. */
#define MAX_SHOWN    64

#define SEPARATOR    '\x1f'
#define LEVEL        '\x1e'     /* begins the key of a coarser state */

/* Stands in a state for every word that is not in the vocabulary. */
static const char  other[] = "other";


/* ---- conversion --------------------------------------------------------- */

/* The whole text as a JSON number. */
static bool
number_of_text(reco_str_t text, double *number)
{
    const char  *p, *end;

    p = text.data;
    end = text.data + text.len;

    if (text.len == 0 || text.len > RECO_JSON_MAX_NUMBER
        || !(*p == '-' || (*p >= '0' && *p <= '9')))
    {
        return false;
    }

    return reco_json_read_number(&p, end, number) == NULL && p == end;
}


static int
compare_word(reco_str_t a, reco_str_t b)
{
    if (a.len != b.len) {
        return a.len < b.len ? -1 : 1;
    }

    return memcmp(a.data, b.data, a.len);
}


/* The spec reader sorted the codes by length and bytes. */
static const reco_code_t *
find_word(const reco_feature_t *f, reco_str_t word)
{
    int       order;
    uint32_t  low, high, mid;

    low = 0;
    high = f->ncodes;

    while (low < high) {
        mid = low + (high - low) / 2;
        order = compare_word(word, f->codes[mid].word);

        if (order == 0) {
            return &f->codes[mid];
        }

        if (order < 0) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }

    return NULL;
}


static bool
is_code(const reco_feature_t *f, double x)
{
    uint32_t  i;

    for (i = 0; i < f->ncodes; i++) {
        if (f->codes[i].code == x) {
            return true;
        }
    }

    return false;
}


static reco_status_t
refuse(const reco_feature_t *f, reco_error_t *err, const char *message)
{
    char  name[RECO_MAX_ID + 1];

    memcpy(name, f->name.data, f->name.len);
    name[f->name.len] = '\0';

    return reco_error_set(err, RECO_INVALID, name, "%s", message);
}


static reco_status_t
refuse_word(const reco_feature_t *f, reco_error_t *err, reco_str_t word)
{
    int   shown;
    char  name[RECO_MAX_ID + 1];

    memcpy(name, f->name.data, f->name.len);
    name[f->name.len] = '\0';

    shown = (int) word.len;

    if (word.len > MAX_SHOWN) {
        /* not in the middle of a character */
        for (shown = MAX_SHOWN;
             ((unsigned char) word.data[shown] & 0xc0) == 0x80;
             shown--)
        {
            /* void */
        }
    }

    return reco_error_set(err, RECO_INVALID, name, "unknown word '%.*s'",
                          shown, word.data);
}


static reco_status_t
convert_number(const reco_feature_t *f, reco_value_t *v, bool from_text,
    reco_error_t *err)
{
    double  x;

    if (v->kind == RECO_VALUE_NUMBER) {
        return isfinite(v->number) ? RECO_OK
               : refuse(f, err, "must be a finite number");
    }

    if (!from_text || !number_of_text(v->word, &x)) {
        return refuse(f, err, "must be a number");
    }

    *v = (reco_value_t) { RECO_VALUE_NUMBER, x, { "", 0 } };

    return RECO_OK;
}


static reco_status_t
convert_code(const reco_feature_t *f, reco_value_t *v, bool from_text,
    reco_error_t *err)
{
    double              x;
    const reco_code_t  *code;

    if (v->kind == RECO_VALUE_NUMBER) {
        return is_code(f, v->number) ? RECO_OK
               : refuse(f, err, "unknown code");
    }

    code = find_word(f, v->word);

    if (code != NULL) {
        x = code->code;

    } else if (!from_text || !number_of_text(v->word, &x) || !is_code(f, x)) {
        return refuse_word(f, err, v->word);
    }

    *v = (reco_value_t) { RECO_VALUE_NUMBER, x, { "", 0 } };

    return RECO_OK;
}


reco_status_t
reco_feature_convert(const reco_feature_t *f, reco_value_t *v, bool from_text,
    reco_error_t *err)
{
    if (v->kind == RECO_VALUE_WORD) {
        if (v->word.len == 0) {
            v->kind = RECO_VALUE_MISSING;

        } else if (!reco_id_is_valid(v->word)) {
            return refuse(f, err, "must be at most 255 bytes of UTF-8 without "
                          "control characters");
        }
    }

    if (v->kind == RECO_VALUE_MISSING) {
        return RECO_OK;
    }

    if (f->type == RECO_FEATURE_NUMBER) {
        return convert_number(f, v, from_text, err);
    }

    if (f->ncodes != 0) {
        return convert_code(f, v, from_text, err);
    }

    /* a word that happens to be a number, such as a position; whole ones have
     * one spelling only */
    if (v->kind == RECO_VALUE_NUMBER
        && !(fabs(v->number) < MAX_WHOLE
             && (double) (int64_t) v->number == v->number))
    {
        return refuse(f, err, "must be a word or a whole number");
    }

    return RECO_OK;
}


/* ---- sources ------------------------------------------------------------ */

/* Month of the year, 1..12, from days since 1970-01-01: Howard Hinnant's
 * civil_from_days, in years that begin in March. */
static unsigned
month_of(uint64_t days)
{
    uint64_t  day_of_era, year_of_era, day_of_year, from_march;

    day_of_era = (days + 719468) % 146097;
    year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524
                   - day_of_era / 146096) / 365;
    day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4
                                - year_of_era / 100);
    from_march = (5 * day_of_year + 2) / 153;

    return (unsigned) (from_march < 10 ? from_march + 3 : from_march - 9);
}


static double
time_part(uint64_t time_ms, int part)
{
    uint64_t  days = time_ms / MS_PER_DAY;

    switch ((reco_time_part_t) part) {
    case RECO_TIME_HOUR:
        return (double) (time_ms % MS_PER_DAY / MS_PER_HOUR);
    case RECO_TIME_WEEKDAY:
        return (double) ((days + 3) % 7 + 1);   /* 1970-01-01: Thursday */
    case RECO_TIME_SEASON:
        return month_of(days) % 12 / 3;
    case RECO_TIME_MONTH:
        break;
    }

    return month_of(days);
}


/* What a source says, unconverted. */
static reco_value_t
source_value(const reco_feature_from_t *from, uint32_t feature,
    const reco_request_t *request, const reco_customer_t *customer)
{
    reco_value_t  v = { RECO_VALUE_MISSING, 0, { "", 0 } };

    switch (from->source) {

    case RECO_SOURCE_REQUEST:
        return request->given[feature];

    case RECO_SOURCE_CUSTOMER:
        return customer != NULL && customer->data != NULL && from->index >= 0
               ? reco_customer_field(customer, from->index) : v;

    case RECO_SOURCE_GEO:
        v.kind = RECO_VALUE_WORD;
        v.word = request->country;
        return v;

    case RECO_SOURCE_TIME:
        v.kind = RECO_VALUE_NUMBER;
        v.number = time_part(request->time_ms, from->index);
        return v;

    case RECO_SOURCE_NONE:
    case RECO_SOURCE_DEFAULT:
        break;
    }

    return v;
}


static reco_status_t
resolve(const reco_feature_t *f, uint32_t feature,
    const reco_request_t *request, const reco_customer_t *customer,
    reco_features_t *out, reco_error_t *err)
{
    bool                        asked;
    uint32_t                    i;
    reco_value_t                v;
    const reco_feature_from_t  *from;

    for (i = 0; i < f->nfrom; i++) {
        from = &f->from[i];
        v = source_value(from, feature, request, customer);

        if (v.kind == RECO_VALUE_MISSING) {
            continue;
        }

        /* Only the client can correct its own words; a record's or the geo
         * database's that fit nothing are as good as none. */
        asked = from->source == RECO_SOURCE_REQUEST;

        if (reco_feature_convert(f, &v, !asked, asked ? err : NULL)
            != RECO_OK)
        {
            if (asked) {
                return RECO_INVALID;
            }
            continue;
        }

        if (v.kind != RECO_VALUE_MISSING) {
            out->value[feature] = v;
            out->source[feature] = (uint8_t) from->source;
            return RECO_OK;
        }
    }

    if (f->required) {
        return refuse(f, err, "is missing");
    }

    out->value[feature] = f->fallback;
    out->source[feature] = f->fallback.kind == RECO_VALUE_MISSING
                           ? RECO_SOURCE_NONE : RECO_SOURCE_DEFAULT;

    return RECO_OK;
}


void
reco_request_reset(reco_request_t *r, uint32_t nfeatures)
{
    memset(r, 0, offsetof(reco_request_t, given)
                 + nfeatures * sizeof(r->given[0]));
}


reco_status_t
reco_features_resolve(const reco_model_t *model, const reco_request_t *request,
    const reco_customer_t *customer, reco_features_t *out, reco_error_t *err)
{
    uint32_t       i;
    reco_status_t  status;

    out->n = model->nfeatures;

    for (i = 0; i < model->nfeatures; i++) {
        status = resolve(&model->features[i], i, request, customer, out, err);

        if (status != RECO_OK) {
            return status;
        }
    }

    return RECO_OK;
}


/* ---- bins and the state key --------------------------------------------- */

uint32_t
reco_feature_bin(const reco_feature_t *f, double x)
{
    uint32_t  low, high, mid;

    low = 0;
    high = f->nedges;

    while (low < high) {
        mid = low + (high - low) / 2;

        if (f->edges[mid] <= x) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }

    return low;
}


static int
compare_bytes(reco_str_t a, reco_str_t b)
{
    int  order;

    order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}


static bool
is_listed(const reco_feature_t *f, reco_str_t word)
{
    int       order;
    uint32_t  low, high, mid;

    low = 0;
    high = f->nwords;

    while (low < high) {
        mid = low + (high - low) / 2;
        order = compare_bytes(word, f->words[mid]);

        if (order == 0) {
            return true;
        }

        if (order < 0) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }

    return false;
}


bool
reco_feature_is_other(const reco_feature_t *f, const reco_value_t *v)
{
    char        digits[32];
    reco_buf_t  b;

    if (f->nwords == 0 || v->kind == RECO_VALUE_MISSING) {
        return false;
    }

    if (v->kind == RECO_VALUE_WORD) {
        return !is_listed(f, v->word);
    }

    /* a whole number is the word with its digits */
    reco_buf_init(&b, digits, sizeof(digits));
    reco_buf_i64(&b, (int64_t) v->number);

    return !is_listed(f, (reco_str_t) { digits, reco_buf_len(&b) });
}


uint32_t
reco_state_unseen(const reco_model_t *model, const reco_features_t *f)
{
    uint32_t             i, feature, n;
    const reco_level_t  *state = &model->policy.levels[0];

    n = 0;

    for (i = 0; i < state->n; i++) {
        feature = state->features[i];
        n += reco_feature_is_other(&model->features[feature],
                                   &f->value[feature]);
    }

    return n;
}


static void
state_field(reco_buf_t *b, const reco_feature_t *f, const reco_value_t *v)
{
    if (reco_feature_is_other(f, v)) {
        reco_buf_raw(b, other, sizeof(other) - 1);

    } else if (v->kind == RECO_VALUE_WORD) {
        reco_buf_raw(b, v->word.data, v->word.len);

    } else if (v->kind == RECO_VALUE_NUMBER) {
        if (f->type == RECO_FEATURE_NUMBER) {
            reco_buf_u64(b, reco_feature_bin(f, v->number));
        } else {
            reco_buf_i64(b, (int64_t) v->number);
        }
    }
}


size_t
reco_state_key(const reco_model_t *model, const reco_features_t *f,
    uint32_t level, uint32_t slot, char *key, size_t size)
{
    uint32_t               i, feature;
    reco_buf_t             b;
    const reco_level_t    *state = &model->policy.levels[level];

    reco_buf_init(&b, key, size < RECO_MAX_STATE_KEY ? size
                                                     : RECO_MAX_STATE_KEY);

    if (level > 0) {
        reco_buf_char(&b, LEVEL);
        reco_buf_char(&b, (char) ('0' + level));
        reco_buf_char(&b, SEPARATOR);
    }

    for (i = 0; i < state->n; i++) {
        feature = state->features[i];

        if (i > 0) {
            reco_buf_char(&b, SEPARATOR);
        }

        state_field(&b, &model->features[feature], &f->value[feature]);
    }

    if (model->policy.per_slot) {
        if (state->n > 0) {
            reco_buf_char(&b, SEPARATOR);
        }

        reco_buf_u64(&b, slot);
    }

    if (reco_buf_len(&b) == 0) {
        reco_buf_char(&b, SEPARATOR);
    }

    return b.overflow ? 0 : reco_buf_len(&b);
}
