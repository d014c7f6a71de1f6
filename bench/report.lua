-- What a wrk script of ours prints when it is done, for bench/Bench.pm: times
-- in microseconds.

function done(summary, latency)
    local e = summary.errors
    io.write(string.format(
        'RESULT {"rps": %.1f, "mean": %.1f, "p50": %.1f, "p95": %.1f, ' ..
        '"p99": %.1f, "max": %.1f, "n": %d, "errors": {"connect": %d, ' ..
        '"read": %d, "write": %d, "status": %d, "timeout": %d}, ' ..
        '"failed": %d}\n',
        summary.requests / summary.duration * 1e6, latency.mean,
        latency:percentile(50), latency:percentile(95),
        latency:percentile(99), latency.max, summary.requests,
        e.connect, e.read, e.write, e.status, e.timeout,
        e.connect + e.read + e.write + e.status + e.timeout))
end
