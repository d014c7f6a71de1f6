/*
 * compare_arms.c - the ways of recommending that are compared. All but the
 * agent are specs of the same engine, derived from the agent's: its items
 * without its taste, its catalogue replaced.
 */

#include "compare_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Items as the agent has them (slate, families, history), for these
 * strategies, and nothing preferred. */
static void
set_strategies(json_t *spec, json_t *strategies)
{
    json_t      *actions = json_array(), *items, *v;
    const char  *id;

    json_object_foreach(strategies, id, v) {
        json_array_append_new(actions, json_pack("{s:s}", "id", id));
    }

    items = json_object_get(spec, "items");
    json_object_del(items, "prefer");
    json_object_set_new(items, "strategies", strategies);
    json_object_set_new(items, "fill", json_pack("[{s:s}]", "list",
                                                 "popular"));
    json_object_set_new(spec, "actions", actions);
}

static void
set_policy(json_t *spec, json_t *policy)
{
    json_object_set_new(spec, "policy", policy);
    json_object_del(spec, "rules");
    json_object_del(spec, "learning");
}

/* The best sellers of the price band that the cart's mean price is in. */
static json_t *
rules_spec(const json_t *agent)
{
    json_t  *spec = json_deep_copy(agent);

    set_strategies(spec, json_pack(
        "{s:[{s:s, s:s}], s:[{s:s, s:s}], s:[{s:s, s:s}], s:[{s:s}]}",
        "rule_low", "list", "price", "key", "low",
        "rule_medium", "list", "price", "key", "medium",
        "rule_high", "list", "price", "key", "high",
        "rule_any", "list", "popular"));
    json_array_append_new(json_object_get(spec, "features"),
        json_pack("{s:s, s:s, s:[s]}", "name", "price_band", "type",
                  "category", "from", "request"));
    set_policy(spec, json_pack(
        "{s:s, s:{s:i}, s:[{s:{s:s}, s:{s:i}}, {s:{s:s}, s:{s:i}}, "
        "{s:{s:s}, s:{s:i}}]}",
        "type", "weights", "weights", "rule_any", 1, "cases",
        "when", "price_band", "low", "weights", "rule_low", 1,
        "when", "price_band", "medium", "weights", "rule_medium", 1,
        "when", "price_band", "high", "weights", "rule_high", 1));

    return spec;
}

/* What was bought together with the cart's items; among equals, with what the
 * customer bought before. */
static json_t *
collaborative_spec(const json_t *agent)
{
    json_t  *spec = json_deep_copy(agent), *lists;

    lists = json_pack("[{s:s, s:s}]", "list", "also_bought", "by", "cart");
    if (json_object_get(json_object_get(spec, "items"), "history")) {
        json_array_append_new(lists, json_pack("{s:s, s:s, s:f}",
            "list", "also_bought", "by", "history", "weight", 0.01));
    }

    set_strategies(spec, json_pack("{s:o}", "collaborative", lists));
    set_policy(spec, json_pack("{s:s}", "type", "uniform"));

    return spec;
}

static json_t *
random_spec(const json_t *agent)
{
    json_t  *spec = json_deep_copy(agent);

    set_policy(spec, json_pack("{s:s}", "type", "uniform"));

    return spec;
}

static bool
read_actions(compare_t *c, json_t *spec)
{
    size_t       i;
    json_t      *actions = json_object_get(spec, "actions");
    const char  *id;

    c->nactions = (uint32_t) json_array_size(actions);
    c->actions = tool_alloc((c->nactions + 1) * sizeof(char *));
    memset(c->actions, 0, (c->nactions + 1) * sizeof(char *));

    for (i = 0; i < c->nactions; i++) {
        id = json_string_value(json_object_get(json_array_get(actions, i),
                                               "id"));
        c->actions[i] = tool_strdup(id ? id : "");
    }

    if (c->nactions == 0 || !json_is_object(json_object_get(spec, "items"))
        || !json_is_array(json_object_get(spec, "features")))
    {
        tool_error("%s: a comparison needs a spec with \"features\", "
                   "\"items\" and an array of \"actions\"", c->o->spec);
        return false;
    }

    return true;
}

static void
name_arm(compare_t *c, int i, const char *name, const char *title,
    double published)
{
    c->arms[i].name = name;
    c->arms[i].title = title;
    c->arms[i].published = published;
    c->arms[i].greedy_of = -1;
}

static void
name_arms(compare_t *c)
{
    name_arm(c, ARM_BASE, "base", "", NAN);
    name_arm(c, ARM_RANDOM, "random", "random strategy", 0.23);
    name_arm(c, ARM_RULES, "rules", "business rules", 0.12);
    name_arm(c, ARM_COLLABORATIVE, "collaborative",
             "collaborative filtering", 0.08);
    name_arm(c, ARM_FIXED, "fixed", "best fixed strategy", NAN);
    name_arm(c, ARM_Q_NOW, "q-learning-0", "Q-learning, gamma 0", NAN);
    name_arm(c, ARM_Q, "q-learning", "Q-learning, gamma 0.95", NAN);
    name_arm(c, ARM_FITTED_Q, "fitted-q", "fitted Q, gamma 0.95", NAN);
    name_arm(c, ARM_GREEDY, "fitted-q-greedy", "the same, not exploring",
             NAN);
    name_arm(c, ARM_ORACLE, "oracle", "oracle", NAN);
}

bool
compare_arms(compare_t *c)
{
    json_t        *agent;
    json_error_t   err;

    agent = json_load_file(c->o->spec, JSON_REJECT_DUPLICATES, &err);
    if (agent == NULL) {
        tool_error("%s: line %d: %s", c->o->spec, err.line, err.text);
        return false;
    }

    name_arms(c);
    c->arms[ARM_BASE].spec = agent;
    if (!read_actions(c, agent)) {
        return false;
    }

    c->arms[ARM_RANDOM].spec = random_spec(agent);
    c->arms[ARM_RULES].spec = rules_spec(agent);
    c->arms[ARM_COLLABORATIVE].spec = collaborative_spec(agent);

    c->arms[ARM_FIXED].kind = AGENT_FIXED;
    c->arms[ARM_ORACLE].kind = AGENT_ORACLE;
    c->arms[ARM_GREEDY].kind = AGENT_GREEDY;
    c->arms[ARM_GREEDY].greedy_of = ARM_FITTED_Q;
    c->arms[ARM_Q_NOW].algorithm = "q-learning";
    c->arms[ARM_Q].algorithm = "q-learning";
    c->arms[ARM_Q].gamma = 0.95;
    c->arms[ARM_FITTED_Q].algorithm = "fitted-q";
    c->arms[ARM_FITTED_Q].gamma = 0.95;

    return true;
}
