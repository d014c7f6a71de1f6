/*
 * cmd_inspect.c - `reco inspect`: what a snapshot holds, a customer's record,
 * a state's values, the resolved spec.
 */

#include "inspect_items.h"
#include "models.h"
#include "published.h"
#include "reco_buf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SEPARATOR       '\x1f'
#define SEPARATOR_TEXT  "\x1f"
#define LEVEL           '\x1e'

typedef struct {
    const char               *path;
    const char               *customer;
    const char               *state;
    const char               *item;
    const char               *list;
    const char               *secret_path;
    const char               *level;
    uint32_t                  at_level;
    bool                      spec;
    bool                      json;

    published_t               at;
    reco_secret_t            *secret;
    reco_snapshot_t          *snapshot;
    const reco_model_t       *model;
    const reco_snapshot_info_t  *info;
} inspect_t;

enum { OPT_CUSTOMER = 256, OPT_STATE, OPT_SECRET, OPT_SPEC, OPT_JSON,
       OPT_LEVEL, OPT_ITEM, OPT_LIST };

static const struct argp_option  options[] = {
    { "customer", OPT_CUSTOMER, "ID", 0, "this customer's record", 0 },
    { "state", OPT_STATE, "KEY", 0, "this state's values; KEY is the state's "
      "fields in their order, with commas", 0 },
    { "level", OPT_LEVEL, "N", 0, "with --state: KEY is one of the coarser "
      "states, 1 the first of the spec's backoff", 0 },
    { "item", OPT_ITEM, "ID", 0, "this item", 0 },
    { "list", OPT_LIST, "NAME[/KEY]", 0, "this ranked list of items", 0 },
    { "spec", OPT_SPEC, NULL, 0, "the resolved spec", 0 },
    { "secret", OPT_SECRET, "FILE", 0,
      "find customers whose ids are hashed", 0 },
    { "json", OPT_JSON, NULL, 0, "print JSON", 0 },
    { 0 }
};

static error_t
on_option(int key, char *arg, struct argp_state *state)
{
    inspect_t  *i = state->input;

    switch (key) {
    case OPT_CUSTOMER:
        i->customer = arg;
        return 0;
    case OPT_STATE:
        i->state = arg;
        return 0;
    case OPT_LEVEL:
        i->level = arg;
        return 0;
    case OPT_ITEM:
        i->item = arg;
        return 0;
    case OPT_LIST:
        i->list = arg;
        return 0;
    case OPT_SECRET:
        i->secret_path = arg;
        return 0;
    case OPT_SPEC:
        i->spec = true;
        return 0;
    case OPT_JSON:
        i->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) {
            argp_error(state, "one FILE or DIR only");
        }
        i->path = arg;
        return 0;
    case ARGP_KEY_END:
        if (i->path == NULL) {
            argp_error(state, "a FILE or DIR is needed");
        }
        if ((i->customer != NULL) + (i->state != NULL) + (i->item != NULL)
            + (i->list != NULL) + i->spec > 1)
        {
            argp_error(state, "only one of --customer, --state, --item, "
                       "--list and --spec");
        }
        if (i->level != NULL && i->state == NULL) {
            argp_error(state, "--level goes with --state");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp  argp = {
    options, on_option, "FILE|DIR",
    "Shows what a snapshot holds; of a folder, the current one.\v"
    "In KEY a number is its bin, a category its code or word, a missing "
    "feature is empty; models by slot have the slot (from 1) at the end.",
    NULL, NULL, NULL
};

/* ---- a customer --------------------------------------------------------- */

static json_t *
string(reco_str_t s)
{
    return json_stringn(s.data, s.len);
}

static json_t *
number_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static int
show_customer(const inspect_t *in)
{
    char             hashed[32];
    json_t          *fields, *value;
    uint32_t         i;
    const char      *name;
    reco_str_t       key;
    reco_value_t     v;
    reco_customer_t  record;

    if (in->info->hash_key[0] != '\0' && in->secret == NULL) {
        tool_error("%s: its customers' ids are hashed; --secret is needed",
                   in->at.path);
        return 1;
    }

    key = reco_customer_key(in->secret, tool_str(in->customer), hashed);
    if (reco_snapshot_customer(in->snapshot, key, &record) != RECO_OK) {
        tool_error("%s: there is no customer '%s'", in->at.path,
                   in->customer);
        return 1;
    }

    fields = json_object();
    for (i = 0; i < in->info->ncustomer_fields; i++) {
        v = reco_customer_field(&record, (int) i);
        if (v.kind != RECO_VALUE_MISSING) {
            json_object_setn_new(fields, in->info->customer_fields[i].data,
                                 in->info->customer_fields[i].len,
                                 v.kind == RECO_VALUE_NUMBER
                                 ? json_real(v.number) : string(v.word));
        }
    }

    if (in->json) {
        tool_print_json(json_pack("{s:s%, s:o}", "key", key.data, key.len,
                                  "fields", fields));
        return 0;
    }

    json_object_foreach(fields, name, value) {
        if (json_is_string(value)) {
            printf("%s: %s\n", name, json_string_value(value));
        } else {
            printf("%s: %.15g\n", name, json_real_value(value));
        }
    }
    json_decref(fields);

    return 0;
}

/* ---- a state ------------------------------------------------------------ */

static json_t *
values(const inspect_t *in, const reco_row_t *row)
{
    json_t               *a = json_array();
    uint32_t              i;
    reco_entry_t          e;
    const reco_action_t  *action;

    for (i = 0; i < row->n; i++) {
        e = reco_row_entry(row, i);
        action = &in->model->catalogue.actions[e.action];
        json_array_append_new(a, json_pack("{s:s%, s:o, s:I, s:o}", "action",
            action->id.data, action->id.len, "value", number_or_null(e.value),
            "visits", (json_int_t) e.visits,
            "confidence", number_or_null(e.confidence)));
    }

    return a;
}

static bool
find_level(inspect_t *in)
{
    char           *end;
    unsigned long   level;
    uint32_t        last = in->model->policy.nlevels - 1;

    if (in->level == NULL) {
        return true;
    }

    level = strtoul(in->level, &end, 10);
    if (in->level[0] < '0' || in->level[0] > '9' || *end != '\0'
        || level > last)
    {
        tool_error("--level: '%s' is not a level of this model's state, 0 to "
                   "%u", in->level, last);
        return false;
    }
    in->at_level = (uint32_t) level;

    return true;
}

/* The key as the table has it; malloc'ed. */
static char *
state_key(const inspect_t *in)
{
    char  *key, *p;

    if (in->at_level > 0) {
        key = tool_format("%c%u%c%s", LEVEL, in->at_level, SEPARATOR,
                          in->state);
    } else {
        /* an empty key is one separator */
        key = tool_strdup(in->state[0] != '\0' ? in->state : SEPARATOR_TEXT);
    }

    if (strchr(in->state, SEPARATOR) == NULL) {
        for (p = key; (p = strchr(p, ',')) != NULL; p++) {
            *p = SEPARATOR;
        }
    }

    return key;
}

static void
print_state(json_t *o)
{
    size_t         i;
    const json_t  *v, *x;

    printf("visits: %lld\n",
           (long long) json_integer_value(json_object_get(o, "visits")));
    x = json_object_get(o, "epsilon");
    if (json_is_number(x)) {
        printf("epsilon: %.15g\n", json_number_value(x));
    }

    json_array_foreach(json_object_get(o, "values"), i, v) {
        printf("%s: %.15g (%lld visits",
               json_string_value(json_object_get(v, "action")),
               json_number_value(json_object_get(v, "value")),
               (long long) json_integer_value(json_object_get(v, "visits")));
        x = json_object_get(v, "confidence");
        if (json_is_number(x)) {
            printf(", confidence %.15g", json_number_value(x));
        }
        puts(")");
    }
}

static int
show_state(inspect_t *in)
{
    char        *key;
    bool         found;
    json_t      *o;
    reco_row_t   row;

    if (in->model->lookup == NULL) {
        tool_error("%s: its policy '%s' has no table", in->at.path,
                   reco_policy_name(&in->model->policy));
        return 1;
    }
    if (!find_level(in)) {
        return 1;
    }

    key = state_key(in);
    found = in->model->lookup(in->model->lookup_data, tool_str(key), &row);
    free(key);
    if (!found) {
        tool_error("%s: there is no state '%s'%s%s", in->at.path, in->state,
                   in->at_level ? " of level " : "",
                   in->at_level ? in->level : "");
        return 1;
    }

    o = json_pack("{s:s, s:i, s:I, s:o, s:o}", "state", in->state,
                  "level", (int) in->at_level,
                  "visits", (json_int_t) row.visits,
                  "epsilon", number_or_null(reco_epsilon(&in->model->policy,
                                                         row.visits)),
                  "values", values(in, &row));
    if (in->json) {
        tool_print_json(o);
        return 0;
    }

    print_state(o);
    json_decref(o);

    return 0;
}

/* ---- all of it ---------------------------------------------------------- */

static json_t *
time_or_null(uint64_t time_ms)
{
    char        text[32];
    reco_buf_t  b;

    if (time_ms == 0) {
        return json_null();
    }
    reco_buf_init(&b, text, sizeof(text));
    reco_buf_time(&b, time_ms);

    return json_stringn(text, reco_buf_len(&b));
}

static json_t *
strings(const reco_str_t *s, uint32_t n)
{
    json_t    *a = json_array();
    uint32_t   i;

    for (i = 0; i < n; i++) {
        json_array_append_new(a, string(s[i]));
    }

    return a;
}

static json_t *
features(const reco_model_t *model)
{
    json_t                *a = json_array(), *o, *edges;
    uint32_t               i, j;
    const reco_feature_t  *f;

    for (i = 0; i < model->nfeatures; i++) {
        f = &model->features[i];
        o = json_pack("{s:s%, s:s}", "name", f->name.data, f->name.len,
                      "type", f->type == RECO_FEATURE_NUMBER ? "number"
                                                             : "category");
        if (f->nedges || f->quantiles) {
            edges = json_array();
            for (j = 0; j < f->nedges; j++) {
                json_array_append_new(edges, json_real(f->edges[j]));
            }
            json_object_set_new(o, "edges", edges);
        }
        if (f->nwords) {
            json_object_set_new(o, "vocabulary",
                                strings(f->words, f->nwords));
        }
        json_array_append_new(a, o);
    }

    return a;
}

static json_t *
actions(const reco_catalogue_t *c)
{
    json_t               *a = json_array();
    uint32_t              i;
    const reco_action_t  *x;

    for (i = 0; i < c->n; i++) {
        x = &c->actions[i];
        json_array_append_new(a, json_pack("{s:s%, s:s%, s:o, s:s%, s:b}",
            "id", x->id.data, x->id.len, "name", x->name.data, x->name.len,
            "price", number_or_null(x->price),
            "category", x->category.data, x->category.len,
            "active", (int) x->active));
    }

    return a;
}

static json_t *
level_fields(const reco_model_t *model, const reco_level_t *level)
{
    json_t    *a = json_array();
    uint32_t   i;

    for (i = 0; i < level->n; i++) {
        json_array_append_new(a, string(model->features[level->features[i]]
                                        .name));
    }
    if (model->policy.per_slot) {
        json_array_append_new(a, json_string("slot"));
    }

    return a;
}

/* The states that the table backs off to. */
static json_t *
coarser_states(const reco_model_t *model)
{
    json_t    *a = json_array();
    uint32_t   i;

    for (i = 1; i < model->policy.nlevels; i++) {
        json_array_append_new(a, level_fields(model,
                                              &model->policy.levels[i]));
    }

    return a;
}

static json_t *
epsilon(const reco_policy_t *p)
{
    if (p->epsilon_visits == 0) {
        return number_or_null(reco_epsilon(p, 0));
    }

    return json_pack("{s:f, s:f, s:I}", "start", p->epsilon_start,
                     "end", p->epsilon,
                     "visits", (json_int_t) p->epsilon_visits);
}

static double
seconds(uint64_t ms)
{
    return (double) ms / 1000;
}

static json_t *
learning(const reco_learning_t *l)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:I}",
                     "learning_rate", l->learning_rate,
                     "discount_factor", l->discount_factor,
                     "episode_gap", seconds(l->episode_gap_ms),
                     "shrinkage", l->shrinkage,
                     "max_states", (json_int_t) l->max_states);
}

/* In seconds; 0 where nothing is kept. */
static json_t *
history(const reco_retention_t *h)
{
    return json_pack("{s:f, s:f, s:f}",
                     "recommendations", seconds(h->recommendations_ms),
                     "agent", seconds(h->agent_ms),
                     "rewards", seconds(h->rewards_ms));
}

/* Those whose snapshots are in the folder. */
static json_t *
generations(const char *dir)
{
    size_t         i;
    json_t        *a = json_array();
    generations_t  g;

    if (generations_open(&g, dir)) {
        for (i = 0; i < g.n; i++) {
            json_array_append_new(a,
                json_integer((json_int_t) g.list[i].generation));
        }
        generations_close(&g);
    }

    return a;
}

static void
describe_policy(const reco_model_t *m, json_t *o)
{
    json_object_set_new(o, "policy",
                        json_string(reco_policy_name(&m->policy)));
    json_object_set_new(o, "slate", json_integer(m->policy.slate));
    json_object_set_new(o, "epsilon", epsilon(&m->policy));
    json_object_set_new(o, "state", level_fields(m, &m->policy.levels[0]));
    json_object_set_new(o, "backoff", coarser_states(m));
    json_object_set_new(o, "min_visits",
                        json_integer((json_int_t) m->policy.min_visits));
}

static json_t *
describe(const inspect_t *in)
{
    json_t                      *o = json_object();
    struct stat                  st = { 0 };
    const reco_model_t          *m = in->model;
    const reco_snapshot_info_t  *info = in->info;

    (void) stat(in->at.path, &st);
    json_object_set_new(o, "file", json_string(in->at.path));
    json_object_set_new(o, "size", json_integer(st.st_size));
    json_object_set_new(o, "model", string(m->name));
    json_object_set_new(o, "version", string(m->version));
    json_object_set_new(o, "generation",
                        json_integer((json_int_t) info->generation));
    json_object_set_new(o, "parent", json_integer((json_int_t) info->parent));
    if (in->at.is_folder) {
        json_object_set_new(o, "generations", generations(in->path));
    }
    json_object_set_new(o, "built", time_or_null(info->built_ms));
    json_object_set_new(o, "published",
                        time_or_null(in->at.manifest.published_ms));
    describe_policy(m, o);
    json_object_set_new(o, "states", json_integer((json_int_t) info->states));
    json_object_set_new(o, "items", json_integer((json_int_t) info->items));
    json_object_set_new(o, "lists", json_integer((json_int_t) info->lists));
    json_object_set_new(o, "history_records",
                        json_integer((json_int_t) info->history));
    json_object_set_new(o, "customers",
                        json_integer((json_int_t) info->customers));
    json_object_set_new(o, "customer_fields",
                        strings(info->customer_fields,
                                info->ncustomer_fields));
    json_object_set_new(o, "hash_key", json_string(info->hash_key));
    json_object_set_new(o, "features", features(m));
    json_object_set_new(o, "actions", actions(&m->catalogue));
    json_object_set_new(o, "learning", learning(&m->learning));
    json_object_set_new(o, "history", history(&m->history));
    json_object_set_new(o, "training", json_loads(info->training, 0, NULL));

    return o;
}

static bool
is_nothing(const json_t *value)
{
    return json_is_null(value)
           || (json_is_array(value) && json_array_size(value) == 0)
           || (json_is_string(value) && json_string_length(value) == 0);
}

static void
print_json(const json_t *value)
{
    char  *text;

    text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    printf(" %s", text ? text : "");
    free(text);
}

static void
print_item(const json_t *value)
{
    if (json_is_object(value)) {
        value = json_object_get(value, "name");
        if (value == NULL) {
            return;
        }
    }

    if (json_is_string(value)) {
        printf(" %s", json_string_value(value));
        return;
    }

    print_json(value);
}

/* Lists in one line, of objects the names; actions are only counted. */
static void
print_member(const char *key, const json_t *value)
{
    size_t         i;
    const json_t  *item;

    printf("%-16s", key);

    if (strcmp(key, "actions") == 0) {
        printf(" %zu", json_array_size(value));
    } else if (is_nothing(value)) {
        printf(" -");
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, item) {
            print_item(item);
        }
    } else if (json_is_object(value)) {
        print_json(value);
    } else {
        print_item(value);
    }

    putchar('\n');
}

static int
show_all(const inspect_t *in)
{
    json_t      *o = describe(in), *value;
    const char  *key;

    if (in->json) {
        tool_print_json(o);
        return 0;
    }

    json_object_foreach(o, key, value) {
        print_member(key, value);
    }
    json_decref(o);

    return 0;
}

static bool
open_snapshot(inspect_t *in)
{
    reco_error_t  err;

    if (!model_read_secret(in->secret_path, &in->secret)
        || !published_find(in->path, &in->at))
    {
        return false;
    }
    if (!published_is_sound(in->at.path, &err)
        || reco_snapshot_open(in->at.path, in->secret, &in->snapshot, &err)
           != RECO_OK)
    {
        tool_fail(in->at.path, &err);
        return false;
    }
    in->model = reco_snapshot_model(in->snapshot);
    in->info = reco_snapshot_info(in->snapshot);

    return true;
}

int
cmd_inspect(int argc, char **argv)
{
    int        rc = 1;
    inspect_t  in = { 0 };

    tool_parse(&argp, "inspect", argc, argv, &in);

    if (open_snapshot(&in)) {
        if (in.customer != NULL) {
            rc = show_customer(&in);
        } else if (in.state != NULL) {
            rc = show_state(&in);
        } else if (in.item != NULL) {
            rc = inspect_item(in.snapshot, in.at.path, in.item, in.json);
        } else if (in.list != NULL) {
            rc = inspect_list(in.snapshot, in.at.path, in.list, in.json);
        } else if (in.spec) {
            puts(in.info->spec);
            rc = 0;
        } else {
            rc = show_all(&in);
        }
    }

    reco_snapshot_close(in.snapshot);
    reco_secret_free(in.secret);

    return rc;
}
