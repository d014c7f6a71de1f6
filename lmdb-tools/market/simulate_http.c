/*
 * simulate_http.c - shoppers as clients of a server, through libcurl's multi
 * interface: as many sessions at a time as there are connections, one request
 * of each session at a time, no pause between them. The server's clock is the
 * real one, so hours, days and pauses of the market do not happen.
 */

#include "simulate_http.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS      30000L
#define MAX_ANSWER      (1 << 20)
#define MAX_REWARDS     (3 * RECO_MAX_SLATE + 1)

typedef struct {
    const char  *interaction;
    int          item;              /* of the slate, or -1 */
} reward_t;

typedef struct {
    CURL              *curl;
    char              *body;        /* of the request; from jansson */
    char              *answer;
    size_t             len;
    bool               busy;
    bool               asked;       /* the request was for a slate */

    uint32_t           number;      /* the customer's, in the shop */
    uint64_t           first;       /* which of the sessions it begins */
    uint32_t           returns;
    market_shopper_t   shopper;
    visit_t            visit;
    visit_answer_t     step;
    char               session[64];
    uint32_t           items[RECO_MAX_SLATE];
    json_t            *told;        /* the answer's "data" */
    reward_t           rewards[MAX_REWARDS];
    uint32_t           nrewards, sent;
} client_t;

typedef struct {
    const simulate_options_t  *o;
    const char                *url;
    char                      *ask_url, *reward_url;
    struct curl_slist         *headers;
    CURLM                     *multi;
    client_t                  *clients;
    uint32_t                   n;
    simulate_shoppers_t        shoppers;
    uint32_t                   next;    /* shopper that comes next ... */
    uint64_t                   next_first;  /* ... with this session */
    simulate_totals_t         *totals;
    uint64_t                   requests, failed;
    char                       problem[512];    /* the first */
    bool                       broken;
} http_t;

/* ---- requests ----------------------------------------------------------- */

static size_t
take_bytes(char *data, size_t size, size_t n, void *to)
{
    client_t  *c = to;

    if (c->len + size * n > MAX_ANSWER) {
        return 0;
    }

    c->answer = tool_realloc(c->answer, c->len + size * n + 1);
    memcpy(c->answer + c->len, data, size * n);
    c->len += size * n;

    return size * n;
}

static void
post(http_t *h, client_t *c, const char *url, json_t *body)
{
    free(c->body);
    c->body = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    c->len = 0;

    if (c->body == NULL) {
        tool_error("out of memory");
        h->broken = true;
        return;
    }

    curl_easy_setopt(c->curl, CURLOPT_URL, url);
    curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, c->body);
    curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE, (long) strlen(c->body));

    if (curl_multi_add_handle(h->multi, c->curl) != CURLM_OK) {
        tool_error("%s: cannot begin a request", h->url);
        h->broken = true;
        return;
    }

    c->busy = true;
    h->requests++;
}

static void
ask(http_t *h, client_t *c)
{
    size_t       i;
    double       number;
    json_t      *body, *cart = json_array();
    uint32_t     k;
    const char  *word;

    static const char *const  numbers[] = {
        "cart_total", "item_count", "time_in_session"
    };

    for (k = 0; k < c->visit.ncart; k++) {
        json_array_append_new(cart, json_string(
            h->o->market->shop->items[c->visit.cart[k]].id.data));
    }

    body = json_pack("{s:s, s:s, s:o}",
        "customer_id", c->shopper.customer->id.data,
        "session_id", c->session, "cart_items", cart);

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (visit_number(&c->visit, numbers[i], &number)) {
            json_object_set_new(body, numbers[i], json_real(number));
        }
    }

    word = visit_word(&c->visit, "device_type");
    if (word && word[0]) {
        json_object_set_new(body, "device_type", json_string(word));
    }

    c->asked = true;
    post(h, c, h->ask_url, body);
}

static void
send_reward(http_t *h, client_t *c)
{
    json_t          *body, *id;
    const reward_t  *r = &c->rewards[c->sent++];
    const shop_item_t *item;

    body = json_pack("{s:s, s:s, s:f, s:s}",
        "customer_id", c->shopper.customer->id.data,
        "session_id", c->session, "reward_value", r->item < 0 ? -1.0 : 1.0,
        "interaction_type", r->interaction);
    json_object_set(body, "action_type",
                    json_object_get(c->told, "action_type"));

    id = json_object_get(json_object_get(c->told, "metadata"),
                         "decision_id");
    if (json_is_string(id)) {
        json_object_set(body, "decision_id", id);
    }

    if (r->item >= 0) {
        item = &h->o->market->shop->items[c->items[r->item]];
        json_object_set_new(body, "recommended_products",
                            json_pack("[s]", item->id.data));
        if (strcmp(r->interaction, "purchase") == 0) {
            json_object_set_new(body, "revenue", json_real(item->price));
        }
    }

    c->asked = false;
    post(h, c, h->reward_url, body);
}

/* ---- sessions ----------------------------------------------------------- */

static void
begin_session(http_t *h, client_t *c)
{
    uint32_t  most = h->o->market->a.max_returns;

    visit_begin(&c->visit, h->o->market, &c->shopper, h->o->seed, c->number,
                (uint32_t) (c->first * (most + 1) + c->returns),
                h->o->start_ms);
    snprintf(c->session, sizeof(c->session), "%llu-%u-%u",
             (unsigned long long) h->o->seed, c->number, c->visit.session);
    ask(h, c);
}

/* The next session that nobody has begun; none: the client rests. */
static void
begin_client(http_t *h, client_t *c)
{
    while (h->next < h->shoppers.n
           && h->next_first >= simulate_share(&h->shoppers, h->next))
    {
        h->next++;
        h->next_first = 0;
    }

    if (h->next == h->shoppers.n || h->broken) {
        return;
    }

    c->number = h->shoppers.numbers[h->next];
    c->first = h->next_first++;
    c->returns = 0;
    market_shopper_free(&c->shopper);
    market_shopper(h->o->market,
                   &h->o->market->shop->customers[c->number], &c->shopper);
    begin_session(h, c);
}

static void
end_session(http_t *h, client_t *c)
{
    uint32_t  most = h->o->market->a.max_returns;
    bool      could = c->returns < most,
              back = could && visit_return(&c->visit, &c->step) != 0;

    simulate_count_end(&h->totals[c->number], &c->visit, back, could);

    if (back) {
        c->returns++;
        begin_session(h, c);
    } else {
        begin_client(h, c);
    }
}

static void
go_on(http_t *h, client_t *c)
{
    if (c->sent < c->nrewards) {
        send_reward(h, c);
    } else if (visit_go_on(&c->visit, &c->step)) {
        ask(h, c);
    } else {
        end_session(h, c);
    }
}

static void
add_reward(client_t *c, const char *interaction, int item)
{
    c->rewards[c->nrewards++] = (reward_t) { interaction, item };
}

/* The items that the server recommends, in the shop's numbers. */
static bool
read_items(http_t *h, client_t *c, uint32_t *n)
{
    size_t       i;
    json_t      *list = json_object_get(c->told, "recommendations");
    const char  *id;

    *n = 0;

    for (i = 0; i < json_array_size(list) && i < RECO_MAX_SLATE; i++) {
        id = json_string_value(json_array_get(list, i));
        if (id == NULL || !shop_find(h->o->market->shop, tool_str(id),
                                     &c->items[*n]))
        {
            return false;
        }
        (*n)++;
    }

    return *n > 0;
}

static bool
take_answer(http_t *h, client_t *c)
{
    json_t          *root;
    uint32_t         i, n;
    visit_answer_t  *a = &c->step;

    root = json_loadb(c->answer ? c->answer : "", c->len, 0, NULL);
    json_decref(c->told);
    c->told = json_incref(json_object_get(root, "data"));
    json_decref(root);

    if (!read_items(h, c, &n)) {
        snprintf(h->problem, sizeof(h->problem), "the answer is no list of "
                 "the shop's items: %.*s", (int) (c->len < 200 ? c->len
                                                               : 200),
                 c->answer ? c->answer : "");
        return false;
    }

    visit_answer(&c->visit, c->items, n, a);
    simulate_count(&h->totals[c->number], &c->visit, a, 0);
    c->nrewards = c->sent = 0;

    for (i = 0; i < n; i++) {
        if (a->clicked[i]) {
            add_reward(c, "click", (int) i);
        }
        if (a->carted[i]) {
            add_reward(c, "add_to_cart", (int) i);
        }
        if (a->bought[i]) {
            add_reward(c, "purchase", (int) i);
        }
    }

    /* this interaction stands for a minute */
    if (a->idle >= 0.5) {
        add_reward(c, "idle", -1);
    }

    return true;
}

/* A request that failed ends its session. */
static void
fail(http_t *h, client_t *c, const char *what)
{
    if (h->failed++ == 0 && h->problem[0] == '\0') {
        snprintf(h->problem, sizeof(h->problem), "%s", what);
    }
    h->totals[c->number].failed++;
    c->nrewards = c->sent = 0;
    begin_client(h, c);
}

static void
request_done(http_t *h, client_t *c, CURLcode result)
{
    char  text[320];
    long  status = 0;

    c->busy = false;
    curl_multi_remove_handle(h->multi, c->curl);
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);

    if (result != CURLE_OK) {
        fail(h, c, curl_easy_strerror(result));
        return;
    }

    if (status != 200) {
        snprintf(text, sizeof(text), "status %ld: %.*s", status,
                 (int) (c->len < 200 ? c->len : 200),
                 c->answer ? c->answer : "");
        fail(h, c, text);
        return;
    }

    if (c->asked && !take_answer(h, c)) {
        fail(h, c, "");
        return;
    }

    go_on(h, c);
}

/* ---- the loop ----------------------------------------------------------- */

static bool
prepare(http_t *h)
{
    CURL      *curl;
    uint32_t   i;

    for (i = 0; i < h->n; i++) {
        curl = curl_easy_init();
        if (curl == NULL) {
            tool_error("libcurl cannot begin");
            return false;
        }

        h->clients[i].curl = curl;
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, h->headers);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, &h->clients[i]);
        curl_easy_setopt(curl, CURLOPT_PRIVATE, &h->clients[i]);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    }

    return true;
}

static void
finished(http_t *h)
{
    int        left;
    CURLMsg   *message;
    CURLcode   result;
    client_t  *c;

    while ((message = curl_multi_info_read(h->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            result = message->data.result;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
                              (char **) &c);
            request_done(h, c, result);
        }
    }
}

static bool
loop(http_t *h)
{
    int              running = 1;
    uint32_t         i, busy = 1;
    tool_progress_t  progress;

    for (i = 0; i < h->n; i++) {
        begin_client(h, &h->clients[i]);
    }

    tool_progress_begin(&progress, "sessions", h->shoppers.n);

    while (busy && !h->broken) {
        if (curl_multi_perform(h->multi, &running) != CURLM_OK) {
            tool_error("%s: libcurl's loop failed", h->url);
            return false;
        }

        finished(h);

        for (busy = 0, i = 0; i < h->n; i++) {
            busy += h->clients[i].busy;
        }

        if (busy && curl_multi_poll(h->multi, NULL, 0, 1000, NULL)
                    != CURLM_OK)
        {
            tool_error("%s: libcurl's loop failed", h->url);
            return false;
        }
        tool_progress_at(&progress, h->next);
    }

    tool_progress_end(&progress);

    return !h->broken;
}

static void
release(http_t *h)
{
    uint32_t  i;

    for (i = 0; i < h->n; i++) {
        if (h->clients[i].busy) {
            curl_multi_remove_handle(h->multi, h->clients[i].curl);
        }
        curl_easy_cleanup(h->clients[i].curl);
        free(h->clients[i].body);
        free(h->clients[i].answer);
        json_decref(h->clients[i].told);
        market_shopper_free(&h->clients[i].shopper);
    }

    curl_multi_cleanup(h->multi);
    curl_slist_free_all(h->headers);
    curl_global_cleanup();
    free(h->clients);
    free(h->ask_url);
    free(h->reward_url);
    free(h->shoppers.numbers);
}

static char *
path_of(const char *url, const char *path)
{
    size_t  len = strlen(url);

    while (len > 0 && url[len - 1] == '/') {
        len--;
    }

    return tool_format("%.*s%s", (int) len, url, path);
}

bool
simulate_http(const simulate_options_t *o, const char *url,
    uint32_t connections, simulate_totals_t *totals)
{
    bool    ok;
    http_t  h = { .o = o, .url = url, .n = connections, .totals = totals };

    if (!simulate_shoppers(o, &h.shoppers)) {
        return false;
    }

    curl_global_init(CURL_GLOBAL_DEFAULT);
    h.multi = curl_multi_init();
    h.headers = curl_slist_append(NULL, "Content-Type: application/json");
    h.ask_url = path_of(url, "/api/v1/rl/recommendations");
    h.reward_url = path_of(url, "/api/v1/rl/reward");
    h.clients = tool_alloc(connections * sizeof(*h.clients));
    memset(h.clients, 0, connections * sizeof(*h.clients));

    ok = prepare(&h) && loop(&h);

    if (ok && h.failed > 0) {
        tool_warn("%s: %llu of %llu requests failed, the first with: %s",
                  url, (unsigned long long) h.failed,
                  (unsigned long long) h.requests, h.problem);
        ok = h.failed < h.requests;
    }

    release(&h);

    return ok;
}
