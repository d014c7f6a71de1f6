/*
 * train_print.c - a training's facts in words.
 */

#include "train.h"

#include <string.h>

static double
number(const json_t *facts, const char *name)
{
    return json_number_value(json_object_get(facts, name));
}

static unsigned long long
integer(const json_t *facts, const char *name)
{
    return (unsigned long long) json_integer_value(json_object_get(facts,
                                                                   name));
}

static void
print_arms(const json_t *facts, const char *out, FILE *to)
{
    json_t              *prior = json_object_get(facts, "prior");
    unsigned long long   states = integer(facts, "states");

    fprintf(to, "%s: %llu %s, %.6g trials, %.6g successes\n", out, states,
            states == 1 ? "state" : "states", number(facts, "trials"),
            number(facts, "successes"));
    fprintf(to, "prior Beta(%.6g, %.6g), %s\n", number(prior, "alpha"),
            number(prior, "beta"),
            json_string_value(json_object_get(prior, "source")));
}

/* ---- tables of values --------------------------------------------------- */

static void
print_options(const json_t *facts, FILE *to)
{
    size_t         i;
    const json_t  *origins = json_object_get(facts, "origins");

    static const struct {
        const char  *name;
        const char  *words;
    } options[] = {
        { "learning_rate", "learning rate" },
        { "discount_factor", "discount factor" },
        { "epsilon", "epsilon" }
    };

    for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (!json_is_null(json_object_get(facts, options[i].name))) {
            fprintf(to, "%s%s %.6g (%s)", i ? ", " : "", options[i].words,
                    number(facts, options[i].name),
                    json_string_value(json_object_get(origins,
                                                      options[i].name)));
        }
    }

    fputc('\n', to);
}

static void
print_left_out(const json_t *facts, FILE *to)
{
    json_t      *n;
    const char  *name, *separator = "left out: ";

    json_object_foreach(json_object_get(facts, "left_out"), name, n) {
        fprintf(to, "%s%lld %s", separator,
                (long long) json_integer_value(n), name);
        separator = ", ";
    }

    if (separator[0] == ',') {
        fputc('\n', to);
    }
}

/* The first passes, each that doubles their number, and the last. */
static void
print_course(const json_t *facts, FILE *to)
{
    size_t               i;
    json_t              *p;
    const json_t        *course = json_object_get(facts, "convergence");
    const size_t         n = json_array_size(course);
    unsigned long long   pass;

    fprintf(to, "%8s  %12s  %12s  %s\n", "pass", "mean change", "max change",
            "policy agreement");

    json_array_foreach(course, i, p) {
        pass = integer(p, "pass");

        if ((pass & (pass - 1)) == 0 || i + 1 == n) {
            fprintf(to, "%8llu  %12.6g  %12.6g  %.6g\n", pass,
                    number(p, "mean_change"), number(p, "max_change"),
                    number(p, "policy_agreement"));
        }
    }
}

static void
print_backoff(const json_t *backoff, FILE *to)
{
    size_t   i;
    json_t  *share;

    fprintf(to, "of %llu held-out decisions, answered at",
            integer(backoff, "held_out"));

    json_array_foreach(json_object_get(backoff, "levels"), i, share) {
        fprintf(to, "%s level %zu %.2f %%", i ? "," : "", i,
                100 * json_number_value(share));
    }

    fprintf(to, ", at none %.2f %%\n", 100 * number(backoff, "unknown"));
}

static void
print_values(const json_t *facts, const char *out, FILE *to)
{
    size_t         i;
    json_t        *rows;
    const json_t  *table = json_object_get(facts, "table");
    const json_t  *backoff = json_object_get(facts, "backoff");

    print_options(facts, to);
    fprintf(to, "%llu transitions in %llu episodes, reward %.6g on average, "
            "variance %.6g\n", integer(facts, "transitions"),
            integer(facts, "episodes"), number(facts, "average_reward"),
            number(facts, "reward_variance"));
    print_left_out(facts, to);
    print_course(facts, to);
    fprintf(to, "%s after %llu passes\n",
            json_is_true(json_object_get(facts, "converged"))
            ? "converged" : "stopped", integer(facts, "passes"));

    fprintf(to, "%s: %llu states (", out, integer(table, "states"));

    json_array_foreach(json_object_get(table, "levels"), i, rows) {
        fprintf(to, "%s%lld", i ? ", " : "by level ",
                (long long) json_integer_value(rows));
    }

    fprintf(to, "), %llu dropped, values from %.6g to %.6g\n",
            integer(table, "dropped"), number(table, "min"),
            number(table, "max"));

    if (backoff && integer(backoff, "held_out") > 0) {
        print_backoff(backoff, to);
    }
}

void
train_print(const json_t *facts, const char *out, FILE *to)
{
    if (json_object_get(facts, "table")) {
        print_values(facts, out, to);
    } else {
        print_arms(facts, out, to);
    }
}
