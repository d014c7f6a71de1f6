/*
 * One line a counter: X(name, label, help). Everything about counters - the
 * shared array, its Prometheus text, its JSON - is generated from this list.
 *
 * RECO_REQUEST_COUNTERS     reco_requests_total{route="..."}
 * RECO_ERROR_COUNTERS       reco_errors_total{reason="..."}
 * RECO_EVENT_COUNTERS       metrics of their own: reco_<label>_total
 */

#define RECO_REQUEST_COUNTERS(X)                                              \
    X(REQ_RECOMMEND,        "recommend")                                      \
    X(REQ_REWARD,           "reward")                                         \
    X(REQ_HEALTH,           "health")                                         \
    X(REQ_AGENT,            "agent")                                          \
    X(REQ_STATUS,           "status")                                         \
    X(REQ_VARIABLE,         "variable")

#define RECO_ERROR_COUNTERS(X)                                                \
    X(ERR_METHOD,           "method")                                         \
    X(ERR_MEDIA_TYPE,       "media_type")                                     \
    X(ERR_BODY_TOO_LARGE,   "body_too_large")                                 \
    X(ERR_BODY_READ,        "body_read")                                      \
    X(ERR_INVALID,          "invalid")                                        \
    X(ERR_NONE_ELIGIBLE,    "none_eligible")                                  \
    X(ERR_FORGED,           "forged")                                         \
    X(ERR_NO_DECISION,      "no_decision")                                    \
    X(ERR_REWARD_UNLOGGED,  "reward_unlogged")                                \
    X(ERR_INTERNAL,         "internal")                                       \
    X(ERR_LOG_OPEN,         "log_open")                                       \
    X(ERR_LOG_WRITE,        "log_write")                                      \
    X(ERR_LOG_SYNC,         "log_sync")                                       \
    X(ERR_LOG_CLOSE,        "log_close")                                      \
    X(ERR_LOG_FULL,         "log_full")                                       \
    X(ERR_LOG_REMOVE,       "log_remove")                                     \
    X(ERR_SNAPSHOT,         "snapshot")                                       \
    X(ERR_GEO,              "geo")

#define RECO_EVENT_COUNTERS(X)                                                \
    X(DECISIONS,            "decisions_made",                                 \
      "Decisions made, by any route")                                         \
    X(REWARDS,              "rewards_accepted",                               \
      "Rewards written to the event log")                                     \
    X(FALLBACK,             "fallback_decisions",                             \
      "Decisions made without a snapshot")                                    \
    X(UNLOGGED,             "unlogged_decisions",                             \
      "Decisions answered without a record")                                  \
    X(LOW_MASS,             "low_mass_decisions",                             \
      "Decisions whose eligible actions held under half of the table's mass") \
    X(STATE_UNKNOWN,        "unknown_state_decisions",                        \
      "Decisions whose state was not in the table of values")                 \
    X(BACKOFF,              "backoff_decisions",                              \
      "Decisions answered from a coarser state")                              \
    X(UNSEEN,               "unseen_words",                                   \
      "Words of features that counted as other in the state")                 \
    X(UNKNOWN_ITEMS,        "unknown_items",                                  \
      "Items of carts and exclusions that the snapshot does not have")        \
    X(CUSTOMER_UNKNOWN,     "unknown_customer_decisions",                     \
      "Decisions for a customer without a record in the snapshot")            \
    X(UNKNOWN_FIELDS,       "unknown_fields",                                 \
      "Features and actions of requests that the model does not know")        \
    X(LOG_BYTES,            "log_written_bytes",                              \
      "Bytes written to the event log")                                       \
    X(LOG_WRITES,           "log_writes",                                     \
      "Write calls to the event log")                                         \
    X(LOG_SEGMENTS,         "log_segments_closed",                            \
      "Segments closed")                                                      \
    X(LOG_RECOVERED,        "log_segments_recovered",                         \
      "Segments of killed workers recovered")                                 \
    X(LOG_TORN,             "log_torn_tails",                                 \
      "Torn tails cut at recovery")                                           \
    X(LOG_CLOCK_STEPS,      "log_clock_steps",                                \
      "Segments closed because the clock stepped")                            \
    X(LOG_EXPIRED,          "log_segments_expired",                           \
      "Closed segments removed for their age")                                \
    X(LOG_EXPIRED_BYTES,    "log_expired_bytes",                              \
      "Bytes of closed segments removed for their age")                       \
    X(LOG_DROPPED,          "log_segments_dropped",                           \
      "Closed segments removed because the log was full")                     \
    X(LOG_DROPPED_BYTES,    "log_dropped_bytes",                              \
      "Bytes of closed segments removed because the log was full")            \
    X(SNAPSHOT_SWAPS,       "snapshot_swaps",                                 \
      "Snapshots opened by a worker")                                         \
    X(LAST_EVICTED,         "last_decisions_evicted",                         \
      "Last decisions dropped from the zone for want of room")
