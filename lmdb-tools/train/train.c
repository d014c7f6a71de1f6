/*
 * train.c - one training from its ledger to its snapshot: chooses the
 * algorithm, carries over what the base has, lets the algorithm fill in the
 * rows. Nothing appears at 'out' before all of it is right.
 */

#include "train.h"

#include "build_items.h"
#include "reco_jansson.h"

#include <string.h>
#include <unistd.h>

#define MS_PER_DAY  86400000

typedef struct {
    const char          *name;
    reco_policy_type_t   policy;        /* whose table it fills */
    const char          *policy_name;
    bool               (*train)(train_t *t);
} algorithm_t;

/* The first of a policy's is its default. */
static const algorithm_t  algorithms[] = {
    { "thompson", RECO_POLICY_P_TABLE, "p_table", train_thompson },
    { "fitted-q", RECO_POLICY_Q_TABLE, "q_table", train_fitted_q },
    { "q-learning", RECO_POLICY_Q_TABLE, "q_table", train_q_learning },
};

#define NALGORITHMS     (sizeof(algorithms) / sizeof(algorithms[0]))

/* ---- options ------------------------------------------------------------ */

void
train_options_init(train_options_t *o)
{
    memset(o, 0, sizeof(*o));
    o->threads = 1;
}

double
train_half_life_days(const train_options_t *o)
{
    return (double) o->half_life_ms / MS_PER_DAY;
}

static bool
from_environment(const char *variable, double max, bool max_allowed,
    train_number_t *number)
{
    double       value;
    const char  *text = getenv(variable);

    if (number->given || text == NULL || text[0] == '\0') {
        return true;
    }

    if (!tool_number_parse(tool_str(text), &value) || value < 0
        || value > max || (value == max && !max_allowed))
    {
        tool_error("%s: '%s' is not a number from 0 to %s%g", variable, text,
                   max_allowed ? "" : "below ", max);
        return false;
    }

    *number = (train_number_t) { true, value, TRAIN_FROM_ENVIRONMENT };

    return true;
}

bool
train_options_environment(train_options_t *o)
{
    return from_environment("RL_LEARNING_RATE", 1, true, &o->learning_rate)
           && from_environment("RL_DISCOUNT_FACTOR", 1, false,
                               &o->discount_factor)
           && from_environment("RL_EPSILON", 1, true, &o->epsilon);
}

/* ---- algorithms --------------------------------------------------------- */

static const algorithm_t *
find_algorithm(const train_options_t *o, const reco_model_t *model)
{
    size_t  i;

    for (i = 0; i < NALGORITHMS; i++) {
        if (o->algorithm ? strcmp(algorithms[i].name, o->algorithm) == 0
                         : algorithms[i].policy == model->policy.type)
        {
            return &algorithms[i];
        }
    }

    return NULL;
}

bool
train_has_algorithm(const char *name)
{
    size_t  i;

    for (i = 0; i < NALGORITHMS; i++) {
        if (strcmp(algorithms[i].name, name) == 0) {
            return true;
        }
    }

    return false;
}

/* What only the tables of values know is no use to the others. The
 * environment may be set for other trainings. */
static bool
takes_no_q_options(const train_options_t *o, const algorithm_t *a)
{
    size_t  i;

    const struct {
        const char  *name;
        bool         given;
    } options[] = {
        { "learning-rate", o->learning_rate.given
                           && o->learning_rate.origin == TRAIN_FROM_OPTION },
        { "discount-factor", o->discount_factor.given
                             && o->discount_factor.origin
                                == TRAIN_FROM_OPTION },
        { "epsilon", o->epsilon.given
                     && o->epsilon.origin == TRAIN_FROM_OPTION },
        { "passes", o->passes > 0 },
        { "hold-out", o->hold_out > 0 },
        { "checkpoint", o->checkpoint != NULL },
    };

    for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (options[i].given) {
            tool_error("--%s is not for %s", options[i].name, a->name);
            return false;
        }
    }

    return true;
}

bool
train_accepts(const train_options_t *o, const reco_model_t *model,
    const char *path)
{
    const algorithm_t  *a = find_algorithm(o, model);

    if (a == NULL && o->algorithm != NULL) {
        tool_error("there is no algorithm '%s'", o->algorithm);
        return false;
    }

    if (a == NULL) {
        tool_error("%s: $.policy.type: is '%s', which has no table of values "
                   "to learn", path, reco_policy_name(&model->policy));
        return false;
    }

    if (a->policy != model->policy.type) {
        tool_error("%s: $.policy.type: is '%s', and %s fills a '%s'", path,
                   reco_policy_name(&model->policy), a->name,
                   a->policy_name);
        return false;
    }

    return a->policy == RECO_POLICY_Q_TABLE || takes_no_q_options(o, a);
}

/* ---- the snapshot ------------------------------------------------------- */

/* The spec's text with the policy's last epsilon replaced; malloc'ed. NULL
 * after a message. */
static char *
spec_text(const train_t *t, const char *text)
{
    char                  *changed = NULL;
    reco_error_t           err;
    json_t                *spec, *epsilon, *policy, *value;
    const train_number_t  *wanted = &t->options->epsilon;

    if (!wanted->given
        || (wanted->origin == TRAIN_FROM_ENVIRONMENT
            && (t->model->policy.type != RECO_POLICY_Q_TABLE
                || t->model->policy.epsilon < 0)))
    {
        return tool_strdup(text);
    }

    if (reco_jansson_load(tool_str(text), &spec, &err) != RECO_OK) {
        tool_fail("spec", &err);
        return NULL;
    }

    policy = json_object_get(spec, "policy");
    epsilon = json_object_get(policy, "epsilon");
    value = json_real(wanted->value);

    if (t->model->policy.type != RECO_POLICY_Q_TABLE
        || t->model->policy.epsilon < 0)
    {
        tool_error("$.policy: does not explore by epsilon, so that there is "
                   "none to set to %g", wanted->value);

    } else if (json_is_object(epsilon)
               ? json_object_set(epsilon, "end", value) == 0
               : json_object_set(policy, "epsilon", value) == 0)
    {
        changed = reco_jansson_dump(spec, JSON_COMPACT | JSON_SORT_KEYS);
    }

    json_decref(value);
    json_decref(spec);

    return changed;
}

static bool
open_builder(train_t *t, const char *spec, const char *out)
{
    bool                         ok;
    char                        *text;
    const char                  *hash_key = "";
    uint32_t                     nfields = 0;
    reco_error_t                 err;
    const reco_str_t            *fields = NULL;
    const reco_catalogue_t      *actions = &t->model->catalogue;
    const reco_snapshot_info_t  *info;

    if (t->base) {
        info = reco_snapshot_info(t->base);
        hash_key = info->hash_key;
        fields = info->customer_fields;
        nfields = info->ncustomer_fields;
    }

    text = spec_text(t, spec);
    if (text == NULL) {
        return false;
    }

    ok = reco_builder_new(out, tool_str(text), actions->actions, actions->n,
                          fields, nfields, hash_key, &t->builder, &err)
         == RECO_OK;
    free(text);

    if (!ok) {
        tool_fail(out, &err);
    }

    return ok;
}

typedef struct {
    reco_builder_t  *builder;
    reco_value_t    *values;
    uint32_t         n;
    reco_error_t     err;
    reco_status_t    status;
} copy_t;

static bool
copy_customer(void *data, reco_str_t key, const reco_customer_t *record)
{
    copy_t    *copy = data;
    uint32_t   i;

    for (i = 0; i < copy->n; i++) {
        copy->values[i] = reco_customer_field(record, (int) i);
    }

    copy->status = reco_builder_customer(copy->builder, key, copy->values,
                                         &copy->err);

    return copy->status == RECO_OK;
}

static bool
copy_customers(train_t *t)
{
    copy_t         copy = { .builder = t->builder };
    reco_error_t   err;
    reco_status_t  status;

    if (t->base == NULL) {
        return true;
    }

    copy.n = reco_snapshot_info(t->base)->ncustomer_fields;
    copy.values = tool_alloc(copy.n * sizeof(*copy.values));
    copy.status = RECO_OK;

    status = reco_snapshot_each_customer(t->base, copy_customer, &copy, &err);
    free(copy.values);

    if (status != RECO_OK || copy.status != RECO_OK) {
        if (copy.status == RECO_IO) {
            tool_error("%s", copy.err.message);     /* it names the file */
        } else {
            tool_fail("base", status != RECO_OK ? &err : &copy.err);
        }
        return false;
    }

    return true;
}

/* An item that the base has is there for its lists and for the model. */
static bool
copy_items(train_t *t)
{
    return t->base == NULL || t->model->items.slate == 0
           || items_copy(t->base, t->builder);
}

/* The facts as the snapshot keeps them. How often a record was read says
 * nothing of what was learned: the same log gives the same bytes. */
static char *
facts_to_keep(const train_t *t)
{
    char                   *text;
    json_t                 *facts = json_deep_copy(t->facts);
    json_t                 *log = json_object_get(facts, "log");
    const ledger_counts_t  *c = &t->ledger->counts;

    json_object_del(log, "repeated");
    json_object_del(log, "erased");
    json_object_set_new(log, "records", json_integer((json_int_t)
                             (c->records - c->repeated - c->erased)));
    text = reco_jansson_dump(facts, JSON_COMPACT);
    json_decref(facts);

    return text;
}

static bool
finish(train_t *t, const char *out)
{
    bool          ok;
    char         *text;
    uint64_t      parent = 0;
    reco_error_t  err;

    train_note(t);
    json_object_set_new(t->facts, "log", ledger_json(t->ledger));
    text = facts_to_keep(t);

    if (t->base) {
        parent = reco_snapshot_info(t->base)->generation;
    }

    if (text == NULL) {
        tool_out_of_memory();
    }

    tool_temp_remember(reco_builder_temp(t->builder));
    ok = reco_builder_finish(t->builder, 0, parent, t->ledger->as_of_ms, text,
                             &err)
         == RECO_OK;
    tool_temp_forget(reco_builder_temp(t->builder));
    free(text);

    if (!ok) {
        tool_fail(out, &err);
    }

    return ok;
}

bool
train_model(const train_options_t *o, ledger_t *ledger,
    const model_file_t *model, const reco_snapshot_t *base, const char *out,
    json_t **facts)
{
    bool                ok;
    train_t             t = { .options = o, .model = model->model,
                              .ledger = ledger, .base = base };
    const algorithm_t  *algorithm;

    if (facts) {
        *facts = NULL;
    }

    if (!train_accepts(o, model->model, out)) {
        return false;
    }

    algorithm = find_algorithm(o, model->model);
    t.facts = json_object();
    json_object_set_new(t.facts, "algorithm", json_string(algorithm->name));

    ok = open_builder(&t, model->text, out) && copy_customers(&t)
         && copy_items(&t) && algorithm->train(&t)
         && !(o->generations && o->generations->damaged)
         && train_history(&t) && finish(&t, out);

    if (ok && o->checkpoint) {
        (void) unlink(o->checkpoint);       /* its work is done */
    }

    if (t.builder) {
        reco_builder_free(t.builder);
    }

    if (ok && facts) {
        *facts = t.facts;
    } else {
        json_decref(t.facts);
    }

    return ok;
}
