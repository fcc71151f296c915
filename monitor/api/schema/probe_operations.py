"""Descriptions of the probe endpoints for the OpenAPI document, generated from the table `ENDPOINTS`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from ninja.openapi.schema import REF_TEMPLATE
from ninja.utils import normalize_path
from pydantic import TypeAdapter

from monitor.api.pages import JSON
from monitor.api.schema.bodies import ErrorBody, Open, ProbeBody
from monitor.api.targets import ENDPOINTS, Endpoint
from monitor.config.units import Name


def paths(base: str) -> dict[str, Any]:
    """Return the path items of the endpoints whose responses the table has. ``base`` is the prefix of the paths."""
    return {
        normalize_path(f"/{base}/{path}/{{name}}/" if endpoint.has_name else f"/{base}/{path}/"): _item(path, endpoint)
        for path, endpoint in ENDPOINTS.items()
        if endpoint.responses
    }


def components() -> dict[str, Any]:
    """Return the schemas of the bodies of probes."""
    return {body.__name__: body.model_json_schema(ref_template=REF_TEMPLATE) for body in (ErrorBody, ProbeBody, Open)}


def _item(path: str, endpoint: Endpoint) -> dict[str, Any]:
    operation = path.removesuffix("s") if endpoint.has_name else path
    name = {"in": "path", "name": "name", "schema": _name_schema(), "required": True}
    return {
        "get": {
            "operationId": operation,
            "summary": operation.title(),
            "parameters": [name] if endpoint.has_name else [],
            "responses": {status: _response(status, body) for status, body in endpoint.responses.items()},
            "description": endpoint.description,
            "tags": ["the present"],
        }
    }


def _name_schema() -> dict[str, Any]:
    return dict(sorted({**TypeAdapter(Name).json_schema(), "title": "Name"}.items()))


def _response(status: int, body: str) -> dict[str, Any]:
    schema = {"$ref": REF_TEMPLATE.format(model=body)}
    return {"description": HTTPStatus(status).phrase, "content": {JSON: {"schema": schema}}}
