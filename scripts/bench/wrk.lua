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

function done(summary)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%f,"failures":%d}\n',
    summary.requests,
    summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.timeout + errors.status
  ))
end
