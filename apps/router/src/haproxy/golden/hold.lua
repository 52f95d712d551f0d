-- Written by Croft's router; a change here is lost.
local routes = Map.new('/run/croft/0/router/routes.map', Map._beg)
local idle = Map.new('/run/croft/0/router/idle.map', Map._str)
local limits = { crashed = 5000, starting = 20000, platform = 5000 }
local looks = {}
local leaving = { at = 0, is = false }

local function now()
  local t = core.now()
  return t.sec * 1000 + t.usec // 1000
end

local function has_instance(backend)
  local at = now()
  local look = looks[backend]
  if look == nil or at - look.at >= 10 then
    local proxy = core.backends[backend]
    look = { at = at, is = proxy ~= nil and tonumber(proxy:get_stats().act or 0) > 0 }
    looks[backend] = look
  end
  return look.is
end

local function is_leaving()
  local at = now()
  if at - leaving.at >= 100 then
    leaving = { at = at, is = tostring(core.get_info().Stopping) == '1' }
  end
  return leaving.is
end

-- Whether the instances that are there do not answer at all (time-out), or refuse.
local function why_none(backend)
  local proxy = core.backends[backend]
  if proxy == nil then return 'refused' end
  for _, server in pairs(proxy.servers) do
    local stats = server:get_stats()
    if string.find(stats.status or '', '^DOWN') and stats.check_status == 'L4TOUT' then return 'timeout' end
  end
  return 'refused'
end

core.register_action('hold', { 'http-req' }, function(txn)
  local key = txn:get_var('txn.key')
  local start = now()
  local round = 1
  local began, rounds = string.match(txn:get_var('txn.carried') or '', '^held%.(%d+)%.(%d+)$')
  if began ~= nil then
    start = tonumber(began)
    round = tonumber(rounds) + 1
  end
  txn:set_var('txn.began', start)
  txn:set_var('txn.round', round)
  while true do
    local backend = routes:lookup(key)
    if backend == nil then
      txn:set_var('txn.outcome', 'unknown')
      return
    end
    txn:set_var('txn.backend', backend)
    local reason = backend == 'platform' and backend or idle:lookup(backend)
    if reason == 'scaled-to-zero' then
      txn:set_var('txn.outcome', reason)
      return
    end
    local is_late = now() - start >= (limits[reason] or limits.starting)
    if has_instance(backend) and round <= 8 then
      txn:set_var('txn.outcome', 'ready')
      return
    end
    if is_late or round > 8 then
      txn:set_var('txn.outcome', reason or why_none(backend))
      return
    end
    if is_leaving() then
      txn:set_var('txn.outcome', 'handover')
      return
    end
    core.msleep(10)
  end
end)
