-- wrk script: POSTs of the bodies in a file, one a line, one after the other.
-- wrk ... -s bench/lines.lua URL -- FILE

local requests, i = {}, 0

function init(args)
    for body in io.lines(args[1]) do
        requests[#requests + 1] = wrk.format("POST", nil,
            { ["Content-Type"] = "application/json" }, body)
    end
end

function request()
    i = i % #requests + 1
    return requests[i]
end

dofile("bench/report.lua")
