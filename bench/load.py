"""Load from wrk, or from Python where wrk is absent (`bench/python_load.py`): 32 keep-alive
connections per worker, each request for another citizen."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 32
_LUA = """
local lines, index = {}, 0
for line in io.lines("requests.txt") do lines[#lines + 1] = line end
local headers = {["Content-Type"] = "application/json", HEADERS}
local in_turn, path, right = IN_TURN, "PATH", 'RIGHT'
math.randomseed(os.time())
index = START - 1  -- wrk asks for one request that it never sends
function request()
  if in_turn then index = index % #lines + 1 else index = math.random(#lines) end
  local token, body = lines[index]:match("([^\\t]*)\\t(.*)")
  if token ~= "" then headers["Authorization"] = "Bearer " .. token end
  return wrk.format("POST", path, headers, body)
end
local threads = {}
function setup(thread) table.insert(threads, thread) end
wrong, example = 0, ""
function response(status, headers, body)
  if status ~= 200 or not body:find(right, 1, true) then wrong, example = wrong + 1, body end
end
function done(summary, latency)
  local bad = 0
  for _, thread in ipairs(threads) do
    bad = bad + thread:get("wrong")
    if thread:get("wrong") > 0 then io.write("WRONG " .. thread:get("example"):sub(1, 300) .. "\\n") end
  end
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), bad))
end
"""


@dataclass(frozen=True, slots=True)
class Operation:
    """Every correct response contains `right`. `in_turn`: each line of the requests is sent once."""

    name: str
    document: str
    right: str
    in_turn: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """Latencies are in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    wrong: int


def line(token: str, document: str, variables: dict[str, object] | None = None) -> str:
    body: dict[str, object] = {"query": document}
    if variables is not None:
        body["variables"] = variables
    return f"{token}\t{json.dumps(body)}"


def run(
    folder: Path,
    url: str,
    path: str,
    operation: Operation,
    requests: Sequence[str],
    seconds: int,
    core: int | None,
    start: int = 0,
    workers: int = 1,
    headers: Mapping[str, str] | None = None,
) -> Load:
    """`headers` need wrk."""
    (folder / "requests.txt").write_text("\n".join(requests))
    connections, in_turn = CONNECTIONS * workers, str(operation.in_turn).lower()
    script = _LUA.replace("IN_TURN", in_turn).replace("PATH", path)
    script = script.replace("RIGHT", operation.right).replace("START", str(start))
    more = (f'["{name}"] = "{value}"' for name, value in (headers or {}).items())
    script = script.replace("HEADERS", ", ".join(more))
    (folder / "load.lua").write_text(script)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", "load.lua", url]
    if shutil.which("wrk") is None:
        given = (url + path, connections, seconds, start, in_turn, operation.right)
        command = [sys.executable, "-m", "bench.python_load", *map(str, given)]
    done = subprocess.run(  # noqa: S603
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
    )
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    for answer in re.findall(r"WRONG (.*)", done.stdout):
        print(f"    a wrong answer: {answer}")
    count, duration, p50, p99, wrong = map(int, found.groups())
    return Load(count, duration / 1e6, p50 / 1e3, p99 / 1e3, wrong)
