/*
 * clusters.c - spherical k-means. One thread and a fixed order of every sum,
 * so that the bits do not depend on the machine; a catalogue takes a second.
 */

#include "clusters.h"
#include "clusters_words.h"
#include "splitmix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RESTARTS    10      /* the best of so many beginnings is kept */
#define ROUNDS      100     /* at most, in each */
#define SEED        1
#define NONE        UINT32_MAX

typedef struct {
    const vectors_t  *v;
    uint32_t          k;
    uint32_t          nwords;
    splitmix_t        random;
    double           *centres;      /* k rows of nwords */
    uint32_t         *group;        /* by text; NONE: it has no term */
    double           *cosine;       /* of a text and its centre */
    double            objective;    /* their sum */
} kmeans_t;

static bool
is_empty(const kmeans_t *m, uint32_t text)
{
    return m->v->first[text] == m->v->first[text + 1];
}

static double *
centre(const kmeans_t *m, uint32_t g)
{
    return m->centres + (size_t) g * m->nwords;
}

static double
cosine(const kmeans_t *m, uint32_t text, uint32_t g)
{
    double         sum = 0;
    uint32_t       i;
    const double  *c = centre(m, g);

    for (i = m->v->first[text]; i < m->v->first[text + 1]; i++) {
        sum += m->v->terms[i].weight * c[m->v->terms[i].word];
    }

    return sum;
}

static void
add_text(kmeans_t *m, uint32_t g, uint32_t text)
{
    uint32_t  i;
    double   *c = centre(m, g);

    for (i = m->v->first[text]; i < m->v->first[text + 1]; i++) {
        c[m->v->terms[i].word] += m->v->terms[i].weight;
    }
}

static void
become(kmeans_t *m, uint32_t g, uint32_t text)
{
    memset(centre(m, g), 0, m->nwords * sizeof(double));
    add_text(m, g, text);
}

/* A text, with probability in proportion to its distance 1 - cosine[text];
 * NONE where all are at a centre. */
static uint32_t
draw(kmeans_t *m)
{
    double    sum = 0, x;
    uint32_t  i, last = NONE;

    for (i = 0; i < m->v->ntexts; i++) {
        sum += is_empty(m, i) ? 0 : fmax(0, 1 - m->cosine[i]);
    }
    x = splitmix_double(&m->random) * sum;
    for (i = 0; i < m->v->ntexts; i++) {
        /* What is nearer than this is the same text, but for rounding. */
        if (is_empty(m, i) || 1 - m->cosine[i] < 1e-9) {
            continue;
        }
        last = i;
        x -= 1 - m->cosine[i];
        if (x < 0) {
            break;
        }
    }

    return last;
}

/* k-means++: each further centre is a text far from those there are. Returns
 * how many there are. */
static uint32_t
begin(kmeans_t *m, uint32_t k)
{
    double    c;
    uint32_t  g, i, text;

    memset(m->cosine, 0, m->v->ntexts * sizeof(m->cosine[0]));
    for (g = 0; g < k; g++) {
        text = draw(m);
        if (text == NONE) {
            break;
        }
        become(m, g, text);
        for (i = 0; i < m->v->ntexts; i++) {
            c = cosine(m, i, g);
            if (c > m->cosine[i]) {
                m->cosine[i] = c;
            }
        }
    }

    return g;
}

/* Each text to its nearest centre, of equals the first. True where one
 * changed. */
static bool
assign(kmeans_t *m)
{
    bool      changed = false;
    double    c, best;
    uint32_t  i, g, nearest;

    m->objective = 0;
    for (i = 0; i < m->v->ntexts; i++) {
        if (is_empty(m, i)) {
            continue;
        }
        best = -1;
        nearest = 0;
        for (g = 0; g < m->k; g++) {
            c = cosine(m, i, g);
            if (c > best) {
                best = c;
                nearest = g;
            }
        }
        changed |= m->group[i] != nearest;
        m->group[i] = nearest;
        m->cosine[i] = best;
        m->objective += best;
    }

    return changed;
}

/* The text that is farthest from its centre becomes an empty group's. */
static void
fill_empty(kmeans_t *m, uint32_t g)
{
    uint32_t  i, far = NONE;

    for (i = 0; i < m->v->ntexts; i++) {
        if (!is_empty(m, i)
            && (far == NONE || m->cosine[i] < m->cosine[far]))
        {
            far = i;
        }
    }
    become(m, g, far);
    m->cosine[far] = 1;         /* another empty group takes another */
}

/* Centres become their texts' sum, of length 1. */
static void
move(kmeans_t *m)
{
    double    sum, *c;
    uint32_t  i, g;

    memset(m->centres, 0, (size_t) m->k * m->nwords * sizeof(double));
    for (i = 0; i < m->v->ntexts; i++) {
        if (!is_empty(m, i)) {
            add_text(m, m->group[i], i);
        }
    }
    for (g = 0; g < m->k; g++) {
        c = centre(m, g);
        for (sum = 0, i = 0; i < m->nwords; i++) {
            sum += c[i] * c[i];
        }
        if (sum == 0) {
            fill_empty(m, g);
            continue;
        }
        sum = sqrt(sum);
        for (i = 0; i < m->nwords; i++) {
            c[i] /= sum;
        }
    }
}

static void
run(kmeans_t *m, uint32_t k)
{
    int       round;
    uint32_t  i;

    for (i = 0; i < m->v->ntexts; i++) {
        m->group[i] = NONE;
    }
    m->k = begin(m, k);
    for (round = 0; assign(m) && round < ROUNDS; round++) {
        move(m);
    }
}

/* ---- names -------------------------------------------------------------- */

typedef struct {
    const char  *word;
    double       weight;
} heavy_t;

static int
by_weight(const void *a, const void *b)
{
    const heavy_t  *x = a, *y = b;

    if (x->weight != y->weight) {
        return x->weight > y->weight ? -1 : 1;
    }

    return strcmp(x->word, y->word);
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(((const heavy_t *) a)->word, ((const heavy_t *) b)->word);
}

/* The first n words in alphabetical order, as far as they fit an id. */
static void
join(const heavy_t *words, uint32_t n, char *name, size_t size)
{
    size_t    len = 0;
    uint32_t  i;
    heavy_t   sorted[4];

    memcpy(sorted, words, n * sizeof(sorted[0]));
    qsort(sorted, n, sizeof(sorted[0]), by_text);
    for (i = 0; i < n; i++) {
        len += (size_t) snprintf(name + len, size - len, "%s%s",
                                 i ? " " : "", sorted[i].word);
    }
}

static bool
is_taken(const clusters_t *out, uint32_t n, const char *name)
{
    uint32_t  i;

    for (i = 0; i < n; i++) {
        if (strcmp(out->names[i], name) == 0) {
            return true;
        }
    }

    return strcmp(name, CLUSTERS_OTHER) == 0;
}

/* Two words; where that is taken up to four, then a number. */
static void
name_group(clusters_t *out, uint32_t g, const heavy_t *words, uint32_t n)
{
    char      base[RECO_MAX_ID + 1], name[RECO_MAX_ID + 1 + 16];
    uint32_t  used = n < 2 ? n : 2, number = 2;

    join(words, used, base, sizeof(base));
    while (is_taken(out, g, base) && used < 4 && used < n) {
        join(words, ++used, base, sizeof(base));
    }
    snprintf(name, sizeof(name), "%s", base);
    while (is_taken(out, g, name)) {
        snprintf(name, sizeof(name), "%s %u", base, (unsigned) number++);
    }
    out->names[g] = tool_strdup(name);
}

static void
name_groups(const kmeans_t *m, clusters_t *out)
{
    uint32_t   g, i, n;
    heavy_t   *words = tool_alloc(m->nwords * sizeof(words[0]));

    for (g = 0; g < m->k; g++) {
        for (n = 0, i = 0; i < m->nwords; i++) {
            if (centre(m, g)[i] > 0) {
                words[n++] = (heavy_t) { m->v->words.texts[i],
                                         centre(m, g)[i] };
            }
        }
        qsort(words, n, sizeof(words[0]), by_weight);
        name_group(out, g, words, n);
    }
    free(words);
}

/* ---- all of it ---------------------------------------------------------- */

/* The best of several runs stays in *best. */
static void
run_all(kmeans_t *m, uint32_t k, kmeans_t *best)
{
    int       i;
    kmeans_t  swap;

    for (i = 0; i < RESTARTS; i++) {
        run(m, k);
        if (i == 0 || m->objective > best->objective) {
            splitmix_t  random = m->random;

            swap = *best;
            *best = *m;
            *m = swap;
            m->v = best->v;
            m->nwords = best->nwords;
            m->random = random;
        }
    }
    m->k = best->k;
}

static void
kmeans_room(kmeans_t *m, const vectors_t *v, uint32_t k)
{
    memset(m, 0, sizeof(*m));
    m->v = v;
    m->nwords = v->words.n;
    m->random.state = SEED;
    m->centres = tool_alloc((size_t) k * v->words.n * sizeof(double));
    m->group = tool_alloc(v->ntexts * sizeof(m->group[0]));
    m->cosine = tool_alloc(v->ntexts * sizeof(m->cosine[0]));
}

static void
kmeans_release(kmeans_t *m)
{
    free(m->centres);
    free(m->group);
    free(m->cosine);
}

void
clusters_make(const char *const *texts, uint32_t n, uint32_t k,
    clusters_t *out)
{
    uint32_t   i;
    kmeans_t   m, best;
    vectors_t  v;

    memset(out, 0, sizeof(*out));
    k = k < n ? k : n;
    vectors_make(texts, n, &v);
    kmeans_room(&m, &v, k);
    kmeans_room(&best, &v, k);
    run_all(&m, k, &best);
    move(&best);                /* a run that reached ROUNDS is behind */

    out->n = best.k;
    out->names = tool_alloc((best.k + 1) * sizeof(out->names[0]));
    out->group = tool_alloc(n * sizeof(out->group[0]));
    name_groups(&best, out);
    for (i = 0; i < n; i++) {
        out->group[i] = best.group[i] == NONE ? best.k : best.group[i];
        out->others += best.group[i] == NONE;
    }
    if (out->others) {
        out->names[out->n++] = tool_strdup(CLUSTERS_OTHER);
    }
    out->cohesion = n > out->others ? best.objective / (n - out->others) : 0;

    kmeans_release(&m);
    kmeans_release(&best);
    vectors_free(&v);
}

void
clusters_free(clusters_t *c)
{
    uint32_t  i;

    for (i = 0; i < c->n; i++) {
        free(c->names[i]);
    }
    free(c->names);
    free(c->group);
}
