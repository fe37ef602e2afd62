// Runs the Lua that Argo CD would run: version 5.1, with `obj` and the few libraries of its sandbox.
import { run } from '../bed/run.ts';

/** What a script returned: tables with keys, lists, texts, numbers and booleans; an empty table is an empty list. */
type LuaValue = Readonly<Record<string, unknown>>;

/** A value as Lua writes it down. */
export function luaTable(value: unknown): string {
  if (value === null || value === undefined) return 'nil';
  if (typeof value === 'string') return text(value);
  if (typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return `{${value.map(luaTable).join(',')}}`;
  const fields = Object.entries(value).filter(([, one]) => one !== undefined && one !== null);
  return `{${fields.map(([key, one]) => `[${text(key)}]=${luaTable(one)}`).join(',')}}`;
}

function text(value: string): string {
  return `"${[...Buffer.from(value, 'utf8')].map((byte) => `\\${String(byte).padStart(3, '0')}`).join('')}"`;
}

// JSON of what the script returns, written by Lua itself.
const PRINT = `
local function json(v)
  if type(v) == "table" then
    local parts = {}
    if next(v) == nil or v[1] ~= nil then
      for _, one in ipairs(v) do parts[#parts + 1] = json(one) end
      return "[" .. table.concat(parts, ",") .. "]"
    end
    for key, one in pairs(v) do parts[#parts + 1] = json(tostring(key)) .. ":" .. json(one) end
    return "{" .. table.concat(parts, ",") .. "}"
  end
  if type(v) == "string" then
    return '"' .. v:gsub('[%c"\\\\]', function(c) return string.format("\\\\u%04x", c:byte()) end) .. '"'
  end
  return tostring(v)
end
`;

/** Runs a script with these globals. Throws with Lua's words where it fails. */
export async function runLua(script: string, globals: Readonly<Record<string, unknown>>): Promise<LuaValue> {
  const given = Object.entries(globals).map(([name, value]) => `${name} = ${luaTable(value)}`);
  const sandbox = 'pairs = pairs, ipairs = ipairs, type = type, tostring = tostring, tonumber = tonumber';
  const libraries = 'string = string, table = table, os = { date = os.date, time = os.time }';
  const program = `${PRINT}
local program = assert(loadstring(${text(script)}))
setfenv(program, { ${[sandbox, libraries, ...given].join(', ')} })
io.write(json(program()))
`;
  const stdout = await run(['lua5.1', '-'], { input: program });
  return JSON.parse(stdout) as LuaValue;
}
