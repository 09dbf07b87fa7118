-- wrk's script: `-- DEPTH` sends DEPTH requests in one write, and the figures
-- come out as one line of JSON.

function init(args)
  local depth = tonumber(args[1])
  if depth > 1 then
    -- Made once: a script that made requests would be what is measured.
    local batch = string.rep(wrk.format(), depth)
    request = function() return batch end
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%f,"failures":%d,' ..
    '"p50Us":%d,"p99Us":%d,"p999Us":%d}\n',
    summary.requests,
    summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.timeout + errors.status,
    latency:percentile(50),
    latency:percentile(99),
    latency:percentile(99.9)
  ))
end
