/*
 * tool.h - what the subcommands of `reco` share: messages, progress, output
 * files, input streams, CSV, options.
 *
 * A subcommand is a file cmd_NAME.c with one function
 *     int cmd_NAME(int argc, char **argv);
 * a line in the table of reco.c, a man page man/reco-NAME.1. It parses its
 * options with argp, writes data to stdout, words to stderr, and returns 0,
 * 1 (it failed) or 2 (it was used wrongly).
 */

#ifndef RECO_TOOL_H
#define RECO_TOOL_H

#include "reco_base.h"

#include <argp.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

int cmd_baskets(int argc, char **argv);
int cmd_batch(int argc, char **argv);
int cmd_build(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_forget(int argc, char **argv);
int cmd_generate(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_publish(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_rollback(int argc, char **argv);
int cmd_simulate(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_verify(int argc, char **argv);

/* ---- messages: "reco: cannot open 'x': reason" on stderr ---- */

void tool_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void tool_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* From here on the same message is said once in that time: what a program that
 * does not end says of a fault that lasts. */
void tool_say_again_after(uint64_t ms);
/* "reco: WHAT: FIELD: MESSAGE (at byte N)"; what may be a file's name */
void tool_fail(const char *what, const reco_error_t *err);

/* The same for what a library could not do: "reco: cannot WHAT 'PATH': words
 * of errno". */
void tool_errno(const char *what, const char *path);

/* Allocation that ends the program with a message when memory is out. */
void tool_out_of_memory(void) __attribute__((noreturn));
/* From here on the same goes for jansson, and for what is written in C++. */
void tool_json_memory(void);
void tool_cxx_memory(void);
void *tool_alloc(size_t size);
void *tool_realloc(void *p, size_t size);
char *tool_strdup(const char *s);
/* A string of len bytes as a terminated copy. */
char *tool_dup(reco_str_t s);
/* What asprintf() and vasprintf() make. */
char *tool_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *tool_vformat(const char *fmt, va_list args)
    __attribute__((format(printf, 1, 0)));
reco_str_t tool_str(const char *s);

/* argp_parse with exit status 2 on wrong usage, --version, and name shown as
 * "reco NAME". */
void tool_parse(const struct argp *argp, const char *name, int argc,
    char **argv, void *input);

/* ---- progress: a bar on a terminal's stderr, nothing elsewhere ---- */

typedef struct {
    const char  *label;
    uint64_t     total;         /* 0: unknown */
    uint64_t     shown_ms;
    bool         terminal;
} tool_progress_t;

void tool_progress_begin(tool_progress_t *p, const char *label,
    uint64_t total);
void tool_progress_at(tool_progress_t *p, uint64_t done);
void tool_progress_end(tool_progress_t *p);

/* ---- output files that appear whole or not at all ---- */

typedef struct {
    FILE  *file;
    char  *path;                /* NULL: stdout */
    char  *temp;
} tool_output_t;

/* path NULL or "-" is stdout. False after a message. */
bool tool_output_open(tool_output_t *o, const char *path);
/* The same for a file in a folder where others may put a link to a device, or a
 * pipe, in its place at any moment: no other file is ever written to. */
bool tool_output_replace(tool_output_t *o, const char *path);
/* Flushes, syncs, renames; false (after a message) when anything failed, and
 * then nothing is at 'path' that was not there before. */
bool tool_output_commit(tool_output_t *o);
/* False, after a message, where an output would take an input's place. */
bool tool_output_is_not(const char *path, const char *input);
/* False, after a message, where two outputs are one: the later would take the
 * earlier's place. NULL is none. */
bool tool_output_differs(const char *path, const char *other);
/* False, after a message, where an output is the folder of an event log, or
 * would be taken for a part of it. */
bool tool_output_is_no_log(const char *path, const char *log_dir);
/* Removes the temporary file of an output that was not committed. */
void tool_output_abandon(tool_output_t *o);

/* A file of that name is removed when a signal or exit() ends the program. The
 * name is not copied; while it is empty, there is no file yet. */
void tool_temp_remember(const char *temp);
void tool_temp_forget(const char *temp);

/* Prints a JSON value and a newline to stdout, and drops the reference. */
void tool_print_json(json_t *value);

/* The whole file as terminated, malloc'ed text, or NULL after a message. */
char *tool_read_file(const char *path, size_t *len);

/* ---- CSV, plain or compressed (gz, xz, zst, zip by libarchive) ---- */

typedef struct tool_csv_s  tool_csv_t;

/* Reads the header line. Delimiter is a comma; quotes as RFC 4180; a UTF-8
 * byte order mark is skipped. NULL after a message. path "-" is stdin. */
tool_csv_t *tool_csv_open(const char *path);
void tool_csv_close(tool_csv_t *csv);

uint32_t tool_csv_columns(const tool_csv_t *csv);
reco_str_t tool_csv_column(const tool_csv_t *csv, uint32_t i);
/* Index of the column with that name, or -1. */
int tool_csv_find(const tool_csv_t *csv, const char *name);

typedef enum { TOOL_CSV_ROW, TOOL_CSV_END, TOOL_CSV_BAD_ROW, TOOL_CSV_ERROR }
    tool_csv_result_t;

/* The next row's fields (exactly as many as there are columns), valid until
 * the next call. BAD_ROW: a row with another number of fields or broken
 * quotes; the reason is in tool_csv_reason() and reading may go on. ERROR: the
 * stream is broken, after a message. */
tool_csv_result_t tool_csv_next(tool_csv_t *csv, const reco_str_t **fields);
const char *tool_csv_reason(const tool_csv_t *csv);
/* The line (from 1) at which the last row began; the bytes read so far and in
 * all (compressed size), for progress. */
uint64_t tool_csv_line(const tool_csv_t *csv);
uint64_t tool_csv_bytes(const tool_csv_t *csv);
uint64_t tool_csv_total(const tool_csv_t *csv);

/* "reco: FILE:LINE: column 'COLUMN': words" for the last row; column NULL:
 * the row as a whole. */
void tool_csv_error(const tool_csv_t *csv, const char *column,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same with the field: "...: 'FIELD' WORDS", of a long one the beginning,
 * and '?' for what a terminal would not show as it is. */
void tool_csv_refuse(const tool_csv_t *csv, const char *column,
    reco_str_t field, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* 1, 0, true or false; an empty field is true. False after a message. */
bool tool_csv_flag(const tool_csv_t *csv, const char *column, reco_str_t field,
    bool *flag);

/* Writes a field with quotes where they are needed. */
void tool_csv_write(FILE *f, reco_str_t field);

/* "2010-12-01 08:26:00", "2010-12-01", "...T...Z", "...+00:00", fractions;
 * without a zone it is UTC. False when it is no time. */
bool tool_time_parse(reco_str_t text, uint64_t *time_ms);
/* A decimal number as JSON and CSV files write it ("12", "-0.5", "1e3",
 * ".5", "+1"), with nothing before or after it, finite. */
bool tool_number_parse(reco_str_t text, double *number);

/* SOURCE_DATE_EPOCH in milliseconds, or 0 where it is unset. False after a
 * message when it is no number. */
bool tool_source_date(uint64_t *time_ms);
/* The wall clock. */
uint64_t tool_now_ms(void);

#ifdef __cplusplus
}
#endif

#endif /* RECO_TOOL_H */
