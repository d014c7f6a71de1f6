/*
 * ngx_http_reco_module.h - what the module's files share.
 *
 * The module, bottom-up:
 *
 *   ngx_http_reco_zone.c       shared memory: counters, action labels, latency
 *   ngx_http_reco_verified.c   shared memory: verified files
 *   ngx_http_reco_kept.c       shared memory: what was taken up last
 *   ngx_http_reco_last.c       shared memory: last decisions
 *   ngx_http_reco_history.c    shared memory: recent decisions
 *   ngx_http_reco_log.c        event log of one worker: buffer, one write a
 *                              turn of the event loop, waiting requests;
 *                              _log_disk.c, _log_room.c: sync, size and age;
 *                              _log_lost.c: what was not written, the clock
 *   ngx_http_reco_snapshot.c   the snapshot that a manifest names, opened
 *   ngx_http_reco_model.c      snapshots of one worker: manifest timer,
 *                              checksum in the thread pool, swap
 *   ngx_http_reco_geo.c        the same for the geo database
 *   ngx_http_reco_decide.c     request -> core -> record: one decision
 *   ngx_http_reco_body.c       a request's body as one string
 *   ngx_http_reco_reply.c      answers and problems as HTTP responses
 *   ngx_http_reco_recommend.c  content handler of reco_recommend
 *   ngx_http_reco_reward.c     content handler of reco_reward
 *   ngx_http_reco_status.c     content handlers of reco_status, reco_health
 *   ngx_http_reco_agent.c      content handler of reco_agent
 *   ngx_http_reco_variables.c  $reco_action and the others
 *   ngx_http_reco_fallback.c   models of reco_fallback
 *   ngx_http_reco_check.c      warnings: what is configured and not there
 *   ngx_http_reco_conf.c       directive setters of the http level
 *   ngx_http_reco_conf_loc.c   directive setters of locations
 *   ngx_http_reco_module.c     commands, contexts, configuration, processes
 */

#ifndef NGX_HTTP_RECO_MODULE_H
#define NGX_HTTP_RECO_MODULE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "reco_agent.h"
#include "reco_format.h"
#include "reco_geo.h"
#include "reco_segment.h"
#include "reco_snapshot.h"

#include "ngx_http_reco_counters_x.h"


#define NGX_HTTP_RECO_MAX_MODELS   16

#define NGX_HTTP_RECO_SYNC_OFF     0
#define NGX_HTTP_RECO_SYNC_ALWAYS  ((ngx_msec_t) -1)


/* what a reco_agent shows */
#define NGX_HTTP_RECO_AGENT_METRICS  1
#define NGX_HTTP_RECO_AGENT_STATE    2
#define NGX_HTTP_RECO_AGENT_HISTORY  3


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

typedef struct ngx_http_reco_room_s  ngx_http_reco_room_t;

typedef struct {
    ngx_str_t                  name;
    ngx_str_t                  dir;            /* folder with current.json,
                                                  terminated */
    ngx_msec_t                 check;          /* manifest poll; 1s */
    ngx_uint_t                 index;          /* in the main conf's array */
    u_char                    *file;           /* where the configuration named
                                                  it first, */
    ngx_uint_t                 line;           /* for messages */
    reco_model_t              *fallback;       /* from reco_fallback, always
                                                  set (perhaps without actions),
                                                  policy "first" */

    ngx_array_t               *features;       /* ngx_str_t: names that some
                                                  reco_decide gives it; NULL:
                                                  none */

    /* one worker's; set from init_process on */
    reco_snapshot_t           *snapshot;       /* NULL: fallback */
    uint64_t                   generation;
    uint32_t                  *action_labels;  /* by action: slot in the zone */
    uint64_t                   published_ms;   /* of the snapshot */
    uint64_t                   snapshot_bytes; /* of its file */
    uint32_t                  *fallback_labels;
    void                      *watch;          /* ngx_http_reco_model.c's */

    /* one worker's: of the model they were computed for */
    const reco_model_t        *bounds_of;
    uint64_t                   bounds_generation;
    size_t                     record_bound;
    size_t                     answer_bound;
    ngx_uint_t                 wants_country;
    uint64_t                   last_seed;
} ngx_http_reco_model_t;


typedef struct {
    ngx_str_t                  path;           /* folder, terminated; empty: no
                                                  reco_log */
    off_t                      segment;        /* bytes; 64m */
    ngx_msec_t                 age;            /* 1h */
    ngx_msec_t                 sync;           /* OFF, ALWAYS or interval */
    ngx_msec_t                 keep;           /* 0: segments stay */
    off_t                      max;            /* bytes; 0: no limit */
    ngx_flag_t                 drop;           /* above max the oldest go; else
                                                  nothing is written */
    ngx_http_reco_room_t      *room;           /* the zone's; NULL: no zone */
} ngx_http_reco_log_conf_t;


typedef struct {
    ngx_array_t                models;         /* ngx_http_reco_model_t; room
                                                  for MAX_MODELS, so that an
                                                  element never moves */
    ngx_str_t                  node;           /* default: host name */
    ngx_shm_zone_t            *zone;           /* ctx: ngx_http_reco_zone_t */
    ngx_http_reco_log_conf_t   log;
    ngx_str_t                  geo_path;       /* empty: no reco_geoip */
    ngx_msec_t                 geo_check;      /* 60s */
    ngx_str_t                  secret_path;
    reco_secret_t             *secret;         /* NULL: unsigned, ids raw */
    ngx_thread_pool_t         *thread_pool;    /* NULL where none is used */
    size_t                     body_max;       /* largest of all locations */
    ngx_uint_t                 rewards;        /* unsigned  rewards:1; some
                                                  location has reco_reward */
    ngx_uint_t                 beside;         /* unsigned  beside:1; the zone
                                                  is new, and workers of another
                                                  one may live */
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
    ngx_http_handler_pt           handler;     /* of this location, or NULL */
    ngx_http_reco_model_t        *model;       /* of this location's handler */
    const reco_format_t          *format;
    ngx_uint_t                    variant;
    ngx_uint_t                    prometheus;  /* unsigned  prometheus:1; */
    ngx_uint_t                    agent;       /* what reco_agent shows */
    ngx_uint_t                    accept_unknown;  /* reco_reward unknown= */
    ngx_http_reco_decide_conf_t  *decide;      /* of reco_decide, inherited */
    ngx_flag_t                    explain;
    size_t                        body_max;    /* reco_body_max, 16k */
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
    reco_item_slate_t          items;          /* n is 0 without items */
    reco_items_scratch_t       items_scratch;
    reco_reward_request_t      reward;
    reco_error_t               error;
    char                       customer_key[32];
    uint64_t                   last_key;       /* of customer_key; 0: none */
    reco_arena_t               arena;          /* decoded strings of one text */
    char                      *text;           /* answers are rendered here */
    size_t                     text_size;
} ngx_http_reco_workspace_t;


typedef struct {
    ngx_cycle_t                *cycle;
    ngx_http_reco_main_conf_t  *conf;
    ngx_http_reco_workspace_t  *workspace;
    reco_id_source_t            ids;
    reco_geo_t                 *geo;           /* NULL: none usable */
    ngx_uint_t                  undecided;     /* told of a variable without a
                                                  reco_decide */
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
 * (consumed even where the record is lost, so that the gap shows). type: a
 * decision or a reward, for the note of what was lost. NGX_OK;
 * NGX_ERROR when the log cannot be written now, NGX_DECLINED when there is no
 * reco_log: the caller goes on without, by log_skip() where it waits. Between
 * begin and end nothing else is called that may write a record. */
ngx_int_t ngx_http_reco_log_begin(reco_event_type_t type, size_t max,
    reco_buf_t *buf, uint64_t *seq);

/* The record in buf is complete (or has overflowed, and is then dropped).
 * With wait: its handler is called when the turn's write returned, never from
 * within this call; the result says nothing. Without: returns when it is
 * written, NGX_OK or NGX_ERROR (variables). */
ngx_int_t ngx_http_reco_log_end(reco_buf_t *buf, ngx_http_reco_wait_t *wait);

/* begin() said no: calls wait's handler in this turn all the same, posted,
 * with NGX_DECLINED where there is no reco_log, else NGX_ERROR. */
void ngx_http_reco_log_skip(ngx_http_reco_wait_t *wait);

void ngx_http_reco_log_forget(ngx_http_reco_wait_t *wait);

/* Whether a record could be written now: 0 also where there is no reco_log. */
ngx_uint_t ngx_http_reco_log_is_up(void);


/* ---- snapshots and geo (ngx_http_reco_snapshot.c, _model.c, _geo.c) ---- */

/* nginx -t: manifest, size and schema; warns, creates nothing, never fails
 * for a snapshot that is absent. */
void ngx_http_reco_model_test(ngx_conf_t *cf, ngx_http_reco_model_t *model);
ngx_int_t ngx_http_reco_model_init_process(ngx_cycle_t *cycle);
void ngx_http_reco_model_exit_process(ngx_cycle_t *cycle);

/* Init module: warns where the workers' user cannot write to the log folder. */
ngx_int_t ngx_http_reco_check_log(ngx_cycle_t *cycle);
/* Warns of names in the configuration that this snapshot's model lacks. */
void ngx_http_reco_check_names(ngx_http_reco_model_t *model,
    const reco_model_t *core, uint64_t generation, ngx_log_t *log);

ngx_int_t ngx_http_reco_geo_init_process(ngx_cycle_t *cycle);
void ngx_http_reco_geo_exit_process(ngx_cycle_t *cycle);


/* ---- shared memory (ngx_http_reco_zone.c) ---- */

typedef struct ngx_http_reco_zone_s  ngx_http_reco_zone_t;

/* The setter of reco_zone leaves the ngx_http_reco_main_conf_t in
 * shm_zone->data (for the log's folder); the zone takes its place. */
ngx_int_t ngx_http_reco_zone_init(ngx_shm_zone_t *shm_zone, void *data);

/* The configuration is the one that counts from here on. */
void ngx_http_reco_zone_accept(ngx_http_reco_main_conf_t *mcf);


/* All of these do nothing (or say "not known") without a reco_zone. */
void ngx_http_reco_count(ngx_http_reco_counter_e counter);
void ngx_http_reco_count_n(ngx_http_reco_counter_e counter,
    ngx_atomic_uint_t n);

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

/* ngx_http_reco_last.c: by a key of model and customer. 0: there is no zone. A
 * model has a seed of its own, last_seed, that ngx_http_reco_serve() sets. */
uint64_t ngx_http_reco_last_seed(ngx_http_reco_model_t *model);
uint64_t ngx_http_reco_last_key(ngx_http_reco_model_t *model,
    reco_str_t customer);
void ngx_http_reco_last_set(uint64_t key, uint64_t time_ms);
/* NGX_OK known; NGX_DECLINED proven never to have had one on this node since
 * its log began; NGX_AGAIN cannot tell. */
ngx_int_t ngx_http_reco_last_known(uint64_t key);

/* ngx_http_reco_verified.c: identities of files (device, inode, size, mtime, ctime), each with
 * the checksum it was to have (zeros where none is asked for). */
typedef struct {
    uint64_t  dev, ino, size, mtime_ns, ctime_ns;
    uint8_t   checksum[RECO_CHECKSUM_BYTES];
} ngx_http_reco_identity_t;

void ngx_http_reco_identify(const ngx_file_info_t *fi,
    ngx_http_reco_identity_t *id);

/* NGX_OK: verified before. NGX_AGAIN: claimed for this process, which is to
 * verify it and say so. NGX_BUSY: another process is at it. NGX_ERROR: was
 * verified and found bad. */
ngx_int_t ngx_http_reco_verified_claim(const ngx_http_reco_identity_t *id);
void ngx_http_reco_verified_done(const ngx_http_reco_identity_t *id,
    ngx_uint_t good);

/* ngx_http_reco_kept.c: the manifest that was taken up last of a model, from the
 * folder that it has now. Set also where it is of a lower generation than the
 * one before, with 'lower'. NGX_OK; NGX_DECLINED: not known. */
void ngx_http_reco_kept_set(ngx_http_reco_model_t *model,
    const reco_manifest_t *manifest, ngx_uint_t lower);
ngx_int_t ngx_http_reco_kept_get(ngx_http_reco_model_t *model,
    reco_manifest_t *manifest);

/* ngx_http_reco_history.c: recent decisions of models whose spec keeps a
 * history. The decision is the one in the workspace. */
void ngx_http_reco_history_add(ngx_http_reco_model_t *model,
    const reco_history_t *h);
/* Those of the model that the query asks for, later ones first (but for
 * neighbours), at most max of them, copied into the pool: their number, or
 * NGX_ERROR without memory. */
ngx_int_t ngx_http_reco_history_find(ngx_pool_t *pool,
    ngx_http_reco_model_t *model, const reco_history_query_t *query,
    const reco_history_t **found, ngx_uint_t max);

/* The counters of a model's actions, and of all facts, as names and counts in
 * the pool; *counts NULL without a zone. */
ngx_int_t ngx_http_reco_zone_actions(ngx_pool_t *pool,
    ngx_http_reco_model_t *model, const reco_model_t *core,
    reco_count_t **counts, uint32_t *n);
ngx_int_t ngx_http_reco_zone_facts(ngx_pool_t *pool, reco_count_t **counts,
    uint32_t *n);


/* ---- opening a snapshot (ngx_http_reco_snapshot.c) ---- */

/* The file that the manifest names, open (the caller's to close), of the size it
 * says; *id has its checksum. Nothing of the content is read. */
ngx_int_t ngx_http_reco_snapshot_file(ngx_str_t *dir,
    reco_manifest_t *manifest, ngx_fd_t *fd, ngx_http_reco_identity_t *id,
    reco_error_t *error);
/* The snapshot in a file that was verified; not RECO_OK also where it is of
 * another model, generation or hash key than wanted. fd stays the caller's. */
reco_status_t ngx_http_reco_snapshot_open(ngx_str_t *name,
    reco_manifest_t *manifest, ngx_fd_t fd, reco_secret_t *secret,
    reco_snapshot_t **snapshot, reco_error_t *error);
/* Puts before the message of which file it is, and where in it. */
void ngx_http_reco_error_of(const char *file, reco_error_t *error);


ngx_int_t ngx_http_reco_status_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_reco_health_handler(ngx_http_request_t *r);


/* ---- decisions (ngx_http_reco_decide.c) ---- */

/* What answers for a model at this moment; valid within the event. */
typedef struct {
    ngx_http_reco_model_t     *model;
    const reco_model_t        *core;           /* snapshot's, or the fallback */
    uint64_t                   generation;     /* 0: fallback */
} ngx_http_reco_served_t;


/* What a decision leaves in its request's pool: for the answer, for the
 * variables, for subrequests. */
typedef struct {
    ngx_http_reco_model_t     *model;
    uint64_t                   generation;
    reco_id_t                  id;
    ngx_str_t                  token;
    ngx_str_t                  action;         /* first of the slate */
    ngx_str_t                  slate;          /* "OFFER_2,OFFER_5" */
    uint64_t                   propensity;     /* of the first, 2^-32 */
    unsigned                   fallback:1;
    unsigned                   unlogged:1;     /* its record was lost */
} ngx_http_reco_result_t;


/* What all parts of a main request share: itself, its internal redirects and
 * its subrequests. */
typedef struct {
    ngx_http_reco_result_t    *result;         /* NULL: none made yet */
    unsigned                   busy:1;         /* being made: its own arguments
                                                  cannot ask for it */
    unsigned                   failed:1;       /* was tried; not again */
    unsigned                   closed:1;       /* log phase: none is made */
} ngx_http_reco_share_t;


void ngx_http_reco_serve(ngx_http_reco_model_t *model,
    ngx_http_reco_served_t *served);

/* From workspace->request to workspace->decision and, in r's pool, *result.
 * Errors are in workspace->error. */
reco_status_t ngx_http_reco_decide(ngx_http_request_t *r,
    ngx_http_reco_served_t *served, ngx_http_reco_result_t **result);

/* Writes the record of the decision in the workspace and counts it. With
 * wait, its handler will be called; without, returns when it is written. */
ngx_int_t ngx_http_reco_record(ngx_http_reco_served_t *served,
    ngx_http_reco_result_t *result, ngx_http_reco_wait_t *wait);

/* An arena with room for what a text of len bytes may need: the worker's, or
 * one in r's pool. NULL base: no memory. */
reco_arena_t ngx_http_reco_arena(ngx_http_request_t *r, size_t len);

reco_str_t ngx_http_reco_country(ngx_http_request_t *r);

/* NULL without memory; with create 0, where there is none. */
ngx_http_reco_share_t *ngx_http_reco_share(ngx_http_request_t *r,
    ngx_uint_t create);


/* ---- clocks ---- */

static ngx_inline uint64_t
ngx_http_reco_monotonic_ns(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


/* The wall clock as the event loop read it this turn. */

static ngx_inline uint64_t
ngx_http_reco_time_ms(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}



/* ---- requests and replies (ngx_http_reco_body.c, _reply.c) ---- */

/* A reply that waits for its record. Lives in its request's pool; a cleanup of
 * the request forgets the wait and the deadline. */
typedef struct {
    ngx_http_reco_wait_t       wait;
    ngx_http_request_t        *request;
    ngx_http_reco_result_t    *result;         /* NULL: a reward */
    reco_str_t                *kinds;          /* of a reward's facts, copied */
    ngx_uint_t                 nkinds;
    ngx_event_t                deadline;
    ngx_uint_t                 status;
    ngx_buf_t                 *body;
} ngx_http_reco_ctx_t;


/* The whole body as one string: in place where it is one buffer in memory,
 * else copied into the pool. NGX_OK, or an HTTP status. */
ngx_int_t ngx_http_reco_body(ngx_http_request_t *r, size_t max,
    reco_str_t *body);

/* Method, media type and length. NGX_DECLINED: go on. Else the answer is on
 * its way, and this is what the handler returns. */
ngx_int_t ngx_http_reco_check(ngx_http_request_t *r, unsigned methods);

/* Reads the body (or discards that of a GET) and calls post_handler, which
 * finalizes. What the content handler returns. */
ngx_int_t ngx_http_reco_read(ngx_http_request_t *r,
    ngx_http_client_body_handler_pt post_handler);

/* Room in the workspace to render size bytes of text; false without memory. */
ngx_int_t ngx_http_reco_text(reco_buf_t *b, size_t size);

/* What was rendered, as a buffer in r's pool; NULL without memory or when it
 * did not fit. */
ngx_buf_t *ngx_http_reco_text_buf(ngx_http_request_t *r, reco_buf_t *b);

/* The name must outlive the request. */
ngx_int_t ngx_http_reco_add_header(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value);

/* Sends a JSON answer; returns what to finalize with. */
ngx_int_t ngx_http_reco_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_buf_t *body);
/* The same of another type, which must outlive the request. */
ngx_int_t ngx_http_reco_send_type(ngx_http_request_t *r, ngx_uint_t status,
    ngx_buf_t *body, const char *type);

/* Sends workspace->error as the location's format shows it. */
ngx_int_t ngx_http_reco_problem(ngx_http_request_t *r, ngx_uint_t status,
    const char *code);
/* Counts and sends what ngx_http_reco_body() said; returns the same. */
ngx_int_t ngx_http_reco_body_problem(ngx_http_request_t *r, ngx_int_t status);
/* The same for an error that the core's status tells all of. */
ngx_int_t ngx_http_reco_fail(ngx_http_request_t *r, reco_status_t status);

/* A context whose wait ends in the answer; NULL without memory. */
ngx_http_reco_ctx_t *ngx_http_reco_wait(ngx_http_request_t *r,
    ngx_http_reco_result_t *result, ngx_uint_t status, ngx_buf_t *body);


/* ---- handlers, variables, directives ---- */

ngx_int_t ngx_http_reco_recommend_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_reco_reward_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_reco_agent_handler(ngx_http_request_t *r);

ngx_int_t ngx_http_reco_add_variables(ngx_conf_t *cf);
/* Log-phase handler that runs before all others: from then on a variable makes
 * no decision any more. */
ngx_int_t ngx_http_reco_logging(ngx_http_request_t *r);

char *ngx_http_reco_set_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_reco_set_node(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_reco_set_model(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_reco_set_fallback(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_reco_set_geoip(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_reco_set_log(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_reco_set_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_reco_set_recommend(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_reco_set_reward(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_reco_set_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_reco_set_health(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_reco_set_agent(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_reco_set_decide(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* The entry of that name, made at its first mention; NULL after a message. */
ngx_http_reco_model_t *ngx_http_reco_model(ngx_conf_t *cf, ngx_str_t *name);

/* Logs "invalid parameter" and returns NGX_CONF_ERROR. */
char *ngx_http_reco_invalid(ngx_conf_t *cf, ngx_str_t *arg);

#define ngx_http_reco_arg(arg, prefix)                                        \
    ((arg)->len >= sizeof(prefix) - 1                                         \
     && ngx_strncmp((arg)->data, prefix, sizeof(prefix) - 1) == 0)

/* The fallback of a model: the first of ids (comma-separated, may be empty),
 * at most slate of them (0: all). Goes with the cycle's pool. */
char *ngx_http_reco_make_fallback(ngx_conf_t *cf, ngx_http_reco_model_t *model,
    ngx_str_t *ids, ngx_uint_t slate);

#endif /* NGX_HTTP_RECO_MODULE_H */
