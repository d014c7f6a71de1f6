/*
 * ngx_http_reco_status.c - content handlers of reco_status and reco_health.
 *
 * The status is rendered from the zone, which all workers share, into one
 * buffer of the request's pool: as Prometheus text (exposition format 0.0.4)
 * or as one JSON object with the same numbers.
 */

#include "ngx_http_reco_zone.h"


#define NGX_HTTP_RECO_STATUS_FIXED   16384
/* names, quotes and a number around a label's two texts; each byte of these
 * may become six */
#define NGX_HTTP_RECO_STATUS_LABEL   128
#define NGX_HTTP_RECO_STATUS_ESCAPE  6


typedef struct {
    const char               *name;
    const char               *help;
} ngx_http_reco_metric_t;


/* What the status says of one model. */
typedef struct {
    reco_str_t                model;
    uint64_t                  generation;
    double                    age;           /* seconds; not of generation 0 */
} ngx_http_reco_state_t;


static ngx_buf_t *ngx_http_reco_status_buf(ngx_http_request_t *r,
    ngx_http_reco_zone_t *zone);
static size_t ngx_http_reco_labels_size(ngx_http_reco_label_t *labels,
    ngx_uint_t n);
static void ngx_http_reco_prometheus(reco_buf_t *b,
    ngx_http_reco_zone_t *zone);
static void ngx_http_reco_prometheus_head(reco_buf_t *b, const char *name,
    const char *type, const char *help);
static void ngx_http_reco_prometheus_label(reco_buf_t *b, const char *name,
    reco_str_t value);
static void ngx_http_reco_prometheus_family(reco_buf_t *b,
    ngx_http_reco_zone_t *zone, const char *name, const char *label,
    const char *help, ngx_uint_t first, ngx_uint_t last);
static void ngx_http_reco_prometheus_labels(reco_buf_t *b,
    ngx_http_reco_label_t *labels, ngx_uint_t n, const char *name,
    const char *label);
static void ngx_http_reco_prometheus_duration(reco_buf_t *b,
    ngx_http_reco_zone_t *zone);
static void ngx_http_reco_prometheus_snapshots(reco_buf_t *b,
    ngx_http_reco_zone_t *zone);
static void ngx_http_reco_prometheus_room(reco_buf_t *b);
static void ngx_http_reco_json(reco_buf_t *b, ngx_http_reco_zone_t *zone);
static void ngx_http_reco_json_counters(reco_buf_t *b,
    ngx_http_reco_zone_t *zone, const char *name, ngx_uint_t first,
    ngx_uint_t last);
static void ngx_http_reco_json_decisions(reco_buf_t *b,
    ngx_http_reco_zone_t *zone);
static void ngx_http_reco_json_rewards(reco_buf_t *b,
    ngx_http_reco_zone_t *zone);
static void ngx_http_reco_json_duration(reco_buf_t *b,
    ngx_http_reco_zone_t *zone);
static void ngx_http_reco_json_room(reco_buf_t *b);
static void ngx_http_reco_json_snapshots(reco_buf_t *b,
    ngx_http_reco_zone_t *zone);
static void ngx_http_reco_model_state(ngx_http_reco_zone_t *zone,
    ngx_http_reco_model_t *model, ngx_http_reco_state_t *state);
static reco_str_t ngx_http_reco_label_model(ngx_http_reco_label_t *label,
    ngx_uint_t i);
static reco_str_t ngx_http_reco_label_text(ngx_http_reco_label_t *label,
    ngx_uint_t i);


/* by counter; the order is that of ngx_http_reco_counter_e */

static const ngx_http_reco_metric_t  ngx_http_reco_metrics[] = {
#define X(name, label)  { label, NULL },
    RECO_REQUEST_COUNTERS(X)
    RECO_ERROR_COUNTERS(X)
#undef X
#define X(name, label, help)  { label, help },
    RECO_EVENT_COUNTERS(X)
#undef X
};


/* the first of each group, and one past the last */

#define X(name, ...)  + 1
enum {
    NGX_HTTP_RECO_REQUESTS = 0,
    NGX_HTTP_RECO_ERRORS = NGX_HTTP_RECO_REQUESTS RECO_REQUEST_COUNTERS(X),
    NGX_HTTP_RECO_EVENTS = NGX_HTTP_RECO_ERRORS RECO_ERROR_COUNTERS(X)
};
#undef X


static const char  *ngx_http_reco_bounds[] = {
#define X(bound, text)  text,
    NGX_HTTP_RECO_BUCKETS(X)
#undef X
};


ngx_int_t
ngx_http_reco_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_buf_t                 *b;
    ngx_str_t                  name, allow;
    reco_buf_t                 text;
    ngx_http_reco_zone_t      *zone;
    ngx_http_reco_loc_conf_t  *rlcf;

    ngx_http_reco_count(NGX_HTTP_RECO_REQ_STATUS);

    if (ngx_http_reco_worker.conf == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_METHOD);
        ngx_str_set(&name, "Allow");
        ngx_str_set(&allow, "GET, HEAD");
        (void) ngx_http_reco_add_header(r, &name, &allow);
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);
    zone = ngx_http_reco_zone();

    b = ngx_http_reco_status_buf(r, zone);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reco_buf_init(&text, (char *) b->pos, b->end - b->pos);

    if (rlcf->prometheus) {
        ngx_http_reco_prometheus(&text, zone);

    } else {
        ngx_http_reco_json(&text, zone);
    }

    if (text.overflow) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "reco: the status is longer than its bound");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = (u_char *) text.pos;

    return ngx_http_reco_send_type(r, NGX_HTTP_OK, b,
                                   rlcf->prometheus
                                   ? "text/plain; version=0.0.4"
                                   : "application/json");
}


ngx_int_t
ngx_http_reco_health_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_buf_t                 *b;
    ngx_uint_t                 status;
    reco_str_t                 name, version;
    reco_buf_t                 text;
    ngx_http_reco_model_t     *model;
    ngx_http_reco_loc_conf_t  *rlcf;
    reco_health_t              health;

    ngx_http_reco_count(NGX_HTTP_RECO_REQ_HEALTH);

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    rc = ngx_http_reco_check(r, RECO_METHOD_GET);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    model = rlcf->model;

    name.data = (char *) model->name.data;
    name.len = model->name.len;

    version = model->snapshot ? reco_snapshot_model(model->snapshot)->version
                              : RECO_STR("");

    b = ngx_create_temp_buf(r->pool, 512 + NGX_HTTP_RECO_STATUS_ESCAPE
                                           * (name.len + version.len));
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reco_buf_init(&text, (char *) b->pos, b->end - b->pos);

    health.model = name;
    health.version = version;
    health.generation = model->snapshot ? model->generation : 0;
    health.time_ms = ngx_http_reco_time_ms();
    health.geo = (ngx_http_reco_worker.geo != NULL);
    health.geo_configured = (ngx_http_reco_worker.conf->geo_path.len != 0);
    health.log_configured = (ngx_http_reco_worker.conf->log.path.len != 0);
    health.log = ngx_http_reco_log_is_up();

    status = rlcf->format->render_health(&text, &health);

    b->last = (u_char *) text.pos;

    return ngx_http_reco_send(r, status, b);
}


static ngx_buf_t *
ngx_http_reco_status_buf(ngx_http_request_t *r, ngx_http_reco_zone_t *zone)
{
    size_t  size;

    size = NGX_HTTP_RECO_STATUS_FIXED
           + NGX_HTTP_RECO_MAX_MODELS * 2
             * (NGX_HTTP_RECO_STATUS_LABEL
                + NGX_HTTP_RECO_STATUS_ESCAPE * RECO_MAX_ID);

    if (zone) {
        size += ngx_http_reco_labels_size(zone->actions,
                                          NGX_HTTP_RECO_ACTION_LABELS);
        size += ngx_http_reco_labels_size(zone->kinds,
                                          NGX_HTTP_RECO_KIND_LABELS);
    }

    return ngx_create_temp_buf(r->pool, size);
}


/* Labels that another worker claims meanwhile fit as well: there is room for
 * the longest text in each that is free. */

static size_t
ngx_http_reco_labels_size(ngx_http_reco_label_t *labels, ngx_uint_t n)
{
    size_t      size;
    ngx_uint_t  i;

    size = 0;

    for (i = 0; i < n; i++) {
        size += NGX_HTTP_RECO_STATUS_LABEL
                + NGX_HTTP_RECO_STATUS_ESCAPE
                  * (ngx_http_reco_label_ready(&labels[i])
                     ? labels[i].model_len + labels[i].text_len
                     : 2 * RECO_MAX_ID);
    }

    return size;
}


/* ---- Prometheus ---- */

static void
ngx_http_reco_prometheus(reco_buf_t *b, ngx_http_reco_zone_t *zone)
{
    if (zone) {
        ngx_http_reco_prometheus_family(b, zone, "reco_requests_total",
                                        "route", "Requests by route",
                                        NGX_HTTP_RECO_REQUESTS,
                                        NGX_HTTP_RECO_ERRORS);
        ngx_http_reco_prometheus_family(b, zone, "reco_errors_total",
                                        "reason", "Errors by reason",
                                        NGX_HTTP_RECO_ERRORS,
                                        NGX_HTTP_RECO_EVENTS);

        ngx_http_reco_prometheus_head(b, "reco_decisions_total", "counter",
                                      "Actions decided on, by model and "
                                      "action");
        ngx_http_reco_prometheus_labels(b, zone->actions,
                                        NGX_HTTP_RECO_ACTION_LABELS,
                                        "reco_decisions_total", "action");

        ngx_http_reco_prometheus_head(b, "reco_rewards_total", "counter",
                                      "Facts written to the event log, by "
                                      "kind");
        ngx_http_reco_prometheus_labels(b, zone->kinds,
                                        NGX_HTTP_RECO_KIND_LABELS,
                                        "reco_rewards_total", "kind");

        ngx_http_reco_prometheus_family(b, zone, NULL, NULL, NULL,
                                        NGX_HTTP_RECO_EVENTS,
                                        NGX_HTTP_RECO_NCOUNTERS);
        ngx_http_reco_prometheus_duration(b, zone);
        ngx_http_reco_prometheus_room(b);
    }

    ngx_http_reco_prometheus_snapshots(b, zone);
}


static void
ngx_http_reco_prometheus_head(reco_buf_t *b, const char *name,
    const char *type, const char *help)
{
    reco_buf_cstr(b, "# HELP ");
    reco_buf_cstr(b, name);
    reco_buf_char(b, ' ');
    reco_buf_cstr(b, help);
    reco_buf_cstr(b, "\n# TYPE ");
    reco_buf_cstr(b, name);
    reco_buf_char(b, ' ');
    reco_buf_cstr(b, type);
    reco_buf_char(b, '\n');
}


static void
ngx_http_reco_prometheus_label(reco_buf_t *b, const char *name,
    reco_str_t value)
{
    size_t  i;

    reco_buf_cstr(b, name);
    reco_buf_cstr(b, "=\"");

    for (i = 0; i < value.len; i++) {

        switch (value.data[i]) {

        case '\\':
            reco_buf_cstr(b, "\\\\");
            break;

        case '"':
            reco_buf_cstr(b, "\\\"");
            break;

        case '\n':
            reco_buf_cstr(b, "\\n");
            break;

        default:
            reco_buf_char(b, value.data[i]);
        }
    }

    reco_buf_char(b, '"');
}


/* One metric with a label for each counter; without a name, a metric each. */

static void
ngx_http_reco_prometheus_family(reco_buf_t *b, ngx_http_reco_zone_t *zone,
    const char *name, const char *label, const char *help, ngx_uint_t first,
    ngx_uint_t last)
{
    char                           own[64];
    ngx_uint_t                     i;
    const ngx_http_reco_metric_t  *metric;

    if (name) {
        ngx_http_reco_prometheus_head(b, name, "counter", help);
    }

    for (i = first; i < last; i++) {
        metric = &ngx_http_reco_metrics[i];

        if (name) {
            reco_buf_cstr(b, name);
            reco_buf_char(b, '{');
            ngx_http_reco_prometheus_label(b, label,
                    (reco_str_t) { metric->name, ngx_strlen(metric->name) });
            reco_buf_cstr(b, "} ");

        } else {
            (void) ngx_snprintf((u_char *) own, sizeof(own), "reco_%s_total%Z",
                                metric->name);
            ngx_http_reco_prometheus_head(b, own, "counter", metric->help);
            reco_buf_cstr(b, own);
            reco_buf_char(b, ' ');
        }

        reco_buf_u64(b, zone->counters[i]);
        reco_buf_char(b, '\n');
    }
}


/* labels[0], what had no room, only where there is something to tell */

static void
ngx_http_reco_prometheus_labels(reco_buf_t *b, ngx_http_reco_label_t *labels,
    ngx_uint_t n, const char *name, const char *label)
{
    ngx_uint_t  i;
    reco_str_t  model;

    for (i = 0; i < n; i++) {

        if (i ? !ngx_http_reco_label_ready(&labels[i])
              : labels[i].count == 0)
        {
            continue;
        }

        reco_buf_cstr(b, name);
        reco_buf_char(b, '{');

        model = ngx_http_reco_label_model(&labels[i], i);

        if (model.len && n == NGX_HTTP_RECO_ACTION_LABELS) {
            ngx_http_reco_prometheus_label(b, "model", model);
            reco_buf_char(b, ',');
        }

        ngx_http_reco_prometheus_label(b, label,
                                       ngx_http_reco_label_text(&labels[i],
                                                                i));
        reco_buf_cstr(b, "} ");
        reco_buf_u64(b, labels[i].count);
        reco_buf_char(b, '\n');
    }
}


static void
ngx_http_reco_prometheus_duration(reco_buf_t *b, ngx_http_reco_zone_t *zone)
{
    uint64_t    count;
    ngx_uint_t  i;

    static const char  name[] = "reco_decision_duration_seconds";

    ngx_http_reco_prometheus_head(b, name, "histogram",
                                  "Time from a request's body to its record");
    count = 0;

    for (i = 0; i <= NGX_HTTP_RECO_NBUCKETS; i++) {
        count += zone->latency[i];

        reco_buf_cstr(b, name);
        reco_buf_cstr(b, "_bucket{le=\"");
        reco_buf_cstr(b, i < NGX_HTTP_RECO_NBUCKETS ? ngx_http_reco_bounds[i]
                                                    : "+Inf");
        reco_buf_cstr(b, "\"} ");
        reco_buf_u64(b, count);
        reco_buf_char(b, '\n');
    }

    reco_buf_cstr(b, name);
    reco_buf_cstr(b, "_sum ");
    reco_buf_double(b, (double) zone->latency_ns / 1e9);
    reco_buf_char(b, '\n');

    reco_buf_cstr(b, name);
    reco_buf_cstr(b, "_count ");
    reco_buf_u64(b, count);
    reco_buf_char(b, '\n');
}


static void
ngx_http_reco_prometheus_snapshots(reco_buf_t *b, ngx_http_reco_zone_t *zone)
{
    ngx_uint_t              i, n;
    ngx_http_reco_model_t  *models;
    ngx_http_reco_state_t   state[NGX_HTTP_RECO_MAX_MODELS];

    models = ngx_http_reco_worker.conf->models.elts;
    n = ngx_http_reco_worker.conf->models.nelts;

    ngx_http_reco_prometheus_head(b, "reco_snapshot_generation", "gauge",
                                  "Generation served, 0 for the fallback");

    for (i = 0; i < n; i++) {
        ngx_http_reco_model_state(zone, &models[i], &state[i]);

        reco_buf_cstr(b, "reco_snapshot_generation{");
        ngx_http_reco_prometheus_label(b, "model", state[i].model);
        reco_buf_cstr(b, "} ");
        reco_buf_u64(b, state[i].generation);
        reco_buf_char(b, '\n');
    }

    ngx_http_reco_prometheus_head(b, "reco_snapshot_age_seconds", "gauge",
                                  "Time since the served snapshot was "
                                  "published");

    for (i = 0; i < n; i++) {

        if (state[i].generation == 0) {
            continue;
        }

        reco_buf_cstr(b, "reco_snapshot_age_seconds{");
        ngx_http_reco_prometheus_label(b, "model", state[i].model);
        reco_buf_cstr(b, "} ");
        reco_buf_double(b, state[i].age);
        reco_buf_char(b, '\n');
    }
}


/* Known where it is limited: only then somebody looks. */

static void
ngx_http_reco_prometheus_room(reco_buf_t *b)
{
    ngx_http_reco_log_conf_t  *log;

    log = &ngx_http_reco_worker.conf->log;

    if (log->max == 0) {
        return;
    }

    ngx_http_reco_prometheus_head(b, "reco_log_bytes", "gauge",
                                  "Bytes of this node's segments");
    reco_buf_cstr(b, "reco_log_bytes ");
    reco_buf_u64(b, log->room->bytes);
    reco_buf_char(b, '\n');

    ngx_http_reco_prometheus_head(b, "reco_log_max_bytes", "gauge",
                                  "What they may take");
    reco_buf_cstr(b, "reco_log_max_bytes ");
    reco_buf_u64(b, log->max);
    reco_buf_char(b, '\n');
}


/* ---- JSON ---- */

static void
ngx_http_reco_json(reco_buf_t *b, ngx_http_reco_zone_t *zone)
{
    reco_buf_char(b, '{');

    if (zone) {
        ngx_http_reco_json_counters(b, zone, "requests",
                                    NGX_HTTP_RECO_REQUESTS,
                                    NGX_HTTP_RECO_ERRORS);
        ngx_http_reco_json_counters(b, zone, "errors", NGX_HTTP_RECO_ERRORS,
                                    NGX_HTTP_RECO_EVENTS);
        ngx_http_reco_json_counters(b, zone, "events", NGX_HTTP_RECO_EVENTS,
                                    NGX_HTTP_RECO_NCOUNTERS);
        ngx_http_reco_json_decisions(b, zone);
        ngx_http_reco_json_rewards(b, zone);
        ngx_http_reco_json_duration(b, zone);
        ngx_http_reco_json_room(b);
    }

    ngx_http_reco_json_snapshots(b, zone);

    reco_buf_cstr(b, "}\n");
}


static void
ngx_http_reco_json_counters(reco_buf_t *b, ngx_http_reco_zone_t *zone,
    const char *name, ngx_uint_t first, ngx_uint_t last)
{
    ngx_uint_t  i;

    reco_buf_char(b, '"');
    reco_buf_cstr(b, name);
    reco_buf_cstr(b, "\":{");

    for (i = first; i < last; i++) {
        reco_buf_cstr(b, i > first ? ",\"" : "\"");
        reco_buf_cstr(b, ngx_http_reco_metrics[i].name);
        reco_buf_cstr(b, "\":");
        reco_buf_u64(b, zone->counters[i]);
    }

    reco_buf_cstr(b, "},");
}


static void
ngx_http_reco_json_decisions(reco_buf_t *b, ngx_http_reco_zone_t *zone)
{
    ngx_uint_t              i, some;
    ngx_http_reco_label_t  *label;

    reco_buf_cstr(b, "\"decisions\":[");
    some = 0;

    for (i = 0; i < NGX_HTTP_RECO_ACTION_LABELS; i++) {
        label = &zone->actions[i];

        if (i ? !ngx_http_reco_label_ready(label) : label->count == 0) {
            continue;
        }

        reco_buf_cstr(b, some++ ? ",{\"model\":" : "{\"model\":");
        reco_buf_json_string(b, ngx_http_reco_label_model(label, i));
        reco_buf_cstr(b, ",\"action\":");
        reco_buf_json_string(b, ngx_http_reco_label_text(label, i));
        reco_buf_cstr(b, ",\"count\":");
        reco_buf_u64(b, label->count);
        reco_buf_char(b, '}');
    }

    reco_buf_cstr(b, "],");
}


static void
ngx_http_reco_json_rewards(reco_buf_t *b, ngx_http_reco_zone_t *zone)
{
    ngx_uint_t              i, some;
    ngx_http_reco_label_t  *label;

    reco_buf_cstr(b, "\"rewards\":[");
    some = 0;

    for (i = 0; i < NGX_HTTP_RECO_KIND_LABELS; i++) {
        label = &zone->kinds[i];

        if (i ? !ngx_http_reco_label_ready(label) : label->count == 0) {
            continue;
        }

        reco_buf_cstr(b, some++ ? ",{\"kind\":" : "{\"kind\":");
        reco_buf_json_string(b, ngx_http_reco_label_text(label, i));
        reco_buf_cstr(b, ",\"count\":");
        reco_buf_u64(b, label->count);
        reco_buf_char(b, '}');
    }

    reco_buf_cstr(b, "],");
}


static void
ngx_http_reco_json_duration(reco_buf_t *b, ngx_http_reco_zone_t *zone)
{
    uint64_t    count;
    ngx_uint_t  i;

    reco_buf_cstr(b, "\"decision_duration_seconds\":{\"buckets\":[");
    count = 0;

    for (i = 0; i <= NGX_HTTP_RECO_NBUCKETS; i++) {
        count += zone->latency[i];

        reco_buf_cstr(b, i ? ",{\"le\":" : "{\"le\":");
        reco_buf_cstr(b, i < NGX_HTTP_RECO_NBUCKETS ? ngx_http_reco_bounds[i]
                                                    : "null");
        reco_buf_cstr(b, ",\"count\":");
        reco_buf_u64(b, count);
        reco_buf_char(b, '}');
    }

    reco_buf_cstr(b, "],\"sum\":");
    reco_buf_double(b, (double) zone->latency_ns / 1e9);
    reco_buf_cstr(b, ",\"count\":");
    reco_buf_u64(b, count);
    reco_buf_cstr(b, "},");
}


static void
ngx_http_reco_json_room(reco_buf_t *b)
{
    ngx_http_reco_log_conf_t  *log;

    log = &ngx_http_reco_worker.conf->log;

    if (log->max == 0) {
        return;
    }

    reco_buf_cstr(b, "\"log\":{\"bytes\":");
    reco_buf_u64(b, log->room->bytes);
    reco_buf_cstr(b, ",\"max_bytes\":");
    reco_buf_u64(b, log->max);
    reco_buf_cstr(b, "},");
}


static void
ngx_http_reco_json_snapshots(reco_buf_t *b, ngx_http_reco_zone_t *zone)
{
    ngx_uint_t              i, n;
    ngx_http_reco_model_t  *models;
    ngx_http_reco_state_t   state;

    models = ngx_http_reco_worker.conf->models.elts;
    n = ngx_http_reco_worker.conf->models.nelts;

    reco_buf_cstr(b, "\"snapshots\":[");

    for (i = 0; i < n; i++) {
        ngx_http_reco_model_state(zone, &models[i], &state);

        reco_buf_cstr(b, i ? ",{\"model\":" : "{\"model\":");
        reco_buf_json_string(b, state.model);
        reco_buf_cstr(b, ",\"generation\":");
        reco_buf_u64(b, state.generation);

        if (state.generation) {
            reco_buf_cstr(b, ",\"age_seconds\":");
            reco_buf_double(b, state.age);
        }

        reco_buf_char(b, '}');
    }

    reco_buf_char(b, ']');
}


/* ---- both ---- */

/* Of all workers where there is a zone, else of this one. */

static void
ngx_http_reco_model_state(ngx_http_reco_zone_t *zone,
    ngx_http_reco_model_t *model, ngx_http_reco_state_t *state)
{
    uint64_t                     now, published;
    ngx_http_reco_generation_t  *served;

    state->model.data = (char *) model->name.data;
    state->model.len = model->name.len;
    state->generation = model->snapshot ? model->generation : 0;

    published = model->published_ms;

    served = zone ? ngx_http_reco_zone_served(zone, &model->name) : NULL;

    if (served) {
        state->generation = served->generation;
        published = served->published_ms;
    }

    now = ngx_http_reco_time_ms();
    state->age = (now > published) ? (double) (now - published) / 1e3 : 0;
}


static reco_str_t
ngx_http_reco_label_model(ngx_http_reco_label_t *label, ngx_uint_t i)
{
    if (i == 0) {
        return RECO_STR("other");
    }

    return (reco_str_t) { (char *) label->model, label->model_len };
}


static reco_str_t
ngx_http_reco_label_text(ngx_http_reco_label_t *label, ngx_uint_t i)
{
    if (i == 0) {
        return RECO_STR("other");
    }

    return (reco_str_t) { (char *) label->text, label->text_len };
}
