/*
 * reco_format_cart_agent.c - what the cart agent tells of itself
 * (docs/HTTP.md): metrics, state, history. Every figure is one that the
 * trainer wrote into the snapshot or that shared memory counted; what there is
 * none of is null.
 *
 * The trainer's facts are read with jansson: nothing here is on the path of a
 * decision.
 */

#include "reco_agent.h"
#include "reco_format_impl.h"
#include "reco_jansson.h"

#include <math.h>

#define RECORD_FIXED    512     /* names, times, numbers of a record */

/* ---- JSON ------------------------------------------------------------- */

static reco_str_t
str(const char *s)
{
    return (reco_str_t) { s, strlen(s) };
}

static void write_value(reco_buf_t *out, const json_t *v);

static void
write_object(reco_buf_t *out, const json_t *v)
{
    const char  *key;
    json_t      *member;
    bool         some = false;

    reco_buf_char(out, '{');

    json_object_foreach((json_t *) v, key, member) {
        if (some) {
            reco_buf_char(out, ',');
        }

        some = true;
        reco_buf_json_string(out, str(key));
        reco_buf_char(out, ':');
        write_value(out, member);
    }

    reco_buf_char(out, '}');
}

/* A value of the training facts as it is; of none, null. Depth is bounded by
 * jansson's own limit. */
static void
write_value(reco_buf_t *out, const json_t *v)
{
    size_t  i;

    if (v == NULL) {
        reco_buf_cstr(out, "null");
        return;
    }

    switch (json_typeof(v)) {

    case JSON_OBJECT:
        write_object(out, v);
        break;

    case JSON_ARRAY:
        reco_buf_char(out, '[');

        for (i = 0; i < json_array_size(v); i++) {
            if (i > 0) {
                reco_buf_char(out, ',');
            }

            write_value(out, json_array_get(v, i));
        }

        reco_buf_char(out, ']');
        break;

    case JSON_STRING:
        reco_buf_json_string(out, (reco_str_t) { json_string_value(v),
                                                 json_string_length(v) });
        break;

    case JSON_INTEGER:
        reco_buf_i64(out, json_integer_value(v));
        break;

    case JSON_REAL:
        reco_buf_double(out, json_real_value(v));
        break;

    default:
        reco_buf_cstr(out, json_is_true(v) ? "true"
                           : json_is_false(v) ? "false" : "null");
    }
}

static void
write_name(reco_buf_t *out, const char *name)
{
    reco_buf_json_string(out, str(name));
    reco_buf_char(out, ':');
}

/* ,"name":value */
static void
write_fact(reco_buf_t *out, const char *name, const json_t *v)
{
    reco_buf_char(out, ',');
    write_name(out, name);
    write_value(out, v);
}

static void
write_number(reco_buf_t *out, const char *name, double v)
{
    reco_buf_char(out, ',');
    write_name(out, name);
    reco_buf_double(out, v);
}

static void
write_optional(reco_buf_t *out, const char *name, reco_str_t s)
{
    reco_buf_char(out, ',');
    write_name(out, name);

    if (s.len > 0) {
        reco_buf_json_string(out, s);
    } else {
        reco_buf_cstr(out, "null");
    }
}

static void
write_time(reco_buf_t *out, const char *name, uint64_t time_ms)
{
    reco_buf_char(out, ',');
    write_name(out, name);

    if (time_ms == 0) {
        reco_buf_cstr(out, "null");
        return;
    }

    reco_buf_char(out, '"');
    reco_buf_time(out, time_ms);
    reco_buf_char(out, '"');
}

static void
write_u64(reco_buf_t *out, const char *name, bool known, uint64_t v)
{
    reco_buf_char(out, ',');
    write_name(out, name);

    if (known) {
        reco_buf_u64(out, v);
    } else {
        reco_buf_cstr(out, "null");
    }
}

static void
begin(reco_buf_t *out, const reco_agent_t *a)
{
    reco_buf_cstr(out, "{\"success\":true,\"data\":{\"model\":");
    reco_buf_json_string(out, a->model->name);
    write_optional(out, "version", (a->info != NULL) ? a->model->version
                                                     : RECO_FORMAT_ROOT);
    write_u64(out, "generation", true, a->generation);
}

static void
end(reco_buf_t *out, const reco_agent_t *a)
{
    reco_buf_char(out, '}');
    write_time(out, "timestamp", a->time_ms);
    reco_buf_char(out, '}');
}

/* The trainer's facts, to be given back; NULL without a snapshot, and where
 * they are no JSON after all. */
static reco_status_t
read_training(const reco_agent_t *a, json_t **t)
{
    reco_error_t  err;

    *t = NULL;

    if (a->info == NULL || a->info->training == NULL) {
        return RECO_OK;
    }

    return (reco_jansson_load(str(a->info->training), t, &err)
            == RECO_NO_MEMORY)
           ? RECO_NO_MEMORY : RECO_OK;
}

/* ---- metrics ---------------------------------------------------------- */

/* {"id": n, ...}, or with a total the shares of it */
static void
write_counts(reco_buf_t *out, const char *name, const reco_count_t *counts,
    uint32_t n, uint64_t total)
{
    uint32_t  i;

    reco_buf_char(out, ',');
    write_name(out, name);
    reco_buf_char(out, '{');

    for (i = 0; i < n; i++) {
        if (i > 0) {
            reco_buf_char(out, ',');
        }

        reco_buf_json_string(out, counts[i].name);
        reco_buf_char(out, ':');

        if (total > 0) {
            reco_buf_double(out, (double) counts[i].count / (double) total);
        } else {
            reco_buf_u64(out, counts[i].count);
        }
    }

    reco_buf_char(out, '}');
}

static void
write_live(reco_buf_t *out, const reco_agent_t *a)
{
    uint32_t  i;
    uint64_t  total = 0;

    if (!a->counted) {
        reco_buf_cstr(out, ",\"live\":null");
        return;
    }

    for (i = 0; i < a->nactions; i++) {
        total += a->actions[i].count;
    }

    reco_buf_cstr(out, ",\"live\":{\"decisions\":");
    reco_buf_u64(out, total);
    write_counts(out, "actions", a->actions, a->nactions, 0);

    if (total > 0) {
        write_counts(out, "action_distribution", a->actions, a->nactions,
                     total);
    } else {
        reco_buf_cstr(out, ",\"action_distribution\":null");
    }

    write_counts(out, "facts_of_all_models", a->facts, a->nfacts, 0);
    reco_buf_char(out, '}');
}

/* One number of each country: {"GB": 12, ...} */
static void
write_by_country(reco_buf_t *out, const char *name, const json_t *countries,
    const char *field)
{
    const char  *code;
    json_t      *v;
    bool         some = false;

    if (!json_is_object(countries)) {
        write_fact(out, name, NULL);
        return;
    }

    reco_buf_char(out, ',');
    write_name(out, name);
    reco_buf_char(out, '{');

    json_object_foreach((json_t *) countries, code, v) {
        if (some) {
            reco_buf_char(out, ',');
        }

        some = true;
        write_name(out, code);
        write_value(out, json_object_get(v, field));
    }

    reco_buf_char(out, '}');
}

static reco_status_t
render_metrics(reco_buf_t *out, const reco_agent_t *a)
{
    json_t         *t, *countries;
    reco_status_t   rc;

    rc = read_training(a, &t);
    if (rc != RECO_OK) {
        return rc;
    }

    countries = json_object_get(t, "countries");

    begin(out, a);
    write_fact(out, "algorithm", json_object_get(t, "algorithm"));
    write_fact(out, "episodes", json_object_get(t, "episodes"));
    write_fact(out, "transitions", json_object_get(t, "transitions"));
    write_fact(out, "conversion_rate", json_object_get(t, "conversion_rate"));
    write_fact(out, "average_reward", json_object_get(t, "average_reward"));
    write_fact(out, "reward_variance", json_object_get(t, "reward_variance"));
    write_fact(out, "reward_by_episode",
               json_object_get(t, "reward_by_episode"));
    write_fact(out, "confidence", json_object_get(t, "confidence"));
    write_fact(out, "action_distribution", json_object_get(t, "actions"));
    write_by_country(out, "orders_by_country", countries, "orders");
    write_by_country(out, "revenue_by_country", countries, "revenue");
    write_u64(out, "q_table_size", a->info != NULL,
              (a->info != NULL) ? a->info->states : 0);
    write_fact(out, "q_table", json_object_get(t, "table"));
    write_fact(out, "convergence", json_object_get(t, "convergence"));
    write_live(out, a);
    end(out, a);

    json_decref(t);

    return RECO_OK;
}

/* ---- state ------------------------------------------------------------ */

/* What the trainer used; without a training what the spec says. */
static void
write_setting(reco_buf_t *out, const char *name, const json_t *used,
    double configured)
{
    if (json_is_number(used)) {
        write_fact(out, name, used);
    } else {
        write_number(out, name, configured);
    }
}

static void
write_recent(reco_buf_t *out, const reco_agent_t *a)
{
    uint32_t               i;
    const reco_history_t  *h;

    if (!a->counted) {
        reco_buf_cstr(out, ",\"recent_actions\":null");
        return;
    }

    reco_buf_cstr(out, ",\"recent_actions\":[");

    for (i = 0; i < a->nrecords; i++) {
        h = a->records[i];

        reco_buf_cstr(out, (i > 0) ? ",{\"action_type\":"
                                   : "{\"action_type\":");
        reco_buf_json_string(out, h->action);
        write_number(out, "confidence_score", h->value);
        write_time(out, "timestamp", h->time_ms);
        reco_buf_char(out, '}');
    }

    reco_buf_char(out, ']');
}

/* The table is part of the snapshot's file, which is mapped as a whole; its
 * limit is one of states. */
static void
write_memory(reco_buf_t *out, const reco_agent_t *a)
{
    const reco_snapshot_info_t  *info = a->info;

    if (info == NULL) {
        reco_buf_cstr(out, ",\"memory\":null");
        return;
    }

    reco_buf_cstr(out, ",\"memory\":{\"used_bytes\":");
    reco_buf_u64(out, a->snapshot_bytes);
    write_u64(out, "used_states", true, info->states);
    write_u64(out, "limit_states", true, a->model->learning.max_states);
    reco_buf_char(out, '}');
}

static void
write_last_training(reco_buf_t *out, const reco_agent_t *a, const json_t *t)
{
    uint64_t       at;
    const json_t  *v = json_object_get(t, "last_training_ms");
    const json_t  *algorithm = json_object_get(t, "algorithm");

    if (a->info == NULL || !json_is_string(algorithm)) {
        reco_buf_cstr(out, ",\"last_training\":null");
        return;
    }

    at = (json_is_integer(v) && json_integer_value(v) > 0)
         ? (uint64_t) json_integer_value(v) : a->info->built_ms;

    reco_buf_cstr(out, ",\"last_training\":{\"algorithm\":");
    write_value(out, algorithm);
    write_time(out, "timestamp", at);
    write_time(out, "published", a->published_ms);
    write_u64(out, "generation", true, a->generation);
    write_u64(out, "parent", true, a->info->parent);
    write_fact(out, "passes", json_object_get(t, "passes"));
    write_fact(out, "transitions", json_object_get(t, "transitions"));
    reco_buf_char(out, '}');
}

static reco_status_t
render_state(reco_buf_t *out, const reco_agent_t *a)
{
    json_t                 *t;
    reco_status_t           rc;
    const reco_learning_t  *learning = &a->model->learning;

    rc = read_training(a, &t);
    if (rc != RECO_OK) {
        return rc;
    }

    begin(out, a);
    write_u64(out, "q_table_size", a->info != NULL,
              (a->info != NULL) ? a->info->states : 0);
    write_fact(out, "current_episode", json_object_get(t, "episodes"));

    if (a->info != NULL && a->model->policy.type == RECO_POLICY_Q_TABLE) {
        write_setting(out, "epsilon", json_object_get(t, "epsilon"),
                      (a->model->policy.epsilon >= 0)
                      ? a->model->policy.epsilon : (double) NAN);
        write_setting(out, "learning_rate",
                      json_object_get(t, "learning_rate"),
                      learning->learning_rate);
        write_setting(out, "discount_factor",
                      json_object_get(t, "discount_factor"),
                      learning->discount_factor);

    } else {
        reco_buf_cstr(out, ",\"epsilon\":null,\"learning_rate\":null,"
                           "\"discount_factor\":null");
    }

    write_recent(out, a);
    write_memory(out, a);
    write_last_training(out, a, t);
    end(out, a);

    json_decref(t);

    return RECO_OK;
}

/* ---- history ---------------------------------------------------------- */

static void
write_record(reco_buf_t *out, const reco_history_t *h)
{
    uint32_t  i;

    reco_buf_cstr(out, "{\"decision_id\":\"");
    reco_buf_hex(out, h->id.bytes, RECO_ID_BYTES);
    reco_buf_char(out, '"');
    write_optional(out, "customer_id", h->customer_key);
    write_optional(out, "session_id", h->session);
    write_optional(out, "action_type", h->action);
    reco_buf_cstr(out, ",\"recommendations\":[");

    for (i = 0; i < h->nitems; i++) {
        if (i > 0) {
            reco_buf_char(out, ',');
        }

        reco_buf_json_string(out, h->items[i]);
    }

    reco_buf_char(out, ']');
    write_number(out, "confidence_score", h->value);
    write_u64(out, "generation", true, h->generation);
    write_time(out, "timestamp", h->time_ms);
    reco_buf_char(out, '}');
}

/* Bytes of a CSV field within its quotes. */
static void
write_csv_text(reco_buf_t *out, reco_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] == '"') {
            reco_buf_char(out, '"');
        }

        reco_buf_char(out, s.data[i]);
    }
}

/* RFC 4180. Always quoted; what a spreadsheet would take for a formula has an
 * apostrophe before it, which makes it text there. */
static void
write_csv(reco_buf_t *out, const reco_str_t *parts, uint32_t n)
{
    uint32_t  i;

    reco_buf_cstr(out, ",\"");

    if (n > 0 && parts[0].len > 0
        && memchr("=+-@", parts[0].data[0], 4) != NULL)
    {
        reco_buf_char(out, '\'');
    }

    for (i = 0; i < n; i++) {
        if (i > 0) {
            reco_buf_char(out, ' ');
        }

        write_csv_text(out, parts[i]);
    }

    reco_buf_char(out, '"');
}

static void
write_csv_record(reco_buf_t *out, const reco_history_t *h)
{
    reco_buf_time(out, h->time_ms);
    reco_buf_char(out, ',');
    reco_buf_hex(out, h->id.bytes, RECO_ID_BYTES);
    write_csv(out, &h->customer_key, 1);
    write_csv(out, &h->session, 1);
    write_csv(out, &h->action, 1);
    write_csv(out, h->items, h->nitems);
    reco_buf_char(out, ',');

    if (h->value == h->value) {
        reco_buf_double(out, h->value);
    }

    reco_buf_char(out, ',');
    reco_buf_u64(out, h->generation);
    reco_buf_cstr(out, "\r\n");
}

static void
render_history(reco_buf_t *out, const reco_agent_t *a,
    const reco_history_query_t *q)
{
    uint32_t  i;

    if (q->csv) {
        reco_buf_cstr(out, "timestamp,decision_id,customer_id,session_id,"
                           "action_type,recommendations,confidence_score,"
                           "generation\r\n");

        for (i = 0; i < a->nrecords; i++) {
            write_csv_record(out, a->records[i]);
        }

        return;
    }

    begin(out, a);
    reco_buf_cstr(out, ",\"history\":[");

    for (i = 0; i < a->nrecords; i++) {
        if (i > 0) {
            reco_buf_char(out, ',');
        }

        write_record(out, a->records[i]);
    }

    reco_buf_char(out, ']');
    write_u64(out, "count", true, a->nrecords);
    end(out, a);
}

/* ---- room ------------------------------------------------------------- */

/* A number or a character of the trainer's facts may become longer by this
 * factor when it is written again (1e-9 as %.17g, a control character). */
#define TRAINING_GROWTH  8

static size_t
bound(const reco_agent_t *a)
{
    size_t                 n;
    uint32_t               i, j;
    const reco_history_t  *h;

    n = 4096 + 6 * (a->model->name.len + a->model->version.len);

    if (a->info != NULL && a->info->training != NULL) {
        n += TRAINING_GROWTH * strlen(a->info->training);
    }

    for (i = 0; i < a->nactions; i++) {
        n += 2 * (6 * a->actions[i].name.len + 32);
    }

    for (i = 0; i < a->nfacts; i++) {
        n += 6 * a->facts[i].name.len + 32;
    }

    for (i = 0; i < a->nrecords; i++) {
        h = a->records[i];
        n += RECORD_FIXED + 6 * (h->customer_key.len + h->session.len
                                 + h->action.len);

        for (j = 0; j < h->nitems; j++) {
            n += 6 * h->items[j].len + 3;
        }
    }

    return n;
}

const reco_agent_format_t  reco_agent_cart = {
    .render_metrics = render_metrics,
    .render_state = render_state,
    .parse_history = reco_history_query_parse,
    .render_history = render_history,
    .bound = bound,
};
