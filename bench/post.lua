-- wrk script: POSTs of one size for many customers, prepared before the load.
-- wrk ... -s bench/post.lua URL -- CUSTOMERS

local requests, n, i = {}, 20000, 0

local networks = { "2.125.160.216", "67.43.156.1", "81.2.69.160",
                   "89.160.20.112", "216.160.83.56", "202.196.224.1" }

function init(args)
    local customers = tonumber(args[1])
    math.randomseed(20261122)
    wrk.method = "POST"
    for r = 1, n do
        local body = string.format(
            '{"customer_id": "c%07d", "timestamp": "2026-11-22", ' ..
            '"states": {"age": %d, "gender": "%s", "region": "Europa", ' ..
            '"channel": "app", "segment": "returning", "visits": %d}, ' ..
            '"offers": {"OFFER_1": true, "OFFER_2": true, ' ..
            '"OFFER_3": true, "OFFER_4": true, "OFFER_5": true, ' ..
            '"OFFER_6": true}, "note": "a client sends more than we read"}',
            math.random(0, customers - 1), math.random(18, 80),
            math.random(2) == 1 and "M" or "F", math.random(10, 99))
        requests[r] = wrk.format(nil, nil, {
            ["Content-Type"] = "application/json",
            ["X-Real-IP"] = networks[r % #networks + 1] }, body)
    end
end

function request()
    i = i % n + 1
    return requests[i]
end

dofile("bench/report.lua")
