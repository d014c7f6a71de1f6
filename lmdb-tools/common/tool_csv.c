/*
 * tool_csv.c - CSV files (RFC 4180) row by row, with the line each row began
 * on. libcsv splits the fields; it is fed a line at a time, so that line ends
 * can be counted and reading can go on after a row it refuses.
 *
 * Beyond the RFC: a line may end in LF or CR alone, empty lines are skipped,
 * spaces belong to their field, a row is at most MAX_ROW bytes (an unclosed
 * quote would otherwise swallow the file).
 */

#include "tool_stream.h"

#include <csv.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK       65536
#define MAX_ROW     (1 << 20)
#define OPTIONS     (CSV_STRICT | CSV_STRICT_FINI)
#define FIELD_SHOWN 64          /* bytes of a field in a message */

struct tool_csv_s {
    tool_stream_t      *in;
    char               *path;
    struct csv_parser   parser;

    char                block[BLOCK];
    size_t              pos, len;
    bool                end;
    bool                after_cr;       /* the last byte taken was a CR */
    bool                skip_line;      /* rest of a refused row's line */
    uint64_t            line;           /* of the byte at pos, from 1 */
    uint64_t            row_line;

    char               *header;         /* text of the columns' names */
    reco_str_t         *columns;
    uint32_t            ncolumns;

    char               *text;           /* the row's fields, one after other */
    size_t              used, size;
    size_t             *ends;           /* of each field in text */
    uint32_t            n, room;
    bool                complete;
    reco_str_t         *fields;
    char                reason[128];
};

/* ---- what libcsv calls -------------------------------------------------- */

static void
on_field(void *field, size_t len, void *data)
{
    tool_csv_t  *csv = data;

    if (csv->used + len + 1 > csv->size) {
        csv->size = 2 * (csv->used + len + 1);
        csv->text = tool_realloc(csv->text, csv->size);
    }
    if (csv->n == csv->room) {
        csv->room = csv->room ? 2 * csv->room : 64;
        csv->ends = tool_realloc(csv->ends, csv->room * sizeof(csv->ends[0]));
    }

    if (len) {
        memcpy(csv->text + csv->used, field, len);
    }
    csv->used += len;
    csv->ends[csv->n++] = csv->used;
}

static void
on_row(int c, void *data)
{
    tool_csv_t  *csv = data;

    (void) c;
    csv->complete = true;
}

static int
no_space(unsigned char c)
{
    (void) c;

    return 0;
}

/* Forgets a half-read row. */
static void
reset_parser(tool_csv_t *csv)
{
    csv_set_opts(&csv->parser, CSV_STRICT);
    csv_fini(&csv->parser, NULL, NULL, NULL);
    csv_set_opts(&csv->parser, OPTIONS);
}

/* ---- lines -------------------------------------------------------------- */

/* The bytes from pos to the end of their line (or of the block, then *whole is
 * false). Nothing left: 0; a broken stream: -1. */
static ssize_t
take_line(tool_csv_t *csv, const char **line, bool *whole)
{
    char     *start, *lf, *cr;
    size_t    n;
    ssize_t   got;

    if (csv->pos == csv->len) {
        got = csv->end ? 0 : tool_stream_read(csv->in, csv->block, BLOCK);
        if (got <= 0) {
            csv->end = true;
            return got;
        }
        csv->pos = 0;
        csv->len = (size_t) got;
    }

    start = csv->block + csv->pos;
    n = csv->len - csv->pos;
    lf = memchr(start, '\n', n);
    if (lf != NULL) {
        n = (size_t) (lf - start) + 1;
    }
    cr = memchr(start, '\r', n);
    if (cr != NULL) {
        n = (size_t) (cr - start) + 1;
    }

    *line = start;
    *whole = lf != NULL || cr != NULL;
    csv->pos += n;

    return (ssize_t) n;
}

/* Counts the line end that a piece closes; CR LF is one. */
static void
count_line(tool_csv_t *csv, const char *piece, size_t n)
{
    char  last = piece[n - 1];

    if (last == '\r' || (last == '\n' && !(n == 1 && csv->after_cr))) {
        csv->line++;
    }
    csv->after_cr = last == '\r';
}

static tool_csv_result_t
bad_row(tool_csv_t *csv, const char *reason)
{
    snprintf(csv->reason, sizeof(csv->reason), "%s", reason);
    reset_parser(csv);

    return TOOL_CSV_BAD_ROW;
}

static tool_csv_result_t
at_end(tool_csv_t *csv, bool started)
{
    if (!started) {
        return TOOL_CSV_END;
    }
    if (csv_fini(&csv->parser, on_field, on_row, csv) != 0) {
        return bad_row(csv, "a quoted field is not closed");
    }

    return TOOL_CSV_ROW;
}

/* Reads fields into text and ends, whatever their number. */
static tool_csv_result_t
read_row(tool_csv_t *csv)
{
    bool         whole, started = false;
    size_t       bytes = 0;
    ssize_t      n;
    const char  *piece;

    csv->used = 0;
    csv->n = 0;
    csv->complete = false;

    for ( ;; ) {
        n = take_line(csv, &piece, &whole);
        if (n < 0) {
            return TOOL_CSV_ERROR;
        }
        if (n == 0) {
            return at_end(csv, started);
        }

        if (!started && !csv->skip_line
            && piece[0] != '\r' && piece[0] != '\n')
        {
            started = true;
            csv->row_line = csv->line;
        }
        count_line(csv, piece, (size_t) n);

        if (!started) {
            csv->skip_line = csv->skip_line && !whole;
            continue;
        }

        if (csv_parse(&csv->parser, piece, (size_t) n, on_field, on_row, csv)
            != (size_t) n)
        {
            csv->skip_line = !whole;
            return bad_row(csv, "a quote stands where none may be");
        }
        if (csv->complete) {
            return TOOL_CSV_ROW;
        }

        bytes += (size_t) n;
        if (bytes > MAX_ROW) {
            csv->skip_line = !whole;
            return bad_row(csv, "the row is longer than 1 MiB "
                           "(is a quote not closed?)");
        }
    }
}

static void
set_fields(const tool_csv_t *csv, reco_str_t *fields, const char *text)
{
    size_t    start = 0;
    uint32_t  i;

    for (i = 0; i < csv->n; i++) {
        fields[i].data = text + start;
        fields[i].len = csv->ends[i] - start;
        start = csv->ends[i];
    }
}

/* ---- opening ------------------------------------------------------------ */

static void
skip_bom(tool_csv_t *csv)
{
    ssize_t  got;

    while (csv->len < 3) {
        got = tool_stream_read(csv->in, csv->block + csv->len,
                               BLOCK - csv->len);
        if (got <= 0) {
            csv->end = got < 0;         /* then the message was given */
            return;
        }
        csv->len += (size_t) got;
    }

    if (memcmp(csv->block, "\xef\xbb\xbf", 3) == 0) {
        csv->pos = 3;
    }
}

static bool
read_header(tool_csv_t *csv)
{
    uint32_t           i, j;
    tool_csv_result_t  rc;

    skip_bom(csv);
    if (csv->end) {
        return false;
    }

    rc = read_row(csv);
    if (rc == TOOL_CSV_ERROR) {
        return false;
    }
    if (rc == TOOL_CSV_END) {
        tool_error("%s: there is no header line", csv->path);
        return false;
    }
    if (rc == TOOL_CSV_BAD_ROW) {
        tool_csv_error(csv, NULL, "%s", csv->reason);
        return false;
    }

    csv->ncolumns = csv->n;
    csv->header = tool_dup((reco_str_t) { csv->text, csv->used });
    csv->columns = tool_alloc(csv->n * sizeof(reco_str_t));
    csv->fields = tool_alloc(csv->n * sizeof(reco_str_t));
    set_fields(csv, csv->columns, csv->header);

    for (i = 0; i < csv->n; i++) {
        for (j = 0; j < i; j++) {
            if (csv->columns[i].len
                && reco_str_equal(csv->columns[i], csv->columns[j]))
            {
                tool_csv_error(csv, NULL, "column '%.*s' is named twice",
                               (int) csv->columns[i].len,
                               csv->columns[i].data);
                return false;
            }
        }
    }

    return true;
}

tool_csv_t *
tool_csv_open(const char *path)
{
    tool_csv_t  *csv;

    csv = tool_alloc(sizeof(*csv));
    csv->path = tool_strdup(path);
    csv->line = 1;
    csv->row_line = 1;
    csv_init(&csv->parser, OPTIONS);
    csv_set_realloc_func(&csv->parser, tool_realloc);
    csv_set_blk_size(&csv->parser, 4096);
    csv_set_space_func(&csv->parser, no_space);

    csv->in = tool_stream_open(path);
    if (csv->in == NULL || !read_header(csv)) {
        tool_csv_close(csv);
        return NULL;
    }

    return csv;
}

void
tool_csv_close(tool_csv_t *csv)
{
    if (csv == NULL) {
        return;
    }

    tool_stream_close(csv->in);
    csv_free(&csv->parser);
    free(csv->header);
    free(csv->columns);
    free(csv->fields);
    free(csv->text);
    free(csv->ends);
    free(csv->path);
    free(csv);
}

/* ---- reading ------------------------------------------------------------ */

uint32_t
tool_csv_columns(const tool_csv_t *csv)
{
    return csv->ncolumns;
}

reco_str_t
tool_csv_column(const tool_csv_t *csv, uint32_t i)
{
    return csv->columns[i];
}

int
tool_csv_find(const tool_csv_t *csv, const char *name)
{
    uint32_t  i;

    for (i = 0; i < csv->ncolumns; i++) {
        if (reco_str_equal(csv->columns[i], tool_str(name))) {
            return (int) i;
        }
    }

    return -1;
}

tool_csv_result_t
tool_csv_next(tool_csv_t *csv, const reco_str_t **fields)
{
    tool_csv_result_t  rc = read_row(csv);

    if (rc != TOOL_CSV_ROW) {
        return rc;
    }

    if (csv->n != csv->ncolumns) {
        snprintf(csv->reason, sizeof(csv->reason),
                 "the row has %u fields where the header has %u",
                 csv->n, csv->ncolumns);
        return TOOL_CSV_BAD_ROW;
    }

    set_fields(csv, csv->fields, csv->text);
    *fields = csv->fields;

    return TOOL_CSV_ROW;
}

const char *
tool_csv_reason(const tool_csv_t *csv)
{
    return csv->reason;
}

uint64_t
tool_csv_line(const tool_csv_t *csv)
{
    return csv->row_line;
}

uint64_t
tool_csv_bytes(const tool_csv_t *csv)
{
    return tool_stream_bytes(csv->in);
}

uint64_t
tool_csv_total(const tool_csv_t *csv)
{
    return tool_stream_total(csv->in);
}

void
tool_csv_error(const tool_csv_t *csv, const char *column, const char *fmt, ...)
{
    char     words[512];
    va_list  args;

    va_start(args, fmt);
    vsnprintf(words, sizeof(words), fmt, args);
    va_end(args);

    if (column != NULL) {
        tool_error("%s:%llu: column '%s': %s", csv->path,
                   (unsigned long long) csv->row_line, column, words);
    } else {
        tool_error("%s:%llu: %s", csv->path,
                   (unsigned long long) csv->row_line, words);
    }
}

void
tool_csv_refuse(const tool_csv_t *csv, const char *column, reco_str_t field,
    const char *fmt, ...)
{
    char      shown[FIELD_SHOWN + 1], words[512];
    size_t    i;
    va_list   args;

    for (i = 0; i < field.len && i < FIELD_SHOWN; i++) {
        shown[i] = field.data[i] >= ' ' && field.data[i] <= '~'
                   ? field.data[i] : '?';
    }
    shown[i] = '\0';

    va_start(args, fmt);
    vsnprintf(words, sizeof(words), fmt, args);
    va_end(args);

    tool_csv_error(csv, column, "'%s%s' %s", shown,
                   field.len > FIELD_SHOWN ? "..." : "", words);
}

bool
tool_csv_flag(const tool_csv_t *csv, const char *column, reco_str_t field,
    bool *flag)
{
    static const struct {
        const char  *word;
        bool         flag;
    } words[] = {
        { "", true }, { "1", true }, { "true", true }, { "0", false },
        { "false", false },
    };
    size_t  i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (reco_str_equal(field, tool_str(words[i].word))) {
            *flag = words[i].flag;
            return true;
        }
    }
    tool_csv_refuse(csv, column, field, "must be 1, 0, true or false");

    return false;
}

/* ---- writing ------------------------------------------------------------ */

void
tool_csv_write(FILE *f, reco_str_t field)
{
    size_t  i;
    bool    quote = false;

    for (i = 0; i < field.len && !quote; i++) {
        quote = field.data[i] == ',' || field.data[i] == '"'
                || field.data[i] == '\n' || field.data[i] == '\r';
    }

    if (quote) {
        csv_fwrite(f, field.data, field.len);
    } else if (field.len) {
        fwrite(field.data, 1, field.len, f);
    }
}
