/*
 * simulate_http.h - the same shoppers as clients of a running server, in
 * format cart (docs/HTTP.md).
 */

#ifndef RECO_SIMULATE_HTTP_H
#define RECO_SIMULATE_HTTP_H

#include "simulate.h"

/* url: where the format's paths begin ("http://127.0.0.1:5000"). connections:
 * sessions at a time. o->model, jobs and log do not matter. False after a
 * message. */
bool simulate_http(const simulate_options_t *o, const char *url,
    uint32_t connections, simulate_totals_t *totals);

#endif /* RECO_SIMULATE_HTTP_H */
