/*
 * micros.h - decimals as whole millionths, so that sums and medians of money
 * are exact.
 */

#ifndef RECO_MICROS_H
#define RECO_MICROS_H

#include "reco_base.h"

#define MICROS          INT64_C(1000000)
#define MICROS_TEXT     32              /* room for one as text */

/* "12", "-0.5": a decimal with at most six places. False where it is none, or
 * out of range. */
bool micros_parse(reco_str_t s, int64_t *micros);

/* Exactly, without zeros at the end; text has MICROS_TEXT bytes. */
const char *micros_text(int64_t micros, char *text);

/* sum / n (n > 0) to the nearest cent, halves away from zero. */
int64_t micros_cents(int64_t sum, uint64_t n);

/* Of n > 0 values, which are sorted on the way; of the two in the middle where
 * n is even the mean, rounded down. */
int64_t micros_median(int64_t *v, size_t n);

#endif /* RECO_MICROS_H */
