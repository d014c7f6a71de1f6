-- wrk script: a state of the table at random in each request.
-- wrk ... -s bench/states.lua URL -- FIELDS.lua N STATES STEP

local fields, n, states, step
local headers = { ["Content-Type"] = "application/json" }

function init(args)
    fields = dofile(args[1])
    n, states, step = tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
    math.randomseed(20261122)
end

-- The state's number is a number in mixed radix, as bench/states wrote it.
function request()
    local state = math.random(0, n - 1) * step % states
    local members = {}
    for f, values in ipairs(fields) do
        members[f] = values[state % #values + 1]
        state = math.floor(state / #values)
    end
    return wrk.format("POST", nil, headers,
        '{"features": {' .. table.concat(members, ", ") .. "}}")
end

dofile("bench/report.lua")
