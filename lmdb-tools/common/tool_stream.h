/*
 * tool_stream.h - a file's bytes, decompressed where it is compressed.
 */

#ifndef RECO_TOOL_STREAM_H
#define RECO_TOOL_STREAM_H

#include "tool.h"

typedef struct tool_stream_s  tool_stream_t;

/* Plain, gzip, bzip2, xz, zstd, lz4, or a zip that holds one file. "-" is
 * stdin. NULL after a message. */
tool_stream_t *tool_stream_open(const char *path);
void tool_stream_close(tool_stream_t *s);

/* Bytes read, 0 at the end, -1 after a message. */
ssize_t tool_stream_read(tool_stream_t *s, char *buf, size_t size);

/* Of the file as it lies there: bytes taken so far, and in all (0 where that
 * is not known). */
uint64_t tool_stream_bytes(const tool_stream_t *s);
uint64_t tool_stream_total(const tool_stream_t *s);

#endif /* RECO_TOOL_STREAM_H */
