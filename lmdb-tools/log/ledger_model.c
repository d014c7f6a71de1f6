/*
 * ledger_model.c - whose records a ledger holds: models, and the kinds of
 * facts of one. Keeps nothing of its own.
 */

#include "ledger.h"

#include <string.h>

#define MODELS_NAMED    8

/* "'a', 'b'": the models of the decisions; an ellipsis where there are more
 * than fit. */
static void
name_models(const ledger_t *l, char *text, size_t size)
{
    bool                      all = true;
    size_t                    used = 0;
    uint32_t                  i, n = 0;
    const char               *names[MODELS_NAMED];
    const ledger_decision_t  *d;

    for (d = l->private->by_id; d; d = d->hh.next) {
        for (i = 0; i < n && names[i] != d->model.data; i++) { /* void */ }

        if (i == n && n < MODELS_NAMED) {
            names[n++] = d->model.data;
        } else if (i == n) {
            all = false;
        }
    }

    text[0] = '\0';

    for (i = 0; i < n && used < size; i++) {
        used += (size_t) snprintf(text + used, size - used, "%s'%s'",
                                  i ? ", " : "", names[i]);
    }
    if (!all && used < size) {
        snprintf(text + used, size - used, ", ...");
    }
}

bool
ledger_is_empty(const ledger_t *l, const char *model)
{
    const ledger_decision_t  *d;

    for (d = l->private->by_id; d; d = d->hh.next) {
        if (model == NULL || strcmp(model, d->model.data) == 0) {
            return false;
        }
    }

    return true;
}

bool
ledger_has_decisions(const ledger_t *l, const char *model)
{
    char  names[MODELS_NAMED * (RECO_MAX_ID + 8)];

    if (!ledger_is_empty(l, model)) {
        return true;
    }

    if (model == NULL || l->private->by_id == NULL) {
        tool_error("the log holds no decision");
        return false;
    }

    name_models(l, names, sizeof(names));
    tool_error("the log holds no decision of the model '%s' (there are: %s)",
               model, names);

    return false;
}

bool
ledger_choose_model(ledger_t *l, const char *wanted)
{
    ledger_decision_t  *d;
    reco_str_t          found = { NULL, 0 };

    if (!ledger_has_decisions(l, wanted)) {
        return false;
    }

    if (wanted) {
        l->model = ledger_word(l, (reco_str_t) { wanted, strlen(wanted) });
        return true;
    }

    for (d = l->private->by_id; d; d = d->hh.next) {
        if (found.data && found.data != d->model.data) {
            tool_error("the log holds decisions of several models, '%s' and "
                       "'%s' among them: choose one with --model NAME",
                       found.data, d->model.data);
            return false;
        }
        found = d->model;
    }

    l->model = found;

    return true;
}

const char *
ledger_only_fact(ledger_t *l, const char *model)
{
    size_t                  i;
    uint32_t                k;
    const char             *found = NULL, *name;
    const ledger_reward_t  *r;

    for (i = 0; i < l->private->nrewards; i++) {
        r = &l->private->rewards[i];

        if (model && strcmp(model, r->model.data) != 0) {
            continue;
        }

        for (k = 0; k < r->nfacts; k++) {
            name = r->facts[k].name.data;

            if (found && found != name) {
                tool_error("the log holds several kinds of facts, '%s' and "
                           "'%s' among them: name the one that is the reward, "
                           "or give a spec", found, name);
                return NULL;
            }
            found = name;
        }
    }

    if (found == NULL) {
        tool_error("the log holds no reward");
    }

    return found;
}
