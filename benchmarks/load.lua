-- What wrk sends: `wrk --script load.lua URL -- OPERATION ROWS PAGING SEED`, and the result as JSON. An OPERATION that
-- begins with a slash is a path to GET. The same seed asks for the same rows, in the same order.

local operation, rows, paging
local path = "/api/v1/products"
local JSON = { ["Content-Type"] = "application/json" }

local send = {
  get = function()
    return wrk.format("GET", path .. "/" .. math.random(rows))
  end,
  list = function()
    return wrk.format("GET", path .. "?limit=20&" .. paging .. "=" .. math.random(rows - 20))
  end,
  post = function()
    local body = '{"name": "Lamp %d", "description": "Warm light", "price": "%d.90", "quantity": %d}'
    local number = math.random(1000)
    return wrk.format("POST", path, JSON, body:format(number, number, number))
  end,
  patch = function()
    local number = math.random(1000)
    local body = ('{"price": "%d.50", "quantity": %d}'):format(number, number)
    return wrk.format("PATCH", path .. "/" .. math.random(rows), JSON, body)
  end,
}

function init(args)
  operation, rows, paging = args[1], tonumber(args[2]), args[3]
  math.randomseed(tonumber(args[4]))
end

function request()
  return send[operation] and send[operation]() or wrk.format("GET", operation)
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local form = '{"requests": %d, "seconds": %.6f, "failed": %d, "p50": %.3f, "p99": %.3f}\n'
  local p50, p99 = latency:percentile(50) / 1000, latency:percentile(99) / 1000
  io.write(form:format(summary.requests, summary.duration / 1e6, failed, p50, p99))
end
