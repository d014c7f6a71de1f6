/*
 * reco_format_explain.c - the member "explain" of a native answer: what the
 * decision saw and why it could choose what it chose. Shows customer data, so
 * that the module asks for reco_explain. Nothing here outlives a call.
 */

#include "reco_format_impl.h"

/* Actions listed in all distributions of one answer, in catalogue order: a
 * full slate of a full catalogue would be 262,144. */
#define EXPLAIN_ENTRIES  16384

static void
write_value(reco_buf_t *out, const reco_value_t *v)
{
    switch (v->kind) {

    case RECO_VALUE_NUMBER:
        reco_buf_double(out, v->number);
        break;

    case RECO_VALUE_WORD:
        reco_buf_json_string(out, v->word);
        break;

    default:
        reco_buf_cstr(out, "null");
    }
}

static void
write_features(reco_buf_t *out, const reco_model_t *model,
    const reco_features_t *f)
{
    uint32_t               i;
    const reco_feature_t  *feature;

    reco_buf_cstr(out, "\"features\":[");

    for (i = 0; i < f->n; i++) {
        feature = &model->features[i];

        reco_buf_cstr(out, (i == 0) ? "{\"name\":" : ",{\"name\":");
        reco_buf_json_string(out, feature->name);
        reco_buf_cstr(out, ",\"value\":");
        write_value(out, &f->value[i]);
        reco_buf_cstr(out, ",\"source\":\"");
        reco_buf_cstr(out, reco_source_name((reco_source_t) f->source[i]));
        reco_buf_char(out, '"');

        if (feature->nedges > 0 && f->value[i].kind == RECO_VALUE_NUMBER) {
            reco_buf_cstr(out, ",\"bin\":");
            reco_buf_u64(out, reco_feature_bin(feature, f->value[i].number));
        }

        reco_buf_char(out, '}');
    }

    reco_buf_char(out, ']');
}

/* The key's fields are joined by 0x1f; shown as "country=GB,hour=2". */
static void
write_state_key(reco_buf_t *out, const reco_answer_t *a)
{
    const reco_model_t  *model = a->model;
    const char          *p, *end, *field;
    uint32_t             i, nfields;
    size_t               len;
    reco_buf_t           text;
    reco_str_t           name;

    reco_buf_cstr(out, ",\"state_key\":");

    nfields = model->policy.levels[0].n + (model->policy.per_slot ? 1 : 0);
    len = 0;

    if (nfields > 0) {
        len = reco_state_key(model, a->features, 0, 1, a->scratch->key,
                             sizeof(a->scratch->key));
    }

    /* no state, or one with too long a key */
    if (len == 0) {
        reco_buf_cstr(out, "null");
        return;
    }

    /* not in use yet, and large enough but for the longest of names */
    reco_buf_init(&text, (char *) a->scratch->weights,
                  sizeof(a->scratch->weights));

    p = a->scratch->key;
    end = p + len;

    for (i = 0; i < nfields && p <= end; i++) {

        for (field = p; p < end && *p != 0x1f; p++) { /* void */ }

        name = (i < model->policy.levels[0].n)
               ? model->features[model->policy.levels[0].features[i]].name
               : RECO_STR("slot");

        if (i > 0) {
            reco_buf_char(&text, ',');
        }

        reco_buf_raw(&text, name.data, name.len);
        reco_buf_char(&text, '=');
        reco_buf_raw(&text, field, (size_t) (p - field));
        p++;
    }

    reco_buf_json_string(out, (reco_str_t) { text.start,
                                             reco_buf_len(&text) });
    reco_buf_cstr(out, ",\"state_known\":");
    reco_buf_cstr(out, a->decision->state_known ? "true" : "false");
}

/* What answered for the state, and how sure it was. */
static void
write_level(reco_buf_t *out, const reco_answer_t *a)
{
    const reco_decision_t  *d = a->decision;

    if (a->model->policy.nlevels == 0) {
        return;
    }

    reco_buf_cstr(out, ",\"level\":");
    reco_buf_u64(out, d->level);
    reco_buf_cstr(out, ",\"unseen\":");
    reco_buf_u64(out, d->unseen);
    reco_buf_cstr(out, ",\"epsilon\":");
    reco_buf_double(out, d->epsilon);
    reco_buf_cstr(out, ",\"value\":");
    reco_buf_double(out, d->value);
    reco_buf_cstr(out, ",\"confidence\":");
    reco_buf_double(out, d->confidence);
}

/* Of the answer's items, which has their scores. */
static void
write_items(reco_buf_t *out, const reco_answer_t *a)
{
    if (a->model->items.slate == 0 || a->items == NULL) {
        return;
    }

    reco_buf_cstr(out, ",\"items_filled\":");
    reco_buf_u64(out, a->items->filled);
    reco_buf_cstr(out, ",\"unknown_items\":");
    reco_buf_u64(out, a->items->unknown);
}

static void
write_share(reco_buf_t *out, const reco_model_t *model, uint32_t action,
    uint64_t p, bool first)
{
    reco_buf_cstr(out, first ? "{\"action\":" : ",{\"action\":");
    reco_buf_json_string(out, model->catalogue.actions[action].id);
    reco_buf_cstr(out, ",\"propensity\":");
    reco_buf_double(out, (double) p / (double) RECO_ONE);
    reco_buf_char(out, '}');
}

/* One array for each slot: what it was drawn from, given the slots before. */
static void
write_distributions(reco_buf_t *out, const reco_answer_t *a)
{
    const reco_decision_t  *d = a->decision;
    uint32_t                slot, i, n, left;

    reco_buf_cstr(out, ",\"distribution\":[");
    left = EXPLAIN_ENTRIES;

    for (slot = 1; slot <= d->n; slot++) {

        reco_buf_cstr(out, (slot == 1) ? "[" : ",[");

        n = reco_distribution(a->model, a->features, a->eligible, d->action,
                              slot, a->scratch, NULL, NULL);

        for (i = 0; i < n && left > 0; i++, left--) {
            write_share(out, a->model, a->scratch->left[i], a->scratch->p[i],
                        i == 0);
        }

        reco_buf_char(out, ']');
    }

    reco_buf_char(out, ']');

    if (left == 0) {
        reco_buf_cstr(out, ",\"distribution_cut\":true");
    }
}

static void
write_ineligible(reco_buf_t *out, const reco_answer_t *a)
{
    bool           first;
    uint32_t       i;
    reco_reason_t  reason;

    reco_buf_cstr(out, ",\"ineligible\":[");
    first = true;

    for (i = 0; i < a->model->catalogue.n; i++) {

        if (reco_mask_get(a->eligible, i)) {
            continue;
        }

        reason = reco_eligible_reason(a->model, a->features,
                                      a->request->has_flags,
                                      &a->request->flags, i);

        reco_buf_cstr(out, first ? "{\"action\":" : ",{\"action\":");
        reco_buf_json_string(out, a->model->catalogue.actions[i].id);
        reco_buf_cstr(out, ",\"because\":");

        switch (reason.because) {

        case RECO_BECAUSE_FLAG:
            reco_buf_cstr(out, "\"not offered\"");
            break;

        case RECO_BECAUSE_INACTIVE:
            reco_buf_cstr(out, "\"inactive\"");
            break;

        case RECO_BECAUSE_RULE:
            reco_buf_cstr(out, "\"rule\",\"rule\":");
            reco_buf_u64(out, reason.rule);
            break;

        default:
            reco_buf_cstr(out, "null");
        }

        reco_buf_char(out, '}');
        first = false;
    }

    reco_buf_char(out, ']');
}

void
reco_format_explain(reco_buf_t *out, const reco_answer_t *a)
{
    reco_buf_cstr(out, ",\"explain\":{\"policy\":\"");
    reco_buf_cstr(out, reco_policy_name(&a->model->policy));
    reco_buf_cstr(out, "\",");

    write_features(out, a->model, a->features);
    write_state_key(out, a);
    write_level(out, a);
    write_items(out, a);
    write_distributions(out, a);
    write_ineligible(out, a);

    reco_buf_cstr(out, ",\"unknown_fields\":");
    reco_buf_u64(out, a->request->unknown_fields);
    reco_buf_char(out, '}');
}

size_t
reco_format_explain_bound(const reco_model_t *model)
{
    size_t    n, ids, longest, all, len;
    uint32_t  i;

    n = 1536;

    for (i = 0; i < model->nfeatures; i++) {
        n += reco_format_string_bound(model->features[i].name)
             + 6 * RECO_MAX_ID + 96;
    }

    /* the state key: names and fields of the key, as one string */
    n += 6 * RECO_MAX_STATE_KEY;
    for (i = 0; i < model->policy.levels[0].n; i++) {
        n += reco_format_string_bound(
                 model->features[model->policy.levels[0].features[i]].name);
    }

    ids = 0;
    longest = 0;

    for (i = 0; i < model->catalogue.n; i++) {
        len = reco_format_string_bound(model->catalogue.actions[i].id) + 64;
        ids += len;
        if (len > longest) {
            longest = len;
        }
    }

    /* ineligible, and the distributions with their cut */
    all = ids * model->policy.slate;
    if (all > (size_t) EXPLAIN_ENTRIES * longest) {
        all = (size_t) EXPLAIN_ENTRIES * longest;
    }

    return n + ids + all + 8 * RECO_MAX_SLATE;
}
