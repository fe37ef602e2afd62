-- Health of a NixMachine for Argo CD.
local status = obj.status or {}
local spec = obj.spec or {}

local function condition(name)
  for _, one in ipairs(status.conditions or {}) do
    if one.type == name then return one end
  end
  return {}
end

local function isTrue(name)
  return condition(name).status == "True"
end

local function health(state, message)
  return { status = state, message = message or condition("Ready").message or "" }
end

if status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "Floe has not seen this version of the object yet")
end
if isTrue("Stalled") then return health("Degraded", condition("Stalled").message) end
if condition("Ready").reason == "OnHold" then return health("Suspended") end
if isTrue("Reconciling") then return health("Progressing") end
if condition("Healthy").status == "False" then return health("Degraded", condition("Healthy").message) end
-- It is off, and has not what it was told to run: it goes on when it is back.
if condition("Online").status == "False" and condition("UpToDate").status ~= "True" then return health("Suspended") end
if isTrue("Ready") then return health("Healthy") end
return health("Progressing")
