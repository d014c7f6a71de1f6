/*
 * ngx_http_reco_module.h - what the module's files share.
 *
 * The module, bottom-up:
 *
 *   ngx_http_reco_zone.c       shared memory: counters, action labels, latency,
 *                              last decisions, verified file identities
 *   ngx_http_reco_log.c        event log of one worker: buffer, one write a
 *                              turn of the event loop, waiting requests
 *   ngx_http_reco_model.c      snapshots of one worker: manifest timer, checksum
 *                              in the thread pool, swap
 *   ngx_http_reco_geo.c        the same for the geo database
 *   ngx_http_reco_decide.c     request -> core -> record: one decision
 *   ngx_http_reco_body.c       a request's body as one string
 *   ngx_http_reco_reply.c      answers and problems as HTTP responses
 *   ngx_http_reco_recommend.c  content handler of reco_recommend
 *   ngx_http_reco_reward.c     content handler of reco_reward
 *   ngx_http_reco_status.c     content handlers of reco_status, reco_health
 *   ngx_http_reco_variables.c  $reco_action and the others
 *   ngx_http_reco_conf.c       directive setters
 *   ngx_http_reco_module.c     commands, contexts, configuration, processes
 */

#ifndef NGX_HTTP_RECO_MODULE_H
#define NGX_HTTP_RECO_MODULE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "reco_format.h"
#include "reco_geo.h"
#include "reco_segment.h"
#include "reco_snapshot.h"

#include "ngx_http_reco_counters_x.h"


#define NGX_HTTP_RECO_MAX_MODELS   16

#define NGX_HTTP_RECO_SYNC_OFF     0
#define NGX_HTTP_RECO_SYNC_ALWAYS  ((ngx_msec_t) -1)


/* ---- counters ---- */

#define X(name, ...)  NGX_HTTP_RECO_##name,
typedef enum {
    RECO_REQUEST_COUNTERS(X)
    RECO_ERROR_COUNTERS(X)
    RECO_EVENT_COUNTERS(X)
    NGX_HTTP_RECO_NCOUNTERS
} ngx_http_reco_counter_e;
#undef X


/* ---- configuration ---- */

typedef struct {
    ngx_str_t                  name;
    ngx_str_t                  dir;            /* folder with current.json,
                                                  terminated */
    ngx_msec_t                 check;          /* manifest poll; 1s */
    ngx_uint_t                 index;          /* in the main conf's array */
    reco_model_t              *fallback;       /* from reco_fallback, always
                                                  set (perhaps without actions),
                                                  policy "first" */

    /* one worker's; set from init_process on */
    reco_snapshot_t           *snapshot;       /* NULL: fallback */
    uint64_t                   generation;
    uint32_t                  *action_labels;  /* by action: slot in the zone */
    uint32_t                  *fallback_labels;
    void                      *watch;          /* ngx_http_reco_model.c's */
} ngx_http_reco_model_t;


typedef struct {
    ngx_str_t                  path;           /* folder, terminated; empty: no
                                                  reco_log */
    off_t                      segment;        /* bytes; 64m */
    ngx_msec_t                 age;            /* 1h */
    ngx_msec_t                 sync;           /* OFF, ALWAYS or interval */
} ngx_http_reco_log_conf_t;


typedef struct {
    ngx_array_t                models;         /* ngx_http_reco_model_t */
    ngx_str_t                  node;           /* default: host name */
    ngx_shm_zone_t            *zone;           /* ctx: ngx_http_reco_zone_t */
    ngx_http_reco_log_conf_t   log;
    ngx_str_t                  geo_path;       /* empty: no reco_geoip */
    ngx_msec_t                 geo_check;      /* 60s */
    ngx_str_t                  secret_path;
    reco_secret_t             *secret;         /* NULL: unsigned, ids raw */
    ngx_thread_pool_t         *thread_pool;    /* NULL where none is used */
    size_t                     body_max;       /* largest of all locations */
} ngx_http_reco_main_conf_t;


typedef struct {
    ngx_http_complex_value_t  *customer;
    ngx_http_complex_value_t  *session;
    ngx_array_t               *features;       /* ngx_http_reco_feature_arg_t */
    ngx_http_reco_model_t     *model;
    ngx_uint_t                 slate;          /* 0: the policy's */
} ngx_http_reco_decide_conf_t;


typedef struct {
    ngx_str_t                  name;
    ngx_http_complex_value_t   value;
} ngx_http_reco_feature_arg_t;


typedef struct {
    ngx_http_reco_model_t        *model;       /* of this location's handler */
    const reco_format_t          *format;
    ngx_uint_t                    variant;
    ngx_uint_t                    prometheus;  /* unsigned  prometheus:1; */
    ngx_uint_t                    accept_unknown;  /* reco_reward unknown= */
    ngx_http_reco_decide_conf_t  *decide;      /* of reco_decide, inherited */
    ngx_flag_t                    explain;
    size_t                        body_max;
} ngx_http_reco_loc_conf_t;


/* ---- one worker ---- */

/* Room for one decision at a time: parsed, decided and rendered within one
 * call, so one is enough for a worker. */
typedef struct {
    reco_json_keys_t           keys;
    reco_request_t             request;
    reco_features_t            features;
    reco_scratch_t             scratch;
    reco_mask_t                eligible;
    reco_decision_t            decision;
    reco_reward_request_t      reward;
    reco_error_t               error;
} ngx_http_reco_workspace_t;


typedef struct {
    ngx_cycle_t                *cycle;
    ngx_http_reco_main_conf_t  *conf;
    ngx_http_reco_workspace_t  *workspace;
    reco_id_source_t            ids;
    reco_geo_t                 *geo;           /* NULL: none usable */
} ngx_http_reco_worker_t;

/* the only global besides the module: this worker; conf is NULL in a master,
 * and where no http block uses the module */
extern ngx_http_reco_worker_t  ngx_http_reco_worker;
extern ngx_module_t            ngx_http_reco_module;


/* ---- event log (ngx_http_reco_log.c) ---- */

/*
 * A request that waits for its record. Lives in the request's pool, linked
 * only while it waits; its owner's pool cleanup calls
 * ngx_http_reco_log_forget(). The handler is called once, from the event
 * loop, after it was unlinked: NGX_OK when the record is in the log (and
 * synced, with sync=always), NGX_ERROR when it is not, NGX_DECLINED when no
 * log is configured.
 */
typedef struct ngx_http_reco_wait_s  ngx_http_reco_wait_t;

struct ngx_http_reco_wait_s {
    ngx_queue_t                queue;
    unsigned                   linked:1;
    void                     (*handler)(ngx_http_reco_wait_t *wait,
                                        ngx_int_t rc);
    void                      *data;
};

ngx_int_t ngx_http_reco_log_init_process(ngx_cycle_t *cycle);
void ngx_http_reco_log_exit_process(ngx_cycle_t *cycle);

/* A buffer for one record of at most max bytes, and its sequence number
 * (consumed even where the record is lost, so that the gap shows). False when
 * the log cannot be written now; the caller goes on without. */
ngx_int_t ngx_http_reco_log_begin(size_t max, reco_buf_t *buf, uint64_t *seq);

/* The record in buf is complete. With wait: its handler is called when the
 * turn's write returned. Without: returns when it is written (variables). */
ngx_int_t ngx_http_reco_log_end(reco_buf_t *buf, ngx_http_reco_wait_t *wait);

/* begin() said no: calls wait's handler in this turn all the same, posted. */
void ngx_http_reco_log_skip(ngx_http_reco_wait_t *wait);

void ngx_http_reco_log_forget(ngx_http_reco_wait_t *wait);


/* ---- snapshots and geo (ngx_http_reco_model.c, ngx_http_reco_geo.c) ---- */

/* nginx -t: manifest, size and schema; warns, creates nothing, never fails
 * for a snapshot that is absent. */
void ngx_http_reco_model_test(ngx_conf_t *cf, ngx_http_reco_model_t *model);
ngx_int_t ngx_http_reco_model_init_process(ngx_cycle_t *cycle);
void ngx_http_reco_model_exit_process(ngx_cycle_t *cycle);
ngx_int_t ngx_http_reco_geo_init_process(ngx_cycle_t *cycle);
void ngx_http_reco_geo_exit_process(ngx_cycle_t *cycle);


/* ---- shared memory (ngx_http_reco_zone.c) ---- */

typedef struct ngx_http_reco_zone_s  ngx_http_reco_zone_t;

ngx_int_t ngx_http_reco_zone_init(ngx_shm_zone_t *shm_zone, void *data);

/* All of these do nothing (or say "not known") without a reco_zone. */
void ngx_http_reco_count(ngx_http_reco_counter_e counter);
void ngx_http_reco_count_n(ngx_http_reco_counter_e counter, ngx_atomic_uint_t n);

/* Label slots: claimed by compare and swap, at most 512, then "other" (0). */
uint32_t ngx_http_reco_action_label(ngx_http_reco_model_t *model,
    reco_str_t action);
void ngx_http_reco_count_action(uint32_t label);
void ngx_http_reco_count_fact(reco_str_t kind);

/* Time a decision took, from the request's body to its record. */
void ngx_http_reco_latency(uint64_t nsec);

/* The served generation of a model and when it was opened. */
void ngx_http_reco_zone_generation(ngx_http_reco_model_t *model,
    uint64_t generation, uint64_t published_ms);

/* Last decisions: keyed by hash of model and customer key. */
void ngx_http_reco_last_set(ngx_http_reco_model_t *model, reco_str_t key,
    const reco_id_t *id, uint64_t time_ms);
/* NGX_OK known; NGX_DECLINED proven never to have had one on this node since
 * its log began; NGX_AGAIN cannot tell. */
ngx_int_t ngx_http_reco_last_known(ngx_http_reco_model_t *model,
    reco_str_t key);
/* The log folder held segments when the zone was new: nothing can be proven */
void ngx_http_reco_zone_has_past(void);

/* Verified identities of files (device, inode, size, mtime, ctime). */
typedef struct {
    uint64_t  dev, ino, size, mtime_ns, ctime_ns;
} ngx_http_reco_identity_t;

/* NGX_OK: verified before. NGX_AGAIN: claimed for this process, which is to
 * verify it and say so. NGX_BUSY: another process is at it. NGX_ERROR: was
 * verified and found bad. */
ngx_int_t ngx_http_reco_verified_claim(const ngx_http_reco_identity_t *id);
void ngx_http_reco_verified_done(const ngx_http_reco_identity_t *id,
    ngx_uint_t good);

ngx_int_t ngx_http_reco_status_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_reco_health_handler(ngx_http_request_t *r);


/* ---- decisions and replies ---- */

/* What a decision leaves in its request's pool: for the answer, for the
 * variables, for subrequests. */
typedef struct {
    ngx_http_reco_model_t     *model;
    uint64_t                   generation;
    reco_id_t                  id;
    ngx_str_t                  token;
    ngx_str_t                  action;         /* first of the slate */
    ngx_str_t                  slate;          /* "OFFER_2,OFFER_5" */
    ngx_str_t                  propensity;     /* of the first, "0.25" */
    ngx_str_t                  country;
    unsigned                   fallback:1;
    unsigned                   unlogged:1;
} ngx_http_reco_result_t;

typedef struct {
    ngx_http_reco_result_t    *result;
    ngx_http_reco_wait_t       wait;
    ngx_http_request_t        *request;
    ngx_event_t                deadline;
    ngx_int_t                  status;         /* of the reply that waits */
    ngx_buf_t                 *reply;
    uint64_t                   began_ns;
    unsigned                   reward:1;
    unsigned                   waiting:1;
} ngx_http_reco_ctx_t;

ngx_int_t ngx_http_reco_recommend_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_reco_reward_handler(ngx_http_request_t *r);

/* The whole body as one string: in place where it is one buffer in memory,
 * else copied into the pool. NGX_OK, or an HTTP status. */
ngx_int_t ngx_http_reco_body(ngx_http_request_t *r, size_t max,
    reco_str_t *body);

ngx_int_t ngx_http_reco_add_variables(ngx_conf_t *cf);

uint64_t ngx_http_reco_monotonic_ns(void);
uint64_t ngx_http_reco_time_ms(void);

#endif /* NGX_HTTP_RECO_MODULE_H */
