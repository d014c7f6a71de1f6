/*
 * fuzz_csv.c - CSV files as the tool reads them, plain or compressed: refused
 * with one line, or read row by row; what was read and is written again reads
 * the same. And numbers, times and flags in them.
 */

#include <math.h>

#include "fuzz_file.h"
#include "tool.h"

static fuzz_file_t  file;

static bool
said_one(fuzz_said_t *said)
{
    size_t  n = fuzz_heard(said);

    fuzz_listen(said);

    return n == 1;
}

/* ---- fields ------------------------------------------------------------- */

/* What strtod() reads to the end of the text. */
static void
check_number(reco_str_t field)
{
    char    *text, *end;
    double   number, judge;

    if (!tool_number_parse(field, &number)) {
        return;
    }

    text = fuzz_alloc(field.len + 1);
    memcpy(text, field.data, field.len);
    text[field.len] = '\0';
    judge = strtod(text, &end);
    FUZZ_ASSERT(isfinite(number) && end == text + field.len);
    FUZZ_ASSERT(memcmp(&number, &judge, sizeof(number)) == 0);
    free(text);
}

static void
check_field(const tool_csv_t *csv, reco_str_t field, fuzz_said_t *said)
{
    bool      flag;
    uint64_t  time_ms;

    check_number(field);

    if (tool_time_parse(field, &time_ms)) {
        /* the year 9999 has four digits, and is the last one */
        FUZZ_ASSERT(field.len >= 10 && time_ms < 253402300800000 + 86400000);
    }

    FUZZ_ASSERT(tool_csv_flag(csv, "c", field, &flag) != said_one(said));
}

/* ---- rows --------------------------------------------------------------- */

/* One after the other, each with its length, so that two rows are the same
 * bytes only where their fields are the same. */
static void
keep(FILE *kept, const reco_str_t *fields, uint32_t n)
{
    uint32_t  i;

    for (i = 0; i < n; i++) {
        (void) fwrite(&fields[i].len, sizeof(fields[i].len), 1, kept);
        (void) fwrite(fields[i].data, 1, fields[i].len, kept);
    }
}

static void
write_row(FILE *out, const reco_str_t *fields, uint32_t n)
{
    uint32_t  i;

    for (i = 0; i < n; i++) {
        if (i > 0) {
            (void) fputc(',', out);
        }
        tool_csv_write(out, fields[i]);
    }

    (void) fputs("\r\n", out);
}

/* A row of one empty field is, written, an empty line, which is none. */
static bool
is_nothing(const reco_str_t *fields, uint32_t n)
{
    return n == 1 && fields[0].len == 0;
}

static void
read_header(const tool_csv_t *csv, FILE *kept, FILE *out)
{
    uint32_t     i, n = tool_csv_columns(csv);
    reco_str_t  *names = calloc(n, sizeof(*names));

    FUZZ_ASSERT(n > 0 && names != NULL);

    for (i = 0; i < n; i++) {
        names[i] = tool_csv_column(csv, i);
    }

    if (out != NULL) {
        /* a mark of its own, so that bytes of the first name are not one */
        (void) fputs("\xef\xbb\xbf", out);
        write_row(out, names, n);
    }

    keep(kept, names, n);
    free(names);
}

/* All rows to 'kept', and with 'out' the file anew; false where a row, or the
 * file, is refused. */
static bool
read_rows(tool_csv_t *csv, FILE *kept, FILE *out, fuzz_said_t *said)
{
    bool               good = true;
    uint32_t           i, n = tool_csv_columns(csv);
    uint64_t           line = 1;
    const reco_str_t  *fields;
    tool_csv_result_t  rc;

    while ((rc = tool_csv_next(csv, &fields)) != TOOL_CSV_END) {

        FUZZ_ASSERT(tool_csv_line(csv) >= line);
        line = tool_csv_line(csv);

        if (rc == TOOL_CSV_ERROR) {
            FUZZ_ASSERT(said_one(said));
            return false;
        }

        if (rc == TOOL_CSV_BAD_ROW) {
            FUZZ_ASSERT(tool_csv_reason(csv)[0] != '\0');
            good = false;
            continue;
        }

        for (i = 0; i < n && out != NULL; i++) {
            check_field(csv, fields[i], said);
        }

        if (!is_nothing(fields, n)) {
            keep(kept, fields, n);
            if (out != NULL) {
                write_row(out, fields, n);
            }
        }
    }

    return good;
}

/* Returns what was kept, or NULL where there is no header; whether all rows
 * were good, and whether what was written has a header. */
static char *
read_file(const char *path, FILE *out, size_t *len, bool *good, bool *written)
{
    FILE         *kept;
    char         *text = NULL;
    tool_csv_t   *csv;
    fuzz_said_t   said;

    fuzz_listen(&said);
    csv = tool_csv_open(path);

    if (csv == NULL) {
        FUZZ_ASSERT(fuzz_heard(&said) == 1);
        return NULL;
    }

    kept = open_memstream(&text, len);
    FUZZ_ASSERT(kept != NULL);
    read_header(csv, kept, out);
    *good = read_rows(csv, kept, out, &said);
    *written = tool_csv_columns(csv) > 1 || tool_csv_column(csv, 0).len > 0;
    (void) fclose(kept);
    tool_csv_close(csv);
    FUZZ_ASSERT(fuzz_heard(&said) == 0);

    return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool     good, written;
    char    *kept, *again, *text;
    FILE    *out;
    size_t   len, len_again, text_len;

    out = open_memstream(&text, &text_len);
    FUZZ_ASSERT(out != NULL);
    kept = read_file(fuzz_file(&file, data, size), out, &len, &good, &written);
    (void) fclose(out);

    if (kept != NULL && written) {
        again = read_file(fuzz_file(&file, text, text_len), NULL, &len_again,
                          &good, &written);
        FUZZ_ASSERT(again != NULL && good);
        FUZZ_ASSERT(len == len_again && memcmp(kept, again, len) == 0);
        free(again);
    }

    free(kept);
    free(text);

    return 0;
}
