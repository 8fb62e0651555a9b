"""The API described for programs (OpenAPI 3.1), and a small page that shows it without anything from elsewhere."""

from typing import Any

_TEXT, _NUMBER, _WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer"}
_OR_NONE: dict[str, Any] = {"type": ["string", "null"]}
_ROOM_ID = {"name": "id", "in": "path", "required": True, "schema": _TEXT}
_LAST_ID = {"name": "Last-Event-ID", "in": "header", "schema": _TEXT}


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "kuaihl, many live rooms",
            "version": "1",
            "description": "Rolling highlight scores of many live rooms.",
        },
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _paths() -> dict[str, Any]:
    room = {"$ref": "#/components/schemas/Room"}
    many = {"type": "array", "items": room}
    latest = {"type": "array", "items": {"$ref": "#/components/schemas/Latest"}}
    line = {"type": "array", "items": {"type": "object", "description": "A line of scores.jsonl."}}
    events = {"200": {"description": "Server-sent events.", "content": {"text/event-stream": {"schema": _TEXT}}}}
    after = {
        "name": "after",
        "in": "query",
        "description": "Only segments behind this one.",
        "schema": {"type": "integer", "default": -1, "minimum": -1},
    }
    most = {"type": "integer", "default": 1000, "minimum": 1, "maximum": 1000}
    limit = {"name": "limit", "in": "query", "schema": most}
    scores = _object(room=_TEXT, broadcast=_OR_NONE, scores=line)
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewRoom"}}}}
    return {
        "/rooms": {
            "get": _operation("List the rooms.", _answers(_object(rooms=many))),
            "post": {
                **_operation(
                    "Add a room.",
                    {"201": _answer("It is new.", room), "200": _answer("It was there, with this source.", room)}
                    | _problems("400", "403", "409", "413", "415", "422", "503"),
                ),
                "requestBody": body,
            },
        },
        "/rooms/{id}": {
            "get": _operation("Show a room.", _answers(room, "404"), _ROOM_ID),
            "delete": _operation("End a room.", {"204": {"description": "It ends."}} | _problems("404"), _ROOM_ID),
        },
        "/rooms/{id}/scores": {
            "get": _operation("Read a room's scores.", _answers(scores, "400", "404"), _ROOM_ID, after, limit)
        },
        "/rooms/{id}/events": {
            "get": _operation("Follow a room.", events | _problems("404", "503"), _ROOM_ID, _LAST_ID)
        },
        "/scores": {
            "get": _operation("Read the last score of every live room.", _answers(_object(time=_NUMBER, scores=latest)))
        },
        "/events": {"get": _operation("Follow all rooms.", events | _problems("503"), _LAST_ID)},
        "/metrics": {"get": _operation("Metrics for Prometheus.", _text())},
        "/healthz": {"get": _operation("Whether the process lives.", _text())},
        "/readyz": {"get": _operation("Whether it keeps up.", _text() | _problems("503"))},
    }


def _schemas() -> dict[str, Any]:
    return {
        "NewRoom": _object(url=_TEXT, id=_TEXT, streamer=_OR_NONE, language=_OR_NONE)
        | {"required": ["url"], "additionalProperties": False},
        "Room": _object(
            id=_TEXT,
            url=_TEXT | {"description": "Without keys."},
            state=_TEXT | {"enum": ["waiting", "live", "failed", "ended"]},
            detail=_TEXT,
            since=_NUMBER,
            origin=_TEXT | {"enum": ["api", "hook", "file"]},
            streamer=_OR_NONE,
            language=_OR_NONE,
            broadcast=_OR_NONE,
            segment={"type": ["integer", "null"]},
        ),
        "Latest": _object(
            room=_TEXT,
            streamer=_OR_NONE,
            segment=_WHOLE,
            score=_NUMBER,
            interest={"type": ["number", "null"]},
            predicts_start=_NUMBER,
            predicts_end=_NUMBER,
            gap={"type": "boolean"},
            age=_NUMBER | {"description": "Seconds since the scored segment was complete."},
        ),
        "Problem": _object(type=_TEXT, title=_TEXT, status=_WHOLE, detail=_TEXT),
    }


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _operation(summary: str, responses: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"summary": summary, "responses": responses}
    return found | ({"parameters": list(parameters)} if parameters else {})


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _answers(schema: dict[str, Any], *problems: str) -> dict[str, Any]:
    return {"200": _answer("Done.", schema)} | _problems(*problems)


def _text() -> dict[str, Any]:
    return {"200": {"description": "Done.", "content": {"text/plain": {"schema": _TEXT}}}}


def _problems(*codes: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        code: {"description": "A problem (RFC 9457).", "content": {"application/problem+json": {"schema": schema}}}
        for code in codes
    }


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>kuaihl</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem .6rem; }
tr { border-bottom: 1px solid #ccc; } code { font-size: .95em; }
</style>
<h1>kuaihl</h1>
<p>Machines read <a href="openapi.json">openapi.json</a>.</p>
<h2>Calls</h2><table id="calls"></table>
<h2>Live rooms</h2><table id="rooms"></table>
<script>
const cell = (row, text) => { row.insertCell().textContent = text; };
fetch("openapi.json").then(r => r.json()).then(api => {
  for (const [path, calls] of Object.entries(api.paths))
    for (const [method, call] of Object.entries(calls)) {
      const row = document.getElementById("calls").insertRow();
      cell(row, method.toUpperCase()); cell(row, path); cell(row, call.summary);
    }
});
const show = () => fetch("scores").then(r => r.json()).then(({scores}) => {
  const table = document.getElementById("rooms");
  table.replaceChildren();
  for (const one of scores.sort((a, b) => b.score - a.score)) {
    const row = table.insertRow();
    cell(row, one.room); cell(row, one.score.toFixed(3)); cell(row, `${one.age.toFixed(0)} s ago`);
  }
});
show(); setInterval(show, 5000);
</script>
</html>
"""
